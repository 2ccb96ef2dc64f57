"""Believing an Azure confidential VM: hardware, then paravisor, then vTPM.

Microsoft, "Azure confidential VM guest attestation design detail". The processor
measures Microsoft's paravisor (the HCL), which runs above the guest and holds a vTPM.
The report_data is the hash of what the paravisor says, with the vTPM's attestation key
in it. A guest cannot set report_data: what it binds, it binds in the quote's extraData.

    tee = Azure(AZURE_SNP, SEV_SNP_REPORT_TYPE, snp.verify, snp.appraise)
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.protocol.attestation import Evidence
from blindai.protocol.tpm import parse_azure_snp_evidence, parse_azure_tdx_evidence
from blindai.verifier.claims import Claims
from blindai.verifier.procedure import judge
from blindai.verifier.result import TOKEN, VerifiedClaims
from blindai.verifier.snp.claims import SnpClaims
from blindai.verifier.tpm.appraisal import appraise_tpm
from blindai.verifier.tpm.claims import AkSource, AzureClaims, TpmClaims
from blindai.verifier.tpm.hcl import ReportType, parse_hcl_report, parse_runtime_claims
from blindai.verifier.tpm.policy import TpmPolicy
from blindai.verifier.tpm.verification import parse_sent, verify_quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from blindai.protocol.tpm import TpmEvidence
    from blindai.transcript import Check
    from blindai.verifier.policy import Policy
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors
    from blindai.verifier.tpm.boot import Boot
    from blindai.verifier.tpm.hcl import HclReport, RuntimeClaims

DESIGN: Final = "Microsoft, confidential VM guest attestation design detail"
VMPL: Final = "AMD 56860 7.3, ATTESTATION_REPORT, VMPL"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of Azure confidential VM.

    Attributes:
        tee: What claims call it.
        report_type: Which hardware report the paravisor's report has inside.
        parse: Takes its evidence apart.
    """

    tee: str
    report_type: ReportType
    parse: Callable[[bytes], TpmEvidence]


AZURE_SNP: Final = Kind("az-snp", ReportType.SEV_SNP, parse_azure_snp_evidence)
AZURE_TDX: Final = Kind("az-tdx", ReportType.TDX, parse_azure_tdx_evidence)


@dataclass(frozen=True, slots=True)
class Azure:
    """How Azure confidential VMs on one kind of hardware are believed.

    Attributes:
        kind: Which.
        hardware_type: Media type of the hardware's own evidence.
        verify_hardware: Makes the hardware's claims verified, or raises.
        appraise_hardware: Writes the hardware's lines.
    """

    kind: Kind
    hardware_type: str
    verify_hardware: Callable[[Evidence, Procedure, datetime, Anchors], VerifiedClaims]
    appraise_hardware: Callable[[VerifiedClaims, Policy], Iterator[Check]]

    def verify(
        self, evidence: Evidence, procedure: Procedure, now: datetime, anchors: Anchors
    ) -> VerifiedClaims:
        """Verify an Azure confidential VM.

        1. The paravisor's report, the quote and what comes with it are well formed.
        2. The hardware's report or quote is authentic (the hardware's own procedure).
        3. It was made for the paravisor: on SEV-SNP, for VMPL 0.
        4. It binds what the paravisor says, which is then read.
        5. The vTPM's attestation key, which is in it, signed the quote; registers and
           event log as for any TPM (`verification.verify_quote`).

        Args:
            evidence: What was sent.
            procedure: Where the transcript is written.
            now: For when to verify, with a time zone.
            anchors: The roots that count.

        Raises:
            EvidenceError: If something is malformed.
            VerificationError: If a step does not hold.
        """
        parts = self.kind.parse(evidence.evidence)
        report = parse_hcl_report(parts.hcl_report)
        if report.type is not self.kind.report_type:
            raise EvidenceError(f"HCL report: expected one of {self.kind.tee}")
        sent = parse_sent(parts, evidence.event_log)
        own = Evidence(
            media_type=self.hardware_type,
            evidence=parts.td_quote or report.payload,
            endorsements=evidence.endorsements,
        )
        hardware = self.verify_hardware(own, procedure, now, anchors)
        _verify_paravisor(procedure, hardware.claims)
        _verify_binding(procedure, hardware.claims, report)
        runtime = parse_runtime_claims(report.claims)
        with procedure.about("vTPM"):
            boot = verify_quote(procedure, sent, runtime.ak)
        details = AzureClaims(
            hardware=hardware.claims,
            configuration=runtime.configuration,
            tpm=TpmClaims(
                pcrs=sent.pcrs,
                firmware_version=sent.quote.firmware_version,
                clock=sent.quote.clock,
                ak_source=AkSource.HARDWARE,
                boot=_joined(boot, runtime),
            ),
        )
        claims = Claims(
            tee=self.kind.tee,
            measurement=sent.quote.pcr_digest,
            report_data=sent.quote.extra_data,
            debug=hardware.claims.debug,
            details=details,
        )
        return VerifiedClaims(claims=claims, root=hardware.root, token=TOKEN)

    def appraise(self, verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
        """The hardware's lines, and those of the vTPM."""
        details = verified.claims.of(AzureClaims)
        hardware = VerifiedClaims(
            claims=details.hardware, root=verified.root, token=TOKEN
        )
        yield from self.appraise_hardware(hardware, policy)
        yield from appraise_tpm(verified, details.tpm, policy)
        accepted = policy.tpm or TpmPolicy()
        on = details.configuration.console_enabled
        yield judge(
            "Azure console",
            holds=accepted.allow_console or not on,
            expected="on or off" if accepted.allow_console else "off",
            actual="on" if on else "off",
            source=DESIGN,
        )


def _verify_paravisor(procedure: Procedure, hardware: Claims) -> None:
    """Step 3. At any other level, a guest could name an attestation key of its own.

    Raises:
        VerificationError: If the step does not hold.
    """
    if isinstance(hardware.details, SnpClaims):
        procedure.require(
            "paravisor's privilege level",
            holds=hardware.details.vmpl == 0,
            expected="VMPL 0",
            actual=f"VMPL {hardware.details.vmpl}",
            source=VMPL,
        )


def _verify_binding(procedure: Procedure, hardware: Claims, report: HclReport) -> None:
    """Step 4.

    Raises:
        VerificationError: If the step does not hold.
    """
    procedure.require(
        "paravisor's claims",
        holds=hmac.compare_digest(hardware.report_data, report.report_data),
        expected=f"what the hardware signed, {hardware.report_data.hex()}",
        actual=report.report_data.hex(),
        source=DESIGN,
    )


def _joined(boot: Boot, runtime: RuntimeClaims) -> Boot:
    """Secure boot is on if the paravisor says so and the event log does not deny it."""
    on = runtime.configuration.secure_boot and boot.secure_boot is not False
    return replace(boot, secure_boot=on)
