"""What a connection asks an enclave, step by step, and what it remembers. No I/O.

Each method is a flow: it yields what to ask, is sent the result, and returns what the
caller wanted. `Connection` and `AsyncConnection` run the same flows.
"""

from __future__ import annotations

import math
import os
import re
import secrets
from collections.abc import Generator
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import httpx

from blindai.client import calls
from blindai.client.calls import Answer, Call
from blindai.client.inputs import as_tensors
from blindai.client.model_file import ModelStream
from blindai.client.plain import PlainRequest
from blindai.client.results import ServerInfo
from blindai.client.streams import BufferStream
from blindai.client.wire import describe
from blindai.errors import ConfigurationError, TensorError, TransportError
from blindai.protocol.commitments import SALT_BYTES

if TYPE_CHECKING:
    from blindai.client.model_file import ModelFile, Progress
    from blindai.client.plain import PlainResponse, Timeouts
    from blindai.client.results import (
        ModelInfo,
        PredictResponse,
        UploadResponse,
    )
    from blindai.client.transport import AsyncSealedTransport, SealedTransport
    from blindai.protocol.buffers import Bytes

_T = TypeVar("_T")
_AUTHORITY = b"enclave"
_MARGIN_S = 5.0  # for the network, on top of the time that a call allows the enclave
_LONGEST_S: Final = 1_000_000  # eleven days; sockets take little more
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Ask(Generic[_T]):
    """Ask one thing; gives its result. An action of `flow`."""

    call: Call[_T]
    request: PlainRequest

    def run(self, wire: SealedTransport) -> _T:
        """Ask, waiting for the answer.

        Raises:
            TransportError: If the network fails.
        """
        try:
            response = wire.exchange(self.request)
            try:
                content = response.content.read()
            finally:
                response.content.close()
        except httpx.TransportError as error:
            raise TransportError(describe(error, wire.url)) from error
        return self.call.result(_answer(response, content))

    async def arun(self, wire: AsyncSealedTransport) -> _T:
        """Ask, awaiting the answer.

        Raises:
            TransportError: If the network fails.
        """
        try:
            response = await wire.exchange(self.request)
            try:
                content = await response.content.aread()
            finally:
                await response.content.aclose()
        except httpx.TransportError as error:
            raise TransportError(describe(error, wire.url)) from error
        return self.call.result(_answer(response, content))


Asking = Generator[Ask[Any], Any, _T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What `predict` is asked for; see there.

    Raises:
        ConfigurationError: If digest or time are none, or outputs are one string.
    """

    inputs: object = field(repr=False)
    dtype: object = None
    shape: object = None
    outputs: tuple[str, ...] = ()
    model_version: int | None = None
    model_digest: str | None = None
    timeout_s: float | None = None
    sign: bool = False

    def __post_init__(self) -> None:
        if self.timeout_s is not None:
            require_seconds(self.timeout_s)
        if self.model_digest is not None:
            object.__setattr__(self, "model_digest", _digest(self.model_digest))
        if isinstance(self.outputs, str):
            raise ConfigurationError(
                "outputs: expected a tuple of names, got a string:"
                f" ({self.outputs!r},) is a tuple"
            )

    def call(self, model: ModelInfo) -> Call[PredictResponse]:
        """The call that runs a model; its salt, if it has one, serves it alone."""
        return calls.infer(
            model.name,
            as_tensors(self.inputs, model.inputs, self.dtype, self.shape),
            outputs=self.outputs,
            model_version=self.model_version,
            model_digest=self.model_digest,
            timeout_s=self.timeout_s,
            salt=_salt(sign=self.sign),
        )

    def fits(self, model: ModelInfo) -> bool:
        """Whether a model's metadata is that of the version which is asked for."""
        return self.model_version in {None, model.version} and (
            self.model_digest in {None, model.digest}
        )


@dataclass(frozen=True, slots=True)
class Uploading:
    """How a model is uploaded; see `Connection.upload_model`."""

    owner_token: str | None = field(default=None, repr=False)
    save_model: bool = field(default=True, kw_only=True)
    progress: Progress | None = field(default=None, kw_only=True)
    sign: bool = field(default=False, kw_only=True)


class Dialogue:
    """What one connection asks and remembers.

    Attributes:
        timeouts: For the network, where a call does not say.
    """

    def __init__(self, api_key: str | None, timeout_s: float) -> None:
        """Remember nothing yet.

        Args:
            api_key: Sent inside sealed requests; BLINDAI_API_KEY if not given.
            timeout_s: How long an answer may take, in seconds, where a call does not
                say.

        Raises:
            ConfigurationError: If either is none.
        """
        require_seconds(timeout_s)
        self.timeouts: Timeouts = httpx.Timeout(timeout_s).as_dict()
        self._api_key = api_key or os.environ.get("BLINDAI_API_KEY")
        if self._api_key:
            calls.require_token(self._api_key, "api_key (or BLINDAI_API_KEY)")
        self._models: dict[tuple[str, int | None, str | None], ModelInfo] = {}
        self._owner_tokens: dict[str, str] = {}

    def upload(
        self, file: ModelFile, name: str | None, how: Uploading
    ) -> Asking[UploadResponse]:
        """Upload a model.

        Raises:
            ConfigurationError: If it has no name.
        """
        chosen = name or file.name
        if not chosen:
            raise ConfigurationError("model_name: expected a name, got none")
        stream = ModelStream(file, how.progress)
        token = how.owner_token or self._owner_tokens.get(chosen)
        uploaded: UploadResponse = yield self._ask(
            calls.upload(
                chosen,
                stream,
                file.size_bytes,
                token,
                save_model=how.save_model,
                nonce=_salt(sign=how.sign),
            )
        )
        self._forget(chosen)
        self._models[chosen, None, None] = uploaded.model
        if uploaded.owner_token is not None:
            self._owner_tokens[chosen] = uploaded.owner_token
        return uploaded

    def predict(self, name: str, wanted: Prediction) -> Asking[PredictResponse]:
        """Run a model; what it takes is asked once and remembered."""
        answer: PredictResponse
        key = (name, wanted.model_version, wanted.model_digest)
        known = self._models.get(key)
        if known is not None:
            try:
                answer = yield self._ask(wanted.call(known))
            except TensorError:  # perhaps the model was replaced since
                self._models.pop(key, None)
            else:
                return answer
        model: ModelInfo = yield self._ask(calls.model(name, wanted.model_version))
        if not wanted.fits(model):  # perhaps another version does
            listed: tuple[ModelInfo, ...] = yield self._ask(calls.models())
            own = (each for each in listed if each.name == name and wanted.fits(each))
            model = next(own, model)
        self._models[key] = model
        answer = yield self._ask(wanted.call(model))
        return answer

    def delete(
        self, name: str, owner_token: str | None, version: int | None = None
    ) -> Asking[None]:
        """Delete a model, or one version of it."""
        token = owner_token or self._owner_tokens.get(name)
        yield self._ask(calls.delete(name, token, version))
        self._forget(name)
        if version is None:
            self._owner_tokens.pop(name, None)

    def models(self) -> Asking[tuple[ModelInfo, ...]]:
        """All models."""
        models: tuple[ModelInfo, ...] = yield self._ask(calls.models())
        return models

    def server(self) -> Asking[ServerInfo]:
        """What the server says of itself."""
        version: str = yield self._ask(calls.version())
        ready: bool = yield self._ask(calls.ready())
        return ServerInfo(version, ready)

    def configuration(self, digest: bytes) -> Asking[dict[str, Any]]:
        """The measured configuration of an attested digest."""
        configuration: dict[str, Any] = yield self._ask(calls.configuration(digest))
        return configuration

    def _forget(self, name: str) -> None:
        for key in [key for key in self._models if key[0] == name]:
            del self._models[key]

    def _ask(self, call: Call[_T]) -> Ask[_T]:
        fields = [(name.encode(), text.encode()) for name, text in call.headers.items()]
        if self._api_key:
            fields.append((b"authorization", f"Bearer {self._api_key}".encode()))
        timeouts = self.timeouts
        if call.timeout_s is not None:
            timeouts = {**timeouts, "read": call.timeout_s + _MARGIN_S}
        request = PlainRequest(
            method=call.method,
            authority=_AUTHORITY,
            path=call.path.encode(),
            fields=tuple(fields),
            body=call.body,
            size_bytes=call.size_bytes,
            in_memory=isinstance(call.body, BufferStream),
            repeatable=True,
            timeouts=timeouts,
        )
        return Ask(call, request)


def require_seconds(timeout: object) -> None:
    """Require a time to wait.

    Raises:
        ConfigurationError: If it is none, or longer than sockets wait.
    """
    seconds = float(timeout) if isinstance(timeout, Real) else math.nan
    if not 0 < seconds <= _LONGEST_S:
        got = timeout if isinstance(timeout, Real) else type(timeout).__name__
        raise ConfigurationError(
            f"timeout: expected seconds, above 0 and at most {_LONGEST_S}, got {got}"
        )


def _digest(text: object) -> str:
    """A digest in lower case, as the enclave writes it.

    Raises:
        ConfigurationError: If it is none.
    """
    digest = text.lower() if isinstance(text, str) else ""
    if not _DIGEST.fullmatch(digest):
        raise ConfigurationError(
            "model_digest: expected 64 hexadecimal digits, got another "
            f"{type(text).__name__}"
        )
    return digest


def _salt(*, sign: bool) -> bytes | None:
    return secrets.token_bytes(SALT_BYTES) if sign else None


def _answer(response: PlainResponse, content: Bytes) -> Answer:
    headers = {
        name.decode(): value.decode("latin-1") for name, value in response.fields
    }
    return Answer(response.status, headers, content, response.session)


def address(addr: str | None) -> str:
    """The address to use: the one given, or BLINDAI_ADDR.

    Raises:
        ConfigurationError: If there is neither.
    """
    found = addr or os.environ.get("BLINDAI_ADDR")
    if not found:
        raise ConfigurationError(
            "address: expected https://host[:port] (addr=... or BLINDAI_ADDR), got none"
        )
    return found
