"""Until when documents are current."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endorsements.conftest import (
    LATER,
    NOW,
    SOON,
    amd_chain,
    certificate,
    pem,
    qe_identity,
    revoked,
    signed_json,
    tcb_info,
)
from tests.vectors import FOLDER, needs_vectors

from blindai.endorsements import expiry
from blindai.errors import EvidenceError
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
)

FAR = datetime(2075, 1, 1, tzinfo=UTC)  # a GeneralizedTime (RFC 5280, 4.1.2.5)


def collateral(**changes: object) -> bytes:
    chain = pem(certificate("signing")).decode()
    return json.dumps(
        {
            "pck_crl_issuer_chain": chain,
            "root_ca_crl": revoked("root", next_update=LATER).hex(),
            "pck_crl": revoked("platform").hex(),
            "tcb_info_issuer_chain": chain,
            "tcb_info": json.dumps({"nextUpdate": "2026-07-02T00:00:00Z"}),
            "qe_identity_issuer_chain": chain,
            "qe_identity": json.dumps({"nextUpdate": "2026-07-03T00:00:00Z"}),
            **changes,
        }
    ).encode()


@pytest.mark.parametrize("moment", [LATER, FAR])
def test_a_certificate_ends(moment: datetime) -> None:
    assert expiry.of_der(certificate("leaf", not_after=moment)) == moment


@pytest.mark.parametrize("moment", [SOON, FAR])
def test_a_crl_is_to_be_replaced(moment: datetime) -> None:
    assert expiry.of_der(revoked("root", next_update=moment)) == moment


def test_of_certificates_in_pem_the_first_to_end_counts() -> None:
    chain = pem(certificate("a"), certificate("b", not_after=SOON), certificate("c"))

    assert expiry.of_pem(b"text\n" + chain) == SOON


@pytest.mark.parametrize("body", [tcb_info(), qe_identity()])
def test_a_signed_object_is_to_be_replaced(body: bytes) -> None:
    assert expiry.of_signed_json(body) == datetime(2026, 7, 1, tzinfo=UTC)


def test_of_collateral_the_first_part_to_expire_counts() -> None:
    assert expiry.of_collateral(collateral()) == SOON


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("pck_crl_issuer_chain", pem(certificate("a", not_after=NOW)).decode()),
        ("tcb_info_issuer_chain", pem(certificate("a", not_after=NOW)).decode()),
        ("qe_identity_issuer_chain", pem(certificate("a", not_after=NOW)).decode()),
        ("root_ca_crl", revoked("root", next_update=NOW).hex()),
        ("pck_crl", revoked("platform", next_update=NOW).hex()),
        ("tcb_info", json.dumps({"nextUpdate": "2026-06-01T12:00:00Z"})),
        ("qe_identity", json.dumps({"nextUpdate": "2026-06-01T14:00:00+02:00"})),
    ],
)
def test_each_part_of_collateral_counts(part: str, value: str) -> None:
    assert expiry.of_collateral(collateral(**{part: value})) == NOW


def test_the_earliest_of_endorsements_counts() -> None:
    endorsements = (
        Endorsement(PEM_CHAIN_TYPE, amd_chain()),
        Endorsement(CRL_TYPE, revoked("root")),
        Endorsement(INTEL_COLLATERAL_TYPE, collateral(pck_crl=revoked("p").hex())),
    )

    assert expiry.earliest(endorsements) == SOON
    assert expiry.earliest(endorsements[:1]) == LATER
    assert expiry.earliest(()) is None


def test_an_endorsement_of_an_unknown_type_has_no_end() -> None:
    with pytest.raises(EvidenceError, match="expected a known media type"):
        expiry.earliest([Endorsement("text/html", b"")])


CERTIFICATE = certificate("leaf")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x30", id="no length"),
        pytest.param(b"\x30\x82\x01", id="half a length"),
        pytest.param(b"\x30\x85\x00\x00\x00\x00\x00\x00", id="a length of 5 bytes"),
        pytest.param(CERTIFICATE[:-1], id="cut short"),
        pytest.param(CERTIFICATE + b"\x05\x00", id="more after it"),
        pytest.param(b"\x30\x02\x30\x00", id="too few elements"),
        pytest.param(CERTIFICATE.replace(b"\x17\x0d", b"\x18\x0d"), id="another time"),
        pytest.param(CERTIFICATE.replace(b"\x17\x0d", b"\x04\x0d"), id="no time"),
        pytest.param(b"<html>busy</html>", id="a page"),
    ],
)
def test_what_is_neither_certificate_nor_crl_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match="expected a certificate or CRL in DER"):
        expiry.of_der(data)


def test_text_without_certificates_is_refused() -> None:
    with pytest.raises(EvidenceError, match="expected certificates in PEM, got none"):
        expiry.of_pem(b"<html>busy</html>")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(b'{"a": {}, "b": {}}', id="two objects"),
        pytest.param(b'{"a": {}}', id="no moment"),
        pytest.param(b'{"a": {"nextUpdate": 3}}', id="a number"),
        pytest.param(signed_json("a", next_update="2026-07-01T00:00:00"), id="local"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe\xff", id="no text"),
    ],
)
def test_what_is_no_signed_object_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match="expected one signed object in JSON"):
        expiry.of_signed_json(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="nothing in it"),
        pytest.param(collateral(pck_crl=3), id="a number"),
        pytest.param(collateral(pck_crl="zz"), id="no hexadecimal"),
        pytest.param(collateral(tcb_info="[]"), id="a list inside"),
        pytest.param(collateral(tcb_info=None), id="null"),
        pytest.param(b'{"pck_crl_issuer_chain":' + b"[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_collateral_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match="expected Intel's collateral in JSON"):
        expiry.of_collateral(data)


@given(st.binary(max_size=200), st.sampled_from(sorted(expiry.READERS)))
def test_any_bytes_give_a_moment_or_the_one_error(data: bytes, media_type: str) -> None:
    try:
        moment = expiry.READERS[media_type](data)
    except EvidenceError:
        return
    assert moment.utcoffset() is not None


@given(st.data())
def test_any_changed_certificate_gives_a_moment_or_the_one_error(
    data: st.DataObject,
) -> None:
    changed = bytearray(CERTIFICATE)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, 150))] = data.draw(st.integers(0, 255))
    try:
        moment = expiry.of_der(bytes(changed))
    except EvidenceError:
        return
    assert moment.utcoffset() == timedelta()


@needs_vectors
@pytest.mark.parametrize(
    ("file", "moment"),
    [
        ("snp/trustee_milan_vcek.der", "2030-01-24 17:58:26"),
        ("snp/ark_turin.pem", "2048-05-15 20:03:12"),
        ("sgx/phala_sgx_v3_collateral.json", "2025-07-19 10:01:18"),
        ("tdx/tdx_90c06f000000_2026-02_collateral.json", "2026-03-20 10:41:15"),
    ],
)
def test_genuine_documents_are_read(file: str, moment: str) -> None:
    readers = {"der": expiry.of_der, "pem": expiry.of_pem, "json": expiry.of_collateral}

    found = readers[file.rpartition(".")[2]]((FOLDER / file).read_bytes())

    assert f"{found:%Y-%m-%d %H:%M:%S}" == moment
