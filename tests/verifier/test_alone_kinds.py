"""Evidence of each kind alone, by made-up vendors, under the baseline and a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from blindai.errors import AppraisalError, VerificationError
from blindai.protocol.attestation import (
    NITRO_DOCUMENT_TYPE,
    NVIDIA_GPU_TYPE,
    Evidence,
)
from blindai.protocol.keyset import Binding
from blindai.testing import NOW
from blindai.testing.vendors.amd import MadeUpAmd
from blindai.testing.vendors.aws import Aws
from blindai.testing.vendors.azure import AzureVm
from blindai.testing.vendors.intel import ISSUED, Intel
from blindai.testing.vendors.intel_parts import Enclave, TrustDomain
from blindai.testing.vendors.nvidia import Nvidia, array
from blindai.testing.vendors.tpm import GoogleVm
from blindai.transcript import Check, Status
from blindai.verifier import (
    Baseline,
    EvidenceResult,
    GpuPolicy,
    InsecureRoot,
    NitroPolicy,
    Policy,
    roots,
    verify_evidence,
)
from blindai.verifier.roots import SIMULATED, Anchors

NONCE = bytes(range(32))
OTHER = b"x" * 32
AWS, INTEL, NVIDIA, GOOGLE = Aws(), Intel(), Nvidia(), GoogleVm()
ROOTS = tuple(
    InsecureRoot(vendor=vendor, sha256=digest, product=product)
    for vendor, digest, product in (
        ("AMD", SIMULATED.digest, "Genoa"),
        ("AWS", AWS.root_digest, ""),
        ("Intel", INTEL.root_digest, ""),
        ("Google", GOOGLE.root_digest, ""),
        ("NVIDIA", NVIDIA.root_digest, ""),
    )
)
BOUND = Binding(NONCE, NONCE)


@dataclass(frozen=True)
class MadeUp(Baseline):
    """The baseline, but that the made-up roots count."""

    @property
    def policy(self) -> Policy:
        return replace(super().policy, insecure_roots=ROOTS, unpinned=True)


def test_what_genuine_evidence_does_not_pin_stands_in_a_baselines_way_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    amd = MadeUpAmd("Genoa")
    genuine = Anchors((replace(amd.root, simulated=False),))
    monkeypatch.setattr(roots, "PINNED", genuine)  # there is no genuine one to sign

    result = verify_evidence(amd.evidence(), policy=Baseline(), nonce=None, now=NOW)

    (line,) = (c for c in result.transcript.checks if c.name == "measurement")
    assert not result.verified.root.simulated
    assert line.status is Status.NOT_EVALUATED
    assert not line.required


@dataclass(frozen=True)
class Kind:
    tee: str
    evidence: Evidence
    now: datetime = NOW


def nitro(**fields: object) -> Evidence:
    document = AWS.document(fields, now=NOW)
    return Evidence(media_type=NITRO_DOCUMENT_TYPE, evidence=document)


def gpus(*nonces: bytes) -> Evidence:
    asked = (NVIDIA.gpu().evidence(nonce) for nonce in nonces)
    return Evidence(media_type=NVIDIA_GPU_TYPE, evidence=array(*asked))


KINDS = [
    Kind("sgx", INTEL.evidence(Enclave(), NONCE + bytes(32)), ISSUED),
    Kind("tdx", INTEL.evidence(TrustDomain(), NONCE + bytes(32)), ISSUED),
    Kind("nitro", nitro(nonce=NONCE)),
    Kind("nitro", nitro(user_data=NONCE)),
    Kind("tpm", GOOGLE.attest(BOUND)),
    Kind("az-snp", AzureVm().attest(BOUND)),
    Kind("nvidia-gpu", gpus(NONCE)),
    Kind("nvidia-gpu", gpus(NONCE, NONCE)),
]


def accept(
    kind: Kind, held: Policy | Baseline, nonce: bytes | None = None
) -> EvidenceResult:
    return verify_evidence(kind.evidence, policy=held, nonce=nonce, now=kind.now)


def line(result: EvidenceResult, name: str) -> Check:
    (found,) = (each for each in result.transcript.checks if each.name == name)
    return found


each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.tee))


@each_kind
def test_the_baseline_accepts_it(kind: Kind) -> None:
    result = accept(kind, MadeUp(), NONCE)

    assert result.verified.claims.tee == kind.tee
    assert result.verified.root.simulated
    assert line(result, "nonce").status is Status.PASSED
    assert result.transcript.expiries


@each_kind
def test_another_nonce_is_refused(kind: Kind) -> None:
    with pytest.raises(AppraisalError, match="nonce: expected") as caught:
        accept(kind, MadeUp(), OTHER)

    assert [each.name for each in caught.value.findings] == ["nonce"]


@each_kind
def test_without_a_nonce_it_is_shown(kind: Kind) -> None:
    nonce = line(accept(kind, MadeUp()), "nonce")

    assert nonce.status is Status.NOT_EVALUATED
    assert nonce.expected == "none was given to compare"
    assert NONCE.hex() in nonce.actual


@each_kind
def test_the_vendors_own_roots_do_not_stand_behind_it(kind: Kind) -> None:
    with pytest.raises(VerificationError, match="root certificate: "):
        accept(kind, Baseline())


@each_kind
def test_long_after_it_is_not_authentic(kind: Kind) -> None:
    with pytest.raises(VerificationError, match="validity: expected"):
        accept(replace(kind, now=kind.now + timedelta(days=40_000)), MadeUp())


def outdated(statement: dict[str, object]) -> dict[str, object]:
    levels = statement["tcbLevels"]
    assert isinstance(levels, list)
    changed = [{**each, "tcbStatus": "OutOfDate"} for each in levels]
    return {**statement, "tcbLevels": changed}


@pytest.mark.parametrize("body", [Enclave(), TrustDomain()], ids=["sgx", "tdx"])
def test_a_status_has_to_be_accepted_by_name(body: Enclave | TrustDomain) -> None:
    kind = Kind("", replace(INTEL, change_tcb_info=outdated).evidence(body), ISSUED)

    with pytest.raises(AppraisalError, match="TCB status: expected UpToDate"):
        accept(kind, MadeUp())
    accept(kind, MadeUp(("OutOfDate",)))


def test_an_old_document_is_dated_by_its_certificate() -> None:
    kind = Kind("nitro", nitro(), NOW + timedelta(hours=2))

    accept(kind, MadeUp())


def with_gpus(table: GpuPolicy | None) -> Policy:
    other = NitroPolicy(pcr0=(b"y" * 48,))
    return Policy(insecure_roots=ROOTS, nitro=other, nvidia_gpu=table)


def test_gpus_are_held_against_their_table() -> None:
    result = accept(Kind("", gpus(NONCE)), with_gpus(GpuPolicy()), NONCE)

    assert result.pinned
    assert result.verified.claims.nonce == NONCE
    assert not result.verified.claims.debug
    assert line(result, "kind of TEE").actual == "one with it"
    with pytest.raises(AppraisalError, match="GPUs: expected at least 2, got 1"):
        accept(Kind("", gpus(NONCE)), with_gpus(GpuPolicy(minimum_gpus=2)))


def test_a_policy_without_their_table_refuses_gpus() -> None:
    with pytest.raises(AppraisalError, match=r"kind of TEE: .*\[nvidia-gpu\]"):
        accept(Kind("", gpus(NONCE)), with_gpus(None))


def test_gpus_that_answered_different_nonces_are_refused() -> None:
    with pytest.raises(VerificationError, match="GPU 1: nonce"):
        accept(Kind("", gpus(NONCE, OTHER)), MadeUp())


@pytest.mark.parametrize("make", [gpus, nitro])
def test_a_policy_for_another_tee_refuses(make: Callable[..., Evidence]) -> None:
    evidence = make(NONCE) if make is gpus else make(nonce=NONCE)
    policy = replace(MadeUp().policy, nitro=None, nvidia_gpu=None, unpinned=True)

    with pytest.raises(AppraisalError, match="kind of TEE"):
        verify_evidence(evidence, policy=policy, nonce=None, now=NOW)
