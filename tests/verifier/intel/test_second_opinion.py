"""The other verifier: it agrees, or the quote is refused, or it is not asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.verifier.intel.made_up import (
    ANCHORS,
    ENCLAVE,
    INTEL,
    OLDER_TRUST_DOMAIN,
    TRUST_DOMAIN,
    changed,
    verify,
)

from blindai.errors import VerificationError
from blindai.testing import NOW
from blindai.testing.vendors.intel import Enclave, Intel, TrustDomain
from blindai.testing.vendors.intel_parts import (
    SEPT_VE_DISABLE,
    SGX,
    TDX,
    Platform,
    as_version_2,
    quoting_enclave,
)
from blindai.transcript import Check, Status
from blindai.verifier import TdxClaims, intel
from blindai.verifier.intel import second_opinion
from blindai.verifier.intel.tcb_info import ENCLAVE_STATUSES, PLATFORM_STATUSES, REVOKED
from blindai.verifier.procedure import Procedure

dcap_qvl = pytest.importorskip("dcap_qvl", reason="dcap-qvl is not for every platform")
Json = dict[str, Any]
Body = Enclave | TrustDomain


def opinion(body: Body, made_by: Intel = INTEL) -> Check:
    checks = verify(made_by.evidence(body))[1].transcript.checks
    assert checks[-1].name == second_opinion.NAME
    return checks[-1]


@pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN, OLDER_TRUST_DOMAIN])
def test_it_agrees_on_honest_evidence(body: Body) -> None:
    assert opinion(body).status is Status.PASSED


def with_statuses(platform: str, qe: str, module: str) -> Intel:
    def level(status: str, number: int, first: Json) -> Json:
        return first | {"tcbStatus": status, "advisoryIDs": [f"INTEL-SA-{number:05}"]}

    def change_info(info: Json) -> Json:
        (line,) = info["tdxModuleIdentities"]
        levels = [level(module, 2, line["tcbLevels"][0])]
        return info | {
            "tcbLevels": [level(platform, 1, info["tcbLevels"][0])],
            "tdxModuleIdentities": [line | {"tcbLevels": levels}],
        }

    def change_identity(identity: Json) -> Json:
        return identity | {"tcbLevels": [level(qe, 3, identity["tcbLevels"][0])]}

    return changed(change_tcb_info=change_info, change_qe_identity=change_identity)


STATUSES = [
    statuses
    for statuses in product(PLATFORM_STATUSES, ENCLAVE_STATUSES, ENCLAVE_STATUSES)
    if REVOKED not in statuses
]


@pytest.mark.parametrize("statuses", STATUSES, ids="/".join)
def test_it_agrees_on_every_status(statuses: tuple[str, str, str]) -> None:
    verified, procedure = verify(with_statuses(*statuses).evidence(TRUST_DOMAIN))

    platform = verified.claims.of(TdxClaims).platform
    assert platform.advisory_ids == tuple(f"INTEL-SA-0000{n}" for n in (1, 2, 3))
    assert procedure.transcript.checks[-1].status is Status.PASSED


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("UpToDate", "UpToDate", "UpToDate"), "UpToDate"),
        (("UpToDate", "OutOfDate", "UpToDate"), "OutOfDate"),
        (("UpToDate", "UpToDate", "OutOfDate"), "OutOfDate"),
        (("SWHardeningNeeded", "OutOfDate", "UpToDate"), "OutOfDate"),
        (
            ("ConfigurationNeeded", "OutOfDate", "UpToDate"),
            "OutOfDateConfigurationNeeded",
        ),
        (
            ("ConfigurationAndSWHardeningNeeded", "UpToDate", "OutOfDate"),
            "OutOfDateConfigurationNeeded",
        ),
        (("OutOfDate", "OutOfDate", "OutOfDate"), "OutOfDate"),
    ],
)
def test_the_worst_status_is_the_platform_s(
    statuses: tuple[str, str, str], expected: str
) -> None:
    verified, _ = verify(with_statuses(*statuses).evidence(TRUST_DOMAIN))

    assert verified.claims.of(TdxClaims).platform.tcb_status == expected


RULES = {
    "SGX debug": (Enclave(flags=0x07), INTEL, "an enclave in debug mode"),
    "TCB info of version 2": (
        ENCLAVE,
        changed(change_tcb_info=as_version_2),
        "no TCB info of version 2",
    ),
    "TDX debug": (
        TrustDomain(td_attributes=SEPT_VE_DISABLE | 1),
        INTEL,
        "a trust domain in debug mode",
    ),
    "SEPT_VE": (TrustDomain(td_attributes=0), INTEL, "one without SEPT_VE_DISABLE"),
    "migration": (
        TrustDomain(td_attributes=SEPT_VE_DISABLE | 1 << 29),
        INTEL,
        "one that is migratable",
    ),
    "service": (
        TrustDomain(mr_service_td=b"x" * 48),
        INTEL,
        "one with a service trust domain",
    ),
}
each_rule = pytest.mark.parametrize(
    ("body", "made_by", "rule"), RULES.values(), ids=RULES.keys()
)


@each_rule
def test_it_is_not_asked_where_it_refuses_by_rule(
    body: Body, made_by: Intel, rule: str
) -> None:
    line = opinion(body, made_by)

    assert line.status is Status.NOT_EVALUATED
    assert not line.required
    assert rule in line.expected


@each_rule
def test_it_does_refuse_by_that_rule(
    monkeypatch: pytest.MonkeyPatch, body: Body, made_by: Intel, rule: str
) -> None:
    monkeypatch.setattr(second_opinion, "_rule", lambda _: "")

    with pytest.raises(VerificationError, match=r"second opinion: .* got refused: V"):
        verify(made_by.evidence(body))
    assert rule


def test_where_it_is_not_installed_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "dcap_qvl", None)

    line = opinion(ENCLAVE)

    assert line.status is Status.NOT_EVALUATED
    assert line.expected == "the package dcap-qvl is not installed"


class Report:
    def __init__(self, status: str, *advisory_ids: str) -> None:
        self.status = status
        self.advisory_ids = list(advisory_ids)


@pytest.mark.parametrize(
    ("report", "actual"),
    [
        (Report("OutOfDate"), "OutOfDate, no advisory"),
        (Report("UpToDate", "INTEL-SA-00289"), "UpToDate, INTEL-SA-00289"),
    ],
)
def test_another_verdict_refuses(
    monkeypatch: pytest.MonkeyPatch, report: Report, actual: str
) -> None:
    answer: Callable[..., Report] = lambda *_: report  # noqa: E731  one line
    monkeypatch.setattr(dcap_qvl, "verify_with_root_ca", answer)

    with pytest.raises(VerificationError, match=f"dcap-qvl: .* got {actual}"):
        verify(INTEL.evidence(ENCLAVE))


def test_its_error_is_a_line_without_control_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no\n\x1b[31m" + "x" * 500)

    monkeypatch.setattr(dcap_qvl, "verify_with_root_ca", refuse)

    with pytest.raises(VerificationError) as caught:
        verify(INTEL.evidence(ENCLAVE))

    assert caught.value.transcript is not None
    line = caught.value.transcript.checks[-1]
    assert line.actual.startswith(r"refused: no\n\x1b[31mxxx")
    assert len(line.actual) == len("refused: ") + 200


def test_it_is_asked_about_the_quote_without_what_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def answer(*question: object) -> Report:
        asked.extend(question)
        return Report("UpToDate")

    monkeypatch.setattr(dcap_qvl, "verify_with_root_ca", answer)
    evidence = INTEL.evidence(ENCLAVE)
    verify(
        type(evidence)(
            media_type=evidence.media_type,
            evidence=evidence.evidence + b"more",
            endorsements=evidence.endorsements,
        )
    )

    quote, collateral, _, now = asked
    assert quote == evidence.evidence
    assert isinstance(collateral, dcap_qvl.QuoteCollateralV3)
    assert collateral.tcb_info == INTEL.collateral(SGX)["tcb_info"]
    assert now == int(NOW.timestamp())


svns = st.tuples(st.integers(4, 7), st.integers(0, 1), st.integers(2, 4)).map(
    lambda three: bytes(three) + bytes(13)
)
levels = st.tuples(
    st.integers(4, 5), svns, st.sampled_from(PLATFORM_STATUSES), st.booleans()
)


def evaluated(level: tuple[int, bytes, str, bool]) -> Json:
    svn, tdx, status, advisory = level
    tcb = {
        "sgxtcbcomponents": [{"svn": svn}] * 16,
        "pcesvn": 13,
        "tdxtcbcomponents": [{"svn": each} for each in tdx],
    }
    advisories = {"advisoryIDs": ["INTEL-SA-00001"]} if advisory else {}
    date = "2026-02-11T00:00:00Z"
    return {"tcb": tcb, "tcbDate": date, "tcbStatus": status, **advisories}


@settings(max_examples=60)
@given(
    st.lists(levels, max_size=4, unique_by=lambda level: level[:2]),
    st.tuples(svns, svns, st.booleans()),
    st.tuples(st.integers(3, 9), st.integers(4, 6)),
)
def test_it_accepts_all_that_is_accepted_here_and_says_the_same(
    found: list[tuple[int, bytes, str, bool]],
    modules: tuple[bytes, bytes, bool],
    versions: tuple[int, int],
) -> None:
    started, current, newer = modules
    qe_svn, component = versions
    descending = sorted(found, reverse=True)
    made_by = changed(
        change_tcb_info=lambda info: (
            info | {"tcbLevels": [evaluated(each) for each in descending]}
        ),
        qe=replace(quoting_enclave(TDX), isv_svn=qe_svn),
        platform=Platform(components=(component,) * 16),
    )
    body = TrustDomain(tee_tcb_svn=started, tee_tcb_svn2=current, newer=newer)

    procedure = Procedure()
    with suppress(VerificationError):
        intel.verify_tdx(made_by.evidence(body), procedure, NOW, ANCHORS)

    assert procedure.transcript.checks[-1].holds or (
        procedure.transcript.checks[-1].name != second_opinion.NAME
    )
