"""Certificates, cut into their fields."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from blindai.attester.simulated import SimulatedPlatform, endorse
from blindai.errors import EvidenceError
from blindai.protocol import der
from blindai.testing.vendors.asn1 import tlv
from blindai.verifier.certificates import (
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    common_name,
    parse_certificate,
    parse_pem,
)

PEM = endorse(SimulatedPlatform(), ec.generate_private_key(ec.SECP384R1()).public_key())
LEAF, ASK, ARK = (
    base64.b64decode(b"".join(block.splitlines()[1:-1]))
    for block in PEM.replace(b"-----END CERTIFICATE-----\n", b"-\n|").split(b"|")[:3]
)
VERSION, SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, SPKI, EXTENSIONS = range(8)


def seq(*parts: bytes) -> bytes:
    return tlv(der.SEQUENCE, b"".join(parts))


def pieces(certificate: bytes) -> tuple[list[bytes], bytes, bytes]:
    body = der.only(certificate, der.SEQUENCE, "test")
    tbs, algorithm, signature = der.elements(body, "test")
    fields = [element.encoding for element in der.elements(tbs.content, "test")]
    return fields, algorithm.encoding, signature.encoding


def with_field(index: int, encoding: bytes, certificate: bytes = LEAF) -> bytes:
    fields, algorithm, signature = pieces(certificate)
    fields[index] = encoding
    return seq(seq(*fields), algorithm, signature)


def with_extensions(*extensions: bytes) -> bytes:
    return with_field(EXTENSIONS, tlv(der.CONTEXT_3, seq(*extensions)))


def extension(oid: str, value: bytes, critical: bytes = b"") -> bytes:
    identifier = tlv(der.OBJECT_IDENTIFIER, bytes.fromhex(oid))
    return seq(identifier, critical, tlv(der.OCTET_STRING, value))


CRITICAL = b"\x01\x01\xff"
NONE: frozenset[bytes] = frozenset()
CA = extension("551d13", seq(CRITICAL))
CERT_SIGN = extension("551d0f", bytes.fromhex("03020204"))


def test_a_leaf_is_cut_into_its_fields() -> None:
    leaf = parse_certificate(LEAF)

    assert leaf.issuer == parse_certificate(ASK).subject
    assert leaf.not_before == datetime(2025, 1, 1, tzinfo=UTC)
    assert leaf.not_after == datetime(2075, 1, 1, tzinfo=UTC)
    assert len(leaf.extensions) == 11
    assert not leaf.may_issue
    assert not leaf.asks_for_more(NONE)


def test_authorities_may_issue() -> None:
    assert parse_certificate(ASK).may_issue
    assert parse_certificate(ARK).may_issue


def test_utc_times_before_1950_are_of_this_century() -> None:
    times = seq(
        tlv(der.UTC_TIME, b"500101000000Z"), tlv(der.UTC_TIME, b"491231235959Z")
    )

    certificate = parse_certificate(with_field(VALIDITY, times))

    assert certificate.not_before == datetime(1950, 1, 1, tzinfo=UTC)
    assert certificate.not_after == datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(seq(tlv(der.UTC_TIME, b"250101000000Z")), id="one"),
        pytest.param(seq(*[tlv(der.UTC_TIME, b"2501010000Z")] * 2), id="no seconds"),
        pytest.param(seq(*[tlv(der.UTC_TIME, b"250101000000+0000")] * 2), id="offset"),
        pytest.param(seq(*[tlv(der.UTC_TIME, b"251301000000Z")] * 2), id="month 13"),
        pytest.param(
            seq(*[tlv(der.GENERALIZED_TIME, b"20250101000000.5Z")] * 2), id="fraction"
        ),
        pytest.param(seq(*[tlv(der.INTEGER, b"20250101000000Z")] * 2), id="no time"),
        pytest.param(
            seq(*[tlv(der.UTC_TIME, b"20250101000000Z")] * 2), id="four digits in UTC"
        ),
        pytest.param(
            seq(*[tlv(der.GENERALIZED_TIME, b"2025010100000Z")] * 2), id="a digit less"
        ),
    ],
)
def test_other_times_are_refused(times: bytes) -> None:
    with pytest.raises(EvidenceError, match="validity"):
        parse_certificate(with_field(VALIDITY, times))


def test_a_certificate_may_be_as_long_as_the_limit_says() -> None:
    room = MAX_CERTIFICATE_BYTES - len(with_extensions(extension("2a", bytes(1000))))
    longest = with_extensions(extension("2a", bytes(1000 + room)))

    assert len(longest) == MAX_CERTIFICATE_BYTES
    assert parse_certificate(longest).digest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(bytes(MAX_CERTIFICATE_BYTES + 1), "at most 4096", id="size"),
        pytest.param(LEAF + b"\x00", "DER element", id="trailing byte"),
        pytest.param(
            with_field(VERSION, tlv(der.CONTEXT_0, b"\x02\x01\x01")),
            "version: expected 3",
            id="version 2",
        ),
        pytest.param(
            with_field(SERIAL, tlv(der.INTEGER, b"\x80")), "serial", id="serial"
        ),
        pytest.param(
            with_field(ALGORITHM, seq(b"\x06\x01\x00")), "got two", id="algorithms"
        ),
        pytest.param(with_extensions(CA, CA), "at most once", id="twice"),
        pytest.param(with_extensions(seq()), "extension: expected", id="empty"),
        pytest.param(
            with_extensions(extension("00", b"", b"\x01\x01\x00")),
            "extension: expected",
            id="critical false",
        ),
        pytest.param(
            seq(*pieces(LEAF)[0]), "certificate: expected 3", id="no signature"
        ),
    ],
)
def test_other_certificates_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_certificate(data)


def test_a_signature_is_whole_octets() -> None:
    fields, algorithm, _ = pieces(LEAF)
    data = seq(seq(*fields), algorithm, tlv(der.BIT_STRING, b"\x01\x00"))

    with pytest.raises(EvidenceError, match="whole octets"):
        parse_certificate(data)


def test_a_certificate_with_both_extensions_may_issue() -> None:
    assert parse_certificate(with_extensions(CA, CERT_SIGN)).may_issue


@pytest.mark.parametrize(
    "extensions",
    [
        pytest.param([], id="neither"),
        pytest.param([CA], id="no key usage"),
        pytest.param([CERT_SIGN], id="no constraints"),
        pytest.param([extension("551d13", seq()), CERT_SIGN], id="no CA"),
        pytest.param(
            [extension("551d13", seq(b"\x02\x01\x00")), CERT_SIGN], id="a length only"
        ),
        pytest.param(
            [CA, extension("551d0f", bytes.fromhex("03020780"))], id="another usage"
        ),
        pytest.param([CA, extension("551d0f", bytes.fromhex("030100"))], id="no usage"),
    ],
)
def test_a_certificate_without_them_may_not_issue(extensions: list[bytes]) -> None:
    assert not parse_certificate(with_extensions(*extensions)).may_issue


def test_an_unknown_critical_extension_asks_for_more() -> None:
    unknown = extension("00", b"", CRITICAL)

    assert parse_certificate(with_extensions(unknown)).asks_for_more(NONE)


def test_what_is_understood_does_not_ask_for_more() -> None:
    unknown = extension("00", b"", CRITICAL)

    certificate = parse_certificate(with_extensions(unknown))

    assert not certificate.asks_for_more(frozenset({b"\0"}))


def test_known_critical_and_unknown_other_extensions_do_not() -> None:
    known = extension("551d13", seq(CRITICAL), CRITICAL)
    unknown = extension("00", b"")

    assert not parse_certificate(with_extensions(known, unknown)).asks_for_more(NONE)


def test_a_path_length_is_read() -> None:
    limited = extension("551d13", seq(CRITICAL, b"\x02\x01\x03"))

    assert parse_certificate(with_extensions(limited)).path_length == 3
    assert parse_certificate(with_extensions(CA)).path_length is None
    assert parse_certificate(with_extensions()).path_length is None


def test_something_else_for_a_path_length_is_refused() -> None:
    odd = extension("551d13", seq(CRITICAL, b"\x04\x01\x03"))

    with pytest.raises(EvidenceError, match="cA and pathLenConstraint"):
        parse_certificate(with_extensions(odd))


def attribute(oid: str, value: bytes, tag: int = der.UTF8_STRING) -> bytes:
    return tlv(
        der.SET, seq(tlv(der.OBJECT_IDENTIFIER, bytes.fromhex(oid)), tlv(tag, value))
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param(seq(), "", id="empty"),
        pytest.param(seq(attribute("55040a", b"AMD")), "", id="no common name"),
        pytest.param(seq(attribute("550403", b"ARK")), "ARK", id="common name"),
        pytest.param(seq(attribute("550403", b"A\x1b[1m")), "", id="an escape"),
        pytest.param(seq(attribute("550403", b"\xff")), "", id="not ASCII"),
    ],
)
def test_a_common_name_is_shown_where_it_can_be(name: bytes, shown: str) -> None:
    assert common_name(name) == shown


@pytest.mark.parametrize(
    "attribute",
    [
        pytest.param(seq(), id="nothing"),
        pytest.param(seq(seq(), seq()), id="no identifier"),
        pytest.param(seq(*[tlv(der.OBJECT_IDENTIFIER, b"\0")] * 3), id="one more"),
    ],
)
def test_an_attribute_of_another_shape_is_refused(attribute: bytes) -> None:
    with pytest.raises(EvidenceError, match="name: expected identifier and value"):
        common_name(seq(tlv(der.SET, attribute)))


def test_a_certificate_without_a_name_is_called_by_its_digest() -> None:
    certificate = parse_certificate(with_field(SUBJECT, seq()))

    assert certificate.name == f"SHA-256 {certificate.digest.hex()}"
    assert parse_certificate(ARK).name == "INSECURE SIMULATION ARK"


def test_certificates_in_pem_come_in_order() -> None:
    assert parse_pem(PEM) == tuple(map(parse_certificate, (LEAF, ASK, ARK)))


def test_lines_may_end_as_on_windows() -> None:
    assert parse_pem(PEM.replace(b"\n", b"\r\n")) == parse_pem(PEM)


def test_the_last_line_may_have_no_end() -> None:
    assert parse_pem(PEM.rstrip()) == parse_pem(PEM)


def test_there_may_be_empty_lines_around() -> None:
    assert parse_pem(b"\r\n\n" + PEM + b"\n\r\n") == parse_pem(PEM)


def test_there_may_be_as_many_as_the_limits_say() -> None:
    longest = 2 * MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES
    begin = b"-----BEGIN"
    most = (begin + PEM.split(begin)[1]) * MAX_CERTIFICATES

    assert len(parse_pem(most.ljust(longest, b"\n"))) == MAX_CERTIFICATES


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        pytest.param(b"", "PEM certificates", id="nothing"),
        pytest.param(PEM * 6, f"at most {MAX_CERTIFICATES}", id="eighteen"),
        pytest.param(PEM + b"text", "nothing else", id="text after"),
        pytest.param(b"text" + PEM, "nothing else", id="text before"),
        *(
            pytest.param(each, "nothing else", id=f"one character, {place}")
            for text in (b" ", b"X")
            for place, each in (("after", PEM + text), ("before", text + PEM))
        ),
        pytest.param(PEM.replace(b"MII", b"M\xffI"), "PEM", id="not ASCII"),
        pytest.param(PEM.replace(b"MII", b"=MII"), "base64", id="not base64"),
        pytest.param(
            b"-----BEGIN CERTIFICATE-----\nMB==\n-----END CERTIFICATE-----\n",
            "one base64",
            id="base64 with bits that say nothing",
        ),
        pytest.param(
            bytes(2 * MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES + 1), "bytes", id="size"
        ),
    ],
)
def test_anything_else_in_pem_is_refused(pem: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_pem(pem)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_certificate_or_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_certificate(data)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_chain_or_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_pem(data)


@given(st.integers(0, len(LEAF) - 1), st.integers(0, 255))
def test_any_changed_byte_gives_a_certificate_or_the_one_error(
    position: int, byte: int
) -> None:
    changed = LEAF[:position] + bytes([byte]) + LEAF[position + 1 :]

    try:
        parsed = parse_certificate(changed)
    except EvidenceError:
        return

    assert len(parsed.digest) == 32
