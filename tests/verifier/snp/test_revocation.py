"""AMD's lists: the ARK's, over ASK and ASVK, in RSASSA-PSS; none over leaves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from blindai.attester.simulated import SimulatedPlatform
from blindai.errors import VerificationError
from blindai.protocol.attestation import Evidence
from blindai.testing import NOW
from blindai.testing.vendors.amd import ASK_SERIAL, ASVK_SERIAL, MadeUpAmd
from blindai.testing.vendors.pki import Authority, Validity, p384
from blindai.transcript import Status, Transcript
from blindai.verifier import snp
from blindai.verifier.procedure import Procedure
from blindai.verifier.roots import Anchors

AMD = MadeUpAmd("Turin")
PLATFORM = AMD.platform()
CLOUD = AMD.provider_platform("CN=a.cloud.example")
EARLIER = Validity(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 31, tzinfo=UTC))


def verify(evidence: Evidence, *, require_revocation: bool = False) -> Transcript:
    procedure = Procedure()
    anchors = Anchors(AMD.anchors.roots, require_revocation)
    snp.verify(evidence, procedure, NOW, anchors)
    return procedure.transcript


def statuses(transcript: Transcript) -> dict[str, Status]:
    return {
        check.name: check.status
        for check in transcript.checks
        if "revocation" in check.name
    }


def test_a_list_that_names_nobody_lets_pass() -> None:
    transcript = verify(AMD.evidence_of(PLATFORM, crls=[AMD.crl()]))

    assert statuses(transcript) == {
        "intermediate certificate: revocation list": Status.PASSED,
        "intermediate certificate: revocation list: validity": Status.PASSED,
        "intermediate certificate: revocation": Status.PASSED,
        "leaf certificate: revocation": Status.NOT_EVALUATED,
    }


@pytest.mark.parametrize(
    ("platform", "serial"),
    [
        pytest.param(PLATFORM, ASK_SERIAL, id="ASK"),
        pytest.param(CLOUD, ASVK_SERIAL, id="ASVK"),
    ],
)
def test_a_revoked_intermediate_is_refused(
    platform: SimulatedPlatform, serial: int
) -> None:
    evidence = AMD.evidence_of(platform, crls=[AMD.crl([serial])])

    with pytest.raises(
        VerificationError, match=r"^intermediate certificate: revocation: .*in the list"
    ):
        verify(evidence)


@pytest.mark.parametrize(
    ("platform", "serial"),
    [
        pytest.param(PLATFORM, ASVK_SERIAL, id="ASVK"),
        pytest.param(CLOUD, ASK_SERIAL, id="ASK"),
    ],
)
def test_that_another_intermediate_is_revoked_does_not_matter(
    platform: SimulatedPlatform, serial: int
) -> None:
    verify(AMD.evidence_of(platform, crls=[AMD.crl([serial])]))


def test_every_list_counts() -> None:
    evidence = AMD.evidence_of(PLATFORM, crls=[AMD.crl(), AMD.crl([ASK_SERIAL])])

    with pytest.raises(VerificationError, match="in the list"):
        verify(evidence)


def test_an_outdated_list_is_refused() -> None:
    evidence = AMD.evidence_of(PLATFORM, crls=[AMD.crl(validity=EARLIER)])

    with pytest.raises(VerificationError, match="revocation list: validity"):
        verify(evidence)


def test_a_list_of_somebody_elses_is_refused() -> None:
    forged = Authority.root(f"Made-up ARK-{AMD.product}", p384()).crl()

    with pytest.raises(VerificationError, match="revocation list: expected a list"):
        verify(AMD.evidence_of(PLATFORM, crls=[forged]))


def test_a_list_of_another_lines_is_not_looked_at() -> None:
    other = MadeUpAmd("Milan").crl([ASK_SERIAL])

    transcript = verify(AMD.evidence_of(PLATFORM, crls=[other]))

    assert set(statuses(transcript).values()) == {Status.NOT_EVALUATED}


def test_a_list_may_be_required_and_is_never_missing_for_a_leaf() -> None:
    without = verify(AMD.evidence_of(PLATFORM), require_revocation=True)
    with_list = verify(
        AMD.evidence_of(PLATFORM, crls=[AMD.crl()]), require_revocation=True
    )

    assert [check.name for check in without.refusals] == [
        "intermediate certificate: revocation"
    ]
    assert not with_list.refusals
