"""Azure's metadata service, served here, honest and not."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from blindai.attester import azure_metadata
from blindai.errors import HardwareError

REPORT = bytes(range(256)) * 4
QUOTE = b"quote\xff\xfe"


class Service(HTTPServer):
    """The service: what it was asked, and what it answers."""

    status = 200
    answer = b""
    asked: tuple[str, str, bytes, str | None] = ("", "", b"", None)


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        self.server.asked = (
            self.command,
            self.path,
            self.rfile.read(size),
            self.headers.get("Metadata"),
        )
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.answer)

    do_POST = do_GET  # noqa: N815  the base class's name

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(service: Service) -> str:
    return f"127.0.0.1:{service.server_address[1]}"


def test_a_report_becomes_a_quote(service: Service) -> None:
    text = base64.urlsafe_b64encode(QUOTE).rstrip(b"=").decode()
    service.answer = json.dumps({"quote": text}).encode()

    quote = azure_metadata.read_td_quote(REPORT, address(service))

    method, path, body, _ = service.asked
    assert quote == QUOTE
    assert (method, path) == ("POST", "/acc/tdquote")
    sent = json.loads(body)["report"]
    assert base64.urlsafe_b64decode(sent + "==") == REPORT


def test_the_processors_certificates_are_read(service: Service) -> None:
    service.answer = json.dumps(
        {"vcekCert": "leaf\n", "certificateChain": "chain", "tcbm": "DB18"}
    ).encode()

    pem = azure_metadata.read_amd_certificates(address(service))

    assert pem == b"leaf\nchain\n"
    assert service.asked == ("GET", "/metadata/THIM/amd/certification", b"", "true")


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        pytest.param(500, b"{}", "got status 500", id="failure"),
        pytest.param(200, b"{", "expected JSON", id="no JSON"),
        pytest.param(200, b"[" * 60_000, "expected JSON", id="deep"),
        pytest.param(200, b"[]", "quote to be text", id="a list"),
        pytest.param(200, b'{"quote": 1}', "quote to be text", id="a number"),
        pytest.param(200, b'{"quote": "A"}', "in base64url", id="no base64"),
        pytest.param(200, '{"quote": "ü"}'.encode(), "in base64url", id="no ASCII"),
    ],
)
def test_other_answers_are_refused(
    service: Service, status: int, answer: bytes, message: str
) -> None:
    service.status, service.answer = status, answer

    with pytest.raises(HardwareError, match=message):
        azure_metadata.read_td_quote(REPORT, address(service))


def test_a_service_that_is_not_there_is_refused(service: Service) -> None:
    gone = address(service)
    service.shutdown()
    service.server_close()

    with pytest.raises(HardwareError, match="/acc/tdquote: "):
        azure_metadata.read_td_quote(REPORT, gone)
