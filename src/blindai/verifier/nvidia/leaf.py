"""The firmware that a GPU's certificate vouches for: its FWID.

A GPU's boot ROM certifies a key that it derives from the firmware it is about to start
(TCG DICE Attestation Architecture 1.1). So the certificate names that firmware:

    2.23.133.5.4.1     Hopper: SEQUENCE { version 1, SubjectPublicKeyInfo of the device,
                       FWID }, as RIoT's CompositeDeviceID
    2.23.133.5.4.1.1   Blackwell: DiceTcbInfo, in which [6] lists FWIDs

    FWID = SEQUENCE { hash OBJECT IDENTIFIER, digest OCTET STRING }
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.protocol import der

if TYPE_CHECKING:
    from blindai.verifier.certificates import Certificate

COMPOSITE_DEVICE_ID: Final = bytes.fromhex("678105050401")
DICE_TCB_INFO: Final = bytes.fromhex("67810505040101")
SHA384: Final = bytes.fromhex("608648016503040202")  # 2.16.840.1.101.3.4.2.2
FWID_BYTES: Final = 48

_COMPOSITE_FIELDS: Final = (der.INTEGER, der.SEQUENCE, der.SEQUENCE)
_FWIDS: Final = 0xA6  # [6], in DiceTcbInfo


def parse_fwid(certificate: Certificate) -> bytes:
    """The FWID in a GPU's certificate, 48 bytes.

    Raises:
        EvidenceError: If there is none, or more than one extension that has one.
    """
    extensions = certificate.extensions
    hopper = extensions.get(COMPOSITE_DEVICE_ID)
    blackwell = extensions.get(DICE_TCB_INFO)
    if hopper is not None and blackwell is None:
        return _composite(hopper.value)
    if blackwell is not None and hopper is None:
        return _tcb_info(blackwell.value)
    raise EvidenceError("GPU certificate: expected one extension with a FWID")


def _composite(value: bytes) -> bytes:
    listed = der.only(value, der.SEQUENCE, "GPU FWID")
    *_, fwid = der.fields(listed, _COMPOSITE_FIELDS, "GPU FWID")
    return _fwid(fwid)


def _tcb_info(value: bytes) -> bytes:
    """The first FWID: the firmware's; a second one is of what the firmware starts.

    Raises:
        EvidenceError: If there is none.
    """
    listed = der.only(value, der.SEQUENCE, "GPU FWID")
    for element in der.elements(listed, "GPU FWID"):
        if element.tag == _FWIDS:
            fwids = der.elements(element.content, "GPU FWID")
            if fwids and fwids[0].tag == der.SEQUENCE:
                return _fwid(fwids[0])
    raise EvidenceError("GPU FWID: expected a list with one")


def _fwid(element: der.Element) -> bytes:
    algorithm, digest = der.fields(
        element.content, (der.OBJECT_IDENTIFIER, der.OCTET_STRING), "GPU FWID"
    )
    if algorithm.content != SHA384 or len(digest.content) != FWID_BYTES:
        raise EvidenceError(f"GPU FWID: expected SHA-384, {FWID_BYTES} bytes")
    return digest.content
