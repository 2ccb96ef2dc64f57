"""Evidence alone: believed and appraised, and never enough to open a session."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from blindai.attester.simulated import SimulatedPlatform
from blindai.errors import (
    AppraisalError,
    EvidenceError,
    UncheckedError,
    VerificationError,
)
from blindai.protocol.attestation import SEV_SNP_REPORT_TYPE, Evidence
from blindai.protocol.keyset import Binding
from blindai.testing import NOW, SimulatedEvidence
from blindai.transcript import Check, Status
from blindai.verifier import (
    AttestationResult,
    Baseline,
    EvidenceResult,
    InsecureRoot,
    MinimumTcb,
    Policy,
    SnpPolicy,
    Tcb,
    verify,
    verify_evidence,
)
from blindai.verifier.roots import SIMULATED

NONCE = b"blindai"
PLATFORM = SimulatedPlatform()
ROOT = InsecureRoot(vendor="AMD", sha256=SIMULATED.digest, product="Genoa")


def evidence(**changes: object) -> Evidence:
    """A raw report by made-up hardware whose report data is `NONCE` and zeros."""
    platform = replace(PLATFORM, **changes)  # type: ignore[arg-type]  # one of many
    attester = SimulatedEvidence(platform).attester
    made = attester.attest(Binding(NONCE.ljust(32, b"\x00"), None))
    return replace(made, media_type=SEV_SNP_REPORT_TYPE)


def policy(**changes: object) -> Policy:
    snp = SnpPolicy(**{"measurements": (PLATFORM.measurement,), **changes})  # type: ignore[arg-type]  # one of many
    return Policy(insecure_roots=(ROOT,), sev_snp=snp)


class MadeUp(Baseline):
    """The baseline, but that the made-up root counts."""

    @property
    def policy(self) -> Policy:
        return replace(super().policy, insecure_roots=(ROOT,), unpinned=True)


def lines(result: EvidenceResult) -> dict[str, Check]:
    return {check.name: check for check in result.transcript.checks}


def accept(
    shown: Evidence, held: Policy | Baseline, nonce: bytes | None = None
) -> EvidenceResult:
    return verify_evidence(shown, policy=held, nonce=nonce, now=NOW)


def test_a_policy_decides() -> None:
    result = accept(evidence(), policy())

    assert result.pinned
    assert result.verified.claims.measurement == PLATFORM.measurement
    assert result.verified_at == NOW
    assert lines(result)["measurement"].status is Status.PASSED


def test_a_policy_refuses_with_all_its_reasons() -> None:
    strict = policy(
        measurements=(b"x" * 48,),
        minimum_tcb=MinimumTcb(genoa=Tcb(snp=255)),
        products=("Genoa",),
    )

    with pytest.raises(AppraisalError) as caught:
        accept(evidence(), strict)

    assert [each.name for each in caught.value.findings] == [
        "platform TCB",
        "measurement",
    ]


def test_a_baseline_leaves_open_what_it_does_not_pin() -> None:
    result = accept(evidence(), MadeUp())

    assert not result.pinned
    for name in ("measurement", "host data", "ID key digest", "nonce"):
        assert lines(result)[name].status is Status.NOT_EVALUATED
        assert lines(result)[name].holds


@pytest.mark.parametrize("vmpl", range(4))
def test_a_baseline_takes_any_privilege_level(vmpl: int) -> None:
    accept(evidence(vmpl=vmpl), MadeUp())


def test_a_baseline_refuses_debug_mode() -> None:
    guest_policy = 0x30000 | 1 << 19

    with pytest.raises(AppraisalError, match="debug mode: expected off, got on"):
        accept(evidence(guest_policy=guest_policy), MadeUp())


def test_a_baseline_knows_no_made_up_root() -> None:
    with pytest.raises(VerificationError, match="root certificate: "):
        accept(evidence(), Baseline())


def test_a_baseline_refuses_the_simulation() -> None:
    simulated = SimulatedEvidence().attester.attest(Binding(bytes(32), None))

    with pytest.raises(AppraisalError, match="simulated TEE: "):
        accept(simulated, Baseline())


def test_a_baselines_policy_opens_no_session() -> None:
    collection = SimulatedEvidence().attestation(bytes(32))
    unpinned = Policy(unpinned=True, sev_snp=SnpPolicy())

    with pytest.raises(AppraisalError):
        verify(collection, nonce=bytes(32), policy=unpinned, now=NOW)


def test_only_a_baseline_pins_nothing() -> None:
    result = accept(evidence(), MadeUp())

    assert not isinstance(result, AttestationResult)
    with pytest.raises(ValueError, match="genuine hardware runs any program"):
        Policy(sev_snp=SnpPolicy())


@pytest.mark.parametrize(
    "nonce", [NONCE, NONCE.ljust(32, b"\x00"), NONCE.ljust(64, b"\x00")]
)
def test_a_nonce_may_be_filled_up_with_zeros(nonce: bytes) -> None:
    assert lines(accept(evidence(), policy(), nonce))["nonce"].status is Status.PASSED


@pytest.mark.parametrize("nonce", [b"blindaj", b"b", NONCE.ljust(65, b"\x00")])
def test_another_nonce_is_refused(nonce: bytes) -> None:
    with pytest.raises(AppraisalError, match="nonce: expected"):
        accept(evidence(), policy(), nonce)


def test_malformed_evidence_is_told_with_what_was_done() -> None:
    broken = replace(evidence(), evidence=b"\x00")

    with pytest.raises(EvidenceError) as caught:
        accept(broken, policy())

    assert caught.value.transcript is not None
    assert caught.value.transcript.checks[-1].name == "format"


def test_evidence_of_an_unknown_kind_is_malformed() -> None:
    with pytest.raises(EvidenceError, match="evidence: expected one of"):
        accept(Evidence(media_type="text/plain", evidence=b""), policy())


def test_a_time_has_a_zone_and_a_nonce_has_bytes() -> None:
    naive = datetime(2026, 6, 1)  # noqa: DTZ001  what is refused

    with pytest.raises(ValueError, match="time zone"):
        verify_evidence(evidence(), policy=policy(), nonce=None, now=naive)
    with pytest.raises(ValueError, match="at least one byte"):
        accept(evidence(), policy(), b"")


def test_a_required_check_that_was_left_out_refuses_under_a_policy() -> None:
    listed = Policy(
        insecure_roots=(ROOT,),
        sev_snp=SnpPolicy(measurements=(PLATFORM.measurement,)),
        evidence=replace(Policy.for_simulation().evidence, require_revocation=True),
    )

    with pytest.raises(UncheckedError, match="revocation"):
        accept(evidence(), listed)


def test_the_soonest_end_stands_first() -> None:
    expiries = accept(evidence(), policy()).transcript.expiries

    assert {each.name for each in expiries} == {
        "root certificate",
        "intermediate certificate",
        "leaf certificate",
    }
    assert list(expiries) == sorted(expiries, key=lambda each: each.not_after)
    assert expiries[0].left(datetime(2026, 1, 1, tzinfo=UTC)).days > 0
