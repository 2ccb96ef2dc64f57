"""What NVIDIA adds to a GPU's measurements: fields of the opaque data.

NVIDIA attestation SDK, GPU opaque data. Fields follow one another without a gap, each
a type u16, a size u16 and that many bytes; numbers are little-endian, text ends with
NULs:

     3 driver version, text           18 project SKU, text
     6 VBIOS version, 8 bytes         20 FWID, 48 bytes
    11 NVDEC0 status, AAh or 55h      34 version of these data u16
    15 chip SKU, text                 36 feature flag: 0 MPT, 1 SPT, 2 PPCIE; since
    17 project, text                     version 1 of these data

Fields of other types are not read; the signature covers them all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Mapping

FWID_BYTES: Final = 48
VBIOS_BYTES: Final = 8
MODES: Final = ("mpt", "spt", "ppcie")
DRIVER_VERSION_FORM: Final = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}")

_DRIVER_VERSION: Final = 3
_VBIOS_VERSION: Final = 6
_NVDEC0_STATUS: Final = 11
_CHIP_SKU: Final = 15
_PROJECT: Final = 17
_PROJECT_SKU: Final = 18
_FWID: Final = 20
_DATA_VERSION: Final = 34
_FEATURE_FLAG: Final = 36

_DISABLED: Final = b"\x55"
_MAX_TEXT_BYTES: Final = 64
_WORD: Final = re.compile(r"[0-9A-Za-z]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueData:
    """The fields that are read, cut but not believed.

    Attributes:
        driver_version: `550.90.07`.
        vbios_version: `96.00.9F.00.01`.
        board: Project, project SKU and chip SKU.
        mode: One of MODES, `unknown (n)`, or empty where it is not said.
        nvdec0: Whether the first video decoder is in use.
        fwid: SHA-384 of the firmware, 48 bytes; None where it is not said.
    """

    driver_version: str
    vbios_version: str
    board: str
    mode: str
    nvdec0: bool
    fwid: bytes | None


def parse_opaque(data: bytes) -> OpaqueData:
    """Cut the fields.

    Raises:
        EvidenceError: If one is malformed or there twice, or a version is missing.
    """
    fields = _fields(data)
    fwid = fields.get(_FWID)
    if fwid is not None and len(fwid) != FWID_BYTES:
        raise EvidenceError(f"GPU FWID: expected {FWID_BYTES} bytes, got {len(fwid)}")
    board = (_word(fields, each) for each in (_PROJECT, _PROJECT_SKU, _CHIP_SKU))
    return OpaqueData(
        driver_version=_driver_version(fields),
        vbios_version=_vbios_version(fields),
        board="_".join(board),
        mode=_mode(fields),
        nvdec0=fields.get(_NVDEC0_STATUS) != _DISABLED,
        fwid=fwid,
    )


def _fields(data: bytes) -> Mapping[int, bytes]:
    found: dict[int, bytes] = {}
    offset = 0
    while offset < len(data):
        kind = int.from_bytes(data[offset : offset + 2], "little")
        start = offset + 4
        offset = start + int.from_bytes(data[offset + 2 : start], "little")
        if offset > len(data) or start > len(data):
            raise EvidenceError("GPU opaque data: expected whole fields")
        if kind in found:
            raise EvidenceError("GPU opaque data: expected each field at most once")
        found[kind] = data[start:offset]
    return found


def _driver_version(fields: Mapping[int, bytes]) -> str:
    version = _text(fields, _DRIVER_VERSION)
    if not DRIVER_VERSION_FORM.fullmatch(version):
        raise EvidenceError("GPU driver version: expected numbers and dots")
    return version


def _vbios_version(fields: Mapping[int, bytes]) -> str:
    """Five bytes in hexadecimal, as NVIDIA writes the number: 3, 2, 1, 0, then 4.

    Raises:
        EvidenceError: If the field is not of 8 bytes.
    """
    version = fields.get(_VBIOS_VERSION, b"")
    if len(version) != VBIOS_BYTES:
        raise EvidenceError(f"GPU VBIOS version: expected {VBIOS_BYTES} bytes")
    return ".".join(f"{version[place]:02X}" for place in (3, 2, 1, 0, 4))


def _mode(fields: Mapping[int, bytes]) -> str:
    if not int.from_bytes(fields.get(_DATA_VERSION, b""), "little"):
        return ""
    flag = int.from_bytes(fields.get(_FEATURE_FLAG, b""), "little")
    if _FEATURE_FLAG not in fields or flag >= len(MODES):
        return f"unknown ({flag})"
    return MODES[flag]


def _word(fields: Mapping[int, bytes], kind: int) -> str:
    word = _text(fields, kind)
    if not _WORD.fullmatch(word):
        raise EvidenceError("GPU board: expected letters and digits")
    return word


def _text(fields: Mapping[int, bytes], kind: int) -> str:
    text = fields.get(kind, b"")
    if len(text) > _MAX_TEXT_BYTES:
        raise EvidenceError(f"GPU text: expected at most {_MAX_TEXT_BYTES} bytes")
    return text.rstrip(b"\x00").decode("latin-1")
