"""AMD's extensions in a leaf certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from blindai.attester.simulated import SimulatedPlatform, endorse
from blindai.attester.simulated_report import CHIP_ID
from blindai.errors import EvidenceError
from blindai.testing.vendors.amd import PLATFORMS
from blindai.verifier.certificates import Certificate, Extension, parse_pem
from blindai.verifier.snp.claims import SigningKey
from blindai.verifier.snp.leaf import Leaf, parse_leaf
from blindai.verifier.snp.products import GENOA, MILAN, TURIN, Product

KEY = ec.generate_private_key(ec.SECP384R1()).public_key()
AMD = bytes.fromhex("2b060104019c7801")
TURIN_PLATFORM = PLATFORMS["Turin"]


def leaf(platform: SimulatedPlatform) -> Certificate:
    return parse_pem(endorse(platform, KEY))[0]


def with_extension(oid: bytes, value: bytes) -> Certificate:
    certificate = leaf(SimulatedPlatform())
    extensions = {
        **certificate.extensions,
        AMD + oid: Extension(critical=False, value=value),
    }
    return _with(certificate, extensions)


def without_extension(oid: bytes, platform: SimulatedPlatform) -> Certificate:
    certificate = leaf(platform)
    extensions = dict(certificate.extensions)
    del extensions[AMD + oid]
    return _with(certificate, extensions)


LEAF = leaf(SimulatedPlatform())


def _with(certificate: Certificate, extensions: dict[bytes, Extension]) -> Certificate:
    return replace(certificate, extensions=extensions)


def test_a_vcek_names_its_chip_and_firmware() -> None:
    tcb = bytes([1, 2, 3, 4, 5, 6, 7, 200])

    parsed = parse_leaf(leaf(SimulatedPlatform(leaf_tcb=tcb)))

    assert parsed.kind is SigningKey.VCEK
    assert parsed.hwid == CHIP_ID
    assert parsed.csp_id == ""
    assert parsed.tcb == tcb
    assert parsed.product is GENOA


def test_a_turin_leaf_has_a_short_hwid_and_a_level_for_fmc() -> None:
    tcb = bytes([9, 1, 2, 3, 5, 6, 7, 8])

    parsed = parse_leaf(leaf(replace(TURIN_PLATFORM, leaf_tcb=tcb)))

    assert parsed.product is TURIN
    assert parsed.hwid == CHIP_ID[:8]
    assert parsed.tcb == tcb


def test_a_turin_hwid_may_have_a_tag_before_it() -> None:
    tagged = replace(TURIN_PLATFORM, leaf_hwid=b"\x04\x08" + CHIP_ID[:8])

    assert parse_leaf(leaf(tagged)).hwid == CHIP_ID[:8]


def test_a_hwid_may_have_a_tag_before_it() -> None:
    tagged = SimulatedPlatform(leaf_hwid=b"\x04\x40" + CHIP_ID)

    assert parse_leaf(leaf(tagged)).hwid == CHIP_ID


def test_a_hwid_that_begins_like_a_tag_is_taken_as_it_is() -> None:
    hwid = b"\x04\x3e" + bytes(62)

    assert parse_leaf(leaf(SimulatedPlatform(leaf_hwid=hwid))).hwid == hwid


def test_limits_are_included() -> None:
    platform = SimulatedPlatform(leaf_hwid=None, leaf_csp_id="a", leaf_tcb=b"\xff" * 8)
    vlek = leaf(platform)
    longest = Extension(critical=False, value=b"\x16\x81\x80" + b"a" * 128)

    parsed = parse_leaf(_with(vlek, {**vlek.extensions, AMD + b"\x05": longest}))

    assert parsed.csp_id == "a" * 128
    assert parsed.tcb == b"\xff" * 8


def test_a_vlek_names_its_provider() -> None:
    platform = SimulatedPlatform(leaf_hwid=None, leaf_csp_id="CN=a.cloud.example")

    parsed = parse_leaf(leaf(platform))

    assert parsed.kind is SigningKey.VLEK
    assert parsed.hwid == b""
    assert parsed.csp_id == "CN=a.cloud.example"


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("Milan-B0", MILAN),
        ("Milan", MILAN),
        ("Genoa-B1", GENOA),
        ("Bergamo-A1", GENOA),
        ("Siena", GENOA),
    ],
)
def test_a_name_stands_for_a_processor_line(name: str, product: Product) -> None:
    assert parse_leaf(leaf(SimulatedPlatform(leaf_product=name))).product is product


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        pytest.param(
            SimulatedPlatform(leaf_hwid=None), "either a HWID or", id="neither"
        ),
        pytest.param(SimulatedPlatform(leaf_csp_id="x"), "either a HWID or", id="both"),
        pytest.param(
            SimulatedPlatform(leaf_hwid=b"\x04\x3f" + bytes(63)),
            "expected 64 bytes, got 63",
            id="HWID size",
        ),
        pytest.param(
            SimulatedPlatform(leaf_hwid=b"\x04\x40" + bytes(63)),
            "leaf HWID: expected 64 bytes of content, got fewer",
            id="HWID cut",
        ),
        pytest.param(
            SimulatedPlatform(leaf_hwid=b"\x03\x40" + bytes(64)),
            "leaf HWID: expected 1 elements",
            id="HWID of another type",
        ),
        pytest.param(
            SimulatedPlatform(leaf_hwid=None, leaf_csp_id="\n"), "ASCII", id="newline"
        ),
        pytest.param(
            SimulatedPlatform(leaf_product="Venice"),
            "leaf product: expected one of Milan, Genoa, .*, got another",
            id="Venice",
        ),
        pytest.param(
            SimulatedPlatform(leaf_product=""), "leaf product: .*another", id="no name"
        ),
        pytest.param(
            replace(PLATFORMS["Turin"], leaf_product="Genoa"),
            "struct version: expected 0 for Genoa, got 1",
            id="Turin's extensions for Genoa",
        ),
        pytest.param(
            SimulatedPlatform(leaf_product="Turin-B0"),
            "struct version: expected 1 for Turin, got 0",
            id="Genoa's extensions for Turin",
        ),
        pytest.param(
            replace(PLATFORMS["Turin"], leaf_hwid=CHIP_ID),
            "leaf HWID",
            id="a long HWID for Turin",
        ),
        pytest.param(
            SimulatedPlatform(leaf_hwid=CHIP_ID[:8]), "leaf HWID", id="short HWID"
        ),
    ],
)
def test_other_leaves_are_refused(platform: SimulatedPlatform, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_leaf(leaf(platform))


@pytest.mark.parametrize(
    ("oid", "value", "message"),
    [
        pytest.param(b"\x01", b"\x02\x01\x02", "struct version: expected 0", id="2"),
        pytest.param(
            b"\x03\x08", b"\x02\x02\x01\x00", "at most 255, got 256", id="256"
        ),
        pytest.param(b"\x02", b"\x16\x01\xff", "ASCII", id="not ASCII"),
        pytest.param(b"\x02", b"\x16\x81\x81" + b"a" * 129, "at most 128", id="long"),
        pytest.param(b"\x02", b"\x0c\x01a", "elements of known types", id="UTF-8"),
    ],
)
def test_other_extensions_are_refused(oid: bytes, value: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_leaf(with_extension(oid, value))


NUMBERS = [b"\x01", b"\x02", *(b"\x03" + bytes([number]) for number in range(1, 9))]
TURIN_NUMBERS = [*(set(NUMBERS) - {b"\x03\x04"}), b"\x03\x09"]


@pytest.mark.parametrize("oid", NUMBERS)
def test_no_extension_may_be_missing(oid: bytes) -> None:
    with pytest.raises(EvidenceError, match="expected the extension, got none"):
        parse_leaf(without_extension(oid, SimulatedPlatform()))


@pytest.mark.parametrize("oid", sorted(TURIN_NUMBERS))
def test_no_extension_of_turins_may_be_missing(oid: bytes) -> None:
    with pytest.raises(EvidenceError, match="expected the extension, got none"):
        parse_leaf(without_extension(oid, TURIN_PLATFORM))


@given(st.sampled_from([*NUMBERS, b"\x04", b"\x05"]), st.binary(max_size=80))
def test_any_bytes_give_a_leaf_or_the_one_error(oid: bytes, value: bytes) -> None:
    changed = {**LEAF.extensions, AMD + oid: Extension(critical=False, value=value)}
    try:
        parsed = parse_leaf(_with(LEAF, changed))
    except EvidenceError:
        return

    assert isinstance(parsed, Leaf)
