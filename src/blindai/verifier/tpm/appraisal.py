"""Whether a TPM's quote is one that the policy accepts: one line a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.verifier.procedure import NOT_PINNED, judge, pinned, unevaluated
from blindai.verifier.tpm.ak import INSTANCE
from blindai.verifier.tpm.claims import AkSource, TpmClaims
from blindai.verifier.tpm.policy import TpmPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from blindai.transcript import Check
    from blindai.verifier.policy import Policy
    from blindai.verifier.result import VerifiedClaims

AK: Final = "TPM 2.0 Library part 1, 9.5.3.3, attestation keys"
PCR: Final = "TCG PC Client Platform Firmware Profile 3.3.4, PCR usage"
FIRMWARE: Final = "TPM 2.0 Library part 2, 10.12.12, TPMS_ATTEST"
CLOCK: Final = "TPM 2.0 Library part 2, 10.11.1, TPMS_CLOCK_INFO"
_UNIDENTIFIED: Final = "the policy pins no register that says what was booted"
LOG: Final = "TCG PC Client Platform Firmware Profile 10, event logging"


def appraise(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
    """All lines about a TPM whose attestation key has a certificate."""
    claims = verified.claims.of(TpmClaims)
    yield from appraise_tpm(verified, claims, policy)
    yield from _google(claims, policy.tpm or TpmPolicy())


def appraise_tpm(
    verified: VerifiedClaims, claims: TpmClaims, policy: Policy
) -> Iterator[Check]:
    """All lines about any TPM.

    Args:
        verified: What the machine's evidence says; its measurement is the PCR digest.
        claims: What the quote says.
        policy: What is accepted.
    """
    accepted = policy.tpm or TpmPolicy()
    yield _ak_source(claims, accepted, policy)
    yield from _registers(verified, claims, accepted)
    yield _firmware(claims, accepted)
    yield _clock(claims, accepted)
    yield _event_log(claims, accepted)
    yield _secure_boot(claims, accepted)


def _ak_source(claims: TpmClaims, accepted: TpmPolicy, policy: Policy) -> Check:
    """A policy for hardware and vTPM does not take a vTPM without the hardware."""
    stacked = policy.accepts("az-snp") or policy.accepts("az-tdx")
    usual = AkSource.HARDWARE if stacked else AkSource.CERTIFICATE
    sources = accepted.ak_sources or (usual,)
    return judge(
        "attestation key",
        holds=claims.ak_source in sources,
        expected="vouched for by the " + " or ".join(sources),
        actual=claims.ak_source,
        source=AK,
    )


def _registers(
    verified: VerifiedClaims, claims: TpmClaims, accepted: TpmPolicy
) -> Iterator[Check]:
    """Each register that is pinned.

    A genuine TPM quotes any machine, so where none of them says what was booted, that
    is required and not evaluated: it refuses.
    """
    if not accepted.pins_identity:
        yield unevaluated(
            "PCRs",
            reason=_UNIDENTIFIED if accepted.pcrs else NOT_PINNED,
            actual=f"digest {verified.claims.measurement.hex()}",
            source=PCR,
            required=not verified.root.simulated,
        )
    for pin in accepted.pcrs:
        value = claims.pcrs.get(pin.bank, {}).get(pin.index)
        yield pinned(
            f"PCR {pin.index} ({pin.bank})",
            tuple(each.hex() for each in pin.digests),
            "not quoted" if value is None else value.hex(),
            source=PCR,
        )


def _firmware(claims: TpmClaims, accepted: TpmPolicy) -> Check:
    return judge(
        "TPM firmware",
        holds=claims.firmware_version >= accepted.minimum_firmware,
        expected=f"at least {accepted.minimum_firmware:#x}",
        actual=f"{claims.firmware_version:#x}",
        source=FIRMWARE,
    )


def _clock(claims: TpmClaims, accepted: TpmPolicy) -> Check:
    return judge(
        "TPM clock",
        holds=claims.clock.safe or not accepted.require_safe_clock,
        expected="safe" if accepted.require_safe_clock else "safe or not",
        actual="safe" if claims.clock.safe else "perhaps set back",
        source=CLOCK,
    )


def _event_log(claims: TpmClaims, accepted: TpmPolicy) -> Check:
    replayed = claims.boot.replayed
    actual = f"replays to {_listed(replayed)}"
    if not accepted.event_log_pcrs:
        return unevaluated("event log", reason=NOT_PINNED, actual=actual, source=LOG)
    return judge(
        "event log",
        holds=replayed >= set(accepted.event_log_pcrs),
        expected=f"replays to {_listed(accepted.event_log_pcrs)}",
        actual=actual,
        source=LOG,
    )


def _listed(indices: Iterable[int]) -> str:
    """Registers in words, runs of them as such: PCR 0-7, 11."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    names = [f"{run[0]}-{run[-1]}" if run[1:] else str(run[0]) for run in runs]
    return "PCR " + (", ".join(names) or "none")


def _secure_boot(claims: TpmClaims, accepted: TpmPolicy) -> Check:
    words = {True: "on", False: "off", None: "not known"}
    required = accepted.require_secure_boot
    return judge(
        "secure boot",
        holds=claims.boot.secure_boot is True or not required,
        expected="on" if required else "on or off",
        actual=words[claims.boot.secure_boot],
        source=PCR,
    )


def _google(claims: TpmClaims, accepted: TpmPolicy) -> Iterator[Check]:
    instance = claims.instance
    found = {
        "Google project": (accepted.google_projects, instance and instance.project_id),
        "Google zone": (accepted.google_zones, instance and instance.zone),
        "memory encryption": (
            accepted.google_technologies,
            claims.boot.google_technology,
        ),
    }
    for name, (pins, actual) in found.items():
        yield pinned(name, pins, actual or "not known", source=INSTANCE)
