"""What a client can ask for: each a request and the way to read its answer. No I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from blindai.client.output import Tensor
from blindai.client.proving import asking, prediction_proof, upload_proof
from blindai.client.results import (
    ModelInfo,
    PredictResponse,
    TensorSpec,
    UploadResponse,
)
from blindai.client.streams import BufferStream
from blindai.errors import (
    ConfigurationError,
    ConflictError,
    ProtocolError,
    VerificationError,
)
from blindai.protocol import cbor, problems, tensors
from blindai.protocol.datatypes import Datatype
from blindai.protocol.keyset import configuration_digest
from blindai.protocol.names import OWNER_TOKEN_HEADER, SAVE_MODEL_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from blindai.client.model_file import ModelStream
    from blindai.client.session import Session
    from blindai.protocol.buffers import Bytes

_T = TypeVar("_T")
EMPTY = BufferStream(())
_DIGITS = re.compile(r"[0-9]{1,18}")
_SEGMENT = re.compile(r"[^/\ud800-\udfff]+")
_TOKEN = re.compile(r"[!-~]+")
_quoted = lru_cache(maxsize=16)(partial(quote, safe=""))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the enclave answered, opened.

    Attributes:
        status: HTTP status.
        headers: By lower-case name.
        content: The body.
        session: What the request was sealed to, where it was.
    """

    status: int
    headers: Mapping[str, str]
    content: Bytes = field(repr=False)
    session: Session | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[_T]):
    """One thing to ask for.

    Attributes:
        method: HTTP method.
        path: Path, quoted.
        read: Makes the result of an answer that is not a problem.
        body: Content to send.
        size_bytes: Of the content.
        headers: Fields to send.
        timeout_s: How long the answer may take; the connection's own if None.
    """

    method: str
    path: str
    read: Callable[[Answer], _T]
    body: ModelStream | BufferStream = field(default=EMPTY, repr=False)
    size_bytes: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float | None = None

    def result(self, answer: Answer) -> _T:
        """The result, or the error, that an answer is.

        Raises:
            ProtocolError: If the answer is not what the protocol promises.
        """
        if answer.status >= 400:
            media_type = answer.headers.get("content-type", "")
            error = problems.parse(answer.status, media_type, bytes(answer.content))
            raise error
        try:
            return self.read(answer)
        except (LookupError, TypeError, ArithmeticError, ValueError) as error:
            raise self._another() from error
        except RecursionError:
            raise self._another() from None

    def _another(self) -> ProtocolError:
        return ProtocolError(
            f"{self.method} {self.path}: expected the answer of Open Inference "
            "Protocol V2, got another"
        )


def version() -> Call[str]:
    """Ask which release of the server runs."""
    return Call(
        method="GET",
        path="/v2",
        read=lambda answer: _text(_json(answer)["version"]),
    )


def ready() -> Call[bool]:
    """Ask whether the server takes requests."""
    return Call(
        method="GET",
        path="/v2/health/ready",
        read=lambda answer: _json(answer)["ready"] is True,
    )


def model(name: str, version: int | None = None) -> Call[ModelInfo]:
    """Ask for one model's metadata, in its latest version if no other is named."""
    return Call(
        method="GET",
        path=_path(name, version),
        read=lambda answer: _model(_json(answer)),
    )


def models() -> Call[tuple[ModelInfo, ...]]:
    """Ask for all models, in all versions."""
    return Call(
        method="POST",
        path="/v2/repository/index",
        read=lambda answer: tuple(map(_model, _json(answer))),
    )


def configuration(expected_digest: bytes) -> Call[dict[str, Any]]:
    """Ask for the measured configuration, and hold it to the attested digest."""

    def read(answer: Answer) -> dict[str, Any]:
        return _configuration(bytes(answer.content), expected_digest)

    return Call(method="GET", path="/v2/configuration", read=read)


def upload(
    name: str,
    stream: ModelStream,
    size_bytes: int,
    owner_token: str | None,
    *,
    save_model: bool = True,
    nonce: bytes | None = None,
) -> Call[UploadResponse]:
    """Send an ONNX file; for a nonce of 32 bytes, a proof comes back."""

    def read(answer: Answer) -> UploadResponse:
        fields = _json(answer)
        taken = _model(fields)
        if taken.digest != stream.sha256:
            raise ConflictError(
                f"uploaded model: expected SHA-256 {stream.sha256}, got {taken.digest}"
            )
        proof = upload_proof(
            answer.headers,
            answer.session,
            nonce,
            model_name=name,
            model_digest=stream.sha256,
        )
        token = _token(fields.get("owner_token", owner_token))
        return UploadResponse(taken, token, proof)

    return Call(
        method="PUT",
        path=_path(name),
        read=read,
        body=stream,
        size_bytes=size_bytes,
        headers={
            "content-length": str(size_bytes),
            **_owner(owner_token),
            **({} if save_model else {SAVE_MODEL_HEADER: "false"}),
            **asking(nonce),
        },
    )


def delete(
    name: str, owner_token: str | None, version: int | None = None
) -> Call[None]:
    """Delete a model, or one version of it."""
    return Call(
        method="DELETE",
        path=_path(name, version),
        read=lambda _: None,
        headers=_owner(owner_token),
    )


def infer(  # noqa: PLR0913  one argument a choice of the user's
    name: str,
    inputs: tuple[tensors.Tensor, ...],
    *,
    outputs: tuple[str, ...] = (),
    model_version: int | None = None,
    model_digest: str | None = None,
    timeout_s: float | None = None,
    salt: bytes | None = None,
) -> Call[PredictResponse]:
    """Run a model; for a salt of 32 bytes, a proof comes back."""
    parameters: dict[str, tensors.Parameter] = {"binary_data_output": True}
    if timeout_s is not None:
        parameters["timeout"] = max(1, round(timeout_s * 1e6))
    if model_digest is not None:
        parameters["model_digest"] = model_digest
    asked = tuple(map(tensors.RequestedOutput, outputs))
    body = tensors.encode_request(
        tensors.InferRequest(inputs=inputs, outputs=asked, parameters=parameters)
    )
    size_bytes = body.content_length

    def read(answer: Answer) -> PredictResponse:
        response = _prediction(answer, model_digest)
        proof = prediction_proof(
            answer.headers,
            answer.session,
            salt,
            inputs=inputs,
            outputs=[each.wire for each in response.output],
            model_digest=response.model_digest,
        )
        return response if proof is None else replace(response, proof=proof)

    return Call(
        method="POST",
        path=f"{_path(name, model_version)}/infer",
        read=read,
        body=BufferStream(body.buffers),
        size_bytes=size_bytes,
        headers={
            "content-length": str(size_bytes),
            **_header_length(body.header_length),
            **asking(salt),
        },
        timeout_s=timeout_s,
    )


def require_token(token: object, what: str) -> None:
    """Require what can travel in a header field; it is not shown.

    Args:
        token: An API key or an owner token.
        what: Its name, for the message.

    Raises:
        ConfigurationError: If it cannot.
    """
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"{what}: expected printable ASCII without spaces, got something else (the"
            " line break of a file?)"
        )


def _path(name: object, version: int | None = None) -> str:
    """Of a model, or of one version of it.

    Raises:
        ConfigurationError: If no path can name it.
    """
    if not isinstance(name, str) or not _SEGMENT.fullmatch(name):
        raise ConfigurationError(
            f"model_name: expected text without slashes, got {ascii(name)[:80]}"
        )
    model = f"/v2/models/{_quoted(name)}"
    return model if version is None else f"{model}/versions/{version}"


def _owner(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    require_token(token, "owner_token")
    return {OWNER_TOKEN_HEADER: token}


def _token(value: object) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError("owner token: expected text")
    return value


def _header_length(length: int | None) -> dict[str, str]:
    return {} if length is None else {tensors.HEADER_LENGTH.lower(): str(length)}


def _json(answer: Answer) -> Any:  # noqa: ANN401  what it is, its reader says
    return json.loads(bytes(answer.content))


def _text(value: object) -> str:
    """Text that can be shown and saved: JSON has halves of characters, too.

    Raises:
        ValueError: If it is something else.
    """
    if not isinstance(value, str):
        raise ValueError("expected text")  # noqa: TRY004  the enclave's mistake
    value.encode()
    return value


def _number(value: object) -> int:
    """A count, or the digits of one.

    Raises:
        ValueError: If it is something else, or more than 64 bits hold.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("expected a count")
    return value


def _model(fields: Mapping[str, Any]) -> ModelInfo:
    return ModelInfo(
        name=_text(fields["name"]),
        digest=_text(fields["digest"]),
        size_bytes=_number(fields["size_bytes"]),
        inputs=tuple(map(_spec, fields["inputs"])),
        outputs=tuple(map(_spec, fields["outputs"])),
        version=_number(fields["version"]),
        saved=fields["saved"] is True,
        unavailable=_text(fields.get("reason", "")),
    )


def _spec(fields: Mapping[str, Any]) -> TensorSpec:
    shape = tuple(-1 if size == -1 else _number(size) for size in fields["shape"])
    return TensorSpec(_text(fields["name"]), Datatype(fields["datatype"]), shape)


def _prediction(answer: Answer, pinned: str | None) -> PredictResponse:
    length = answer.headers.get(tensors.HEADER_LENGTH.lower())
    response = tensors.parse_response(
        answer.content, None if length is None else int(length)
    )
    digest = _text(response.parameters["model_digest"])
    if pinned is not None and digest != pinned:
        raise ConflictError(f"model: expected SHA-256 {pinned}, got {digest}")
    return PredictResponse(
        output=tuple(map(Tensor, response.outputs)),
        model_name=response.model_name,
        model_version=_number(response.model_version or ""),
        model_digest=digest,
        inference_time=_number(response.parameters["inference_time_ns"]) / 1e9,
    )


def _configuration(content: bytes, expected_digest: bytes) -> dict[str, Any]:
    digest = configuration_digest(content)
    if digest != expected_digest:
        raise VerificationError(
            f"configuration: expected digest {expected_digest.hex()}, "
            f"got {digest.hex()}"
        )
    fields = cbor.decode(content)
    if not isinstance(fields, dict):
        raise ProtocolError("configuration: expected a CBOR map")
    return fields
