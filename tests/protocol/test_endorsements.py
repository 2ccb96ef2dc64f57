"""Endorsements in files, whoever wrote them."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endorsements.conftest import amd_chain, certificate, pem, revoked
from tests.vectors import FOLDER, needs_vectors

from blindai.errors import EvidenceError
from blindai.protocol import cmw
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    MAX_ENDORSEMENT_BYTES,
    PEM_CHAIN_TYPE,
    Endorsement,
)
from blindai.protocol.endorsements import (
    FILE_TYPE,
    MAX_FILE_BYTES,
    certificates,
    encode_endorsements,
    encode_pem,
    parse_endorsements,
)

LEAF, CRL = certificate("leaf"), revoked("root")
COLLATERAL = json.dumps({"tcb_info": "{}", "qe_identity": "{}"}).encode()
CRL_PEM = encode_pem(CRL).replace(b"CERTIFICATE", b"X509 CRL")
ALL = (
    Endorsement(PEM_CHAIN_TYPE, amd_chain()),
    Endorsement(CRL_TYPE, CRL),
    Endorsement(INTEL_COLLATERAL_TYPE, COLLATERAL),
)


def test_a_certificate_is_written_as_rfc_7468_says() -> None:
    assert encode_pem(LEAF) == pem(LEAF)


def test_certificates_between_text_are_found() -> None:
    other, windows = certificate("other"), pem(LEAF).replace(b"\n", b"\r\n")

    text = b"subject=leaf\r\n" + windows + CRL_PEM + pem(other)

    assert list(certificates(text)) == [LEAF, other]


def test_what_was_written_is_read() -> None:
    assert parse_endorsements(encode_endorsements(ALL)) == ALL


def test_nothing_is_not_written() -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        encode_endorsements(())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            amd_chain(), [Endorsement(PEM_CHAIN_TYPE, amd_chain())], id="a chain"
        ),
        pytest.param(
            b"subject=leaf\n" + pem(LEAF),
            [Endorsement(PEM_CHAIN_TYPE, pem(LEAF))],
            id="text before it",
        ),
        pytest.param(LEAF, [Endorsement(PEM_CHAIN_TYPE, pem(LEAF))], id="DER"),
        pytest.param(CRL, [Endorsement(CRL_TYPE, CRL)], id="a CRL"),
        pytest.param(CRL_PEM, [Endorsement(CRL_TYPE, CRL)], id="a CRL in PEM"),
        pytest.param(
            CRL_PEM + pem(LEAF),
            [Endorsement(PEM_CHAIN_TYPE, pem(LEAF)), Endorsement(CRL_TYPE, CRL)],
            id="both in PEM",
        ),
        pytest.param(
            b"\n" + COLLATERAL,
            [Endorsement(INTEL_COLLATERAL_TYPE, b"\n" + COLLATERAL)],
            id="collateral",
        ),
    ],
)
def test_what_others_write_is_read(data: bytes, expected: list[Endorsement]) -> None:
    assert parse_endorsements(data) == tuple(expected)


def collection(
    *records: cmw.Record | cmw.Collection, type_: str = FILE_TYPE, first: int = 0
) -> bytes:
    return cmw.encode(cmw.Collection(dict(enumerate(records, start=first)), type_))


RECORD = cmw.Record(CRL_TYPE, CRL, cmw.Indicator.ENDORSEMENTS)
NESTED = cmw.Collection({0: RECORD})
UNSAID = cmw.Record(CRL_TYPE, CRL)
NUMBERED = cmw.Record(3, CRL, RECORD.indicator)
A_KEY = encode_pem(b"key").replace(b"CERTIFICATE", b"PRIVATE KEY")
LARGE = cmw.Record(CRL_TYPE, bytes(MAX_ENDORSEMENT_BYTES + 1), RECORD.indicator)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "expected certificates or CRLs", id="nothing"),
        pytest.param(b"\xa1\x61", "CMW", id="half a collection"),
        pytest.param(bytes(MAX_FILE_BYTES + 1), "at most 1048576 bytes", id="large"),
        pytest.param(b"{", "expected JSON", id="no JSON"),
        pytest.param(b"{" + b'"a":{' * 99_999, "expected JSON", id="deep JSON"),
        pytest.param(b'{"tcb_info": 1}', "Intel's collateral", id="other JSON"),
        pytest.param(A_KEY, "certificates and CRLs only", id="a key"),
        pytest.param(b"\x00" + pem(LEAF), "expected certificates or", id="a quote"),
        pytest.param(pem(LEAF).replace(b"MII", b"MI"), "base64 in PEM", id="base64"),
        pytest.param(collection(RECORD, type_="a:b"), "a collection of", id="type"),
        pytest.param(b"\xa1\x00" + cmw.encode(RECORD), "of type", id="no type"),
        pytest.param(cmw.encode(RECORD), "expected certificates or", id="a record"),
        pytest.param(b"\xbf\xff", "CMW", id="an empty collection"),
        pytest.param(collection(RECORD, first=1), "numbered from 0", id="numbers"),
        pytest.param(collection(NESTED), "endorsement 0", id="a collection inside"),
        pytest.param(collection(RECORD, UNSAID), "endorsement 1", id="indicator"),
        pytest.param(collection(NUMBERED), "endorsement 0", id="a content format"),
        pytest.param(collection(*[RECORD] * 17), "at most 16", id="many"),
        pytest.param(collection(LARGE), "at most 262144 bytes", id="a large one"),
    ],
)
def test_refuses(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_endorsements(data)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=99).map(lambda tail: LEAF[:60] + tail),
        st.binary(max_size=99).map(lambda tail: pem(LEAF)[:200] + tail),
        st.binary(max_size=99).map(lambda tail: encode_endorsements(ALL)[:99] + tail),
    )
)
def test_any_bytes_give_endorsements_or_the_one_error(data: bytes) -> None:
    with contextlib.suppress(EvidenceError):
        assert parse_endorsements(data)


@needs_vectors
@pytest.mark.parametrize(
    ("file", "media_type"),
    [
        ("snp/trustee_milan_vcek.der", PEM_CHAIN_TYPE),
        ("snp/asvk_milan.pem", PEM_CHAIN_TYPE),
        ("nitro/aws_nitro_root_g1.pem", PEM_CHAIN_TYPE),
        ("tdx/phala_tdx_v4_collateral.json", INTEL_COLLATERAL_TYPE),
    ],
)
def test_a_genuine_file_is_read(file: str, media_type: str) -> None:
    (found,) = parse_endorsements((FOLDER / file).read_bytes())

    assert found.media_type == media_type
