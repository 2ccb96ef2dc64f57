"""What a client gets back: tensors, answers, and what is known of models.

An answer that was signed can be saved, loaded and validated, as the original client's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.client.inputs import as_tensors
from blindai.client.output import Tensor
from blindai.client.proof import Proof, read_file
from blindai.client.signed import SignedResponse, validate
from blindai.errors import EvidenceError, ProofError
from blindai.proofs import Expected
from blindai.protocol.proof import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from os import PathLike
    from typing import Self

    from blindai.proofs import ProofResult
    from blindai.protocol.datatypes import Datatype
    from blindai.verifier import Policy


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output as the model declares it.

    Attributes:
        name: The model's name for it.
        datatype: The type of its elements, by its V2 name.
        shape: Its dimensions; -1 where any size will do.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One version of a model that the enclave serves.

    Attributes:
        name: What requests call it.
        digest: SHA-256 of the ONNX file, 64 hexadecimal digits.
        size_bytes: Size of the ONNX file.
        inputs: What `predict` has to bring.
        outputs: What it gives.
        version: Its number among those of this name, from 1.
        saved: Whether it outlives the enclave's process.
        unavailable: Why it cannot be served; empty if it can.
    """

    name: str
    digest: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    version: int = 1
    saved: bool = False
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What the enclave says of its server, through the sealed door.

    Attributes:
        version: Of blindai.
        ready: Whether it takes requests.
    """

    version: str
    ready: bool


@dataclass(frozen=True, slots=True)
class UploadResponse(SignedResponse):
    """A model that was taken in.

    Attributes:
        model: What the enclave says of it; the digest was compared with what was sent.
            Where it was loaded from a file, what that does not say is empty.
        owner_token: Lets its holder replace and delete the model, where the enclave
            runs without API keys; None where it knows the owner by the key.
        proof: What the enclave signed about it, if it was asked to.
    """

    model: ModelInfo
    owner_token: str | None = field(default=None, repr=False)
    proof: Proof | None = field(default=None, repr=False)

    @classmethod
    def load_from_file(cls, path: str | PathLike[str]) -> Self:
        """Read what `save_to_file` wrote; nothing is believed before `validate`.

        Raises:
            ConfigurationError: If it cannot be read.
            EvidenceError: If it is another file.
        """
        return cls.load_from_bytes(read_file(path))

    @classmethod
    def load_from_bytes(cls, data: bytes) -> Self:
        """As `load_from_file`, from the file's bytes.

        Raises:
            EvidenceError: If they are another file's.
        """
        proof = Proof.load_from_bytes(data)
        _require_purpose(proof, Purpose.UPLOAD)
        model = proof.claims.model
        known = ModelInfo(
            name=model.name,
            digest=model.digest.hex(),
            size_bytes=0,
            inputs=(),
            outputs=(),
            version=model.version,
        )
        return cls(known, None, proof)

    def validate(
        self,
        model_digest: str,
        *,
        policy: Policy | str | PathLike[str] | None = None,
        simulation: bool = False,
        at: datetime | None = None,
        validate_quote: bool = True,
        enclave_signing_key: bytes | None = None,
    ) -> ProofResult:
        """Verify that an enclave took this very model in.

        Args:
            model_digest: SHA-256 of the ONNX file, 64 hexadecimal digits.
            policy: Which enclaves to accept; see `PredictResponse.validate`, as for
                all that follows.
            simulation: Accept a simulated enclave.
            at: For when.
            validate_quote: Whether to verify the enclave's evidence.
            enclave_signing_key: What to trust where it is not.

        Raises:
            ProofError: If it is not signed, not authentic, or of another model.
            AttestationError: If the policy does not accept the enclave.
        """
        return validate(
            self.proof,
            Expected(purpose=Purpose.UPLOAD, model_digest=_digest(model_digest)),
            policy=policy,
            simulation=simulation,
            at=at,
            validate_quote=validate_quote,
            enclave_signing_key=enclave_signing_key,
        )

    @property
    def model_name(self) -> str:
        """What requests call the model."""
        return self.model.name

    @property
    def model_id(self) -> str:
        """The name, by the word that earlier clients had for it."""
        return self.model.name

    @property
    def digest(self) -> str:
        """SHA-256 of the ONNX file, 64 hexadecimal digits."""
        return self.model.digest

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What `predict` has to bring."""
        return self.model.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What `predict` gives."""
        return self.model.outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictResponse(SignedResponse):
    """A model's answer.

    Attributes:
        output: Its outputs, in the model's order; where the answer was loaded from a
            file, in the file's, which nothing proves: take them by name (`outputs`).
        model_name: The model that ran.
        model_version: Its number.
        model_digest: SHA-256 of its ONNX file, 64 hexadecimal digits.
        inference_time: How long it ran, in seconds, as the enclave measured it; NaN
            where the answer was loaded from a file.
        proof: What the enclave signed about it, if it was asked to. It keeps inputs and
            outputs, not copies of them.
    """

    output: tuple[Tensor, ...]
    model_name: str
    model_version: int
    model_digest: str
    inference_time: float
    proof: Proof | None = field(default=None, repr=False)

    @classmethod
    def load_from_file(cls, path: str | PathLike[str]) -> Self:
        """Read what `save_to_file` wrote; nothing is believed before `validate`.

        Raises:
            ConfigurationError: If it cannot be read.
            EvidenceError: If it is another file, or a proof without outputs.
        """
        return cls.load_from_bytes(read_file(path))

    @classmethod
    def load_from_bytes(cls, data: bytes) -> Self:
        """As `load_from_file`, from the file's bytes.

        Raises:
            EvidenceError: If they are another file's.
        """
        proof = Proof.load_from_bytes(data)
        _require_purpose(proof, Purpose.PREDICT)
        described = proof.file.opening.outputs if proof.file.opening else ()
        outputs = tuple(each.tensor for each in described if each.tensor is not None)
        if not outputs:
            raise EvidenceError(
                "response: expected its outputs, got a proof alone; load it with"
                " blindai.Proof"
            )
        model = proof.claims.model
        return cls(
            output=tuple(map(Tensor, outputs)),
            model_name=model.name,
            model_version=model.version,
            model_digest=model.digest.hex(),
            inference_time=math.nan,
            proof=proof,
        )

    def validate(  # noqa: PLR0913  what the original client let users choose
        self,
        model_name: str,
        tensors: object,
        dtype: object = None,
        shape: object = None,
        *,
        model_digest: str | None = None,
        policy: Policy | str | PathLike[str] | None = None,
        simulation: bool = False,
        at: datetime | None = None,
        validate_quote: bool = True,
        enclave_signing_key: bytes | None = None,
    ) -> ProofResult:
        """Verify that an enclave gave this answer for these inputs.

        Args:
            model_name: What the model was called.
            tensors: The inputs, as `predict` took them.
            dtype: Type of lists, as for `predict`.
            shape: Shape of flat lists, as for `predict`.
            model_digest: SHA-256 that the model must have had, 64 hexadecimal digits.
            policy: Which enclaves to accept: a policy or a policy file; BLINDAI_POLICY
                if not given.
            simulation: Accept a simulated enclave, which proves nothing.
            at: For when, with a time zone; as of the proof's own date if not given.
            validate_quote: Whether to verify the enclave's evidence. If not, its key
                has to be known.
            enclave_signing_key: The enclave's proof key, 32 bytes, to trust instead.

        Raises:
            TensorError: If the inputs are not of the types and names that were sent.
            ProofError: If it is not signed, not authentic, or of something else.
            AttestationError: If the policy does not accept the enclave.
            ConfigurationError: If there is no policy.
        """
        if self.proof is None or self.proof.file.opening is None:
            raise ProofError("response: expected it signed, got no proof")
        sent = self.proof.file.opening.inputs
        specs = [TensorSpec(each.name, each.datatype, each.shape) for each in sent]
        expected = Expected(
            purpose=Purpose.PREDICT,
            model_name=model_name,
            model_digest=None if model_digest is None else _digest(model_digest),
            inputs=as_tensors(tensors, specs, dtype, shape),
            outputs=[each.wire for each in self.output],
        )
        return validate(
            self.proof,
            expected,
            policy=policy,
            simulation=simulation,
            at=at,
            validate_quote=validate_quote,
            enclave_signing_key=enclave_signing_key,
        )

    @property
    def outputs(self) -> Mapping[str, Tensor]:
        """The outputs by name."""
        return {tensor.name: tensor for tensor in self.output}


def _require_purpose(proof: Proof, purpose: Purpose) -> None:
    found = proof.claims.purpose
    if found is not purpose:
        raise EvidenceError(f"response: expected {purpose.value}, got {found.value}")


def _digest(text: str) -> bytes:
    """A digest from hexadecimal digits.

    Raises:
        ProofError: If it is none, which no model has.
    """
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ProofError("model_digest: expected 64 hexadecimal digits") from None
