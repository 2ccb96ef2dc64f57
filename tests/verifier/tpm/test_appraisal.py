"""A genuine TPM against a policy: one test for each line that can refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from blindai.protocol.keyset import Binding
from blindai.testing.vendors.tpm import (
    BOOT,
    GoogleVm,
    MadeUpTpm,
    google_technology,
    secure_boot,
    separator,
)
from blindai.transcript import Check, Status
from blindai.verifier import Policy, SnpPolicy, TdxPolicy
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import TOKEN, VerifiedClaims
from blindai.verifier.tpm import appraise
from blindai.verifier.tpm.policy import PcrPin, TpmPolicy

Verify = Callable[..., tuple[VerifiedClaims, Procedure]]
BINDING = Binding(bytes(range(32)), None)
TPM = MadeUpTpm()
KERNEL = PcrPin(index=4, digests=(bytes(31) + b"x", TPM.pcrs["sha256"][4]))
ACCEPTED = TpmPolicy(pcrs=(KERNEL,))
SNP = SnpPolicy(measurements=(b"m" * 48,))
TDX = TdxPolicy(mr_td=(b"m" * 48,), allow_firmware_alone=True)


def lines(
    verify: Verify, accepted: TpmPolicy | None, vm: GoogleVm | None = None
) -> dict[str, Check]:
    vm = vm or GoogleVm(tpm=TPM)
    verified, _ = verify(vm.attest(BINDING))
    policy = Policy(tpm=accepted, insecure_accept_simulation=True)
    return {check.name: check for check in appraise(verified, policy)}


def test_an_accepted_machine_is_accepted(verify: Verify) -> None:
    found = lines(
        verify,
        replace(
            ACCEPTED,
            event_log_pcrs=(0, 7, 11),
            require_secure_boot=True,
            require_safe_clock=True,
            minimum_firmware=0x2023000100000002,
            google_projects=("made-up-project",),
            google_zones=("made-up-zone1-a",),
            google_technologies=("sev-snp",),
        ),
    )

    assert {check.status for check in found.values()} == {Status.PASSED}
    assert found["event log"].actual.endswith("PCR 0-16, 23")


def test_all_that_replays_may_be_asked_for(verify: Verify) -> None:
    found = lines(verify, replace(ACCEPTED, event_log_pcrs=(*range(17), 23)))

    assert found["event log"].status is Status.PASSED


def test_what_is_not_pinned_is_shown(verify: Verify) -> None:
    found = lines(verify, None)

    unpinned = {n for n, c in found.items() if c.status is Status.NOT_EVALUATED}
    assert unpinned == {
        "PCRs",
        "event log",
        "Google project",
        "Google zone",
        "memory encryption",
    }
    assert found["PCRs"].actual == f"digest {TPM.quote(b'').pcr_digest.hex()}"
    assert all(check.holds for check in found.values())


def changed(*, without: int = -1, **changes: object) -> GoogleVm:
    measurements = [each for each in BOOT if each.register != without]
    tpm = MadeUpTpm(measurements=tuple(measurements), **changes)  # type: ignore[arg-type]  # one of many
    return GoogleVm(tpm=tpm)


SAID = (google_technology(1), separator(0), secure_boot(on=False), separator(7))


@pytest.mark.parametrize(
    ("accepted", "vm", "line", "actual"),
    [
        pytest.param(
            TpmPolicy(pcrs=(PcrPin(index=4, digests=(b"d" * 32,)),)),
            changed(),
            "PCR 4 (sha256)",
            TPM.pcrs["sha256"][4].hex(),
            id="another register",
        ),
        pytest.param(
            ACCEPTED, changed(indices=(7,)), "PCR 4 (sha256)", "not quoted", id="none"
        ),
        pytest.param(
            TpmPolicy(pcrs=(PcrPin(bank="sha384", index=4, digests=(b"d" * 48,)),)),
            changed(),
            "PCR 4 (sha384)",
            "not quoted",
            id="another bank",
        ),
        pytest.param(
            TpmPolicy(minimum_firmware=0x2023000100000003),
            changed(),
            "TPM firmware",
            "0x2023000100000002",
            id="firmware",
        ),
        pytest.param(
            TpmPolicy(event_log_pcrs=(17,)),
            changed(),
            "event log",
            "replays to PCR 0-16, 23",
            id="event log",
        ),
        pytest.param(
            TpmPolicy(event_log_pcrs=(17, 18, 20)),
            changed(indices=(17,)),
            "event log",
            "replays to PCR none",
            id="no register of the event log",
        ),
        pytest.param(
            TpmPolicy(require_secure_boot=True),
            changed(without=7),
            "secure boot",
            "not known",
            id="nothing said of secure boot",
        ),
        pytest.param(
            TpmPolicy(require_secure_boot=True),
            GoogleVm(tpm=MadeUpTpm(measurements=SAID)),
            "secure boot",
            "off",
            id="secure boot off",
        ),
        pytest.param(
            TpmPolicy(google_projects=("another",)),
            changed(),
            "Google project",
            "made-up-project",
            id="project",
        ),
        pytest.param(
            TpmPolicy(google_zones=("another",)),
            changed(),
            "Google zone",
            "made-up-zone1-a",
            id="zone",
        ),
        pytest.param(
            TpmPolicy(google_technologies=("tdx", "sev-snp")),
            GoogleVm(tpm=MadeUpTpm(measurements=SAID)),
            "memory encryption",
            "sev",
            id="memory encryption",
        ),
        pytest.param(
            TpmPolicy(google_technologies=("tdx", "sev-snp")),
            changed(without=0),
            "memory encryption",
            "not known",
            id="nothing said of memory encryption",
        ),
        pytest.param(
            TpmPolicy(ak_sources=("hardware-report",)),
            changed(),
            "attestation key",
            "certificate",
            id="key",
        ),
    ],
)
def test_another_machine_is_refused(
    verify: Verify, accepted: TpmPolicy, vm: GoogleVm, line: str, actual: str
) -> None:
    found = lines(verify, accepted, vm)

    refused = [check for check in found.values() if not check.holds]
    assert [check.name for check in refused] == [line]
    assert refused[0].actual == actual


@pytest.mark.parametrize(("required", "refused"), [(True, ["TPM clock"]), (False, [])])
def test_a_clock_that_was_set_back_is_refused_if_it_matters(
    verify: Verify,
    required: bool,  # noqa: FBT001  a parameter of a test
    refused: list[str],
) -> None:
    verified, _ = verify(GoogleVm(tpm=TPM).attest(BINDING, safe=0))
    policy = Policy(tpm=replace(ACCEPTED, require_safe_clock=required))

    found = [check.name for check in appraise(verified, policy) if not check.holds]

    assert found == refused


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(Policy(tpm=ACCEPTED, sev_snp=SNP), id="SEV-SNP"),
        pytest.param(Policy(tpm=ACCEPTED, tdx=TDX), id="TDX"),
    ],
)
def test_a_policy_for_hardware_and_tpm_takes_no_tpm_alone(
    verify: Verify, policy: Policy
) -> None:
    verified, _ = verify(GoogleVm(tpm=TPM).attest(BINDING))

    found = list(appraise(verified, policy))

    assert [str(check) for check in found if not check.holds] == [
        "attestation key: expected vouched for by the hardware-report, got certificate"
    ]


def test_a_policy_for_hardware_and_tpm_may_say_otherwise(verify: Verify) -> None:
    verified, _ = verify(GoogleVm(tpm=TPM).attest(BINDING))
    either = replace(ACCEPTED, ak_sources=("hardware-report", "certificate"))

    found = appraise(verified, Policy(tpm=either, sev_snp=SNP))

    assert all(check.holds for check in found)


@pytest.mark.parametrize(
    "accepted",
    [
        TpmPolicy(),
        TpmPolicy(pcrs=(PcrPin(index=11, digests=(TPM.pcrs["sha256"][11],)),)),
    ],
)
def test_a_genuine_tpm_is_refused_where_nothing_says_what_was_booted(
    verify: Verify, accepted: TpmPolicy
) -> None:
    verified, _ = verify(GoogleVm(tpm=TPM).attest(BINDING))
    genuine = replace(verified.root, simulated=False)
    verified = VerifiedClaims(claims=verified.claims, root=genuine, token=TOKEN)
    policy = Policy(tpm=accepted, insecure_accept_simulation=True)

    (line,) = (each for each in appraise(verified, policy) if each.name == "PCRs")

    assert not line.holds
