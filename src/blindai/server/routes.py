"""The routes of the application inside: Open Inference Protocol V2, and models.

    GET    /v2                              server metadata
    GET    /v2/health/live                  the process answers
    GET    /v2/health/ready                 models can be served
    GET    /v2/models/{name}                model metadata
    GET    /v2/models/{name}/ready          the model can be served
    POST   /v2/models/{name}/infer          run it
    PUT    /v2/models/{name}                upload an ONNX file, streamed
    DELETE /v2/models/{name}                delete it, in all versions
    POST   /v2/repository/index             all models, in all versions
    GET    /v2/configuration                the measured configuration, in CBOR

GET, DELETE, `/ready` and `/infer` also have `/v2/models/{name}/versions/{version}/...`
for one version; without it, all but DELETE mean the latest.

Everything but health, server metadata and the configuration wants an API key, where the
configuration names any. Errors are problems (RFC 9457), from the one table.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from blindai import __version__
from blindai.errors import InvalidRequestError, NotFoundError
from blindai.inference.arrivals import Upload
from blindai.protocol import tensors
from blindai.protocol.names import SAVE_MODEL_HEADER
from blindai.server.answers import metadata, outcome, row
from blindai.server.endpoints import Admitted, Gate, Open, body, while_connected
from blindai.server.proving import Prover

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from starlette.requests import Request

    from blindai.inference.service import InferenceService
    from blindai.protocol.tensors import InferRequest
    from blindai.server.auth import Principal
    from blindai.server.settings import Settings

    Handler = Callable[[Request, Principal], Awaitable[Response]]

_EXTENSIONS: Final = ["binary_tensor_data", "model_repository"]
_LIMITS: Final = tensors.Limits(max_json_bytes=16 << 20)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
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
        self._gate = Gate(settings)
        always = settings.proofs.always
        self._prover = Prover(service.runtime, clock, always=always)

    def table(self) -> list[Route]:
        """All routes; they are tried one by one, so the most used is first."""
        model = "/v2/models/{name}"
        return [
            *self._of_model(model),
            *self._of_model(f"{model}/versions/{{version}}"),
            self._route("PUT", model, self.upload, "upload"),
            _open("/v2", self.server),
            _open("/v2/health/live", self.live),
            _open("/v2/health/ready", self.live),
            _open("/v2/configuration", self.configuration),
            self._route("POST", "/v2/repository/index", self.index, "infer"),
        ]

    def _of_model(self, path: str) -> list[Route]:
        return [
            self._route("POST", f"{path}/infer", self.infer, "infer"),
            self._route("GET", f"{path}/ready", self.model_ready, "infer"),
            self._route("DELETE", path, self.delete, "upload"),
            self._route("GET", path, self.model, "infer"),
        ]

    def _route(self, method: str, path: str, handler: Handler, scope: str) -> Route:
        endpoint = Admitted(handler, scope, self._gate)
        return Route(path, endpoint, methods=[method])

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

    async def model(self, request: Request, _: Principal) -> Response:
        """Metadata of one model."""
        name, version = _asked_for(request)
        model = self._service.model(name, version)
        return JSONResponse(metadata(model, self._service.versions(name)))

    async def model_ready(self, request: Request, _: Principal) -> Response:
        """Whether one model can be served."""
        name, version = _asked_for(request)
        self._service.require(name, version)
        return JSONResponse({"name": name, "ready": True})

    async def index(self, _: Request, __: Principal) -> Response:
        """All models."""
        return JSONResponse(
            [
                row(model, self._service.versions(model.name))
                for model in self._service.models()
            ]
        )

    async def infer(self, request: Request, principal: Principal) -> Response:
        """Run a model."""
        name, version = _asked_for(request)
        self._service.model(name, version)  # before its inputs are read
        wanted = self._prover.wanted(request)
        pieces = await body(request, self._settings.inference.max_request_bytes)
        asked = tensors.parse_request(pieces, _header_length(request), _LIMITS)
        run = self._service.infer(
            name,
            asked.inputs,
            tenant=principal.tenant,
            version=version,
            outputs=tuple([output.name for output in asked.outputs]),
            deadline=time.monotonic() + self._timeout_s(asked),
            digest=_pinned_digest(asked),
        )
        result = await while_connected(request, run)
        answer = outcome(asked, result)  # what has no form is refused, not signed
        if wanted is not None:
            proof = await self._prover.predict(wanted, asked.inputs, result)
            answer.headers.update(proof)
        return answer

    async def upload(self, request: Request, principal: Principal) -> Response:
        """Take an ONNX file in, under a name."""
        name, principal = request.path_params["name"], principal.with_token()
        owner = self._owner(principal, name)
        quota = self._gate.quotas.kept(owner.removeprefix("key:"))
        save = _wants_saved(request)
        wanted = self._prover.wanted(request)
        # what can be refused is, before the upload and not after it
        self._service.require_place(name, owner, quota)
        with self._service.spool() as spool:
            async for piece in request.stream():
                await spool.write(piece)
            how = Upload(now=self._clock(), save=save, quota=quota)
            model = await self._service.upload(name, owner, spool, how)
        answer = metadata(model, self._service.versions(name))
        if principal.new_owner_token is not None:
            answer["owner_token"] = principal.new_owner_token
        proof = self._prover.upload(wanted, model) if wanted else None
        return JSONResponse(answer, status_code=201, headers=proof)

    async def delete(self, request: Request, principal: Principal) -> Response:
        """Delete a model, or one version of it."""
        name, version = _asked_for(request)
        await self._service.delete(name, self._owner(principal, name), version)
        return Response(status_code=204)

    def _owner(self, principal: Principal, name: str) -> str:
        """Whom a principal acts for: an admin for the owner of what is there."""
        versions = self._service.versions(name)
        if "admin" in principal.scopes and versions:
            return versions[-1].owner
        return principal.owner

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


def _open(path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(path, Open(handler), methods=["GET"])


def _asked_for(request: Request) -> tuple[str, int | None]:
    """The name and, if one is asked for, the version.

    Raises:
        NotFoundError: If the version is no number.
    """
    name, version = request.path_params["name"], request.path_params.get("version")
    if version is None:
        return name, None
    if not _VERSION.fullmatch(version):
        raise NotFoundError("model: expected a number as its version, got another")
    return name, int(version)


def _wants_saved(request: Request) -> bool:
    text = request.headers.get(SAVE_MODEL_HEADER, "true")
    if text not in {"true", "false"}:
        raise InvalidRequestError(f"{SAVE_MODEL_HEADER}: expected true or false")
    return text == "true"


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
