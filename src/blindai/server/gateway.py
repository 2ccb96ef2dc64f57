"""The one sealed door: ASGI middleware that opens requests and seals answers.

Three addresses, and nothing else (RFC 9540, RFC 9458):

    GET  /.well-known/ohttp-gateway           key configurations
    POST /.well-known/ohttp-gateway           a sealed request, whole or chunked
    GET  /.well-known/blindai/attestation     evidence; ?nonce= 64 hex digits

What fails before a request is open is answered with a status and no detail. What fails
after is a sealed problem. The application inside sees a plain ASGI request.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from blindai import errors
from blindai.protocol import ohttp, problems
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol import ohttp_whole as whole
from blindai.protocol.attestation import MEDIA_TYPE as ATTESTATION_TYPE
from blindai.protocol.bhttp_decoder import Limits
from blindai.protocol.chunks import CHUNK_BYTES, COMMON_CHUNK_BYTES
from blindai.protocol.names import ATTESTATION_PATH, CHUNK_BYTES_HEADER, GATEWAY_PATH
from blindai.server.call import Call, inner_scope
from blindai.server.inbound import ClientGoneError, Inbound, Opener
from blindai.server.outbound import Outbound, Sealer
from blindai.server.replay import ReplayCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from blindai.server.asgi import App, Receive, Scope, Send
    from blindai.server.enclave import Enclave

_METHODS: Final = {GATEWAY_PATH: b"GET, POST", ATTESTATION_PATH: b"GET"}

_NONCE_QUERY = re.compile(rb"nonce=([0-9a-fA-F]{64})")
_CHUNK_FIELD: Final = CHUNK_BYTES_HEADER.encode()
_CHUNK_SIZE: Final = re.compile(rb"[0-9]{1,12}").fullmatch
_UNKNOWN_KEY: Final = json.dumps(
    {"type": problems.OHTTP_KEY, "title": "key identifier unknown"}
).encode()
_log = logging.getLogger("blindai.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """What the gateway accepts.

    Attributes:
        max_content_bytes: Of one request, opened; the application may ask for less.
        max_whole_bytes: Of one request that is not chunked, sealed.
        replay_window: How far a date may be from the enclave's clock, either way.
        replay_entries: How many requests are remembered within the window.
        idle_timeout_s: How long a client may send nothing within a request, or take in
            nothing of its answer, in seconds.
    """

    max_content_bytes: int = 2 << 30
    max_whole_bytes: int = 4 << 20
    replay_window: timedelta = timedelta(seconds=300)
    replay_entries: int = 1_000_000
    idle_timeout_s: float = 30.0


class Gateway:
    """ASGI middleware: sealed outside, plain inside.

        app = Gateway(inner_app, enclave)

    The application finds the request's id in `scope["extensions"]["blindai"]`, and what
    signs by the keyset that the request is sealed to.
    """

    def __init__(
        self, app: App, enclave: Enclave, limits: GatewayLimits | None = None
    ) -> None:
        """Stand before an application.

        Args:
            app: The ASGI application inside.
            enclave: Holds the keys and attests them.
            limits: What is accepted.
        """
        self._app = app
        self._enclave = enclave
        self._limits = limits = limits or GatewayLimits()
        self._replays = ReplayCache(limits.replay_window, limits.replay_entries)
        self._message_limits = Limits(max_content_bytes=limits.max_content_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "POST", path if path == GATEWAY_PATH:
                await self._exchange(scope, receive, send)
            case "GET", path if path == GATEWAY_PATH:
                keys = self._enclave.key_configs()
                await _answer(send, 200, keys, ohttp.KEYS_TYPE)
            case "GET", path if path == ATTESTATION_PATH:
                await self._attest(scope, send)
            case _, path if path in _METHODS:
                await _answer(send, 405, allow=_METHODS[path])
            case _:
                await _answer(send, 404)

    async def _attest(self, scope: Scope, send: Send) -> None:
        try:
            nonce = _nonce(scope["query_string"])
        except ValueError:
            await _answer(send, 400)
            return
        try:
            evidence = await self._enclave.attestation(nonce)
        except (errors.OverloadedError, errors.HardwareBusyError):
            await _answer(send, 429)
        except errors.HardwareError:  # the enclave has logged it
            await _answer(send, 503)
        except errors.BlindAIError:
            _log.exception("evidence could not be made")
            await _answer(send, 503)
        else:
            await _answer(send, 200, evidence, ATTESTATION_TYPE)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = _KINDS.get(_content_type(scope))
        if kind is None:
            await _answer(send, 415)
            return
        keys, signers = self._enclave.keys(), self._enclave.signers
        opener = kind.opener(keys, self._limits.max_whole_bytes)
        timeout_s = self._limits.idle_timeout_s
        inbound = Inbound(receive, opener, self._message_limits, timeout_s)
        try:
            head = await inbound.head()
        except errors.BlindAIError as error:
            if inbound.authenticated:
                outbound = self._outbound(kind, opener, send)
                await Call(self._app, inbound, outbound).refuse(error, None)
            else:
                await _refuse(send, error)
            return
        outbound = self._outbound(kind, opener, send)
        call = Call(self._app, inbound, outbound)
        try:
            fields = dict(reversed(head.fields))  # the first of a name counts
            outbound.chunk_bytes = _chunk_bytes(fields)
            self._admit(opener.encapsulation.enc, fields)
            inner = inner_scope(scope, head, call.request_id)
            signer = signers[opener.encapsulation.key_id]
            inner["extensions"]["blindai"]["signer"] = signer
        except errors.BlindAIError as error:
            await call.refuse(error, self._enclave.now())
        else:
            await call.run(inner, receive)

    def _outbound(self, kind: _Kind, opener: Opener, send: Send) -> Outbound:
        encapsulation = opener.encapsulation
        nonce = secrets.token_bytes(encapsulation.response_nonce_bytes)
        sealer = kind.sealer(encapsulation, nonce)
        return Outbound(send, sealer, kind.response_type, self._limits.idle_timeout_s)

    def _admit(self, enc: bytes, fields: Mapping[bytes, bytes]) -> None:
        """Let a request in.

        Raises:
            InvalidRequestError: If it waits for a 100 (RFC 9458, section 5.1).
        """
        if b"expect" in fields:
            raise errors.InvalidRequestError(
                "expect: expected no such field; nothing can be awaited inside a "
                "sealed request"
            )
        self._replays.admit(enc, fields.get(b"date"), self._enclave.now())


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of Oblivious HTTP message is opened and answered."""

    opener: Callable[[Mapping[int, ohttp.GatewayKey], int], Opener]
    sealer: Callable[[ohttp.Encapsulation, bytes], Sealer]
    response_type: bytes


_KINDS: Final = {
    chunked.REQUEST_TYPE.encode(): _Kind(
        lambda keys, _: chunked.RequestOpener(keys),
        chunked.ResponseSealer,
        chunked.RESPONSE_TYPE.encode(),
    ),
    ohttp.REQUEST_TYPE.encode(): _Kind(
        whole.RequestOpener, whole.ResponseSealer, ohttp.RESPONSE_TYPE.encode()
    ),
}


def _content_type(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return bytes(value).partition(b";")[0].strip().lower()
    return b""


def _nonce(query: bytes) -> bytes | None:
    """The nonce of a request for evidence; None where none is asked for.

    Raises:
        ValueError: If the query is anything else.
    """
    if not query:
        return None
    match = _NONCE_QUERY.fullmatch(query)
    if match is None:
        raise ValueError("expected ?nonce= and 64 hex digits")
    return bytes.fromhex(match[1].decode())


def _chunk_bytes(fields: Mapping[bytes, bytes]) -> int:
    """How large to make the chunks of an answer, for what its client takes.

    Raises:
        InvalidRequestError: If it takes less than all have to.
    """
    most = fields.get(_CHUNK_FIELD)
    if most is None:
        return COMMON_CHUNK_BYTES
    if not _CHUNK_SIZE(most) or int(most) < COMMON_CHUNK_BYTES:
        raise errors.InvalidRequestError(
            f"{CHUNK_BYTES_HEADER}: expected a whole number of at least"
            f" {COMMON_CHUNK_BYTES}, of at most 12 digits"
        )
    return min(int(most), CHUNK_BYTES)


async def _refuse(send: Send, why: errors.BlindAIError) -> None:
    """Answer a request that did not open: nobody knows yet who asks."""
    match why:
        case ClientGoneError():
            return
        case errors.UnknownKeyError():
            await _answer(send, 400, _UNKNOWN_KEY, problems.MEDIA_TYPE)
        case errors.TooLargeError():
            await _answer(send, 413)
        case errors.DeadlineError():
            await _answer(send, 408)
        case _:
            await _answer(send, 400)


async def _answer(
    send: Send,
    status: int,
    body: bytes = b"",
    media_type: str | None = None,
    allow: bytes | None = None,
) -> None:
    """Answer outside the seal: a status, and public bytes only."""
    headers = [
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if media_type is not None:
        headers.append((b"content-type", media_type.encode()))
    if allow is not None:
        headers.append((b"allow", allow))
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
