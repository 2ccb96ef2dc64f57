"""Where evidence says what was launched and what it binds, for the attester's own use.

So that a stale or foreign report is noticed where it is made, and so that a server can
say at its start what it is. This believes nothing and proves nothing: the verifier has
the whole format, and reads a field only once its signature holds.

    evidence              measurement          bound           source
    SEV-SNP report        0x90, 48 bytes       0x50, 64 bytes  AMD 56860, 7.3
    SGX quote, version 3  48 + 64, 32 bytes    48 + 320, 64    Intel DCAP, A.4
    TDX quote, version 4  48 + 136, 48 bytes   48 + 520, 64    Intel TDX DCAP, A.3.1
    TDX quote, version 5  6 bytes further on                   ... A.3.2: type and size
    Nitro document        register 0 of `pcrs` in the payload  NSM API, 2.2 and 3.1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.errors import HardwareError, ProtocolError
from blindai.protocol import cbor
from blindai.protocol.attestation import (
    NITRO_DOCUMENT_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
    TDX_QUOTE_TYPE,
)
from blindai.protocol.keyset import REPORT_DATA_BYTES

if TYPE_CHECKING:
    from blindai.protocol.attestation import Evidence

_QUOTE_HEADER_BYTES: Final = 48


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the two fields begin, and how long the measurement is."""

    measurement: int
    measurement_bytes: int
    bound: int


_SNP: Final = _Places(0x90, 48, 0x50)
_SGX: Final = _Places(_QUOTE_HEADER_BYTES + 64, 32, _QUOTE_HEADER_BYTES + 320)
_TDX_4: Final = _Places(_QUOTE_HEADER_BYTES + 136, 48, _QUOTE_HEADER_BYTES + 520)
_TDX_5: Final = _Places(_TDX_4.measurement + 6, 48, _TDX_4.bound + 6)
_PLACES: Final = {
    SEV_SNP_REPORT_TYPE: _SNP,
    SIMULATED_SEV_SNP_REPORT_TYPE: _SNP,
    SGX_QUOTE_TYPE: _SGX,
    TDX_QUOTE_TYPE: _TDX_4,
}


def measurement(evidence: Evidence) -> bytes | None:
    """What evidence says was launched, or None where this module does not know."""
    if evidence.media_type == NITRO_DOCUMENT_TYPE:
        return _register_0(evidence.evidence)
    places = _places(evidence)
    if places is None:
        return None
    start = places.measurement
    return evidence.evidence[start : start + places.measurement_bytes]


def require_bound(evidence: Evidence, report_data: bytes) -> Evidence:
    """The evidence, if it binds these 64 bytes.

    Raises:
        HardwareError: If it binds others, or ends before that.
        ValueError: If this module does not know the type.
    """
    places = _places(evidence)
    if places is None:
        raise ValueError(f"evidence: expected a known type, got {evidence.media_type}")
    start = places.bound
    if evidence.evidence[start : start + REPORT_DATA_BYTES] != report_data:
        raise HardwareError(
            "evidence: expected it to bind what the device was given, got other bytes; "
            "does another process use the device?"
        )
    return evidence


def _register_0(document: bytes) -> bytes | None:
    try:
        match cbor.decode_loosely(document):
            case [_, _, bytes(payload), _]:
                fields = cbor.decode_loosely(payload)
            case _:
                return None
    except ProtocolError:
        return None
    match fields:
        case {"pcrs": {0: bytes(register)}}:
            return register
        case _:
            return None


def _places(evidence: Evidence) -> _Places | None:
    places = _PLACES.get(evidence.media_type)
    version = int.from_bytes(evidence.evidence[:2], "little")
    return _TDX_5 if places is _TDX_4 and version == 5 else places
