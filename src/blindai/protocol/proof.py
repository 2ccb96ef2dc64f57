"""What an enclave signs about a run of a model, or about an upload: the claims.

    proof   = COSE_Sign1 (`cose`) over the claims, by the keyset's proof key
    digest  = SHA-256("blindai proof v1" || 0x00 || proof)

The claims are a CWT claims set (RFC 8392) in deterministic CBOR. Integers are IANA's
claims (6 iat, 7 cti, 10 eat_nonce); all else has a name that begins with `blindai.`.
docs/proofs.md is the specification.

Reading believes nothing; `blindai.proofs` verifies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from blindai.errors import EvidenceError, ProtocolError
from blindai.protocol import cbor
from blindai.protocol.commitments import MAX_TENSORS, Commitment
from blindai.protocol.cose import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

MEDIA_TYPE: Final = "application/vnd.blindai.proof+cose"
KIND: Final = Kind(
    typ=MEDIA_TYPE, content_type="application/vnd.blindai.proof-claims+cbor"
)
MAX_PROOF_BYTES: Final = 16 * 1024
DIGEST_LABEL: Final = b"blindai proof v1\x00"
REQUEST_ID_BYTES: Final = 8
_MAX_TEXT: Final = 1024
_MAX_FEATURES: Final = 64
_LATEST: Final = 253402300799  # 9999-12-31T23:59:59Z, the last second of a datetime
_MAX_COUNT: Final = 2**63 - 1
_IAT, _CTI, _NONCE = 6, 7, 10  # IANA, CBOR Web Token (CWT) Claims
_T = TypeVar("_T")


class Purpose(StrEnum):
    """What was signed for; a signature for one cannot serve another."""

    PREDICT = "blindai.proof.predict.v1"
    UPLOAD = "blindai.proof.upload.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Which model.

    Attributes:
        digest: SHA-256 of the ONNX file, 32 bytes.
        name: What requests call it.
        version: Its number among those of this name, from 1.
    """

    digest: bytes
    name: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What computed, as far as it decides about the last bits of a result.

    Attributes:
        engine: Names the runtime.
        version: Its version.
        optimisation: How far it rewrites graphs.
        provider: Its execution provider.
        architecture: Of the processor, as the kernel calls it.
        cpu: The processor's features that choose kernels, as the kernel calls them, in
            ascending order.
        threads: How many work on one operator.
    """

    engine: str
    version: str
    optimisation: str
    provider: str
    architecture: str
    cpu: tuple[str, ...]
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What ran together.

    Attributes:
        requests: How many requests.
        rows: Their rows together, where they are more than one; else 0.
    """

    requests: int = 1
    rows: int = 0


ALONE: Final = Batch()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a model: in the claims of a prediction only.

    Attributes:
        runtime: What computed.
        batch: What ran together.
        inputs: Commits to its inputs.
        outputs: Commits to the outputs that were asked for.
    """

    runtime: Runtime
    batch: Batch
    inputs: Commitment
    outputs: Commitment


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What was signed.

    Attributes:
        keyset_digest: Names the keyset whose proof key signs, 32 bytes.
        config_digest: Of the measured configuration, 32 bytes.
        model: Which model.
        issued_at: When, by the host's clock, in whole seconds.
        request_id: The enclave's name for the request, 8 bytes.
        sequence: How many proofs this start of the enclave signed before.
        previous: The digest of the one before, 32 bytes; None for the first.
        run: What ran; None for an upload.
        nonce: What the client sent with an upload, 32 bytes; None for a prediction.
    """

    keyset_digest: bytes
    config_digest: bytes
    model: Model
    issued_at: datetime
    request_id: bytes
    sequence: int
    previous: bytes | None
    run: Run | None = None
    nonce: bytes | None = None

    @property
    def purpose(self) -> Purpose:
        """What was signed for."""
        return Purpose.UPLOAD if self.run is None else Purpose.PREDICT

    def encode(self) -> bytes:
        """The claims in deterministic CBOR."""
        model = self.model
        fields: dict[object, object] = {
            _IAT: int(self.issued_at.timestamp()),
            _CTI: self.request_id,
            "blindai.purpose": self.purpose.value,
            "blindai.keyset": self.keyset_digest,
            "blindai.config": self.config_digest,
            "blindai.model": {
                "digest": model.digest,
                "name": model.name,
                "version": model.version,
            },
            "blindai.sequence": self.sequence,
            "blindai.previous": self.previous,
        }
        if self.run is None:
            fields[_NONCE] = self.nonce
        else:
            fields |= _encode_run(self.run)
        return cbor.encode(fields)


def digest(proof: bytes) -> bytes:
    """A proof's digest, 32 bytes, by which the next one names it."""
    return hashlib.sha256(DIGEST_LABEL + proof).digest()


def parse_claims(payload: bytes) -> Claims:
    """Read claims.

    Raises:
        EvidenceError: If the bytes are not the claims of a known purpose.
    """
    try:
        value = cbor.decode_claims(payload)
    except ProtocolError as error:
        raise EvidenceError(f"proof: {error.message}") from error
    fields = _Fields(value, "proof")
    purpose = fields.text("blindai.purpose")
    if purpose not in set(Purpose):
        raise EvidenceError(f"proof purpose: expected one of {', '.join(Purpose)}")
    common: set[object] = {
        _IAT, _CTI, "blindai.purpose", "blindai.keyset", "blindai.config",
        "blindai.model", "blindai.sequence", "blindai.previous",
    }  # fmt: skip
    if purpose == Purpose.UPLOAD:
        fields.require_keys(common | {_NONCE})
        run, nonce = None, fields.octets(_NONCE, 32)
    else:
        fields.require_keys(common | _RUN_KEYS)
        run, nonce = _parse_run(fields), None
    return Claims(
        keyset_digest=fields.octets("blindai.keyset", 32),
        config_digest=fields.octets("blindai.config", 32),
        model=fields.part("blindai.model", _parse_model),
        issued_at=datetime.fromtimestamp(fields.number(_IAT, _LATEST), UTC),
        request_id=fields.octets(_CTI, REQUEST_ID_BYTES),
        sequence=fields.number("blindai.sequence"),
        previous=fields.optional_octets("blindai.previous", 32),
        run=run,
        nonce=nonce,
    )


_RUN_KEYS: Final = {
    "blindai.runtime",
    "blindai.batch",
    "blindai.inputs",
    "blindai.outputs",
}


def _encode_run(run: Run) -> dict[object, object]:
    runtime = run.runtime
    return {
        "blindai.runtime": {
            "engine": runtime.engine,
            "version": runtime.version,
            "optimisation": runtime.optimisation,
            "provider": runtime.provider,
            "architecture": runtime.architecture,
            "cpu": list(runtime.cpu),
            "threads": runtime.threads,
        },
        "blindai.batch": {"requests": run.batch.requests, "rows": run.batch.rows},
        "blindai.inputs": _encode_commitment(run.inputs),
        "blindai.outputs": _encode_commitment(run.outputs),
    }


def _encode_commitment(commitment: Commitment) -> dict[str, object]:
    return {"count": commitment.count, "root": commitment.root}


class _Fields:
    """A map of claims, read key by key."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, Mapping):
            raise EvidenceError(f"{what}: expected a map")
        self._fields: Mapping[object, object] = value
        self._what = what

    def require_keys(self, expected: AbstractSet[object]) -> None:
        """Hold the map to these keys.

        Raises:
            EvidenceError: If it has fewer or others.
        """
        if self._fields.keys() != expected:
            raise EvidenceError(
                f"{self._what}: expected {', '.join(sorted(map(str, expected)))} and"
                " nothing else"
            )

    def text(self, key: object) -> str:
        """Text of at most 1024 characters.

        Raises:
            EvidenceError: If it is none.
        """
        return _text(self._fields.get(key), f"{self._what} {key}")

    def number(self, key: object, highest: int = _MAX_COUNT) -> int:
        """A whole number from 0.

        Raises:
            EvidenceError: If it is none.
        """
        value = self._fields.get(key)
        if type(value) is not int or not 0 <= value <= highest:
            raise EvidenceError(
                f"{self._what} {key}: expected a whole number up to {highest}"
            )
        return value

    def octets(self, key: object, size: int) -> bytes:
        """Bytes of a length.

        Raises:
            EvidenceError: If they are none, or more or fewer.
        """
        value = self._fields.get(key)
        if not isinstance(value, bytes) or len(value) != size:
            raise EvidenceError(f"{self._what} {key}: expected {size} bytes")
        return value

    def optional_octets(self, key: object, size: int) -> bytes | None:
        """Bytes of a length, or null."""
        return None if self._fields.get(key) is None else self.octets(key, size)

    def features(self, key: object) -> tuple[str, ...]:
        """Text in ascending order, each once.

        Raises:
            EvidenceError: If it is anything else.
        """
        value = self._fields.get(key)
        what = f"{self._what} {key}"
        if not isinstance(value, list) or len(value) > _MAX_FEATURES:
            raise EvidenceError(f"{what}: expected a list of at most {_MAX_FEATURES}")
        found = tuple(_text(each, what) for each in value)
        if list(found) != sorted(set(found)):
            raise EvidenceError(f"{what}: expected ascending order, each once")
        return found

    def part(self, key: str, parse: Callable[[_Fields], _T]) -> _T:
        """A map below this one."""
        return parse(_Fields(self._fields.get(key), f"{self._what} {key}"))


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise EvidenceError(f"{what}: expected at most {_MAX_TEXT} characters")
    return value


def _parse_model(fields: _Fields) -> Model:
    fields.require_keys({"digest", "name", "version"})
    return Model(
        digest=fields.octets("digest", 32),
        name=fields.text("name"),
        version=fields.number("version"),
    )


def _parse_run(fields: _Fields) -> Run:
    return Run(
        runtime=fields.part("blindai.runtime", _parse_runtime),
        batch=fields.part("blindai.batch", _parse_batch),
        inputs=fields.part("blindai.inputs", _parse_commitment),
        outputs=fields.part("blindai.outputs", _parse_commitment),
    )


def _parse_runtime(fields: _Fields) -> Runtime:
    names = {
        "engine", "version", "optimisation", "provider", "architecture", "cpu",
        "threads",
    }  # fmt: skip
    fields.require_keys(names)
    return Runtime(
        engine=fields.text("engine"),
        version=fields.text("version"),
        optimisation=fields.text("optimisation"),
        provider=fields.text("provider"),
        architecture=fields.text("architecture"),
        cpu=fields.features("cpu"),
        threads=fields.number("threads"),
    )


def _parse_batch(fields: _Fields) -> Batch:
    fields.require_keys({"requests", "rows"})
    return Batch(requests=fields.number("requests"), rows=fields.number("rows"))


def _parse_commitment(fields: _Fields) -> Commitment:
    fields.require_keys({"count", "root"})
    return Commitment(fields.octets("root", 32), fields.number("count", MAX_TENSORS))
