"""The FWID in a GPU's certificate, in the two forms that NVIDIA has."""

from __future__ import annotations

import pytest
from cryptography import x509

from blindai.errors import EvidenceError
from blindai.testing.vendors.nvidia import (
    FWID,
    Nvidia,
    composite_device_id,
    dice_tcb_info,
    leaf_usage,
)
from blindai.testing.vendors.pki import Extensions, der
from blindai.verifier.certificates import Certificate, parse_certificate
from blindai.verifier.nvidia.leaf import parse_fwid

VENDOR = Nvidia()
KEY = VENDOR.rim_key.public_key()
HOPPER, BLACKWELL = "2.23.133.5.4.1", "2.23.133.5.4.1.1"


def certificate(extensions: Extensions) -> Certificate:
    issued = VENDOR.root.issue("x", KEY, extensions=(*leaf_usage(), *extensions))
    return parse_certificate(der(issued))


def raw(oid: str, value: str) -> Extensions:
    identifier = x509.ObjectIdentifier(oid)
    extension = x509.UnrecognizedExtension(identifier, bytes.fromhex(value))
    return ((extension, False),)


@pytest.mark.parametrize(
    "extensions",
    [
        pytest.param(composite_device_id(FWID), id="Hopper"),
        pytest.param(dice_tcb_info(FWID), id="Blackwell"),
        pytest.param(dice_tcb_info(FWID, bytes(48)), id="Blackwell, two"),
    ],
)
def test_the_fwid_is_read(extensions: Extensions) -> None:
    assert parse_fwid(certificate(extensions)) == FWID


@pytest.mark.parametrize(
    ("extensions", "message"),
    [
        pytest.param((), "expected one extension with a FWID", id="none"),
        pytest.param(
            composite_device_id(FWID) + dice_tcb_info(FWID),
            "expected one extension with a FWID",
            id="both",
        ),
        pytest.param(composite_device_id(FWID[1:]), "SHA-384, 48 bytes", id="short"),
        pytest.param(dice_tcb_info(FWID + b"x"), "SHA-384, 48 bytes", id="long"),
        pytest.param(dice_tcb_info(), "expected a list with one", id="empty list"),
        pytest.param(raw(BLACKWELL, "3000"), "expected a list with one", id="no list"),
        pytest.param(
            raw(BLACKWELL, "3004a6020500"), "expected a list with one", id="no sequence"
        ),
        pytest.param(
            raw(BLACKWELL, "3004a6023000"), "expected 2 elements", id="empty FWID"
        ),
        pytest.param(raw(BLACKWELL, "0500"), "expected 1 elements", id="NULL"),
        pytest.param(raw(HOPPER, "3000"), "expected 3 elements", id="nothing in it"),
        pytest.param(raw(HOPPER, ""), "expected 1 elements", id="no value"),
        pytest.param(
            raw(HOPPER, "300e" + "020101" + "3000" + "3007" + "06012a" + "04020000"),
            "SHA-384, 48 bytes",
            id="another hash",
        ),
    ],
)
def test_another_extension_is_refused(extensions: Extensions, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_fwid(certificate(extensions))
