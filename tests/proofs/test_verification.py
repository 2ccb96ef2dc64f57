"""Proofs: each attack is one thing changed, and is refused for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.proofs.making import (
    DATE,
    NONCE,
    Made,
    key,
)

from blindai import proofs
from blindai.errors import (
    AppraisalError,
    AttestationError,
    EvidenceError,
    ProofError,
    VerificationError,
)
from blindai.proofs import Expected
from blindai.protocol import keyset
from blindai.protocol.proof import Purpose
from blindai.protocol.proof_file import ProofFile
from blindai.transcript import Status
from blindai.verifier import EvidencePolicy, Policy, SnpPolicy

POLICY = Policy.for_simulation()
MADE = Made()
OTHER = Made(signing_key=key(2), instance=b"\x01" * 16)
UPLOAD = MADE.claims(run=None, nonce=bytes(32))


def verify(file: ProofFile, **options: Any) -> proofs.ProofResult:  # noqa: ANN401  verify's own
    return proofs.verify(file, **{"policy": POLICY, **options})


def refusal(error: AttestationError) -> str:
    """The name of the line that refuses."""
    assert error.transcript is not None
    assert len(error.transcript.refusals) == 1
    return error.transcript.refusals[0].name


def line(result: proofs.ProofResult, name: str) -> Status:
    found = [each for each in result.transcript.checks if each.name == name]
    assert len(found) == 1
    return found[0].status


# ------------------------------------------------------------------------- what is good


def test_a_proof_is_verified_as_of_its_own_date() -> None:
    result = verify(MADE.file())

    assert result.as_of == DATE
    assert result.claims == MADE.claims()
    assert result.attestation is not None
    assert result.attestation.keyset == MADE.keyset
    assert result.simulated


def test_an_upload_is_verified_likewise() -> None:
    assert verify(MADE.file(UPLOAD)).claims.purpose is Purpose.UPLOAD


def test_all_that_is_expected_of_an_upload_holds() -> None:
    expected = Expected(
        purpose=Purpose.UPLOAD,
        model_name="net",
        model_digest=b"\x05" * 32,
        nonce=bytes(32),
    )

    assert verify(MADE.file(UPLOAD), expected=expected).claims == UPLOAD


def test_after_clients_stopped_sealing_the_keysets_last_second_counts() -> None:
    late = MADE.keyset.not_after + timedelta(minutes=5)

    result = verify(MADE.file(MADE.claims(issued_at=late)))

    assert result.as_of == MADE.keyset.not_after
    assert proofs.own_date(MADE.file(MADE.claims(issued_at=late))) == result.as_of


def test_a_proof_is_verified_by_a_key_that_is_trusted_already() -> None:
    public = MADE.signing_key.public_key().public_bytes_raw()

    result = proofs.verify_with_key(MADE.file(), public)

    assert result.attestation is None
    assert not result.simulated
    assert result.as_of == DATE
    assert line(result, "enclave") is Status.NOT_EVALUATED


# ------------------------------------------------------------------------------ attacks


def test_another_instances_key_is_refused() -> None:
    file = MADE.file(proof=OTHER.sign(MADE.claims()))

    with pytest.raises(ProofError) as refused:
        verify(file)
    assert refusal(refused.value) == "proof signature"


def test_a_proof_beside_another_enclaves_evidence_is_refused() -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(attestation=OTHER.attestation))
    assert refusal(refused.value) == "proof signature"


def test_a_key_that_is_trusted_has_to_have_signed() -> None:
    public = OTHER.signing_key.public_key().public_bytes_raw()

    with pytest.raises(ProofError) as refused:
        proofs.verify_with_key(MADE.file(), public)
    assert refusal(refused.value) == "proof signature"


def test_a_proof_of_an_earlier_keyset_with_the_same_key_is_refused() -> None:
    claims = MADE.claims(keyset_digest=keyset.digest(OTHER.keyset.encode()))

    with pytest.raises(ProofError) as refused:
        verify(MADE.file(claims))
    assert refusal(refused.value) == "proof keyset"


def test_another_configuration_is_refused() -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(MADE.claims(config_digest=b"\x01" * 32)))
    assert refusal(refused.value) == "proof configuration"


def test_a_proof_from_before_its_keyset_is_refused() -> None:
    early = MADE.keyset.not_before - timedelta(seconds=1)

    with pytest.raises(ProofError) as refused:
        verify(MADE.file(MADE.claims(issued_at=early)))
    assert refusal(refused.value) == "proof time"


def test_evidence_for_another_purpose_is_refused() -> None:
    made = Made(purpose=keyset.Purpose.KEY_RELEASE)

    with pytest.raises(AppraisalError) as refused:
        verify(made.file())
    assert refusal(refused.value) == "purpose"


def test_swapped_endorsements_are_refused() -> None:
    evidence = replace(
        MADE.attestation.evidence,
        endorsements=OTHER.attestation.evidence.endorsements,
    )
    attestation = replace(MADE.attestation, evidence=evidence)

    with pytest.raises(VerificationError) as refused:
        verify(MADE.file(attestation=attestation))
    assert refusal(refused.value) == "report signature"


def test_endorsements_that_the_reader_brings_count_instead() -> None:
    with pytest.raises(VerificationError) as refused:
        verify(MADE.file(), endorsements=OTHER.attestation.evidence.endorsements)
    assert refusal(refused.value) == "report signature"


def test_a_keyset_that_was_not_attested_is_refused() -> None:
    """Somebody's own key, in a keyset of their own, beside honest evidence."""
    attestation = replace(MADE.attestation, keyset=OTHER.keyset.encode())

    with pytest.raises(VerificationError) as refused:
        verify(OTHER.file(attestation=attestation))
    assert refusal(refused.value) == "keyset digest"


def test_a_missing_nonce_is_refused_where_the_policy_wants_one() -> None:
    with pytest.raises(AppraisalError) as refused:
        verify(Made(nonce=None).file())
    assert refusal(refused.value) == "age of the keyset"


def test_a_nonce_that_was_taken_away_is_refused_likewise() -> None:
    with pytest.raises(AppraisalError) as refused:
        verify(MADE.file(nonce=None))
    assert refusal(refused.value) == "age of the keyset"


def test_evidence_without_a_nonce_is_accepted_by_a_policy_that_allows_its_age() -> None:
    policy = replace(POLICY, evidence=EvidencePolicy(max_age_s=86400))

    assert verify(Made(nonce=None).file(), policy=policy).as_of == DATE


def test_another_nonce_is_refused() -> None:
    with pytest.raises(AppraisalError) as refused:
        verify(MADE.file(nonce=NONCE[::-1]))
    assert refusal(refused.value) == "nonce"


def test_a_simulated_proof_is_refused_under_a_release_policy() -> None:
    policy = Policy(sev_snp=SnpPolicy(measurements=(MADE.platform.measurement,)))

    with pytest.raises(AppraisalError, match="simulated TEE"):
        verify(MADE.file(), policy=policy)


def test_after_its_keyset_it_is_refused() -> None:
    with pytest.raises(AppraisalError) as refused:
        verify(MADE.file(), at=MADE.keyset.not_after + timedelta(seconds=1))
    assert refusal(refused.value) == "keyset validity"


# ---------------------------------------------------------------------------- malformed


def test_a_malformed_proof_says_so_in_its_transcript() -> None:
    with pytest.raises(EvidenceError) as refused:
        verify(MADE.file(proof=b"\xd2"))
    assert refusal(refused.value) == "format"


def test_a_malformed_keyset_says_so_too() -> None:
    attestation = replace(MADE.attestation, keyset=b"")

    with pytest.raises(EvidenceError) as refused:
        verify(MADE.file(attestation=attestation))
    assert refusal(refused.value) == "format"


def test_claims_that_are_signed_and_malformed_are_refused() -> None:
    from blindai.protocol import cose  # noqa: PLC0415  to sign what is none
    from blindai.protocol.proof import KIND  # noqa: PLC0415  likewise

    proof = cose.sign(KIND, b"\xa0", MADE.signing_key.sign)

    with pytest.raises(EvidenceError) as refused:
        verify(MADE.file(proof=proof))
    assert refusal(refused.value) == "format"


def test_a_time_has_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        verify(MADE.file(), at=datetime(2026, 6, 1))  # noqa: DTZ001  what is refused


def test_only_verification_makes_a_result() -> None:
    with pytest.raises(TypeError):
        proofs.ProofResult(
            claims=MADE.claims(),
            attestation=None,
            transcript=verify(MADE.file()).transcript,
            as_of=datetime.now(UTC),  # noqa: TID251  any time
            token=object(),
        )
