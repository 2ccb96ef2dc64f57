"""A made-up Azure confidential VM: one test for each line that can refuse."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from blindai.attester.simulated import SimulatedPlatform
from blindai.errors import EvidenceError, VerificationError
from blindai.protocol.attestation import AZURE_TDX_TYPE, TDX_QUOTE_TYPE, Evidence
from blindai.protocol.keyset import Binding
from blindai.testing import NOW
from blindai.testing.vendors.azure import (
    TDX,
    AzureVm,
    HclFields,
    ak_key,
    runtime_claims,
)
from blindai.testing.vendors.tpm import MadeUpTpm, secure_boot, separator
from blindai.verifier import Claims, Policy, SnpClaims, SnpPolicy, roots
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import TOKEN, VerifiedClaims
from blindai.verifier.tpm import AZURE_TDX, Azure
from blindai.verifier.tpm.boot import Boot
from blindai.verifier.tpm.claims import (
    AkSource,
    AzureClaims,
    AzureConfiguration,
    Clock,
    TpmClaims,
)
from blindai.verifier.tpm.policy import PcrPin, TpmPolicy
from blindai.verifier.verification import tee_of

Verify = Callable[..., tuple[VerifiedClaims, Procedure]]
ANCHORS = roots.SIMULATION
BINDING = Binding(bytes(range(32)), None)
VM = AzureVm()
KERNEL = PcrPin(index=4, digests=(VM.tpm.pcrs["sha256"][4],))
POLICY = Policy(
    sev_snp=SnpPolicy(measurements=(VM.platform.measurement,)),
    tpm=TpmPolicy(pcrs=(KERNEL,)),
)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


def test_honest_evidence_is_verified(verify: Verify) -> None:
    verified, procedure = verify(VM.attest(BINDING))

    claims = verified.claims
    details = claims.of(AzureClaims)
    assert claims.tee == "az-snp"
    assert claims.report_data == BINDING.digest
    assert claims.measurement == VM.tpm.quote(b"").pcr_digest
    assert not claims.debug
    assert details.hardware.measurement == VM.platform.measurement
    assert details.hardware.of(SnpClaims).vmpl == 0
    assert details.tpm.ak_source is AkSource.HARDWARE
    assert details.tpm.pcrs == VM.tpm.pcrs
    assert details.tpm.boot.secure_boot is True
    assert details.configuration == AzureConfiguration(
        vm_id="00000000-0000-0000-0000-000000000000",
        secure_boot=True,
        console_enabled=True,
        user_data=bytes(64),
    )
    assert not procedure.transcript.refusals


def test_an_accepted_machine_is_accepted(verify: Verify) -> None:
    verified, _ = verify(VM.attest(BINDING))

    lines = list(tee_of(VM.tee).appraise(verified, POLICY))

    assert all(check.holds for check in lines)
    names = [check.name for check in lines]
    assert names.index("measurement") < names.index("PCR 4 (sha256)")


def test_debug_mode_of_the_hardware_is_the_machines(verify: Verify) -> None:
    vm = AzureVm(platform=SimulatedPlatform(guest_policy=0xB001F))

    verified, _ = verify(vm.attest(BINDING))

    assert verified.claims.debug


OFF = {"console-enabled": True, "secure-boot": False, "vmUniqueId": "0" * 36}


@pytest.mark.parametrize(
    ("policy", "vm", "line"),
    [
        pytest.param(
            replace(POLICY, sev_snp=SnpPolicy(measurements=(b"m" * 48,))),
            VM,
            "measurement",
            id="another paravisor",
        ),
        pytest.param(
            replace(POLICY, tpm=TpmPolicy(pcrs=(replace(KERNEL, index=7),))),
            VM,
            "PCR 7 (sha256)",
            id="another kernel",
        ),
        pytest.param(
            replace(POLICY, tpm=TpmPolicy(pcrs=(KERNEL,), allow_console=False)),
            VM,
            "Azure console",
            id="console",
        ),
        pytest.param(
            replace(POLICY, tpm=TpmPolicy(pcrs=(KERNEL,), require_secure_boot=True)),
            AzureVm(
                claims=runtime_claims(
                    ak_key().public_key(), **{"vm-configuration": OFF}
                )
            ),
            "secure boot",
            id="secure boot off",
        ),
        pytest.param(
            replace(
                POLICY,
                tpm=TpmPolicy(
                    pcrs=(replace(KERNEL, digests=(bytes(32),)),),
                    require_secure_boot=True,
                ),
                insecure_accept_simulation=True,
            ),
            AzureVm(
                tpm=MadeUpTpm(
                    key=ak_key(), measurements=(secure_boot(on=False), separator(7))
                )
            ),
            "secure boot",
            id="the log says that secure boot is off",
        ),
        pytest.param(
            replace(
                POLICY,
                tpm=TpmPolicy(pcrs=(KERNEL,), ak_sources=("certificate",)),
            ),
            VM,
            "attestation key",
            id="only certified keys",
        ),
    ],
)
def test_another_machine_is_refused(
    verify: Verify, policy: Policy, vm: AzureVm, line: str
) -> None:
    verified, _ = verify(vm.attest(BINDING))

    lines = tee_of(vm.tee).appraise(verified, policy)

    assert [check.name for check in lines if not check.holds] == [line]


def without_console() -> AzureVm:
    configuration = OFF | {"console-enabled": False}
    return AzureVm(
        claims=runtime_claims(
            ak_key().public_key(), **{"vm-configuration": configuration}
        )
    )


def test_a_machine_without_a_console_is_accepted(verify: Verify) -> None:
    verified, _ = verify(without_console().attest(BINDING))
    policy = replace(POLICY, tpm=TpmPolicy(pcrs=(KERNEL,), allow_console=False))

    lines = tee_of(VM.tee).appraise(verified, policy)

    assert all(check.holds for check in lines)


def test_a_policy_without_a_table_for_tpms_shows_their_lines(verify: Verify) -> None:
    verified, _ = verify(VM.attest(BINDING))

    lines = list(tee_of(VM.tee).appraise(verified, Policy.for_simulation()))

    assert "Azure console" in {check.name for check in lines}


@pytest.mark.parametrize(
    ("vm", "changes", "message"),
    [
        pytest.param(
            AzureVm(platform=SimulatedPlatform(vmpl=2)),
            {},
            "privilege level: .* got VMPL 2",
            id="VMPL 2",
        ),
        pytest.param(VM, {"report_data": b"r" * 64}, "paravisor's claims", id="data"),
        pytest.param(
            VM,
            {"claims": runtime_claims(OTHER_KEY.public_key())},
            "paravisor's claims",
            id="other claims",
        ),
        pytest.param(
            AzureVm(claims=runtime_claims(OTHER_KEY.public_key())),
            {},
            "^vTPM: quote signature",
            id="another key",
        ),
        pytest.param(
            AzureVm(platform=SimulatedPlatform(leaf_tcb=bytes(8))),
            {},
            "reported TCB",
            id="hardware",
        ),
    ],
)
def test_evidence_that_does_not_hold_is_refused(
    verify: Verify, vm: AzureVm, changes: dict[str, bytes], message: str
) -> None:
    with pytest.raises(VerificationError, match=message):
        verify(vm.attest(BINDING, **changes))


def test_evidence_of_a_td_is_not_of_snp(verify: Verify) -> None:
    with pytest.raises(EvidenceError, match="expected one of az-snp"):
        verify(VM.attest(BINDING, report_type=TDX))


def believed(
    evidence: Evidence, _procedure: Procedure, _now: datetime, _anchors: roots.Anchors
) -> VerifiedClaims:
    """A TD's claims, as if its quote had been through its own procedure."""
    claims = Claims(
        tee="tdx",
        measurement=b"m" * 48,
        report_data=evidence.evidence,
        debug=False,
        details=TDX_DETAILS,
    )
    return VerifiedClaims(claims=claims, root=roots.INTEL_SGX, token=TOKEN)


TDX_DETAILS = TpmClaims(  # of any kind but SEV-SNP's
    pcrs={},
    firmware_version=0,
    clock=Clock(milliseconds=0, reset_count=0, restart_count=0, safe=True),
    ak_source=AkSource.CERTIFICATE,
    boot=Boot(),
)
ON_TDX = Azure(AZURE_TDX, TDX_QUOTE_TYPE, believed, lambda _verified, _policy: iter(()))


def td(td_quote: bytes, **changes: object) -> Evidence:
    fields = HclFields(payload=b"", claims=VM.claims, report_type=TDX)
    report = replace(fields, **changes).encode()  # type: ignore[arg-type]  # one of many
    sent = VM.tpm.evidence(BINDING.digest)
    return Evidence(
        media_type=AZURE_TDX_TYPE,
        evidence=replace(sent, hcl_report=report, td_quote=td_quote).encode(),
    )


BOUND = hashlib.sha256(VM.claims).digest().ljust(64, b"\x00")


def test_a_td_is_verified_above_its_quote() -> None:
    verified = ON_TDX.verify(td(BOUND), Procedure(), NOW, ANCHORS)

    assert verified.claims.tee == "az-tdx"
    assert verified.root is roots.INTEL_SGX
    assert verified.claims.of(AzureClaims).hardware.tee == "tdx"


@pytest.mark.parametrize(
    ("evidence", "error"),
    [
        pytest.param(td(bytes(64)), VerificationError, id="another quote"),
        pytest.param(td(BOUND, report_type=2), EvidenceError, id="SEV-SNP inside"),
    ],
)
def test_another_td_is_refused(evidence: Evidence, error: type[Exception]) -> None:
    with pytest.raises(error):
        ON_TDX.verify(evidence, Procedure(), NOW, ANCHORS)
