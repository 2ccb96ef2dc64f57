"""What Intel says in a PCK certificate about the platform whose key it holds.

Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, 1.3.5:
extension 1.2.840.113741.1.13.1, a SEQUENCE of pairs of identifier and value. Below that
identifier:

    1      PPID, OCTET STRING 16           5      SGX type, ENUMERATED
    2      TCB, SEQUENCE of pairs:         6      platform instance ID, OCTET STRING 16
    2.1..16  component versions, INTEGER   7      configuration, SEQUENCE of pairs:
    2.17     PCESVN, INTEGER               7.1      dynamic platform, BOOLEAN
    2.18     CPUSVN, OCTET STRING 16       7.2      cached keys, BOOLEAN
    3      PCE-ID, OCTET STRING 2          7.3      SMT enabled, BOOLEAN
    4      FMSPC, OCTET STRING 6

Certificates of the processor CA have no 6 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.protocol import der

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.verifier.certificates import Certificate

_SGX: Final = bytes.fromhex("2a864886f84d010d01")  # 1.2.840.113741.1.13.1
_FALSE: Final = b"\x00"
_TRUE: Final = b"\xff"
_COMPONENTS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The platform that a PCK certificate belongs to.

    Attributes:
        components: Versions of its 16 components, each 0..255.
        pce_svn: Version of its provisioning certification enclave.
        cpu_svn: The same components, 16 bytes as a report has them.
        pce_id: Names the provisioning certification enclave, 2 bytes.
        fmspc: Names the kind of platform, 6 bytes.
        dynamic_platform: Whether packages may be added; None where it is not said.
        cached_keys: Whether Intel's registration service keeps its keys; None likewise.
        smt_enabled: Whether multithreading is on; None likewise.
    """

    components: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes
    pce_id: bytes
    fmspc: bytes
    dynamic_platform: bool | None
    cached_keys: bool | None
    smt_enabled: bool | None


def parse_platform(certificate: Certificate) -> Platform:
    """Read Intel's extension.

    Raises:
        EvidenceError: If it is missing or malformed.
    """
    extension = certificate.extensions.get(_SGX)
    if extension is None:
        raise EvidenceError("PCK certificate: expected Intel's SGX extension, got none")
    values = _pairs(extension.value, _SGX)
    tcb = _pairs(_value(values, 2).encoding, _SGX + b"\x02")
    configuration: Mapping[int, der.Element] = {}
    if 7 in values:
        configuration = _pairs(values[7].encoding, _SGX + b"\x07")
    return Platform(
        components=tuple(_number(tcb, n, 0xFF) for n in range(1, _COMPONENTS + 1)),
        pce_svn=_number(tcb, 17, 0xFFFF),
        cpu_svn=_octets(tcb, 18, 16),
        pce_id=_octets(values, 3, 2),
        fmspc=_octets(values, 4, 6),
        dynamic_platform=_flag(configuration, 1),
        cached_keys=_flag(configuration, 2),
        smt_enabled=_flag(configuration, 3),
    )


def _pairs(data: bytes, above: bytes) -> dict[int, der.Element]:
    """Values by the last number of their identifiers, which lie below `above`.

    Raises:
        EvidenceError: If it is anything else, or has an identifier twice.
    """
    what = "SGX extension"
    found: dict[int, der.Element] = {}
    for pair in der.elements(der.only(data, der.SEQUENCE, what), what):
        parts = der.elements(pair.content, what)
        if len(parts) != 2 or parts[0].tag != der.OBJECT_IDENTIFIER:
            raise EvidenceError(f"{what}: expected pairs of identifier and value")
        oid = parts[0].content
        if oid[:-1] != above or oid[-1] in found:
            raise EvidenceError(f"{what}: expected each known identifier at most once")
        found[oid[-1]] = parts[1]
    return found


def _value(values: Mapping[int, der.Element], number: int) -> der.Element:
    if number not in values:
        raise EvidenceError(f"SGX extension: expected a value {number}, got none")
    return values[number]


def _number(values: Mapping[int, der.Element], number: int, most: int) -> int:
    what = f"SGX extension value {number}"
    element = _value(values, number)
    value = der.integer(der.only(element.encoding, der.INTEGER, what), what)
    if value > most:
        raise EvidenceError(f"{what}: expected at most {most}, got {value}")
    return value


def _octets(values: Mapping[int, der.Element], number: int, size: int) -> bytes:
    what = f"SGX extension value {number}"
    value = der.only(_value(values, number).encoding, der.OCTET_STRING, what)
    if len(value) != size:
        raise EvidenceError(f"{what}: expected {size} bytes, got {len(value)}")
    return value


def _flag(values: Mapping[int, der.Element], number: int) -> bool | None:
    """A boolean, or None where it is not said.

    Raises:
        EvidenceError: If it is something else.
    """
    if number not in values:
        return None
    what = f"SGX extension value {number}"
    value = der.only(values[number].encoding, der.BOOLEAN, what)
    if value not in {_FALSE, _TRUE}:
        raise EvidenceError(f"{what}: expected a boolean in DER")
    return value == _TRUE
