"""A sealed client without a network, and applications to stand behind the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from blindai.attester import Attester
from blindai.attester.simulated import SimulatedAttester
from blindai.inference.service import InferenceService
from blindai.protocol import bhttp, ohttp
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.bhttp_decoder import Response, decode_response
from blindai.protocol.chunks import MAX_CHUNK_BYTES
from blindai.protocol.names import GATEWAY_PATH
from blindai.server.app import create_app
from blindai.server.asgi import App, Message, Receive, Scope, Send
from blindai.server.enclave import Enclave, Lifetimes, Measured
from blindai.server.gateway import Gateway, GatewayLimits
from blindai.server.serve import build_service
from blindai.server.settings import InferenceSettings, Settings

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
Fields = bhttp.Fields
# What is tested here is in front of the models, and threads begin sooner.
IN_THREADS = Settings(inference=InferenceSettings(isolation="thread"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Answer:
    """What came back outside the seal: a status, headers, and pieces of a body."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    complete: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    async def take(self, message: Message) -> None:
        """ASGI's send, for an answer in the right order only."""
        assert not self.complete, "expected nothing after the end of the answer"
        if message["type"] == "http.response.start":
            assert not self.status, "expected one start of the answer"
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            assert self.status, "expected a start before the body"
            self.pieces.append(bytes(message["body"]))
            self.complete = not message.get("more_body", False)


@dataclass
class Opened:
    """An answer that opened."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.head.status

    @property
    def fields(self) -> dict[bytes, bytes]:
        return dict(self.response.head.fields)

    @property
    def content(self) -> bytes:
        return self.response.content

    @property
    def json(self) -> Any:  # noqa: ANN401  JSON may be anything
        return json.loads(self.content)

    @property
    def problem(self) -> tuple[int, str, str]:
        """Status, the last word of the type, and the detail."""
        assert self.fields[b"content-type"] == b"application/problem+json"
        assert self.json["status"] == self.status
        assert len(self.json["request_id"]) == 16
        kind = self.json["type"].replace("#", "/").rpartition("/")[2]
        return self.status, kind, self.json["detail"]


@dataclass
class Sealing:
    """A sealed request, chunk by chunk, and what opens its answer."""

    header: bytes
    chunks: list[bytes]
    media_type: str
    encapsulation: ohttp.Encapsulation

    @property
    def body(self) -> bytes:
        return self.header + b"".join(self.chunks)

    @property
    def pieces(self) -> list[bytes]:
        """The body, one chunk in each piece."""
        return [self.header, *self.chunks]

    def open(self, answer: bytes) -> Opened:
        """Open a whole answer.

        Raises:
            SealingError: If it does not open.
        """
        if self.media_type == ohttp.REQUEST_TYPE:
            plaintext = ohttp.open_response(self.encapsulation, answer)
        else:
            opener = chunked.ResponseOpener(self.encapsulation)
            plaintext = b"".join(opener.feed(answer)) + opener.finish()
        return Opened(decode_response(plaintext))


def seal(config: ohttp.KeyConfig, *plaintexts: bytes) -> Sealing:
    """Seal a chunked request; the last plaintext is its final chunk."""
    sealer = chunked.RequestSealer(config)
    chunks = [sealer.chunks.seal(each) for each in plaintexts[:-1]]
    chunks.append(sealer.chunks.seal_final(plaintexts[-1]))
    return Sealing(sealer.header, chunks, chunked.REQUEST_TYPE, sealer.encapsulation)


def seal_whole(config: ohttp.KeyConfig, plaintext: bytes) -> Sealing:
    """Seal a request that is one message."""
    sealed, encapsulation = ohttp.seal_request(config, plaintext)
    return Sealing(sealed, [], ohttp.REQUEST_TYPE, encapsulation)


class Door:
    """A client before a gateway, and everything it may do wrong.

    Attributes:
        gateway: The ASGI application outside.
        enclave: Whose keys requests are sealed to.
        date: The date that requests bear.
    """

    def __init__(self, gateway: App, enclave: Enclave, date: datetime = NOW) -> None:
        self.gateway = gateway
        self.enclave = enclave
        self.date = date

    def configs(self) -> tuple[ohttp.KeyConfig, ...]:
        """The key configurations on offer: X-Wing, X25519."""
        return ohttp.parse_key_configs(self.enclave.key_configs())

    def message(
        self,
        method: str = "GET",
        path: str = "/",
        content: bytes = b"",
        fields: Fields = (),
        *,
        date: bytes | None = b"",
    ) -> bytes:
        """A Binary HTTP request; `date` is the door's if empty, absent if None."""
        dates: dict[bytes | None, Fields] = {None: ()}
        now = format_datetime(self.date, usegmt=True).encode()
        fields = (*fields, *dates.get(date, ((b"date", date or now),)))
        head = bhttp.RequestHead(
            method.encode(), b"https", b"enclave.test", path.encode(), fields
        )
        return bhttp.encode_request(head, content)

    def seal(self, *plaintexts: bytes) -> Sealing:
        """Seal plaintext, one piece in each chunk; a plain request if none is given."""
        return seal(self.configs()[0], *(plaintexts or (self.message(),)))

    def seal_whole(self, plaintext: bytes) -> Sealing:
        """Seal plaintext as one message."""
        return seal_whole(self.configs()[0], plaintext)

    async def call(
        self,
        method: str,
        path: str,
        messages: Iterable[Message] = (),
        *,
        media_type: str = "",
        query: bytes = b"",
        client: Send | None = None,
    ) -> Answer:
        """Call the gateway with hand-made messages; it waits for ever after them."""
        rest = iter(messages)

        async def receive() -> Message:
            for message in rest:
                await asyncio.sleep(0)
                return message
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"outside.test")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        if media_type:
            scope["headers"].append((b"content-type", media_type.encode()))
        answer = Answer()
        async with asyncio.timeout(10):
            await self.gateway(scope, receive, client or answer.take)
        return answer

    async def post(
        self,
        pieces: Sequence[bytes],
        media_type: str = chunked.REQUEST_TYPE,
        *,
        ending: Sequence[Message] = ({"type": "http.request", "body": b""},),
    ) -> Answer:
        """Send sealed bytes in pieces, and then `ending`."""
        messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": True}
            for piece in pieces
        ]
        return await self.call(
            "POST", GATEWAY_PATH, [*messages, *ending], media_type=media_type
        )

    async def into(self, sealing: Sealing, client: Send) -> None:
        """Send a sealed request, and the answer to a client of one's own."""
        request: Message = {"type": "http.request", "body": sealing.body}
        kind = sealing.media_type
        await self.call("POST", GATEWAY_PATH, [request], media_type=kind, client=client)

    async def send(self, sealing: Sealing) -> Opened:
        """Send a sealed request, chunk by chunk, and open the answer."""
        answer = await self.post(sealing.pieces, sealing.media_type)
        assert answer.status == 200, f"expected a sealed answer, got {answer.status}"
        return sealing.open(answer.body)

    async def ask(
        self,
        method: str = "GET",
        path: str = "/",
        content: bytes = b"",
        fields: Fields = (),
    ) -> Opened:
        """Seal, send, open."""
        message = self.message(method, path, content, fields)
        size = MAX_CHUNK_BYTES
        pieces = [message[at : at + size] for at in range(0, len(message), size)]
        return await self.send(self.seal(*pieces))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def attester() -> SimulatedAttester:
    return SimulatedAttester()


MakeEnclave = Callable[..., Enclave]
MakeDoor = Callable[..., Door]


@pytest.fixture
def make_enclave(clock: Clock, attester: SimulatedAttester) -> MakeEnclave:
    def make(
        *,
        lifetimes: Lifetimes | None = None,
        quotes_per_second: int = 20,
        hardware: Attester = attester,
    ) -> Enclave:
        measured = Measured(config_digest=bytes(32), build="blindai test")
        return Enclave(
            hardware,
            measured,
            clock,
            lifetimes=lifetimes,
            quotes_per_second=quotes_per_second,
        )

    return make


@pytest.fixture
def make_door(make_enclave: MakeEnclave) -> MakeDoor:
    def make(
        app: App, enclave: Enclave | None = None, limits: GatewayLimits | None = None
    ) -> Door:
        enclave = enclave or make_enclave()
        return Door(Gateway(app, enclave, limits), enclave)

    return make


@pytest.fixture
def echo() -> App:
    """Answers with the content of the request, once it is complete."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        content, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request", "expected a whole request"
            content += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": content})

    return app


@pytest.fixture
def door(make_door: MakeDoor, echo: App) -> Door:
    """A door with the echo behind it."""
    return make_door(echo)


class V2(Door):
    """A door with the V2 application behind it.

    Attributes:
        service: The application's.
    """

    service: InferenceService


MakeV2 = Callable[..., Awaitable[V2]]


@pytest.fixture
async def make_v2(make_enclave: MakeEnclave, clock: Clock) -> AsyncIterator[MakeV2]:
    async with AsyncExitStack() as stack:

        async def make(settings: Settings | None = None) -> V2:
            return await stack.enter_async_context(
                _v2(settings or IN_THREADS, make_enclave(), clock)
            )

        yield make


@asynccontextmanager
async def _v2(settings: Settings, enclave: Enclave, clock: Clock) -> AsyncIterator[V2]:
    service = build_service(settings, None, None)
    app = create_app(service, settings, clock)
    door = V2(Gateway(app, enclave, settings.gateway_limits), enclave)
    door.service = service
    async with app.router.lifespan_context(app):
        yield door


@pytest.fixture
async def v2(make_v2: MakeV2, add: bytes) -> V2:
    """The V2 application with the model `add` in it."""
    door = await make_v2()
    token = ((b"blindai-owner-token", b"the owner"),)
    uploaded = await door.ask("PUT", "/v2/models/add", add, token)
    assert uploaded.status == 201, f"expected 201, got {uploaded.status}"
    return door
