"""The one entry: bytes, a nonce and a policy in; a result, or all reasons why not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.attester.simulated import SimulatedPlatform
from blindai.errors import AppraisalError, EvidenceError, VerificationError
from blindai.protocol import keyset
from blindai.protocol.attestation import (
    SEV_SNP_REPORT_TYPE,
    encode_attestation,
    parse_attestation,
)
from blindai.protocol.keyset import Purpose
from blindai.testing import NOW, SimulatedEvidence, simulated_keyset
from blindai.transcript import Status
from blindai.verifier import (
    AttestationResult,
    EvidencePolicy,
    Policy,
    SnpClaims,
    verify,
)

Accept = Callable[..., AttestationResult]
NONCE = bytes(range(32))
PLATFORM = SimulatedPlatform()
HONEST = SimulatedEvidence(PLATFORM)
COLLECTION = HONEST.attestation(NONCE)
SIMULATION = Policy.for_simulation()


def test_an_honest_enclave_is_accepted(accept: Accept) -> None:
    result = accept(COLLECTION, SIMULATION)

    assert result.simulated
    assert result.keyset == HONEST.keyset
    assert result.statement.nonce == NONCE
    assert result.claims.measurement == PLATFORM.measurement
    assert result.verified_at == NOW
    assert result.policy is SIMULATION
    assert not result.transcript.refusals


def test_details_are_those_of_the_tee_and_no_other(accept: Accept) -> None:
    claims = accept(COLLECTION).claims

    assert claims.of(SnpClaims).guest_svn == 0
    with pytest.raises(TypeError, match="details: expected those of Policy"):
        claims.of(Policy)


def test_the_transcript_has_verification_first_and_then_appraisal(
    accept: Accept,
) -> None:
    names = [check.name for check in accept(COLLECTION).transcript.checks]

    assert names[:2] == ["certificate chain", "root certificate"]
    assert names.index("keyset digest") < names.index("simulated TEE")
    assert names[-1] == "build"


class TestWithoutNonce:
    COLLECTION = HONEST.attestation(None)
    AGE_S = 12 * 3600  # from the keyset's first second to NOW

    def test_it_is_accepted_up_to_the_policy_s_age(self, accept: Accept) -> None:
        policy = replace(SIMULATION, evidence=EvidencePolicy(max_age_s=self.AGE_S))

        assert accept(self.COLLECTION, policy, nonce=None).statement.nonce is None

    def test_it_is_refused_when_older(self, accept: Accept) -> None:
        policy = replace(SIMULATION, evidence=EvidencePolicy(max_age_s=self.AGE_S - 1))

        with pytest.raises(AppraisalError, match="age of the keyset: expected at most"):
            accept(self.COLLECTION, policy, nonce=None)

    def test_it_is_refused_when_the_policy_says_nothing(self, accept: Accept) -> None:
        with pytest.raises(AppraisalError, match="expected a nonce instead"):
            accept(self.COLLECTION, nonce=None)


class TestBinding:
    PARTS = parse_attestation(COLLECTION)

    def collection(self, **changes: object) -> bytes:
        return encode_attestation(replace(self.PARTS, **changes))  # type: ignore[arg-type]  # one of many

    def test_unchanged_parts_are_accepted(self) -> None:
        assert self.collection() == COLLECTION

    def test_another_statement_is_not_authentic(self, accept: Accept) -> None:
        with pytest.raises(VerificationError, match="report data: expected SHA-256"):
            accept(self.collection(statement=HONEST.statement(bytes(32)).encode()))

    def test_another_keyset_is_not_authentic(self, accept: Accept) -> None:
        with pytest.raises(VerificationError, match="keyset digest: expected"):
            accept(self.collection(keyset=simulated_keyset(build="evil").encode()))

    def test_report_data_is_bound_in_all_its_bytes(self, accept: Accept) -> None:
        digest = keyset.bind(HONEST.statement(NONCE)).digest
        longer = keyset.Binding(digest + bytes(31) + b"\x01", None)
        evidence = HONEST.attester.attest(longer)

        with pytest.raises(VerificationError, match="report data: expected"):
            accept(self.collection(evidence=evidence))

    def test_simulated_evidence_under_the_genuine_name_is_not_authentic(
        self, accept: Accept
    ) -> None:
        evidence = replace(self.PARTS.evidence, media_type=SEV_SNP_REPORT_TYPE)

        with pytest.raises(VerificationError, match="root certificate: expected ARK"):
            accept(self.collection(evidence=evidence))

    def test_evidence_of_an_unknown_tee_is_refused(self, accept: Accept) -> None:
        evidence = replace(self.PARTS.evidence, media_type="application/vnd.example")

        with pytest.raises(EvidenceError, match="evidence: expected one of"):
            accept(self.collection(evidence=evidence))

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"keyset": b"\x00"}, id="keyset"),
            pytest.param({"statement": b"\x00"}, id="statement"),
            pytest.param(
                {"evidence": replace(PARTS.evidence, evidence=b"\x00")}, id="evidence"
            ),
            pytest.param(
                {"evidence": replace(PARTS.evidence, endorsements=())},
                id="endorsements",
            ),
        ],
    )
    def test_a_malformed_part_is_refused(
        self, accept: Accept, changes: dict[str, object]
    ) -> None:
        with pytest.raises(EvidenceError) as caught:
            accept(self.collection(**changes))

        assert caught.value.transcript is not None
        (line,) = caught.value.transcript.checks
        assert line.status is Status.FAILED
        assert line.actual == caught.value.message


def test_the_relying_party_may_bring_endorsements_itself() -> None:
    parts = parse_attestation(COLLECTION)
    bare = replace(parts, evidence=replace(parts.evidence, endorsements=()))

    result = verify(
        encode_attestation(bare),
        nonce=NONCE,
        policy=SIMULATION,
        now=NOW,
        endorsements=parts.evidence.endorsements,
    )

    assert result.claims.measurement == PLATFORM.measurement


def test_evidence_for_key_release_is_accepted_for_key_release() -> None:
    collection = SimulatedEvidence(PLATFORM, purpose=Purpose.KEY_RELEASE).attestation(
        NONCE
    )

    result = verify(
        collection,
        nonce=NONCE,
        policy=SIMULATION,
        now=NOW,
        purpose=Purpose.KEY_RELEASE,
    )

    assert result.statement.purpose is Purpose.KEY_RELEASE


def test_now_has_a_time_zone(accept: Accept) -> None:
    with pytest.raises(ValueError, match="expected a time with a time zone"):
        accept(COLLECTION, now=NOW.replace(tzinfo=None))


def test_now_may_be_in_any_time_zone(accept: Accept) -> None:
    from_utc = NOW.astimezone(UTC)

    assert accept(COLLECTION, now=from_utc).verified_at == NOW


def test_a_nonce_has_32_bytes(accept: Accept) -> None:
    with pytest.raises(ValueError, match="nonce: expected 32 bytes, got 31"):
        accept(COLLECTION, nonce=bytes(31))


@given(st.binary(max_size=200))
def test_any_bytes_give_the_one_error(accept: Accept, data: bytes) -> None:
    with pytest.raises(EvidenceError):
        accept(data)


def test_the_verifier_loads_no_network_no_numbers_and_no_event_loop() -> None:
    code = (
        "import sys, blindai.verifier;"
        "print({'numpy', 'httpx', 'asyncio', 'ssl', 'socket', 'logging', 'secrets'}"
        " & sys.modules.keys())"
    )

    output = subprocess.run(  # noqa: S603  (this interpreter, a fixed program)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert output.strip() == "set()"
