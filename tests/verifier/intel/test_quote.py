"""Quotes, cut into their parts."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.verifier.intel.made_up import (
    ENCLAVE,
    INTEL,
    OLDER_TRUST_DOMAIN,
    TRUST_DOMAIN,
)

from blindai.errors import EvidenceError
from blindai.testing.vendors.intel import Enclave, TrustDomain
from blindai.verifier.intel.enclave_report import EnclaveReport, parse_enclave_report
from blindai.verifier.intel.quote import MAX_QUOTE_BYTES, Quote, parse_quote
from blindai.verifier.intel.td_report import TdReport, parse_td_report

REPORT_DATA = bytes(range(64))
FULL_ENCLAVE = Enclave(
    cpu_svn=b"\x01" * 16,
    misc_select=2,
    isv_ext_prod_id=b"\x03" * 16,
    flags=4,
    xfrm=5,
    mr_enclave=b"\x06" * 32,
    mr_signer=b"\x07" * 32,
    config_id=b"\x08" * 64,
    isv_prod_id=0x0109,
    isv_svn=0x010A,
    config_svn=0x010B,
    isv_family_id=b"\x0c" * 16,
)
FULL_TRUST_DOMAIN = TrustDomain(
    tee_tcb_svn=b"\x01" * 16,
    mr_seam=b"\x02" * 48,
    mr_signer_seam=b"\x03" * 48,
    seam_attributes=4,
    td_attributes=5,
    xfam=6,
    mr_td=b"\x07" * 48,
    mr_config_id=b"\x08" * 48,
    mr_owner=b"\x09" * 48,
    mr_owner_config=b"\x0a" * 48,
    rtmr=(b"\x0b" * 48, b"\x0c" * 48, b"\x0d" * 48, b"\x0e" * 48),
    tee_tcb_svn2=b"\x0f" * 16,
    mr_service_td=b"\x10" * 48,
)


def test_an_enclave_report_is_cut_into_its_fields() -> None:
    encoding = FULL_ENCLAVE.encode(REPORT_DATA)

    assert parse_enclave_report(encoding, "report") == EnclaveReport(
        encoding=encoding,
        cpu_svn=b"\x01" * 16,
        misc_select=b"\x02\x00\x00\x00",
        isv_ext_prod_id=b"\x03" * 16,
        attributes=b"\x04" + bytes(7) + b"\x05" + bytes(7),
        mr_enclave=b"\x06" * 32,
        mr_signer=b"\x07" * 32,
        config_id=b"\x08" * 64,
        isv_prod_id=0x0109,
        isv_svn=0x010A,
        config_svn=0x010B,
        isv_family_id=b"\x0c" * 16,
        report_data=REPORT_DATA,
    )


@pytest.mark.parametrize("offset", [0x014, 0x01F, 0x060, 0x07F, 0x0A0, 0x106, 0x12F])
def test_reserved_fields_of_an_enclave_report_are_zero(offset: int) -> None:
    encoding = bytearray(FULL_ENCLAVE.encode(REPORT_DATA))
    encoding[offset] = 1

    with pytest.raises(EvidenceError, match="reserved fields to be zero"):
        parse_enclave_report(bytes(encoding), "report")


@pytest.mark.parametrize("size", [0, 383, 385])
def test_an_enclave_report_has_one_length(size: int) -> None:
    with pytest.raises(EvidenceError, match=f"expected 384 bytes, got {size}"):
        parse_enclave_report(bytes(size), "report")


def test_a_td_report_is_cut_into_its_fields() -> None:
    encoding = FULL_TRUST_DOMAIN.encode(REPORT_DATA)

    assert parse_td_report(encoding) == TdReport(
        encoding=encoding,
        tee_tcb_svn=b"\x01" * 16,
        mr_seam=b"\x02" * 48,
        mr_signer_seam=b"\x03" * 48,
        seam_attributes=b"\x04" + bytes(7),
        td_attributes=5,
        xfam=b"\x06" + bytes(7),
        mr_td=b"\x07" * 48,
        mr_config_id=b"\x08" * 48,
        mr_owner=b"\x09" * 48,
        mr_owner_config=b"\x0a" * 48,
        rtmr=(b"\x0b" * 48, b"\x0c" * 48, b"\x0d" * 48, b"\x0e" * 48),
        report_data=REPORT_DATA,
        tee_tcb_svn2=b"\x0f" * 16,
        mr_service_td=b"\x10" * 48,
    )


def test_an_older_td_report_has_no_service_trust_domain() -> None:
    report = parse_td_report(OLDER_TRUST_DOMAIN.encode(REPORT_DATA))

    assert report.tee_tcb_svn2 is None
    assert report.mr_service_td == bytes(48)


@pytest.mark.parametrize("size", [0, 583, 585, 647, 649])
def test_a_td_report_has_two_lengths(size: int) -> None:
    with pytest.raises(EvidenceError, match=f"expected 584 or 648 bytes, got {size}"):
        parse_td_report(bytes(size))


@pytest.mark.parametrize(
    ("body", "version"),
    [
        pytest.param(ENCLAVE, 3, id="SGX in version 3"),
        pytest.param(OLDER_TRUST_DOMAIN, 4, id="TDX 1.0 in version 4"),
        pytest.param(OLDER_TRUST_DOMAIN, 5, id="TDX 1.0 in version 5"),
        pytest.param(TRUST_DOMAIN, 5, id="TDX 1.5 in version 5"),
    ],
)
def test_a_quote_is_cut_into_its_parts(
    body: Enclave | TrustDomain, version: int
) -> None:
    parts = INTEL.quote_parts(body, REPORT_DATA, version)

    quote = parse_quote(parts.encode())

    assert quote.version == version
    assert quote.encoding == parts.encode()
    assert quote.body.encoding == body.encode(REPORT_DATA)
    assert quote.signed == parts.signed
    assert quote.signature == parts.signature
    assert quote.attestation_key == parts.attestation_key
    assert quote.qe_report.encoding == parts.qe_report
    assert quote.qe_report_signature == parts.qe_report_signature
    assert quote.qe_authentication_data == parts.authentication_data
    assert [each.name for each in quote.certificates] == [
        "Intel SGX PCK Certificate",
        "Intel SGX PCK Platform CA",
        "Intel SGX Root CA",
    ]


@pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN])
def test_what_follows_the_signature_data_means_nothing(
    body: Enclave | TrustDomain,
) -> None:
    quote = INTEL.quote(body)

    assert parse_quote(quote + b"anything") == parse_quote(quote)
    assert parse_quote(quote.ljust(MAX_QUOTE_BYTES, b"x")) == parse_quote(quote)


def test_certificates_may_lack_their_zero_at_the_end() -> None:
    parts = INTEL.quote_parts(ENCLAVE, REPORT_DATA, 3)
    bare = replace(parts, certificates=parts.certificates.removesuffix(b"\x00"))

    assert len(parse_quote(bare.encode()).certificates) == 3


SGX_QUOTE = INTEL.quote_parts(ENCLAVE, REPORT_DATA, 3)
TDX_QUOTE = INTEL.quote_parts(TRUST_DOMAIN, REPORT_DATA, 5)
OLDER = INTEL.quote_parts(OLDER_TRUST_DOMAIN, REPORT_DATA, 4)


def patched(quote: bytes, offset: int, patch: bytes) -> bytes:
    return quote[:offset] + patch + quote[offset + len(patch) :]


def u16(value: int) -> bytes:
    return struct.pack("<H", value)


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


SGX_BYTES, TDX_BYTES = SGX_QUOTE.encode(), TDX_QUOTE.encode()
OLDER_BYTES = OLDER.encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            SGX_BYTES + bytes(MAX_QUOTE_BYTES), "at most 16384 bytes", id="long"
        ),
        pytest.param(b"", "quote: expected 2 bytes, got 0", id="empty"),
        pytest.param(SGX_BYTES[:47], "quote: expected 20 bytes", id="half a header"),
        pytest.param(SGX_BYTES[:431], "quote: expected 384 bytes", id="half a body"),
        pytest.param(SGX_BYTES[:-1], r"quote: expected \d{4} b", id="a byte less"),
        pytest.param(
            patched(SGX_BYTES, 0, u16(2)), "version: expected 3, 4 or 5", id="version 2"
        ),
        pytest.param(
            patched(SGX_BYTES, 0, u16(6)), "version: expected 3, 4 or 5", id="version 6"
        ),
        pytest.param(
            patched(SGX_BYTES, 2, u16(3)),
            r"key type: expected 2 \(ECDSA P-256\), got 3",
            id="P-384",
        ),
        *(
            pytest.param(data, "quote TEE type: expected SGX in version 3", id=name)
            for name, data in (
                ("TDX in version 3", patched(SGX_BYTES, 4, u32(0x81))),
                ("SGX in version 4", patched(OLDER_BYTES, 4, u32(0))),
                ("SGX in version 5", patched(TDX_BYTES, 4, u32(0))),
                ("unknown TEE", patched(OLDER_BYTES, 4, u32(1))),
                ("unknown TEE in version 3", patched(SGX_BYTES, 4, u32(1))),
            )
        ),
        pytest.param(
            patched(SGX_BYTES, 12, b"x"), "QE vendor: expected Intel's", id="vendor"
        ),
        *(
            pytest.param(
                patched(TDX_BYTES, 48, u16(kind) + u32(size)),
                f"quote body: expected .* got type {kind} of {size} bytes",
                id=f"body {kind} of {size}",
            )
            for kind, size in ((1, 384), (2, 648), (3, 584), (3, 647), (4, 768))
        ),
        pytest.param(
            patched(OLDER_BYTES, 632, u32(16385)),
            "at most 16384 bytes",
            id="signature data too long",
        ),
        pytest.param(
            replace(SGX_QUOTE, certificates_type=1).encode(),
            "certification data: expected type 5, got 1",
            id="a platform's name",
        ),
        pytest.param(
            replace(OLDER, qe_data_type=5).encode(),
            "certification data: expected type 6, got 5",
            id="no QE report",
        ),
        pytest.param(
            replace(SGX_QUOTE, certificates=b"x").encode(),
            "expected PEM certificates",
            id="no certificates",
        ),
        pytest.param(
            replace(SGX_QUOTE, certificates=SGX_QUOTE.certificates + b"\x00").encode(),
            "expected PEM certificates",
            id="two zeros",
        ),
        pytest.param(
            replace(SGX_QUOTE, qe_report=b"\xff" * 384).encode(),
            "QE report: expected the reserved",
            id="QE report",
        ),
        pytest.param(
            INTEL.quote(Enclave(reserved=b"x" * 12)),
            "SGX enclave report: expected the reserved",
            id="enclave report",
        ),
    ],
)
def test_other_quotes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_quote(data)


@pytest.mark.parametrize(
    ("quote", "offset"), [(SGX_QUOTE, 48 + 384), (OLDER, 48 + 584), (TDX_QUOTE, 702)]
)
@pytest.mark.parametrize("more", [-1, 1])
def test_signature_data_is_exactly_as_long_as_its_parts(
    quote: object, offset: int, more: int
) -> None:
    data = quote.encode() + b"\x00"  # type: ignore[attr-defined]  # QuoteParts
    size = int.from_bytes(data[offset : offset + 4], "little")

    with pytest.raises(EvidenceError, match="expected"):
        parse_quote(patched(data, offset, u32(size + more)))


def test_the_qe_data_is_exactly_as_long_as_its_parts() -> None:
    offset = 632 + 4 + 128 + 2
    size = int.from_bytes(OLDER_BYTES[offset : offset + 4], "little")

    with pytest.raises(EvidenceError, match="signature data: expected its end"):
        parse_quote(patched(OLDER_BYTES, offset, u32(size - 1)))


@given(st.binary(max_size=64))
def test_any_bytes_give_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_quote(data)


@given(
    st.sampled_from([SGX_BYTES, TDX_BYTES, OLDER_BYTES]),
    st.integers(0, 5000),
    st.binary(max_size=64),
)
def test_any_changed_bytes_give_a_quote_or_the_one_error(
    quote: bytes, offset: int, patch: bytes
) -> None:
    try:
        parsed = parse_quote(patched(quote, offset, patch))
    except EvidenceError:
        return

    assert isinstance(parsed, Quote)
