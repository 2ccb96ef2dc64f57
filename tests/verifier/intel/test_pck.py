"""Intel's extension of PCK certificates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.verifier.intel.made_up import INTEL, changed

from blindai.errors import EvidenceError
from blindai.testing.vendors.intel_parts import Platform as MadeUpPlatform
from blindai.testing.vendors.pki import der
from blindai.verifier.certificates import (
    Certificate,
    Extension,
    parse_certificate,
)
from blindai.verifier.intel.pck import Platform, parse_platform

OID = bytes.fromhex("2a864886f84d010d01")
CERTIFICATE = parse_certificate(der(INTEL.pck))
VALUE = CERTIFICATE.extensions[OID].value


def certificate(value: bytes) -> Certificate:
    return replace(
        CERTIFICATE, extensions={OID: Extension(critical=False, value=value)}
    )


def edited(old: str, new: str) -> Certificate:
    """The certificate with part of its extension put in place of another."""
    before, after = bytes.fromhex(old), bytes.fromhex(new)
    assert VALUE.count(before) == 1
    assert len(before) == len(after)
    return certificate(VALUE.replace(before, after))


def test_it_is_read() -> None:
    platform = MadeUpPlatform(
        components=tuple(range(240, 256)),
        pce_svn=0xFFFF,
        pce_id=b"\x01\x02",
        fmspc=b"fmspc!",
        configuration=(True, False, True),
    )

    parsed = parse_platform(parse_certificate(der(changed(platform=platform).pck)))

    assert parsed == Platform(
        components=tuple(range(240, 256)),
        pce_svn=0xFFFF,
        cpu_svn=bytes(range(240, 256)),
        pce_id=b"\x01\x02",
        fmspc=b"fmspc!",
        dynamic_platform=True,
        cached_keys=False,
        smt_enabled=True,
    )


def test_the_processor_authority_says_nothing_of_the_configuration() -> None:
    silent = changed(platform=MadeUpPlatform(configuration=None))

    parsed = parse_platform(parse_certificate(der(silent.pck)))

    assert parsed.dynamic_platform is None
    assert parsed.cached_keys is None
    assert parsed.smt_enabled is None


def pair(number: str, value: str) -> str:
    """A pair below Intel's identifier, in hexadecimal."""
    identifier = OID.hex() + number
    content = f"06{len(identifier) // 2:02x}{identifier}{value}"
    return f"30{len(content) // 2:02x}{content}"


FMSPC = pair("04", "0406b0c06f000000")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        pytest.param(
            replace(CERTIFICATE, extensions={}), "extension, got none", id="missing"
        ),
        pytest.param(certificate(b""), "SGX extension: expected 1", id="empty"),
        pytest.param(certificate(b"\x30\x00"), "a value 2, got none", id="nothing"),
        pytest.param(certificate(b"\x30\x02\x05\x00"), "pairs", id="no pairs"),
        pytest.param(
            certificate(bytes.fromhex("300d300b0609" + OID.hex())),
            "pairs of identifier",
            id="identifier alone",
        ),
        pytest.param(
            certificate(bytes.fromhex("3006300404000400")),
            "pairs of identifier",
            id="no identifier",
        ),
        pytest.param(
            certificate(bytes.fromhex("3006300406000400")),
            "each known identifier",
            id="empty identifier",
        ),
        pytest.param(
            edited(FMSPC, pair("04", "0406b0c06f000000").replace("0406", "0206")),
            "value 4: expected 1",
            id="FMSPC is a number",
        ),
        pytest.param(
            edited(FMSPC, pair("03", "0406b0c06f000000")),
            "at most once",
            id="twice",
        ),
        pytest.param(
            edited(FMSPC, FMSPC.replace(OID.hex(), OID.hex()[:-2] + "02")),
            "each known identifier",
            id="of another vendor",
        ),
        pytest.param(
            edited(pair("03", "04020000"), pair("03", "04010000")),
            "expected",
            id="PCE-ID of a byte",
        ),
        pytest.param(
            edited(pair("0703", "0101ff"), pair("0703", "010101")),
            "value 3: expected a boolean",
            id="boolean not in DER",
        ),
        pytest.param(
            edited(pair("0703", "0101ff"), pair("0703", "0201ff")),
            "value 3: expected 1",
            id="no boolean",
        ),
        pytest.param(
            edited(pair("0201", "020105"), pair("0201", "0201ff")),
            "value 1: expected a non-negative",
            id="negative",
        ),
        pytest.param(
            edited(pair("0201", "020105"), pair("0201", "040105")),
            "value 1: expected 1",
            id="version is octets",
        ),
    ],
)
def test_another_is_refused(broken: Certificate, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_platform(broken)


def test_a_component_is_of_one_octet() -> None:
    last = pair("0210", "020105") + pair("0211", "02010d")
    large = pair("0210", "02020100") + pair("0211", "0200")

    with pytest.raises(EvidenceError, match="value 16: expected at most 255, got 256"):
        parse_platform(edited(last, large))


def test_a_version_is_of_two_octets() -> None:
    large = changed(platform=MadeUpPlatform(pce_svn=0x10000))

    with pytest.raises(EvidenceError, match="value 17: expected at most 65535"):
        parse_platform(parse_certificate(der(large.pck)))


def test_octets_have_one_length() -> None:
    short = changed(platform=MadeUpPlatform(fmspc=b"short"))

    with pytest.raises(EvidenceError, match="value 4: expected 6 bytes, got 5"):
        parse_platform(parse_certificate(der(short.pck)))


@given(st.integers(0, len(VALUE)), st.binary(max_size=8))
def test_any_changed_extension_is_read_or_gives_the_one_error(
    offset: int, patch: bytes
) -> None:
    value = VALUE[:offset] + patch + VALUE[offset + len(patch) :]
    try:
        parsed = parse_platform(certificate(value))
    except EvidenceError:
        return

    assert isinstance(parsed, Platform)
