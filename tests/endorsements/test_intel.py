"""What belongs to a quote."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endorsements.conftest import (
    FMSPC,
    NOW,
    SOON,
    a_request,
    certificate,
    pck,
    pem,
    qe_identity,
    revoked,
    sgx,
    tcb_info,
)
from tests.vectors import FOLDER, needs_vectors

from blindai.endorsements.documents import Answer, Request, read_answer
from blindai.endorsements.intel import INTEL, INTEL_ROOT_CRL, QuotePlan, plan_quote
from blindai.errors import EvidenceError
from blindai.protocol.attestation import (
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
)

PCCS = "https://pccs.test:8081"
QUOTE = sgx().evidence


def only(quote: bytes = QUOTE, tee: str = "sgx", address: str = PCCS) -> QuotePlan:
    (found,) = plan_quote(quote, (), tee, address)
    return found


def urls(found: QuotePlan) -> list[str]:
    return [request.url for request in found.requests]


@pytest.mark.parametrize("tee", ["sgx", "tdx"])
def test_a_pccs_has_all_of_it(tee: str) -> None:
    assert urls(only(tee=tee)) == [
        f"{PCCS}/{tee}/certification/v4/tcb?fmspc={FMSPC}",
        f"{PCCS}/{tee}/certification/v4/qe/identity",
        f"{PCCS}/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        f"{PCCS}/sgx/certification/v4/rootcacrl",
    ]


def test_intel_has_the_roots_list_elsewhere() -> None:
    assert urls(only(address=INTEL))[3] == INTEL_ROOT_CRL


def test_the_processor_ca_has_a_list_of_its_own() -> None:
    quote = sgx(pck("Intel SGX PCK Processor CA")).evidence

    assert "ca=processor" in urls(only(quote))[2]


def test_the_pck_certificate_is_the_one_that_names_a_platform() -> None:
    quote = sgx(certificate("Intel SGX PCK Platform CA"), pck()).evidence

    assert only(quote) == only()


def test_collateral_that_came_along_is_not_asked_for() -> None:
    own = Endorsement(INTEL_COLLATERAL_TYPE, b"{}")

    assert plan_quote(QUOTE, (own,), "sgx", PCCS) == ()


def test_certificates_that_came_along_are_no_collateral() -> None:
    own = Endorsement(PEM_CHAIN_TYPE, pem(pck()))

    (found,) = plan_quote(QUOTE, (own,), "sgx", PCCS)

    assert found == replace(only(), own=(own,))
    assert found.assemble({}, NOW) == (own,)
    assert found.assemble(answers(found), NOW)[0] == own


@pytest.mark.parametrize(
    ("quote", "message"),
    [
        pytest.param(bytes(2000), "expected a PCK certificate", id="none"),
        pytest.param(
            pem(certificate("other")), "expected a PCK certificate", id="another"
        ),
        pytest.param(
            pem(pck("Another CA")), "the processor or the platform CA", id="another CA"
        ),
    ],
)
def test_refuses(quote: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        plan_quote(quote, (), "sgx", PCCS)


@given(st.binary(max_size=300))
def test_any_quote_gives_plans_or_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        plan_quote(data, (), "tdx", PCCS)


# ------------------------------------------------------------------------- assembling

PLAN = only()


def answers(plan: QuotePlan = PLAN) -> dict[Request, Answer]:
    contents = (
        tcb_info(),
        qe_identity(),
        revoked("Intel SGX PCK Platform CA"),
        revoked("Intel SGX Root CA"),
    )
    issuers = ("tcb chain", "qe chain", "crl chain", "")
    return {
        request: Answer(content=content, issuers=chain, expires_at=SOON)
        for request, content, chain in zip(
            plan.requests, contents, issuers, strict=True
        )
    }


def test_all_of_it_makes_collateral_in_the_shape_of_a_pccs() -> None:
    (made,) = PLAN.assemble(answers(), NOW)

    assert made.media_type == INTEL_COLLATERAL_TYPE
    assert json.loads(made.content) == {
        "pck_crl_issuer_chain": "crl chain",
        "root_ca_crl": revoked("Intel SGX Root CA").hex(),
        "pck_crl": revoked("Intel SGX PCK Platform CA").hex(),
        "tcb_info_issuer_chain": "tcb chain",
        "tcb_info": '{"id":"SGX","version":3,"fmspc":"00A067110000",'
        '"nextUpdate":"2026-07-01T00:00:00Z"}',
        "tcb_info_signature": "ab" * 64,
        "qe_identity_issuer_chain": "qe chain",
        "qe_identity": '{"id":"QE","version":2,"nextUpdate":"2026-07-01T00:00:00Z"}',
        "qe_identity_signature": "ab" * 64,
    }


@pytest.mark.parametrize("missing", range(4))
def test_a_part_of_it_makes_nothing(missing: int) -> None:
    some = answers()
    del some[PLAN.requests[missing]]

    assert PLAN.assemble(some, NOW) == ()


@needs_vectors
@pytest.mark.parametrize(
    ("tee", "quote", "collateral", "fmspc", "ca"),
    [
        ("sgx", "phala_sgx_v3_quote", "phala_sgx_v3_collateral", "00A067110000", 0),
        ("tdx", "phala_tdx_v4_quote", "phala_tdx_v4_collateral", "B0C06F000000", 1),
        (
            "tdx",
            "gotdx_tdx15_v5_quote",
            "tdx_90c06f000000_2026-02_collateral",
            "90C06F000000",
            1,
        ),
    ],
)
def test_recorded_collateral_is_made_again_to_the_byte(
    tee: str, quote: str, collateral: str, fmspc: str, ca: int
) -> None:
    recorded = json.loads((FOLDER / tee / f"{collateral}.json").read_text())
    plan = only((FOLDER / tee / f"{quote}.bin").read_bytes(), tee)

    made = plan.assemble(served(plan, recorded), NOW)

    assert f"fmspc={fmspc}" in plan.tcb_info.url
    assert ("processor", "platform")[ca] in plan.pck_crl.url
    assert json.loads(made[0].content) == recorded


def served(plan: QuotePlan, recorded: dict[str, str]) -> dict[Request, Answer]:
    """What a service would answer, read as an answer."""
    tcb, qe = (
        f'{{"{label}":{recorded[name]},"signature":"{recorded[name + "_signature"]}"}}'
        for label, name in (("tcbInfo", "tcb_info"), ("enclaveIdentity", "qe_identity"))
    )
    bodies = {
        plan.tcb_info: (tcb.encode(), recorded["tcb_info_issuer_chain"]),
        plan.qe_identity: (qe.encode(), recorded["qe_identity_issuer_chain"]),
        plan.pck_crl: (
            bytes.fromhex(recorded["pck_crl"]),
            recorded["pck_crl_issuer_chain"],
        ),
        plan.root_crl: (recorded["root_ca_crl"].encode(), ""),
    }
    return {
        request: read_answer(request, body, dict.fromkeys(request.issuer_headers, pem))
        for request, (body, pem) in bodies.items()
    }


def test_the_field_of_another_request_brings_no_issuers() -> None:
    with pytest.raises(EvidenceError, match="expected the field tcb-info-issuer-chain"):
        read_answer(PLAN.tcb_info, tcb_info(), {"sgx-pck-crl-issuer-chain": "x"})

    assert a_request().issuer_headers == ()
