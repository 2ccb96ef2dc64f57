"""Each thing that a policy may pin, allow or refuse, and how refusals are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from blindai.attester.simulated import SimulatedPlatform
from blindai.errors import AppraisalError, UncheckedError
from blindai.protocol.keyset import Purpose
from blindai.testing import NOW, SimulatedEvidence, simulated_keyset
from blindai.transcript import Status
from blindai.verifier import (
    AttestationResult,
    EnclavePolicy,
    MinimumTcb,
    Policy,
    RequiredGuestPolicy,
    RequiredPlatform,
    SnpPolicy,
    Tcb,
    VerifiedClaims,
    snp,
    verify,
)
from blindai.verifier.appraisal import Bound, Challenge, appraise
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import TOKEN
from blindai.verifier.roots import GENOA

Accept = Callable[..., AttestationResult]
NONCE = bytes(range(32))
OTHER = b"x" * 48
PLATFORM = SimulatedPlatform()
HONEST = SimulatedEvidence(PLATFORM)
COLLECTION = HONEST.attestation(NONCE)
SIMULATION = Policy.for_simulation()
RELEASE = Policy(sev_snp=SnpPolicy(measurements=(PLATFORM.measurement,)))


def simulation(**changes: object) -> Policy:
    snp_policy = SnpPolicy(**changes)  # type: ignore[arg-type]  # one of many
    return Policy(insecure_accept_simulation=True, sev_snp=snp_policy)


def enclave(**changes: object) -> bytes:
    """The evidence of an enclave on a platform with one thing changed."""
    platform = replace(PLATFORM, **changes)  # type: ignore[arg-type]  # one of many
    return SimulatedEvidence(platform).attestation(NONCE)


def claiming(**changes: object) -> bytes:
    """The evidence of an enclave that binds another keyset."""
    keys = simulated_keyset(**changes)  # type: ignore[arg-type]  # one of many
    return SimulatedEvidence(PLATFORM, keys).attestation(NONCE)


@pytest.mark.parametrize(
    "name",
    [
        "cloud provider",
        "chip",
        "platform TCB",
        "launch TCB",
        "launch mitigations",
        "current mitigations",
        "measurement",
        "host data",
        "ID key digest",
        "author key digest",
        "family ID",
        "image ID",
        "configuration digest",
        "build",
    ],
)
def test_what_is_not_pinned_says_so(accept: Accept, name: str) -> None:
    (line,) = (c for c in accept(COLLECTION).transcript.checks if c.name == name)

    assert line.status is Status.NOT_EVALUATED
    assert not line.required
    assert line.expected == "the policy pins no value"


def test_a_policy_that_pins_everything_accepts_what_it_pins(accept: Accept) -> None:
    platform = replace(
        PLATFORM,
        version=5,
        id_key_digest=b"i" * 48,
        author_key_digest=b"a" * 48,
        flags=1,
        host_data=b"h" * 32,
        family_id=b"f" * 16,
        image_id=b"g" * 16,
        guest_svn=5,
        guest_policy=0x3D20000,
        platform_info=0x3E,
        launch_mitigations=0x5,
        current_mitigations=0x7,
    )
    floor = MinimumTcb(genoa=Tcb(bootloader=10, tee=0, snp=23, microcode=84))
    pinned = SnpPolicy(
        measurements=(OTHER, PLATFORM.measurement),
        id_key_digests=(b"i" * 48,),
        author_key_digests=(b"a" * 48,),
        host_data=(b"h" * 32,),
        family_ids=(b"f" * 16,),
        image_ids=(b"g" * 16,),
        chip_ids=(bytes([8]) * 8, PLATFORM.chip_id),
        signing_keys=("VCEK",),
        minimum_tcb=floor,
        minimum_launch_tcb=floor,
        minimum_guest_svn=5,
        launch_mitigations=0x4,
        current_mitigations=0x6,
        products=("Genoa",),
        allow_smt=False,
        guest_policy=RequiredGuestPolicy(
            single_socket=True,
            mem_aes_256_xts=True,
            rapl_dis=True,
            ciphertext_hiding_dram=True,
            page_swap_disable=True,
        ),
        platform=RequiredPlatform(
            tsme=True,
            ecc=True,
            rapl_dis=True,
            ciphertext_hiding_dram=True,
            alias_check=True,
        ),
    )
    policy = Policy(
        insecure_accept_simulation=True,
        sev_snp=pinned,
        enclave=EnclavePolicy(config_digests=(bytes(32),), builds=("blindai test",)),
    )

    result = accept(SimulatedEvidence(platform).attestation(NONCE), policy)

    assert {
        check.name
        for check in result.transcript.checks
        if check.status is not Status.PASSED
    } == {
        "intermediate certificate: revocation",
        "leaf certificate: revocation",
        "cloud provider",  # a chip's key signed
        "platform: trusted devices (SEV-TIO)",
        "platform: other bits",
    }


@pytest.mark.parametrize(
    ("collection", "policy", "message"),
    [
        pytest.param(
            COLLECTION,
            RELEASE,
            "simulated TEE: expected genuine hardware,"
            " got the openly insecure simulation",
            id="simulation",
        ),
        pytest.param(
            COLLECTION,
            simulation(products=("Milan",)),
            "product: expected Milan, got Genoa",
            id="product",
        ),
        pytest.param(
            enclave(guest_policy=0xA0000),
            SIMULATION,
            "debug mode: expected off, got on",
            id="debug",
        ),
        pytest.param(
            enclave(guest_policy=0x60000),
            SIMULATION,
            "migration agent: expected off, got on",
            id="migration",
        ),
        pytest.param(
            COLLECTION,
            simulation(allow_smt=False),
            "simultaneous multithreading: expected off, got on",
            id="multithreading",
        ),
        pytest.param(
            enclave(vmpl=1), SIMULATION, "VMPL: expected 0, got 1", id="VMPL 1"
        ),
        pytest.param(
            COLLECTION,
            simulation(vmpl=(1, 2)),
            "VMPL: expected 1 or 2, got 0",
            id="VMPL 0",
        ),
        pytest.param(
            COLLECTION,
            simulation(
                minimum_tcb=MinimumTcb(genoa=Tcb(microcode=85)), products=("Genoa",)
            ),
            "platform TCB: expected at least .*85, got .*84",
            id="firmware",
        ),
        pytest.param(
            COLLECTION,
            simulation(minimum_guest_svn=1),
            "guest SVN: expected at least 1, got 0",
            id="guest SVN",
        ),
        pytest.param(
            COLLECTION,
            simulation(measurements=(OTHER,)),
            f"measurement: expected {OTHER.hex()}, got {PLATFORM.measurement.hex()}",
            id="measurement",
        ),
        pytest.param(
            COLLECTION,
            simulation(host_data=(b"h" * 32,)),
            "host data: expected 68",
            id="host data",
        ),
        pytest.param(
            COLLECTION,
            simulation(id_key_digests=(OTHER,)),
            "ID key digest: expected 78",
            id="ID key",
        ),
        pytest.param(
            COLLECTION,
            simulation(author_key_digests=(OTHER,)),
            "author key digest: expected 78",
            id="author key",
        ),
        pytest.param(
            SimulatedEvidence(PLATFORM, purpose=Purpose.KEY_RELEASE).attestation(NONCE),
            SIMULATION,
            r"purpose: expected blindai.attestation.v1, got blindai.key-release.v1",
            id="purpose",
        ),
        pytest.param(
            HONEST.attestation(bytes(32)),
            SIMULATION,
            "nonce: expected the one that was sent, got another or none",
            id="another nonce",
        ),
        pytest.param(
            HONEST.attestation(None), SIMULATION, "nonce: expected", id="no nonce"
        ),
        pytest.param(
            claiming(not_before=NOW + timedelta(seconds=1)),
            SIMULATION,
            "keyset validity: expected",
            id="keyset of the future",
        ),
        pytest.param(
            claiming(not_after=NOW - timedelta(seconds=1)),
            SIMULATION,
            "keyset validity: expected",
            id="keyset of the past",
        ),
        pytest.param(
            COLLECTION,
            replace(SIMULATION, enclave=EnclavePolicy(config_digests=(b"c" * 32,))),
            "configuration digest: expected 63",
            id="configuration",
        ),
        pytest.param(
            COLLECTION,
            replace(SIMULATION, enclave=EnclavePolicy(builds=("blindai 2",))),
            "build: expected 'blindai 2', got 'blindai test'",
            id="build",
        ),
    ],
)
def test_one_thing_that_is_not_accepted_is_refused_alone(
    accept: Accept, collection: bytes, policy: Policy, message: str
) -> None:
    with pytest.raises(AppraisalError, match=message) as caught:
        accept(collection, policy)

    assert len(caught.value.findings) == 1
    assert caught.value.findings[0].status is Status.FAILED


@pytest.mark.parametrize(
    ("collection", "policy"),
    [
        pytest.param(
            enclave(guest_policy=0xA0000),
            simulation(insecure_allow_debug=True),
            id="debug",
        ),
        pytest.param(
            enclave(guest_policy=0x60000), simulation(allow_migration=True), id="agent"
        ),
        pytest.param(enclave(vmpl=2), simulation(vmpl=(2,)), id="VMPL"),
    ],
)
def test_a_policy_may_allow_more(
    accept: Accept, collection: bytes, policy: Policy
) -> None:
    assert accept(collection, policy).policy is policy


def test_all_findings_are_named_at_once(accept: Accept) -> None:
    collection = enclave(guest_policy=0xE0000, vmpl=1)

    with pytest.raises(AppraisalError) as caught:
        accept(collection, RELEASE)

    assert [finding.name for finding in caught.value.findings] == [
        "simulated TEE",
        "debug mode",
        "migration agent",
        "VMPL",
    ]
    assert caught.value.transcript is not None
    assert len(caught.value.transcript.checks) > 30


def test_keyset_validity_includes_its_first_and_last_second(accept: Accept) -> None:
    collection = claiming(not_before=NOW, not_after=NOW)

    assert accept(collection).verified_at == NOW


class TestGenuineEvidenceAndAPolicyWithoutPins:
    """Such a policy exists only for simulation; hardware must not slip through it."""

    def test_a_required_check_that_was_not_evaluated_is_refused(self) -> None:
        with pytest.raises(
            UncheckedError,
            match=r"^measurement: not evaluated: the policy pins no value",
        ):
            self.appraise(simulation())

    def test_a_failure_beside_it_is_named_too(self) -> None:
        with pytest.raises(AppraisalError, match=r"guest SVN.*; measurement") as caught:
            self.appraise(simulation(minimum_guest_svn=9))

        assert not isinstance(caught.value, UncheckedError)

    def test_any_one_pin_is_enough(self) -> None:
        policy = simulation(measurements=(PLATFORM.measurement,))

        result = self.appraise(policy)

        (line,) = (c for c in result.transcript.checks if c.name == "kind of TEE")
        assert not result.simulated
        assert line.expected == line.actual == "sev-snp"

    def test_a_signer_is_enough_without_a_measurement(self) -> None:
        signed = enclave(id_key_digest=b"i" * 48)
        policy = simulation(id_key_digests=(b"i" * 48,))

        assert not self.appraise(policy, signed).simulated

    def test_the_policy_for_simulation_accepts_no_genuine_tee(self) -> None:
        with pytest.raises(
            AppraisalError, match="kind of TEE: expected the simulation"
        ):
            self.appraise(SIMULATION)

    def appraise(
        self, policy: Policy, collection: bytes = COLLECTION
    ) -> AttestationResult:
        result = verify(collection, nonce=NONCE, policy=SIMULATION, now=NOW)
        return appraise(
            VerifiedClaims(claims=result.claims, root=GENOA, token=TOKEN),
            Bound(result.keyset, result.statement),
            Challenge(nonce=NONCE, purpose=Purpose.ATTESTATION, now=NOW, policy=policy),
            Procedure().transcript,
            snp.appraise,
        )
