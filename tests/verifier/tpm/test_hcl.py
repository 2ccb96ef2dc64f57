"""The report of Azure's paravisor, and what it says: read, or refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.testing.vendors.azure import HclFields, ak_key, runtime_claims, web_key
from blindai.verifier.tpm.hcl import (
    HclReport,
    ReportType,
    RuntimeClaims,
    parse_hcl_report,
    parse_runtime_claims,
)

OFF = {"console-enabled": True, "secure-boot": False, "vmUniqueId": "0" * 36}
FIELDS = HclFields(payload=b"p" * 1184, claims=b"{}")


def test_a_report_is_read_as_it_was_written() -> None:
    for version in (1, 2):
        report = parse_hcl_report(replace(FIELDS, version=version).encode())

        assert report == HclReport(
            type=ReportType.SEV_SNP, payload=b"p" * 1184, claims=b"{}"
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"signature": b"HCLB"}, "expected HCLA", id="signature"),
        pytest.param({"version": 3}, "version 1 or 2", id="version"),
        pytest.param({"runtime_version": 2}, "runtime data 1", id="runtime"),
        pytest.param({"hash_type": 2}, "hashed with SHA-256", id="hash"),
        pytest.param({"report_type": 3}, "SEV-SNP or TDX .* got 3", id="type"),
        pytest.param({"size": 21}, "claims of one size", id="size"),
        pytest.param({"claims_size": 4097}, "at most 4096", id="limit"),
        pytest.param({"rest": b"\x00\x01"}, "then zeros", id="rest"),
        pytest.param({"claims_size": 3, "rest": b""}, "expected 3 bytes", id="cut"),
    ],
)
def test_other_reports_are_refused(changes: dict[str, object], message: str) -> None:
    fields = replace(FIELDS, **changes)  # type: ignore[arg-type]  # one of many

    with pytest.raises(EvidenceError, match=message):
        parse_hcl_report(fields.encode())


def claims(**changes: object) -> bytes:
    return runtime_claims(ak_key().public_key(), **changes)


def keys(**changes: object) -> bytes:
    key = web_key("HCLAkPub", ak_key().public_key(), "sign") | changes
    return claims(keys=[key])


SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505  that is refused


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"{", "JSON in ASCII", id="no JSON"),
        pytest.param(b"[" * 4096, "JSON in ASCII", id="deep"),
        pytest.param('{"ü":1}'.encode(), "JSON in ASCII", id="not ASCII"),
        pytest.param(b'{"keys":[],"keys":[]}', "JSON in ASCII", id="a key twice"),
        pytest.param(b"[]", "vm-configuration to be a dict", id="a list"),
        pytest.param(claims(keys={}), "keys to be a list", id="keys"),
        pytest.param(claims(keys=[]), "one RSA key", id="no key"),
        pytest.param(claims(keys=[1]), "kid to be a str", id="a number"),
        pytest.param(
            claims(keys=[web_key("HCLAkPub", ak_key().public_key(), "sign")] * 2),
            "one RSA key",
            id="two keys",
        ),
        pytest.param(keys(kid="HCLEkPub"), "one RSA key", id="another name"),
        pytest.param(keys(kty="EC"), "one RSA key", id="another type"),
        pytest.param(keys(n="+"), "n in its form", id="not base64url"),
        pytest.param(keys(n="A"), "n in base64url", id="cut base64url"),
        pytest.param(keys(e="AA"), "to be a key", id="exponent 0"),
        pytest.param(
            claims(keys=[web_key("HCLAkPub", SHORT.public_key(), "sign")]),
            "256 bytes",
            id="short",
        ),
        pytest.param(
            claims(**{"vm-configuration": OFF | {"vmUniqueId": "x" * 36}}),
            "vmUniqueId in its form",
            id="id",
        ),
        pytest.param(
            claims(**{"vm-configuration": OFF | {"secure-boot": 1}}),
            "secure-boot to be a bool",
            id="secure boot",
        ),
        pytest.param(
            claims(**{"vm-configuration": OFF | {"console-enabled": None}}),
            "console-enabled to be a bool",
            id="console",
        ),
        pytest.param(claims(**{"user-data": "00"}), "user-data in its", id="data"),
    ],
)
def test_other_claims_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_runtime_claims(data)


def test_a_number_may_have_zeros_in_front() -> None:
    long = keys(e="AAAAAAEAAQ")

    assert parse_runtime_claims(long).ak == parse_runtime_claims(keys()).ak


def test_what_the_guest_wrote_is_read() -> None:
    data = claims(**{"user-data": "AB" * 64})

    assert parse_runtime_claims(data).configuration.user_data == b"\xab" * 64


@given(st.binary(max_size=64))
def test_any_bytes_give_a_report_or_the_one_error(data: bytes) -> None:
    try:
        report = parse_hcl_report(FIELDS.encode()[: 1216 + 4] + data)
    except EvidenceError:
        return

    assert isinstance(report, HclReport)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(
            st.sampled_from(["keys", "kid", "kty", "n", "e", "vm-configuration"]),
            values,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_any_json_gives_claims_or_the_one_error(value: object) -> None:
    changes = value if isinstance(value, dict) else {"keys": value}
    try:
        read = parse_runtime_claims(claims(**changes))
    except EvidenceError:
        return

    assert isinstance(read, RuntimeClaims)


@given(st.binary(max_size=64))
def test_any_bytes_give_claims_or_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_runtime_claims(data)
