"""The short way to an enclave: what the network does wrong is one of httpx's errors."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blindai.client.direct import DirectWire
from blindai.client.streams import as_sync

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LARGE = 8 << 20
Script = Callable[[socket.socket], None]


class Server:
    """Answers connections by scripts, one after another."""

    def __init__(self, scripts: tuple[Script, ...], tls: ssl.SSLContext | None) -> None:
        self._scripts = scripts
        self._done = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        if tls is not None:
            self._listener = tls.wrap_socket(self._listener, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = httpx.URL(
            f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/path"
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for script in self._scripts:
            try:
                connection, _ = self._listener.accept()
            except (ssl.SSLError, TimeoutError):  # nobody, or nobody who trusts us
                continue
            connection.settimeout(10)
            with connection:
                script(connection)
            self._done.release()

    def wait(self) -> None:
        """Wait until a connection is over."""
        assert self._done.acquire(timeout=10)

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers; all are awaited at the end."""
    with ExitStack() as stack:

        def start(*scripts: Script, tls: ssl.SSLContext | None = None) -> Server:
            server = Server(scripts, tls)
            stack.callback(server.close)
            return server

        yield start


def answers(*pieces: bytes, requests: int = 1) -> Script:
    """Read a request of a known end, and answer it in pieces; then close."""

    def script(connection: socket.socket) -> None:
        for _ in range(requests):
            _read_request(connection)
            for piece in pieces:
                connection.sendall(piece)

    return script


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length: "):
            while len(body) < int(line.removeprefix(b"content-length: ")):
                body += connection.recv(1 << 20)
        if line == b"transfer-encoding: chunked":
            while not body.endswith(b"0\r\n\r\n"):
                body += connection.recv(1 << 20)
    return head + b"\r\n\r\n" + body


def ask(
    wire: DirectWire,
    url: httpx.URL,
    content: bytes | Iterator[bytes] = b"",
    timeout_s: float = 10,
) -> httpx.Response:
    """Send one request and read its answer."""
    with httpx.Client(transport=wire) as client:
        request = client.build_request("POST", url, content=content, timeout=timeout_s)
        answer = wire.handle_request(request)
        try:
            answer.read()
        finally:
            answer.close()
        return answer


def asked(wire: DirectWire, url: httpx.URL) -> httpx.Response:
    """Send one request, and leave the wire open."""
    answer = wire.handle_request(httpx.Request("GET", url))
    answer.read()
    return answer


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((OK,), id="at once"),
        pytest.param((OK[:20], OK[20:-1], OK[-1:]), id="in pieces"),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n", OK), id="after a 100"),
        pytest.param((b"HTTP/1.1 103 X\r\nA: b\r\n\r\n" + OK,), id="after a 103"),
        pytest.param((b"HTTP/1.0 200 OK\r\n\r\nhi",), id="until the end"),
        pytest.param(
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh",
                b"\r\n1\r\ni\r\n0\r\n\r\n",
            ),
            id="in chunks",
        ),
    ],
)
def test_an_answer_is_read(serve: Serve, pieces: tuple[bytes, ...]) -> None:
    server = serve(answers(*pieces))
    answer = ask(DirectWire(server.url), server.url)
    assert (answer.status_code, answer.content) == (200, b"hi")


@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 16, LARGE])
def test_a_body_that_is_there_arrives_with_its_length(serve: Serve, size: int) -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(_read_request(connection))
        connection.sendall(OK)

    server = serve(script)
    ask(DirectWire(server.url), server.url, bytes(size))
    assert seen[0].startswith(b"POST /path HTTP/1.1\r\nHost: 127.0.0.1")
    assert b"\r\nContent-Length: %d\r\n" % size in seen[0]
    assert seen[0].partition(b"\r\n\r\n")[2] == bytes(size)


def test_a_body_that_is_made_as_it_is_sent_arrives_in_chunks(serve: Serve) -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(_read_request(connection))
        connection.sendall(OK)

    server = serve(script)
    ask(DirectWire(server.url), server.url, iter([b"abc", b"", b"d" * 17]))
    chunks = b"3\r\nabc\r\n11\r\n" + b"d" * 17 + b"\r\n0\r\n\r\n"
    assert seen[0].partition(b"\r\n\r\n")[2] == chunks


def test_a_connection_is_used_again(serve: Serve) -> None:
    server = serve(answers(OK, requests=3))
    wire = DirectWire(server.url)
    assert [asked(wire, server.url).content for _ in range(3)] == [b"hi"] * 3
    wire.close()


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(OK, id="closed meanwhile"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            id="not to be kept",
        ),
    ],
)
def test_a_connection_that_is_over_is_not(serve: Serve, first: bytes) -> None:
    server = serve(answers(first), answers(OK))
    wire = DirectWire(server.url)
    assert asked(wire, server.url).content == b"hi"
    server.wait()
    assert asked(wire, server.url).content == b"hi"
    wire.close()


def test_a_connection_that_says_what_nobody_asked_for_is_not(serve: Serve) -> None:
    read, said = threading.Event(), threading.Event()

    def script(connection: socket.socket) -> None:
        answers(OK)(connection)
        read.wait(10)
        connection.sendall(OK)
        said.set()
        with suppress(ConnectionResetError):  # the client leaves it unread
            connection.recv(1)

    server = serve(script, answers(OK.replace(b"hi", b"ho")))
    wire = DirectWire(server.url)
    assert asked(wire, server.url).content == b"hi"
    read.set()
    said.wait(10)
    assert asked(wire, server.url).content == b"ho"
    wire.close()


def test_an_answer_that_is_not_read_costs_its_connection(serve: Serve) -> None:
    server = serve(answers(OK[:-1]), answers(OK))
    wire = DirectWire(server.url)
    answer = wire.handle_request(httpx.Request("GET", server.url))
    answer.close()
    as_sync(answer.stream).close()  # once more, in vain
    assert asked(wire, server.url).content == b"hi"
    wire.close()


def test_a_wire_that_is_closed_keeps_no_connection(serve: Serve) -> None:
    server = serve(answers(OK))
    wire = DirectWire(server.url)
    answer = wire.handle_request(httpx.Request("GET", server.url))
    wire.close()
    assert answer.read() == b"hi"
    assert wire._idle == []


def test_a_refusal_before_the_end_of_the_request_is_read(serve: Serve) -> None:
    refusal = b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n"

    def script(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(refusal)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    server = serve(script)
    assert ask(DirectWire(server.url), server.url, bytes(LARGE)).status_code == 413


def _hangs_up(connection: socket.socket) -> None:
    linger = b"\1\0\0\0\0\0\0\0"
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param(answers(), httpx.RemoteProtocolError, id="no answer"),
        pytest.param(answers(OK[:30]), httpx.RemoteProtocolError, id="half a head"),
        pytest.param(answers(OK[:-1]), httpx.RemoteProtocolError, id="half a body"),
        pytest.param(answers(OK + b"!"), httpx.RemoteProtocolError, id="too much"),
        pytest.param(answers(b"SSH-2.0\r\n\r\n"), httpx.RemoteProtocolError, id="SSH"),
        pytest.param(_hangs_up, httpx.ReadError, id="a reset"),
    ],
)
def test_what_is_no_answer_is_an_error(
    serve: Serve, script: Script, error: type[httpx.TransportError]
) -> None:
    server = serve(script)
    with pytest.raises(error):
        ask(DirectWire(server.url), server.url)


@pytest.mark.parametrize(
    ("size", "error"), [(0, httpx.ReadTimeout), (LARGE, httpx.WriteTimeout)]
)
def test_a_timeout_holds(
    serve: Serve, size: int, error: type[httpx.TransportError]
) -> None:
    over = threading.Event()
    server = serve(lambda _: over.wait(10) and None)
    with pytest.raises(error):
        ask(DirectWire(server.url), server.url, bytes(size), timeout_s=0.1)
    over.set()


def test_a_connection_that_is_refused_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = httpx.URL(f"http://127.0.0.1:{listener.getsockname()[1]}")
    with pytest.raises(httpx.ConnectError):
        ask(DirectWire(url), url)


def test_a_connection_that_nobody_accepts_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(*_: object) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", late)
    url = httpx.URL("http://enclave.test")
    with pytest.raises(httpx.ConnectTimeout):
        ask(DirectWire(url), url)


@pytest.mark.parametrize(
    ("url", "port"), [("http://enclave.test", 80), ("https://enclave.test", 443)]
)
def test_a_scheme_has_its_port(url: str, port: int) -> None:
    assert DirectWire(httpx.URL(url))._address == ("enclave.test", port)


def test_only_so_many_connections_are_kept(serve: Serve) -> None:
    count = 22
    server = serve(*[answers(OK)] * count)
    wire = DirectWire(server.url)
    request = httpx.Request("GET", server.url)
    open_ = [wire.handle_request(request) for _ in range(count)]
    for answer in open_:
        answer.read()
    assert len(wire._idle) == 20
    wire.close()


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the certificate to trust."""
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
    certificate, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return context, certificate


def test_tls_carries_small_and_large_bodies(
    serve: Serve, tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = serve(answers(OK, requests=2), tls=context)
    wire = DirectWire(server.url)
    for size in (10, LARGE):
        request = httpx.Request("POST", server.url, content=bytes(size))
        assert wire.handle_request(request).read() == b"hi"
    wire.close()


def test_a_certificate_that_is_not_trusted_is_an_error(
    serve: Serve, tls: tuple[ssl.SSLContext, Path]
) -> None:
    server = serve(answers(OK), tls=tls[0])
    with pytest.raises(httpx.ConnectError):
        ask(DirectWire(server.url), server.url)
