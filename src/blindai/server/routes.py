"""The routes of the application inside: Open Inference Protocol V2, and models.

    GET    /v2                              server metadata
    GET    /v2/health/live                  the process answers
    GET    /v2/health/ready                 models can be served
    GET    /v2/models/{name}                model metadata
    GET    /v2/models/{name}/ready          the model can be served
    POST   /v2/models/{name}/infer          run it
    PUT    /v2/models/{name}                upload an ONNX file, streamed
    DELETE /v2/models/{name}                delete it
    POST   /v2/repository/index             all models
    GET    /v2/configuration                the measured configuration, in CBOR

Everything but health, server metadata and the configuration wants an API key, where the
configuration names any. Errors are problems (RFC 9457), from the one table.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from blindai import __version__
from blindai.errors import ConflictError, InvalidRequestError, TooLargeError
from blindai.protocol import tensors
from blindai.server.auth import Authenticator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from starlette.requests import Request

    from blindai.inference.model import ModelInfo, TensorSpec
    from blindai.inference.service import InferenceService, InferResult
    from blindai.protocol.tensors import InferRequest
    from blindai.server.auth import Principal
    from blindai.server.settings import Settings

_EXTENSIONS: Final = ["binary_tensor_data", "model_repository"]
_LIMITS: Final = tensors.Limits(max_json_bytes=16 << 20)
_NANOSECONDS: Final = 1_000_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Routes:
    """The endpoints, over one service."""

    def __init__(
        self,
        service: InferenceService,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        """Serve a service.

        Args:
            service: Keeps and runs the models.
            settings: The measured configuration.
            clock: The host's clock, aware, in UTC.
        """
        self._service = service
        self._clock = clock
        self._settings = settings
        self._authenticator = Authenticator(settings.api_keys)

    def table(self) -> list[Route]:
        """All routes."""
        model = "/v2/models/{name}"
        return [
            Route("/v2", self.server),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.live),
            Route("/v2/configuration", self.configuration),
            Route(f"{model}/infer", self.infer, methods=["POST"]),
            Route(f"{model}/ready", self.model_ready),
            Route(model, self.upload, methods=["PUT"]),
            Route(model, self.delete, methods=["DELETE"]),
            Route(model, self.model),
            Route("/v2/repository/index", self.index, methods=["POST"]),
        ]

    async def server(self, _: Request) -> Response:
        """Server metadata."""
        return JSONResponse(
            {"name": "blindai", "version": __version__, "extensions": _EXTENSIONS}
        )

    async def live(self, _: Request) -> Response:
        """The process answers."""
        return JSONResponse({"live": True, "ready": True})

    async def configuration(self, _: Request) -> Response:
        """The measured configuration; its labelled SHA-256 is in the keyset."""
        return Response(self._settings.encode(), media_type="application/cbor")

    async def model(self, request: Request) -> Response:
        """Metadata of one model."""
        self._require(request, "infer")
        return JSONResponse(_metadata(self._service.model(request.path_params["name"])))

    async def model_ready(self, request: Request) -> Response:
        """Whether one model can be served."""
        self._require(request, "infer")
        model = self._service.model(request.path_params["name"])
        return JSONResponse({"name": model.name, "ready": True})

    async def index(self, request: Request) -> Response:
        """All models."""
        self._require(request, "infer")
        return JSONResponse(
            [
                {**_metadata(model), "state": "READY", "reason": ""}
                for model in self._service.models()
            ]
        )

    async def infer(self, request: Request) -> Response:
        """Run a model."""
        self._require(request, "infer")
        name = request.path_params["name"]
        self._service.model(name)  # before its inputs are read
        body = await _read(request, self._settings.inference.max_request_bytes)
        asked = tensors.parse_request(body, _header_length(request), _LIMITS)
        async with _while_connected(request):
            result = await self._service.infer(
                name,
                asked.inputs,
                outputs=tuple(output.name for output in asked.outputs),
                deadline=time.monotonic() + self._timeout_s(asked),
                digest=_pinned_digest(asked),
            )
        return _answer(asked, result)

    async def upload(self, request: Request) -> Response:
        """Take an ONNX file in, under a name."""
        principal = self._require(request, "upload")
        name = request.path_params["name"]
        owner = self._owner(principal, name)
        self._require_free(name, owner)
        with self._service.spool() as spool:
            async for piece in request.stream():
                await spool.write(piece)
            model = await self._service.upload(
                name,
                owner,
                spool,
                may_replace=True,
                now=self._clock(),
            )
        answer = _metadata(model)
        if principal.new_owner_token is not None:
            answer["owner_token"] = principal.new_owner_token
        return JSONResponse(answer, status_code=201)

    async def delete(self, request: Request) -> Response:
        """Delete a model."""
        principal = self._require(request, "upload")
        name = request.path_params["name"]
        await self._service.delete(name, self._owner(principal, name))
        return Response(status_code=204)

    def _require(self, request: Request, scope: str) -> Principal:
        principal = self._authenticator.authenticate(request.headers)
        principal.require(scope)
        return principal

    def _owner(self, principal: Principal, name: str) -> str:
        """Whom a principal acts for: an admin for the owner of what is there."""
        if "admin" in principal.scopes:
            for model in self._service.models():
                if model.name == name:
                    return model.owner
        return principal.owner

    def _require_free(self, name: str, owner: str) -> None:
        """Refuse somebody else's name before the upload and not after it.

        Raises:
            ConflictError: If the name is somebody else's.
        """
        for model in self._service.models():
            if model.name == name and not hmac.compare_digest(model.owner, owner):
                raise ConflictError("model name: expected a free one, got one in use")

    def _timeout_s(self, asked: InferRequest) -> float:
        settings = self._settings.inference
        timeout_us = asked.parameters.get("timeout")
        if timeout_us is None:
            return settings.default_timeout_s
        if type(timeout_us) is not int or timeout_us <= 0:
            raise InvalidRequestError(
                "timeout: expected a whole number of microseconds above 0"
            )
        return min(timeout_us, settings.max_timeout_s * 1e6) / 1e6


def _metadata(model: ModelInfo) -> dict[str, object]:
    return {
        "name": model.name,
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [_tensor(spec) for spec in model.spec.inputs],
        "outputs": [_tensor(spec) for spec in model.spec.outputs],
        "digest": model.digest,
        "size_bytes": model.size_bytes,
    }


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": spec.v2_shape}


def _answer(asked: InferRequest, result: InferResult) -> Response:
    response = tensors.InferResponse(
        model_name=result.model.name,
        model_version="1",
        id=asked.id,
        outputs=result.outputs,
        parameters={
            "inference_time_ns": round(result.inference_time_s * _NANOSECONDS),
            "model_digest": result.model.digest,
        },
    )
    body = tensors.encode_response(response, binary_outputs=asked.wants_binary)
    if body.header_length is None:
        return Response(body.buffers[0], media_type="application/json")
    return Response(
        b"".join(body.buffers),
        headers={tensors.HEADER_LENGTH: str(body.header_length)},
        media_type="application/octet-stream",
    )


def _header_length(request: Request) -> int | None:
    text = request.headers.get(tensors.HEADER_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise InvalidRequestError(f"{tensors.HEADER_LENGTH}: expected a whole number")
    return int(text)


def _pinned_digest(asked: InferRequest) -> str | None:
    digest = asked.parameters.get("model_digest")
    if digest is None:
        return None
    if not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        raise InvalidRequestError(
            "model_digest: expected 64 lower-case hexadecimal digits"
        )
    return digest


@asynccontextmanager
async def _while_connected(request: Request) -> AsyncIterator[None]:
    """Cancel what runs inside when the client goes away.

    Raises:
        ClientDisconnect: If it did.
        CancelledError: If the server cancels the request itself.
    """
    running = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        if running is not None:
            running.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if gone and running is not None and not running.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        watcher.cancel()


async def _read(request: Request, max_bytes: int) -> bytes:
    """A body, held to its limit while it is read.

    Raises:
        TooLargeError: If it is over the limit.
    """
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes:
            raise TooLargeError(f"request: expected at most {max_bytes} bytes")
        if piece:
            pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
