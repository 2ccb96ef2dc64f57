"""A made-up TPM, and the cloud that certifies its attestation key.

    vm = GoogleVm()
    evidence = vm.attest(binding)                       # honest
    evidence = vm.attest(binding, firmware_version=1)   # any field of the quote set

Its root is nobody's: a policy has to name `vm.root_digest` in `insecure_roots`.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from blindai.protocol.attestation import (
    PEM_CHAIN_TYPE,
    TPM_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.tpm import ECDSA, HASH_NUMBERS, RSASSA, TpmEvidence
from blindai.testing.vendors.asn1 import integer, tlv
from blindai.testing.vendors.eventlog import Measurement, write_log
from blindai.testing.vendors.pki import Authority, digest_of, p256, pem
from blindai.verifier import eventlog
from blindai.verifier.eventlog import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from blindai.protocol.keyset import Binding
    from blindai.testing.vendors.pki import Extensions, PrivateKey, Validity

INSTANCE_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.1.21")
SECURE_BOOT = (
    bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
    + struct.pack("<QQ", 10, 1)
    + "SecureBoot".encode("utf-16-le")
)
_DYNAMIC = range(17, 23)  # registers that stand at ones until a dynamic launch


def separator(register: int) -> Measurement:
    """What firmware measures last into a register."""
    return Measurement(register=register, type=EventType.SEPARATOR, data=bytes(4))


def secure_boot(*, on: bool = True) -> Measurement:
    """What firmware says about secure boot."""
    kind = EventType.EFI_VARIABLE_DRIVER_CONFIG
    return Measurement(register=7, type=kind, data=SECURE_BOOT + bytes([on]))


def google_technology(number: int) -> Measurement:
    """What Google's firmware says about memory encryption: 4 is SEV-SNP."""
    data = b"GCE NonHostInfo\x00" + bytes([number]) + bytes(15)
    return Measurement(register=0, type=EventType.NONHOST_INFO, data=data)


BOOT = (
    Measurement(register=0, type=EventType.S_CRTM_VERSION, data=b"made-up firmware"),
    google_technology(4),
    secure_boot(),
    *map(separator, range(8)),
    Measurement(register=4, data=b"made-up boot loader"),
    Measurement(register=11, type=EventType.IPL, data=b"made-up kernel"),
)
"""What a made-up machine measures when it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteFields:
    """TPMS_ATTEST, every field of it to be set (TPM 2.0 Library part 2, 10.12.12).

    Attributes:
        extra_data: What is bound.
        selection: TPM_ALG_ID and bits of each bank.
        pcr_digest: Of the registers.
        magic: Says that the TPM made it.
        type: Says that it is a quote.
        qualified_signer: Name of the key.
        clock: Milliseconds.
        reset_count: Starts.
        restart_count: Resumptions.
        safe: Whether the clock was never set back.
        firmware_version: As its maker counts.
        rest: Bytes after it.
    """

    extra_data: bytes
    selection: tuple[tuple[int, bytes], ...]
    pcr_digest: bytes
    magic: int = 0xFF544347
    type: int = 0x8018
    qualified_signer: bytes = b"\x00\x0b" + bytes(32)
    clock: int = 1_000_000
    reset_count: int = 1
    restart_count: int = 0
    safe: int = 1
    firmware_version: int = 0x2023_0001_0000_0002
    rest: bytes = b""

    def encode(self) -> bytes:
        """The bytes that are signed."""
        selections = b"".join(
            struct.pack(">HB", bank, len(select)) + select
            for bank, select in self.selection
        )
        return (
            struct.pack(">IH", self.magic, self.type)
            + _sized(self.qualified_signer)
            + _sized(self.extra_data)
            + struct.pack(
                ">QIIB", self.clock, self.reset_count, self.restart_count, self.safe
            )
            + struct.pack(">QI", self.firmware_version, len(self.selection))
            + selections
            + _sized(self.pcr_digest)
            + self.rest
        )


def select(bank: str, indices: Iterable[int]) -> tuple[int, bytes]:
    """A bank's registers, as a quote selects them."""
    bits = sum(1 << index for index in indices)
    return HASH_NUMBERS[bank], bits.to_bytes(3, "little")


def sign_quote(quote: bytes, key: PrivateKey, algorithm: str = "sha256") -> bytes:
    """TPMT_SIGNATURE by a key, with its scheme."""
    digest = getattr(hashes, algorithm.upper())()
    if isinstance(key, rsa.RSAPrivateKey):
        head = struct.pack(">HH", RSASSA, HASH_NUMBERS[algorithm])
        return head + _sized(key.sign(quote, padding.PKCS1v15(), digest))
    r, s = utils.decode_dss_signature(key.sign(quote, ec.ECDSA(digest)))
    size = (key.key_size + 7) // 8
    head = struct.pack(">HH", ECDSA, HASH_NUMBERS[algorithm])
    return head + _sized(r.to_bytes(size)) + _sized(s.to_bytes(size))


@dataclass(frozen=True, kw_only=True)
class MadeUpTpm:
    """A TPM after a machine has started.

    Attributes:
        key: Its attestation key.
        measurements: What was measured, in order.
        banks: Algorithms of the banks that are quoted.
        indices: Registers that are quoted.
        hash: What quotes are signed with.
    """

    key: PrivateKey = field(default_factory=p256, repr=False)
    measurements: tuple[Measurement, ...] = BOOT
    banks: tuple[str, ...] = ("sha256",)
    indices: tuple[int, ...] = tuple(range(24))
    hash: str = "sha256"

    @property
    def event_log(self) -> bytes:
        """What was measured, as firmware writes it down."""
        return write_log(self.measurements, self.banks)

    @functools.cached_property
    def pcrs(self) -> dict[str, dict[int, bytes]]:
        """The registers that are quoted."""
        log = eventlog.parse(self.event_log)
        return {bank: dict(self._bank(bank, log.replay(bank))) for bank in self.banks}

    def _bank(
        self, bank: str, measured: Mapping[int, bytes]
    ) -> Iterable[tuple[int, bytes]]:
        size = hashlib.new(bank).digest_size
        for index in self.indices:
            start = b"\xff" if index in _DYNAMIC else b"\x00"
            yield index, measured.get(index, start * size)

    def quote(self, extra_data: bytes) -> QuoteFields:
        """A quote, not yet signed."""
        values = b"".join(
            self.pcrs[bank][index] for bank in self.banks for index in self.indices
        )
        return QuoteFields(
            extra_data=extra_data,
            selection=tuple(select(bank, self.indices) for bank in self.banks),
            pcr_digest=hashlib.new(self.hash, values).digest(),
        )

    def sign(self, fields: QuoteFields) -> TpmEvidence:
        """What the TPM sends for a quote."""
        quote = fields.encode()
        signature = sign_quote(quote, self.key, self.hash)
        return TpmEvidence(quote=quote, signature=signature, pcrs=self.pcrs)

    def evidence(self, extra_data: bytes, **changes: object) -> TpmEvidence:
        """What the TPM sends; `changes` are fields of the quote."""
        fields = replace(self.quote(extra_data), **changes)  # type: ignore[arg-type]  # one of many
        return self.sign(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What Google certifies about a machine."""

    zone: str = "made-up-zone1-a"
    project_number: int = 123456789
    project_id: str = "made-up-project"
    instance_id: int = 987654321
    instance_name: str = "made-up-instance"
    production: bool = True

    def encode(self) -> bytes:
        """The extension's value, in DER."""
        flag = tlv(0xA1, tlv(0x01, b"\xff" if self.production else b"\x00"))
        security = tlv(0x30, tlv(0xA0, integer(0)) + flag)
        return tlv(
            0x30,
            tlv(0x0C, self.zone.encode())
            + integer(self.project_number)
            + tlv(0x0C, self.project_id.encode())
            + integer(self.instance_id)
            + tlv(0x0C, self.instance_name.encode())
            + tlv(0xA0, security),
        )


def key_usage(**bits: bool) -> x509.KeyUsage:
    """A key usage with these bits, and no others."""
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})


def ak_extensions(instance: Instance | None = None) -> Extensions:
    """What an AK certificate has."""
    value = (instance or Instance()).encode()
    return (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (key_usage(digital_signature=True), True),
        (x509.UnrecognizedExtension(INSTANCE_OID, value), False),
    )


@functools.cache
def google_root() -> Authority:
    """A root that certifies authorities for attestation keys."""
    return Authority.root("Made-up EK/AK CA Root", p256())


@functools.cache
def google_authority() -> Authority:
    """The authority below it."""
    return google_root().authority("Made-up EK/AK CA Intermediate", p256())


@dataclass(frozen=True, kw_only=True)
class GoogleVm:
    """A machine of a cloud that certifies attestation keys, as Google does.

    Attributes:
        tpm: Its TPM.
        extensions: Of its AK certificate.
        validity: Of its AK certificate.
        more: Endorsements beside the certificates.
    """

    tpm: MadeUpTpm = field(default_factory=MadeUpTpm)
    extensions: Extensions = field(default_factory=ak_extensions)
    validity: Validity | None = None
    more: tuple[Endorsement, ...] = ()

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return TPM_QUOTE_TYPE

    @property
    def root_digest(self) -> bytes:
        """SHA-256 of its root certificate, as a policy names it."""
        return digest_of(google_root().certificate)

    @functools.cached_property
    def chain(self) -> bytes:
        """Its AK certificate and those above, in PEM."""
        ak = google_authority().issue(
            "made-up attestation key",
            self.tpm.key.public_key(),
            validity=self.validity,
            extensions=self.extensions,
        )
        return pem(ak, google_authority().certificate, google_root().certificate)

    def attest(self, binding: Binding, **changes: object) -> Evidence:
        """Evidence that binds what it is given; `changes` are fields of the quote."""
        return self.evidence(self.tpm.evidence(binding.digest, **changes))

    def evidence(self, sent: TpmEvidence) -> Evidence:
        """What the TPM sends, with the endorsements and the event log."""
        return Evidence(
            media_type=self.tee,
            evidence=sent.encode(),
            endorsements=(Endorsement(PEM_CHAIN_TYPE, self.chain), *self.more),
            event_log=self.tpm.event_log,
        )

    @property
    def sealing(self) -> str | None:
        """None: it seals nothing."""
        return None

    def sealing_key(self) -> bytes | None:
        """None: it seals nothing."""
        return None


def _sized(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content
