"""A TPM's quote and its signature, cut into fields but not believed.

TCG TPM 2.0 Library, revision 1.59, part 2. Numbers big-endian; TPM2B is a u16 size and
so many bytes.

    TPMS_ATTEST (10.12.12)                TPMT_SIGNATURE (11.3.4)
    magic u32, FF544347h                  sigAlg u16: RSASSA 0014h, ECDSA 0018h
    type u16, TPM_ST_ATTEST_QUOTE 8018h   hash u16
    qualifiedSigner TPM2B                 RSASSA: sig TPM2B
    extraData TPM2B                       ECDSA: signatureR TPM2B, signatureS TPM2B
    clockInfo (10.11.1): clock u64,
      resetCount u32, restartCount u32,
      safe u8
    firmwareVersion u64
    TPMS_QUOTE_INFO (10.12.4):
      count u32
      each TPMS_PCR_SELECTION (10.6.2):
        hash u16, sizeofSelect u8 3,
        pcrSelect 3, PCR 0 is bit 0 of the first byte
      pcrDigest TPM2B

A key that only signs what the TPM made (restricted, part 1, 23) signs no other bytes
that begin with the magic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import utils

from blindai.errors import EvidenceError
from blindai.protocol.tpm import ECDSA, HASHES, PCR_COUNT, RSASSA
from blindai.verifier.reader import Reader
from blindai.verifier.tpm.claims import Clock

if TYPE_CHECKING:
    from blindai.protocol.tpm import Pcrs

MAGIC: Final = 0xFF544347
ATTEST_QUOTE: Final = 0x8018
MAX_NAME_BYTES: Final = 66  # TPM_ALG_ID and a digest of 64
MAX_EXTRA_BYTES: Final = 66
MAX_DIGEST_BYTES: Final = 64
MAX_SIGNATURE_BYTES: Final = 512  # RSA of 4096 bits
MAX_SCALAR_BYTES: Final = 66  # P-521
_SELECT_BYTES: Final = PCR_COUNT // 8
_NO, _YES = 0, 1

Selection = tuple[tuple[str, tuple[int, ...]], ...]
"""Which registers of which banks, in the order in which they are digested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a TPM says of itself.

    Attributes:
        extra_data: What the attester bound to it, at most 66 bytes.
        clock: How long it has run, and how often it was started.
        firmware_version: As its maker counts.
        selection: The registers it quotes.
        pcr_digest: Digest of their values.
        signed: The bytes under the signature.
    """

    extra_data: bytes
    clock: Clock
    firmware_version: int
    selection: Selection
    pcr_digest: bytes
    signed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A TPM's signature.

    Attributes:
        scheme: RSASSA or ECDSA.
        hash: Name of the algorithm that digested what is signed, and the registers.
        value: RSA's octets, or ECDSA's R and S in DER.
    """

    scheme: int
    hash: str
    value: bytes = field(repr=False)


def parse_quote(data: bytes) -> Quote:
    """Cut a quote into its fields.

    Raises:
        EvidenceError: If the bytes are anything else, or quote a register twice.
    """
    reader = Reader(data, "quote")
    if reader.number(4) != MAGIC or reader.number(2) != ATTEST_QUOTE:
        raise EvidenceError("quote: expected one that a TPM made, got something else")
    reader.sized(2, MAX_NAME_BYTES)
    quote = Quote(
        extra_data=reader.sized(2, MAX_EXTRA_BYTES),
        clock=_clock(reader),
        firmware_version=reader.number(8),
        selection=_selection(reader),
        pcr_digest=reader.sized(2, MAX_DIGEST_BYTES),
        signed=data,
    )
    reader.end()
    return quote


def parse_signature(data: bytes) -> Signature:
    """Cut a signature into its fields.

    Raises:
        EvidenceError: If the bytes are anything else, or of another scheme.
    """
    reader = Reader(data, "quote signature")
    scheme, algorithm = reader.number(2), _hash(reader)
    match scheme:
        case _ if scheme == RSASSA:
            value = reader.sized(2, MAX_SIGNATURE_BYTES)
        case _ if scheme == ECDSA:
            r, s = (int.from_bytes(reader.sized(2, MAX_SCALAR_BYTES)) for _ in "rs")
            value = utils.encode_dss_signature(r, s)
        case _:
            raise EvidenceError(
                f"quote signature: expected RSASSA or ECDSA, got {scheme:#06x}"
            )
    reader.end()
    return Signature(scheme=scheme, hash=algorithm, value=value)


def concatenated(selection: Selection, pcrs: Pcrs) -> bytes:
    """The values that `pcr_digest` is of: bank by bank, from the lowest register up.

    TPM 2.0 Library, part 3, 18.4 (TPM2_Quote).

    Raises:
        EvidenceError: If the registers are not exactly those that are selected.
    """
    selected = {bank: set(indices) for bank, indices in selection}
    if selected != {bank: set(values) for bank, values in pcrs.items()}:
        raise EvidenceError("pcrs: expected exactly the registers that are quoted")
    return b"".join(
        pcrs[bank][index] for bank, indices in selection for index in indices
    )


def _clock(reader: Reader) -> Clock:
    milliseconds, resets, restarts = (
        reader.number(8),
        reader.number(4),
        reader.number(4),
    )
    safe = reader.number(1)
    if safe not in {_NO, _YES}:
        raise EvidenceError(f"quote clock: expected safe to be 0 or 1, got {safe}")
    return Clock(
        milliseconds=milliseconds,
        reset_count=resets,
        restart_count=restarts,
        safe=safe == _YES,
    )


def _selection(reader: Reader) -> Selection:
    count = reader.number(4)
    if count > len(HASHES):
        raise EvidenceError(f"quote: expected at most {len(HASHES)} banks, got {count}")
    selection = tuple((_hash(reader), _indices(reader)) for _ in range(count))
    if len(dict(selection)) != count or not all(indices for _, indices in selection):
        raise EvidenceError("quote: expected each bank once, with a register")
    return selection


def _indices(reader: Reader) -> tuple[int, ...]:
    size = reader.number(1)
    if size != _SELECT_BYTES:
        raise EvidenceError(
            f"quote: expected {_SELECT_BYTES} bytes of PCRs, got {size}"
        )
    bits = int.from_bytes(reader.take(size), "little")
    return tuple(index for index in range(PCR_COUNT) if bits >> index & 1)


def _hash(reader: Reader) -> str:
    number = reader.number(2)
    if number not in HASHES:
        raise EvidenceError(f"quote: expected a hash that is known, got {number:#06x}")
    return HASHES[number]
