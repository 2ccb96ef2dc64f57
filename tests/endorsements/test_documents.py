"""What an answer has to look like."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endorsements.conftest import (
    FMSPC,
    NOW,
    SOON,
    a_request,
    amd_chain,
    certificate,
    pem,
    revoked,
    tcb_info,
)

from blindai.endorsements.documents import (
    Kind,
    Request,
    open_envelope,
    read_answer,
)
from blindai.errors import EvidenceError

CRL = revoked("Root")
TCB = replace(
    a_request(kind=Kind.SIGNED_JSON, mentions=FMSPC.encode()),
    envelope="tcbInfo",
    issuer_headers=("first", "second"),
)
SIGNER = pem(certificate("signer", not_after=NOW)).decode()
FIELDS = {"first": quote(SIGNER)}


def test_a_request_knows_its_host() -> None:
    assert a_request("https://vendor.test:8081/a?b=c").host == "vendor.test:8081"


def test_a_document_is_taken_with_its_expiry() -> None:
    answer = read_answer(a_request(mentions=b"root"), CRL, {})

    assert (answer.content, answer.issuers) == (CRL, "")
    assert answer.expires_at == SOON


def test_a_crl_may_come_in_hexadecimal() -> None:
    assert read_answer(a_request(), CRL.hex().encode() + b"\n", {}).content == CRL


def test_issuers_come_in_a_field_and_count_for_the_expiry() -> None:
    answer = read_answer(TCB, tcb_info(), FIELDS)

    assert answer.issuers == SIGNER
    assert answer.expires_at == NOW


def test_issuers_may_come_in_the_field_of_an_older_pccs() -> None:
    assert read_answer(TCB, tcb_info(), {"second": quote(SIGNER)}).issuers == SIGNER


CHAIN = a_request(kind=Kind.CHAIN, mentions=b"ARK-Genoa")
LARGE = quote(pem(*[certificate(str(n)) for n in range(40)]).decode())


@pytest.mark.parametrize(
    ("request_", "content", "fields", "message"),
    [
        pytest.param(a_request(), b"<html>", {}, "certificate or CRL", id="a page"),
        pytest.param(
            a_request(mentions=b"Other"),
            CRL,
            {},
            "what was asked for",
            id="another CRL",
        ),
        pytest.param(
            CHAIN, amd_chain("Milan"), {}, "what was asked for", id="another chain"
        ),
        pytest.param(CHAIN, b"no chain", {}, "what was asked for", id="no chain"),
        pytest.param(
            TCB, tcb_info("000000000000"), FIELDS, "asked for", id="another platform"
        ),
        pytest.param(
            TCB, tcb_info().replace(b"tcbInfo", b"other"), FIELDS, "tcbInfo", id="label"
        ),
        pytest.param(TCB, tcb_info(), {}, "expected the field first", id="no issuers"),
        pytest.param(
            TCB, tcb_info(), {"first": ""}, "in PEM, got none", id="empty issuers"
        ),
        pytest.param(
            TCB, tcb_info(), {"first": LARGE}, "at most 8192 bytes", id="many issuers"
        ),
        pytest.param(
            TCB, tcb_info(), {"first": "\u00e9"}, "in PEM, got none", id="no ASCII"
        ),
    ],
)
def test_refuses(
    request_: Request, content: bytes, fields: dict[str, str], message: str
) -> None:
    with pytest.raises(EvidenceError, match=f"^the CRL: .*{message}"):
        read_answer(request_, content, fields)


def test_what_was_signed_is_cut_to_the_byte() -> None:
    body = b'{"tcbInfo": {"b" :1, "a":"{"} , "signature":"0a"}'

    assert open_envelope(body, "tcbInfo") == ('{"b" :1, "a":"{"}', "0a")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"tcbInfo":{}}', id="no signature"),
        pytest.param(b'{"signature":"00"}', id="no object"),
        pytest.param(b'{"tcbInfo":{},"signature":3}', id="a number as signature"),
        pytest.param(b'[{"tcbInfo":{},"signature":"00"}]', id="a list"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_another_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(EvidenceError, match="tcbInfo: expected it signed"):
        open_envelope(body, "tcbInfo")


@given(st.binary(max_size=300), st.sampled_from(list(Kind)))
def test_any_bytes_give_an_answer_or_the_one_error(content: bytes, kind: Kind) -> None:
    try:
        answer = read_answer(a_request(kind=kind), content, {})
    except EvidenceError:
        return
    assert answer.expires_at.utcoffset() is not None


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_has_a_limit_and_a_media_type(kind: Kind) -> None:
    assert 0 < kind.max_bytes <= 32 * 1024
    assert kind.media_type.startswith("application/")
