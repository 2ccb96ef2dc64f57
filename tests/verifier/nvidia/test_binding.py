"""How GPUs hang on the CPU's evidence: one statement binds both, from end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from blindai.attester.nvidia import NvidiaAttester
from blindai.errors import AppraisalError, EvidenceError, VerificationError
from blindai.protocol import keyset
from blindai.protocol.attestation import (
    Attestation,
    encode_attestation,
    parse_attestation,
)
from blindai.protocol.keyset import Purpose, Statement
from blindai.testing import NOW, SimulatedEvidence, simulated_keyset
from blindai.testing.devices.nvml import MadeUpNvml
from blindai.testing.vendors.nvidia import FIELDS, Gpu, Nvidia
from blindai.transcript import Status
from blindai.verifier import (
    AttestationResult,
    GpuPolicy,
    InsecureRoot,
    Policy,
    SnpPolicy,
    VerifiedClaims,
    roots,
    snp,
    verify,
)
from blindai.verifier.appraisal import Bound, Challenge, appraise
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import TOKEN

NONCE = bytes(range(32))


@pytest.fixture(scope="session")
def accept(vendor: Nvidia) -> Callable[..., AttestationResult]:
    """Verify a simulated enclave with made-up GPUs."""
    root = InsecureRoot(vendor="NVIDIA", sha256=vendor.root_digest)

    def run(
        gpu: bytes, table: GpuPolicy | None = None, *, named: bytes | None = None
    ) -> AttestationResult:
        policy = Policy(
            insecure_accept_simulation=True, insecure_roots=(root,), nvidia_gpu=table
        )
        sent = collection(gpu, named=named)
        return verify(sent, nonce=NONCE, policy=policy, now=NOW)

    return run


Accept = Callable[..., AttestationResult]
CPU = SimulatedEvidence()
STATEMENT = CPU.statement(NONCE)
GPU_NONCE = keyset.gpu_nonce(STATEMENT)


def collection(gpu: bytes, *, named: bytes | None = None) -> bytes:
    """An enclave's answer with evidence of GPUs; `named` is what its own GPUs gave it.

    Without `named` they gave it what came along.
    """
    asked = gpu if named is None else named
    statement = replace(STATEMENT, gpu_digest=keyset.gpu_digest(asked))
    return encode_attestation(
        Attestation(
            keyset=simulated_keyset().encode(),
            statement=statement.encode(),
            evidence=CPU.attester.attest(keyset.bind(statement)),
            gpu=gpu,
        )
    )


def attested(*gpus: Gpu, nonce: bytes = GPU_NONCE) -> bytes:
    return NvidiaAttester(lambda: MadeUpNvml(gpus)).attest(nonce)


def test_gpus_that_the_statement_binds_are_accepted(
    vendor: Nvidia, accept: Accept
) -> None:
    gpus = (vendor.gpu(), vendor.gpu())

    result = accept(attested(*gpus), GpuPolicy(minimum_gpus=2))

    assert [gpu.driver_version for gpu in result.gpus] == ["550.90.07"] * 2


def test_gpus_of_another_statement_are_refused(vendor: Nvidia, accept: Accept) -> None:
    other = Statement(Purpose.ATTESTATION, bytes(32), NONCE)
    for nonce in (keyset.gpu_nonce(other), NONCE, keyset.bind(STATEMENT).digest):
        with pytest.raises(
            VerificationError, match=r"^GPU 0: nonce: expected the stat"
        ):
            accept(attested(vendor.gpu(), nonce=nonce), GpuPolicy())


def test_gpus_that_the_enclave_did_not_ask_are_refused(
    vendor: Nvidia, accept: Accept
) -> None:
    own, elsewhere = attested(vendor.gpu()), attested(vendor.gpu())
    accept(elsewhere, GpuPolicy())  # genuine, and for the very same nonce

    for named in (own, elsewhere + b" ", b""):
        for table in (GpuPolicy(), None):
            with pytest.raises(
                VerificationError, match=r"^GPU evidence digest: expected"
            ) as caught:
                accept(elsewhere, table, named=named)

            digest = keyset.gpu_digest(elsewhere)
            assert digest is not None
            assert f"got {digest.hex()}" in str(caught.value)


@pytest.mark.parametrize("table", [GpuPolicy(), None], ids=["asked for", "not"])
def test_gpus_that_were_taken_away_are_refused(
    vendor: Nvidia, accept: Accept, table: GpuPolicy | None
) -> None:
    own = attested(vendor.gpu())
    digest = keyset.gpu_digest(own)
    assert digest is not None

    with pytest.raises(
        VerificationError,
        match=rf"^GPU evidence digest: expected the statement's, {digest.hex()},"
        " got no GPU evidence",
    ):
        accept(b"", table, named=own)


def test_a_statement_that_was_changed_to_name_other_gpus_is_refused(
    vendor: Nvidia,
) -> None:
    own, elsewhere = attested(vendor.gpu()), attested(vendor.gpu())
    honest = parse_attestation(collection(own))
    renamed = replace(STATEMENT, gpu_digest=keyset.gpu_digest(elsewhere))
    for statement, gpu in ((renamed, elsewhere), (STATEMENT, b"")):
        forged = replace(honest, statement=statement.encode(), gpu=gpu)

        with pytest.raises(VerificationError, match=r"^report data: expected SHA"):
            verify(
                encode_attestation(forged),
                nonce=NONCE,
                policy=Policy(insecure_accept_simulation=True),
                now=NOW,
            )


def test_gpus_that_are_asked_for_and_missing_are_refused(accept: Accept) -> None:
    with pytest.raises(AppraisalError, match=r"^GPUs: expected at least 1, got 0\n"):
        accept(b"", GpuPolicy())


def test_gpus_that_nobody_asked_for_are_not_evaluated(
    vendor: Nvidia, accept: Accept
) -> None:
    for evidence in (attested(vendor.gpu()), b"junk"):
        result = accept(evidence)

        (line,) = (c for c in result.transcript.checks if c.name == "GPUs")
        assert line.status is Status.NOT_EVALUATED
        assert line.expected == "the policy has no table [nvidia-gpu]"
        assert result.gpus == ()


def test_without_gpus_there_is_no_line(accept: Accept) -> None:
    assert not [c for c in accept(b"").transcript.checks if "GPU" in c.name]


def test_a_gpu_that_is_not_accepted_refuses_the_enclave(
    vendor: Nvidia, accept: Accept
) -> None:
    old = vendor.gpu()
    old = replace(old, report=replace(old.report, fields={**FIELDS, 3: b"535.1\0"}))

    with pytest.raises(AppraisalError, match=r"^GPU 0: least driver version: expected"):
        accept(attested(old), GpuPolicy(minimum_driver_version="550.0"))


def test_malformed_gpu_evidence_refuses_the_enclave(accept: Accept) -> None:
    with pytest.raises(EvidenceError, match="GPU evidence: expected JSON"):
        accept(b"junk", GpuPolicy())


@pytest.mark.parametrize("simulated", [True, False])
def test_made_up_gpus_beside_genuine_hardware_make_a_simulation(
    vendor: Nvidia, accept: Accept, *, simulated: bool
) -> None:
    cpu = accept(b"")
    pinned = SnpPolicy(measurements=(cpu.claims.measurement,))
    (gpu,) = accept(attested(vendor.gpu()), GpuPolicy()).gpus
    genuine = replace(gpu, root=roots.NVIDIA_DEVICE)
    gpus = (genuine, gpu if simulated else genuine)

    result = appraise(
        VerifiedClaims(claims=cpu.claims, root=roots.GENOA, token=TOKEN),
        Bound(cpu.keyset, cpu.statement, gpus),
        Challenge(
            nonce=NONCE,
            purpose=Purpose.ATTESTATION,
            now=NOW,
            policy=Policy(sev_snp=pinned, nvidia_gpu=GpuPolicy()),
        ),
        Procedure().transcript,
        snp.appraise,
    )

    assert result.simulated is simulated
    assert result.gpus == gpus
