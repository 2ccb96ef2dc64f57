"""Proofs made by hand: an enclave whose proof key is known, so anything is signed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blindai.attester.simulated import SimulatedPlatform
from blindai.protocol import cose, keyset
from blindai.protocol.attestation import Attestation, parse_attestation
from blindai.protocol.commitments import Commitment, Side, commit
from blindai.protocol.keyset import Keyset, Purpose
from blindai.protocol.proof import ALONE, KIND, Claims, Model, Run, Runtime
from blindai.protocol.proof_file import Described, Opening, ProofFile
from blindai.protocol.tensor import Tensor
from blindai.testing import SimulatedEvidence, simulated_keyset

SALT = bytes(range(32))
NONCE = bytes(range(32, 64))
DATE = datetime(2026, 6, 1, 12, tzinfo=UTC)
INPUTS = (Tensor.of("x", np.array([[1, 2]], "<f4")),)
OUTPUTS = (
    Tensor.of("label", np.array([7], "<i8")),
    Tensor.of("scores", np.array([[0.25, 0.75]], "<f4")),
)
RUNTIME = Runtime(
    engine="onnxruntime",
    version="1.22.0",
    optimisation="all",
    provider="CPUExecutionProvider",
    architecture="x86_64",
    cpu=("avx", "avx2"),
    threads=1,
)


def key(seed: int = 1) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


@dataclass(frozen=True)
class Made:
    """One enclave and what it attests; an attack changes one of its fields."""

    signing_key: Ed25519PrivateKey = field(default_factory=key)
    platform: SimulatedPlatform = field(default_factory=SimulatedPlatform)
    purpose: Purpose = Purpose.ATTESTATION
    nonce: bytes | None = NONCE
    instance: bytes = bytes(16)

    @cached_property
    def keyset(self) -> Keyset:
        public = self.signing_key.public_key().public_bytes_raw()
        return replace(simulated_keyset(), proof_key=public, instance=self.instance)

    @cached_property
    def attestation(self) -> Attestation:
        enclave = SimulatedEvidence(self.platform, self.keyset, self.purpose)
        return parse_attestation(enclave.attestation(self.nonce))

    def claims(self, **changes: Any) -> Claims:  # noqa: ANN401  Claims' own fields
        """Claims of the run below, with these changes."""
        claims = Claims(
            keyset_digest=keyset.digest(self.keyset.encode()),
            config_digest=self.keyset.config_digest,
            model=Model(digest=b"\x05" * 32, name="net", version=1),
            issued_at=DATE,
            request_id=bytes(8),
            sequence=0,
            previous=None,
            run=run(),
        )
        return replace(claims, **changes)

    def sign(self, claims: Claims) -> bytes:
        return cose.sign(KIND, claims.encode(), self.signing_key.sign)

    def file(self, claims: Claims | None = None, **changes: Any) -> ProofFile:  # noqa: ANN401  ProofFile's own fields
        """The file of a proof, with these changes."""
        file = ProofFile(
            proof=self.sign(claims or self.claims()),
            attestation=self.attestation,
            nonce=self.nonce,
        )
        return replace(file, **changes)


def run(**changes: Any) -> Run:  # noqa: ANN401  Run's own fields
    """A run of these inputs and outputs, with these changes."""
    made = Run(
        runtime=RUNTIME,
        batch=ALONE,
        inputs=committed(Side.INPUT, *INPUTS),
        outputs=committed(Side.OUTPUT, *OUTPUTS),
    )
    return replace(made, **changes)


def committed(side: Side, *tensors: Tensor) -> Commitment:
    return commit(SALT, side, tensors)


def opening(
    inputs: tuple[Tensor, ...] = INPUTS,
    outputs: tuple[Tensor, ...] = OUTPUTS,
    *,
    whole: bool = True,
) -> Opening:
    return Opening(
        SALT,
        tuple(Described.of(each, whole=whole) for each in inputs),
        tuple(Described.of(each, whole=whole) for each in outputs),
    )
