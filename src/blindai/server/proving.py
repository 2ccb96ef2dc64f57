"""Signs what the enclave did: who asks gets a proof with the answer, inside the seal.

    request    blindai-prove: :32 bytes:       the client's salt, or an upload's nonce
    answer     blindai-proof: :COSE_Sign1:
               blindai-proof-salt: :32 bytes:  where the client sent none

Each proof names the one before it, so that none can be left out or put elsewhere later.
All of it happens on one event loop: a number is taken and its proof made in one go.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from blindai.errors import InvalidRequestError, ProtocolError
from blindai.protocol import byte_field, cose
from blindai.protocol import proof as proofs
from blindai.protocol.commitments import SALT_BYTES, Commitment, Side, commit
from blindai.protocol.datatypes import Datatype
from blindai.protocol.names import PROOF_HEADER, PROOF_SALT_HEADER, PROVE_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from starlette.requests import Request

    from blindai.inference.model import ModelInfo
    from blindai.inference.service import InferResult
    from blindai.protocol.tensor import Tensor

# Hashing this much keeps the loop for about 0.2 ms: a thread is not faster.
_INLINE_BYTES: Final = 256 << 10
_STRING_BYTES: Final = 128
"""How much could be hashed in the time that one element of `BYTES` takes besides."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs by one keyset's proof key.

    Attributes:
        keyset_digest: Names the keyset, 32 bytes.
        config_digest: Of the measured configuration, 32 bytes.
    """

    keyset_digest: bytes
    config_digest: bytes
    _key: Ed25519PrivateKey = field(repr=False)

    def sign(self, claims: proofs.Claims) -> bytes:
        """The proof of these claims."""
        return cose.sign(proofs.KIND, claims.encode(), self._key.sign)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A proof that is wanted with an answer.

    Attributes:
        salt: 32 bytes that nobody but the client and the enclave knows.
        drawn: Whether the enclave drew it, so that the client has to be told.
        signer: Of the keyset that the request is sealed to.
        request_id: The enclave's name for the request, 16 hexadecimal digits.
    """

    salt: bytes = field(repr=False)
    drawn: bool
    signer: Signer
    request_id: str


class Prover:
    """The proofs of one start of the enclave, in their order.

    Args:
        runtime: What computes here.
        clock: The host's clock, aware, in UTC.
        always: Whether all that can be is signed, asked or not.
    """

    def __init__(
        self, runtime: proofs.Runtime, clock: Callable[[], datetime], *, always: bool
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._always = always
        self._next = 0
        self._previous: bytes | None = None

    def wanted(self, request: Request) -> Wanted | None:
        """Whether a proof is wanted; None if not.

        Raises:
            InvalidRequestError: If the field is malformed, or there is no seal.
        """
        values = request.headers.getlist(PROVE_HEADER)
        if not values and not self._always:
            return None
        around = request.scope.get("extensions", {}).get("blindai", {})
        if "signer" not in around:
            raise InvalidRequestError(
                "proof: expected the request through the sealed door, got it plain"
            )
        # Several are one list (RFC 9110, section 5.3), which is no salt.
        salt = _salt(", ".join(values)) if values else secrets.token_bytes(SALT_BYTES)
        return Wanted(salt, not values, around["signer"], around["request_id"])

    async def predict(
        self, wanted: Wanted, inputs: Sequence[Tensor], result: InferResult
    ) -> dict[str, str]:
        """Sign a run; the fields of its answer.

        Args:
            wanted: What is asked for.
            inputs: What the model was given.
            result: What it gave.
        """
        committed = partial(_commit, wanted.salt, inputs, result.outputs)
        if sum(map(_effort, (*inputs, *result.outputs))) <= _INLINE_BYTES:
            before, after = committed()
        else:
            before, after = await asyncio.to_thread(committed)
        run = proofs.Run(
            runtime=self._runtime, batch=result.batch, inputs=before, outputs=after
        )
        signed = self._sign(wanted, result.model, run=run)
        told = {PROOF_SALT_HEADER: byte_field.encode(wanted.salt)}
        return {PROOF_HEADER: signed, **(told if wanted.drawn else {})}

    def upload(self, wanted: Wanted, model: ModelInfo) -> Mapping[str, str]:
        """Sign that a model was taken in; the fields of the answer."""
        return {PROOF_HEADER: self._sign(wanted, model, nonce=wanted.salt)}

    def _sign(
        self,
        wanted: Wanted,
        model: ModelInfo,
        *,
        run: proofs.Run | None = None,
        nonce: bytes | None = None,
    ) -> str:
        signer = wanted.signer
        proof = signer.sign(
            proofs.Claims(
                keyset_digest=signer.keyset_digest,
                config_digest=signer.config_digest,
                model=proofs.Model(
                    digest=bytes.fromhex(model.digest),
                    name=model.name,
                    version=model.version,
                ),
                issued_at=self._clock(),
                request_id=bytes.fromhex(wanted.request_id),
                sequence=self._next,
                previous=self._previous,
                run=run,
                nonce=nonce,
            )
        )
        self._next += 1
        self._previous = proofs.digest(proof)
        return byte_field.encode(proof)


def _salt(text: str) -> bytes:
    try:
        return byte_field.parse(text, PROVE_HEADER, SALT_BYTES)
    except ProtocolError as error:
        raise InvalidRequestError(error.message) from error


def _effort(tensor: Tensor) -> int:
    """How much there is to hash, in bytes of numbers that take as long."""
    if tensor.datatype is not Datatype.BYTES:
        return tensor.array.nbytes
    effort = _STRING_BYTES * tensor.array.size
    if effort <= _INLINE_BYTES:  # else it is enough already
        effort += sum(map(len, tensor.array.flat))
    return effort


def _commit(
    salt: bytes, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> tuple[Commitment, Commitment]:
    return commit(salt, Side.INPUT, inputs), commit(salt, Side.OUTPUT, outputs)
