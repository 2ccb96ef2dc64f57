"""The whole server over real sockets: streams, memory, TLS, clients that go away."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blindai.errors import OverloadedError
from blindai.protocol import bhttp, ohttp
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.bhttp import Content
from blindai.protocol.bhttp_decoder import ResponseDecoder
from blindai.protocol.chunks import CHUNK_BYTES
from blindai.protocol.names import GATEWAY_PATH
from blindai.server.gateway import GatewayLimits
from blindai.server.replay import http_date
from blindai.server.serve import Listen, bind, build_server, now
from blindai.server.settings import ModelSettings, Settings
from blindai.testing import SimulatedEnclave

if TYPE_CHECKING:
    from tests.server.conftest import Door, MakeDoor

    from blindai.server.asgi import App, Message, Receive, Scope, Send

Application = Callable[..., Awaitable[None]]
HEADERS = {"content-type": chunked.REQUEST_TYPE}
MIB = 1 << 20


def only_http(app: Application) -> App:
    """An application without a lifespan."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await app(scope, receive, send)

    return called


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold within five seconds."""
    give_up = time.monotonic() + 5
    while not holds() and time.monotonic() < give_up:
        time.sleep(0.005)
    return holds()


def spools() -> int:
    """How many uploads lie in this process's memory."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(descriptor.readlink()))
    return sum("memfd:model" in link for link in links)


class Upload:
    """A sealed upload, to be sent in parts by hand."""

    def __init__(self, url: str, name: str, content: bytes) -> None:
        keys = httpx.get(url + GATEWAY_PATH).content
        sealer = chunked.RequestSealer(ohttp.parse_key_configs(keys)[0])
        head = bhttp.RequestHead(
            b"PUT",
            b"https",
            b"enclave.test",
            f"/v2/models/{name}".encode(),
            ((b"date", http_date(now()).encode()),),
        )
        message = bhttp.encode_request(head, content)
        half = len(message) // 2
        self.first = sealer.header + sealer.chunks.seal(message[:half])
        self.rest = sealer.chunks.seal_final(message[half:])

    def begin(self, url: str) -> socket.socket:
        """Send the first half, over a connection of its own."""
        address = urlsplit(url)
        connection = socket.create_connection((address.hostname, address.port))
        size = len(self.first) + len(self.rest)
        connection.sendall(
            f"POST {GATEWAY_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n"
            f"Content-Type: {chunked.REQUEST_TYPE}\r\n\r\n".encode()
        )
        connection.sendall(self.first)
        return connection


@pytest.fixture
def one_upload() -> Iterator[SimulatedEnclave]:
    settings = Settings(models=ModelSettings(max_uploads=1))
    with SimulatedEnclave(settings) as enclave:
        yield enclave


def test_a_client_that_goes_half_way_leaves_nothing_behind(
    one_upload: SimulatedEnclave, add: bytes
) -> None:
    before = spools()
    with one_upload.connect() as client:
        connection = Upload(one_upload.url, "half", add).begin(one_upload.url)
        assert eventually(lambda: spools() == before + 1), "expected a spool"

        connection.close()

        assert eventually(lambda: spools() == before), "expected no spool"
        assert [model.name for model in client.models()] == []
        client.upload_model(add, "whole")
        assert [model.name for model in client.models()] == ["whole"]


def test_an_upload_beyond_the_limit_is_refused_and_the_first_one_is_taken_in(
    one_upload: SimulatedEnclave, add: bytes
) -> None:
    upload = Upload(one_upload.url, "first", add)
    before = spools()
    with one_upload.connect() as client, upload.begin(one_upload.url) as connection:
        assert eventually(lambda: spools() == before + 1), "expected a spool"

        with pytest.raises(OverloadedError, match="uploads: expected at most 1"):
            client.upload_model(add, "second")

        connection.sendall(upload.rest)
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert [model.name for model in client.models()] == ["first"]


def test_concurrent_uploads_and_runs_keep_apart(add: bytes) -> None:
    x = np.array([[1, 2]], np.float32)

    with SimulatedEnclave() as enclave, enclave.connect() as client:

        def use(number: int) -> list[float]:
            client.upload_model(add, f"model-{number}")
            inputs = {"x": x * number}
            answer = client.predict(f"model-{number}", inputs)
            values: list[float] = answer.output[0].as_flat()
            return values

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(use, range(4)))

        assert answers == [[1 + n, 2 + 2 * n] for n in range(4)]
        assert len(client.models()) == 4


def test_events_arrive_before_the_application_has_finished(
    make_door: MakeDoor,
) -> None:
    read = threading.Semaphore(0)

    @only_http
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            event = b"data: %d\n\n" % number
            body: Message = {"type": "http.response.body", "body": event}
            await send({**body, "more_body": True})
            assert read.acquire(timeout=5), "expected the event to be read"
        await send({"type": "http.response.body"})

    door = make_door(app)
    sealing = door.seal()
    opener = chunked.ResponseOpener(sealing.encapsulation)
    decoder = ResponseDecoder()
    seen: list[bytes] = []

    with (
        SimulatedEnclave(app=door.gateway) as enclave,
        httpx.stream(
            "POST",
            enclave.url + GATEWAY_PATH,
            content=sealing.body,
            headers=HEADERS,
        ) as answer,
    ):
        for sealed in answer.iter_raw():
            for plaintext in opener.feed(sealed):
                events = [e for e in decoder.feed(plaintext) if isinstance(e, Content)]
                seen += [bytes(event.data) for event in events]
                read.release(len(events))

    assert seen == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


def test_an_answer_cut_short_by_the_application_does_not_open(
    make_door: MakeDoor,
) -> None:
    @only_http
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    door = make_door(app)

    with (
        SimulatedEnclave(app=door.gateway) as enclave,
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
    ):
        httpx.post(
            enclave.url + GATEWAY_PATH, content=door.seal().body, headers=HEADERS
        )


def test_a_client_that_stalls_is_told_and_others_are_served(
    make_door: MakeDoor, echo: App
) -> None:
    door = make_door(only_http(echo), limits=GatewayLimits(idle_timeout_s=0.2))
    sealing = door.seal()

    with SimulatedEnclave(app=door.gateway) as enclave:
        address = urlsplit(enclave.url)
        with socket.create_connection((address.hostname, address.port)) as stalled:
            stalled.sendall(
                f"POST {GATEWAY_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n"
                f"Content-Type: {chunked.REQUEST_TYPE}\r\n\r\n".encode()
                + sealing.header
            )
            answer = httpx.post(
                enclave.url + GATEWAY_PATH, content=sealing.body, headers=HEADERS
            )
            assert answer.status_code == 200
            assert stalled.recv(12) == b"HTTP/1.1 408"


def test_over_the_wire_what_is_not_sealed_gets_a_bare_status() -> None:
    with SimulatedEnclave() as enclave, httpx.Client(base_url=enclave.url) as http:
        answers = {
            404: http.get("/v2"),
            405: http.head(GATEWAY_PATH),
            415: http.post(GATEWAY_PATH, content=b"{}"),
            400: http.post(GATEWAY_PATH, headers=HEADERS),
        }

    assert {
        answer.status_code: answer.content for answer in answers.values()
    } == dict.fromkeys(answers, b"")
    names = {name for answer in answers.values() for name in answer.headers}
    assert not names & {"server", "date", "content-type"}


def _certificate(folder: Path) -> Listen:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "enclave")])
    address = x509.IPAddress(IPv4Address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2025, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2075, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Listen(port=0, tls_certificate=files[0], tls_key=files[1])


def test_the_outer_connection_may_be_tls(door: Door, tmp_path: Path) -> None:
    listen = _certificate(tmp_path)
    sealing = door.seal(door.message("POST", "/", b"content"))
    context = ssl.create_default_context(cafile=listen.tls_certificate)
    server = build_server(door.gateway, listen)
    with bind(listen) as sock:
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        url = f"https://127.0.0.1:{sock.getsockname()[1]}{GATEWAY_PATH}"
        answer = httpx.post(url, content=sealing.body, headers=HEADERS, verify=context)
        server.should_exit = True
        thread.join()

    assert sealing.open(answer.content).content == b"content"


async def _counting(_: Scope, receive: Receive, send: Send) -> None:
    """Answers with the number of bytes it was given, and as many zeros."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    piece: Message = {"type": "http.response.body", "body": bytes(CHUNK_BYTES)}
    for _part in range(size // CHUNK_BYTES):
        await send({**piece, "more_body": True})
    await send({"type": "http.response.body", "body": str(size).encode()})


class Transfer:
    """An upload that is sealed piece by piece, and an answer opened as it arrives."""

    def __init__(self, door: Door, size: int) -> None:
        self._sealer = chunked.RequestSealer(door.configs()[0])
        self._opener = chunked.ResponseOpener(self._sealer.encapsulation)
        self._pieces = self._upload(size)
        self.received = 0

    def _upload(self, size: int) -> Iterator[bytes]:
        date = ((b"date", b"Mon, 01 Jun 2026 12:00:00 GMT"),)
        head = bhttp.RequestHead(b"PUT", b"https", b"", b"/", date)
        chunks = self._sealer.chunks
        yield self._sealer.header + chunks.seal(bhttp.encode_request_head(head))
        content = b"".join(bhttp.encode_content(bytes(CHUNK_BYTES)))
        for _ in range(size // CHUNK_BYTES):
            yield chunks.seal(content)
        yield chunks.seal_final(bhttp.encode_end())

    async def receive(self) -> Message:
        piece = next(self._pieces, None)
        more = piece is not None
        return {"type": "http.request", "body": piece or b"", "more_body": more}

    async def send(self, message: Message) -> None:
        for plaintext in self._opener.feed(message.get("body", b"")):
            self.received += len(plaintext)


@pytest.mark.anyio
async def test_64_mib_each_way_pass_through_little_memory(make_door: MakeDoor) -> None:
    size = 64 * MIB
    door = make_door(_counting)
    transfer = Transfer(door, size)
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "POST",
        "path": GATEWAY_PATH,
        "headers": [(b"content-type", chunked.REQUEST_TYPE.encode())],
    }
    tracemalloc.start()

    await door.gateway(scope, transfer.receive, transfer.send)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert transfer.received > size
    assert peak < 2 * MIB, f"expected less than 2 MiB, got {peak} bytes"


def test_a_large_upload_over_the_wire_is_not_gathered_in_the_gateway(
    make_door: MakeDoor,
) -> None:
    resume = threading.Event()

    @only_http
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.to_thread(resume.wait, 5)  # reads no further
        await _counting(scope, receive, send)

    door = make_door(app)
    transfer = Transfer(door, 32 * MIB)
    sent: list[int] = []

    def pieces() -> Iterator[bytes]:
        for piece in transfer._pieces:
            sent.append(len(piece))
            yield piece

    with SimulatedEnclave(app=door.gateway) as enclave, ThreadPoolExecutor(1) as other:
        answer = other.submit(
            httpx.post, enclave.url + GATEWAY_PATH, content=pieces(), headers=HEADERS
        )
        time.sleep(0.3)
        ahead = sum(sent)
        resume.set()

        assert answer.result(10).status_code == 200
    assert ahead < 16 * MIB, f"expected the sender to be held up, it sent {ahead} bytes"
