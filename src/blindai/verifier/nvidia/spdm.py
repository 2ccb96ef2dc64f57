"""An SPDM measurement exchange with a GPU, cut into its fields.

DMTF DSP0274 version 1.1: 10.11.1 (GET_MEASUREMENTS), 10.11.2 (MEASUREMENTS), 10.11.3
(measurement block). All numbers little-endian. NVIDIA writes the request and, without a
gap, the response:

    request, 37 bytes                      response
    00 version 11h                         00 version 11h
    01 GET_MEASUREMENTS E0h                01 MEASUREMENTS 60h
    02 attributes: 1, signature requested  02 zero
    03 operation: FFh, all blocks          03 slot 0
    04 nonce 32                            04 number of blocks u8
    24 slot 0                              05 record length u24
                                           08 record: the blocks
                                           .. nonce 32
    block                                  .. opaque length u16
    00 index u8, from 1                    .. opaque data, see opaque.py
    01 specification 1, DMTF               .. signature 96: R and S, big-endian
    02 measurement size u16, 51
    04 type u8                             The signature is over the request and the
    05 value size u16, 48                  response up to it (ECDSA P-384, SHA-384).
    07 value 48
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_EXCHANGE_BYTES: Final = 0x2000  # NVML_CC_GPU_ATTESTATION_REPORT_SIZE
REQUEST_BYTES: Final = 37
NONCE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 96
DIGEST_BYTES: Final = 48

_RESPONSE_HEAD_BYTES: Final = 8
MIN_EXCHANGE_BYTES: Final = (
    REQUEST_BYTES + _RESPONSE_HEAD_BYTES + NONCE_BYTES + 2 + SIGNATURE_BYTES
)

_REQUEST_HEAD: Final = bytes.fromhex("11e001ff")
_RESPONSE_HEAD: Final = bytes.fromhex("11600000")
_SLOT_0: Final = b"\x00"
_BLOCK_BYTES: Final = 4 + 3 + DIGEST_BYTES
_BLOCK_HEAD: Final = bytes.fromhex("013300")  # DMTF, 51 bytes
_VALUE_SIZE: Final = bytes.fromhex("3000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its response, cut but not believed.

    Attributes:
        nonce: What the requester asked the GPU to sign, 32 bytes.
        blocks: Measurements, 48 bytes each, by index, from 1.
        opaque: What NVIDIA adds.
        signed: The bytes under the signature.
        signature: R and S, big-endian, 48 bytes each.
    """

    nonce: bytes
    blocks: Mapping[int, bytes] = field(repr=False)
    opaque: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_exchange(data: bytes) -> Exchange:
    """Cut a request and its response.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    if not MIN_EXCHANGE_BYTES <= len(data) <= MAX_EXCHANGE_BYTES:
        raise EvidenceError(
            f"SPDM: expected {MIN_EXCHANGE_BYTES} to {MAX_EXCHANGE_BYTES} bytes,"
            f" got {len(data)}"
        )
    request, response = data[:REQUEST_BYTES], data[REQUEST_BYTES:]
    if request[:4] != _REQUEST_HEAD or request[36:] != _SLOT_0:
        raise EvidenceError("SPDM request: expected GET_MEASUREMENTS of all, signed")
    if response[:4] != _RESPONSE_HEAD:
        raise EvidenceError("SPDM response: expected MEASUREMENTS of version 1.1")
    count, length = response[4], int.from_bytes(response[5:8], "little")
    record = _RESPONSE_HEAD_BYTES + length
    opaque = record + NONCE_BYTES + 2
    end = opaque + int.from_bytes(response[opaque - 2 : opaque], "little")
    if len(response) != end + SIGNATURE_BYTES:
        raise EvidenceError(
            f"SPDM response: expected {end + SIGNATURE_BYTES} bytes,"
            f" got {len(response)}"
        )
    return Exchange(
        nonce=request[4:36],
        blocks=_blocks(response[_RESPONSE_HEAD_BYTES:record], count),
        opaque=response[opaque:end],
        signed=data[:-SIGNATURE_BYTES],
        signature=response[end:],
    )


def _blocks(record: bytes, count: int) -> Mapping[int, bytes]:
    """The measurement blocks, which have one size.

    Raises:
        EvidenceError: If one is malformed, there twice, or their number is another.
    """
    if len(record) != count * _BLOCK_BYTES:
        raise EvidenceError(
            f"SPDM record: expected {count} blocks of {_BLOCK_BYTES} bytes,"
            f" got {len(record)} bytes"
        )
    found: dict[int, bytes] = {}
    for offset in range(0, len(record), _BLOCK_BYTES):
        block = record[offset : offset + _BLOCK_BYTES]
        if block[1:4] != _BLOCK_HEAD or block[5:7] != _VALUE_SIZE:
            raise EvidenceError("SPDM block: expected a SHA-384 digest in DMTF's form")
        if block[0] in found or not block[0]:
            raise EvidenceError("SPDM record: expected each index from 1 at most once")
        found[block[0]] = block[7:]
    return MappingProxyType(found)
