"""Sealed bytes go through the proxy that the environment names, and it sees no more."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

import blindai
from blindai.client.wire import describe, open_async_wire, open_wire, proxy_for
from blindai.errors import ConfigurationError, TransportError
from blindai.testing import SimulatedEnclave

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)
HTTP, HTTPS = httpx.URL("http://enclave.test"), httpx.URL("https://enclave.test")


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        pytest.param({}, HTTP, None, id="none"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, HTTP, "http://p:1", id="http"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, HTTPS, None, id="http only"),
        pytest.param({"HTTPS_PROXY": "http://p:2"}, HTTPS, "http://p:2", id="https"),
        pytest.param({"ALL_PROXY": "http://p:3"}, HTTPS, "http://p:3", id="all"),
        pytest.param({"HTTP_PROXY": "p:1"}, HTTP, "http://p:1", id="no scheme"),
        pytest.param(
            {"HTTP_PROXY": "http://p:1", "NO_PROXY": ".test"}, HTTP, None, id="bypassed"
        ),
        pytest.param(
            {"HTTP_PROXY": "http://p:1", "NO_PROXY": "other.test"},
            HTTP,
            "http://p:1",
            id="another is bypassed",
        ),
    ],
)
def test_the_environment_names_the_proxy(
    variables: dict[str, str],
    url: httpx.URL,
    proxy: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert proxy_for(url) == proxy


class Proxy:
    """A forward proxy that writes down all it sees."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                seen.append(self.requestline.encode() + bytes(self.headers) + body)
                answer = httpx.request(
                    self.command,
                    self.path,
                    headers={"content-type": self.headers.get("content-type", "")},
                    content=body,
                    trust_env=False,
                    verify=False,  # noqa: S501  plain HTTP, and contexts are dear
                )
                seen.append(answer.content)
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = _pass_on  # noqa: N815  its names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    running = Proxy()
    running.start()
    yield running
    running.stop()


def test_a_proxy_sees_sealed_bytes_only(
    client: blindai.Connection,
    enclave: SimulatedEnclave,
    identity: Callable[..., bytes],
    name: str,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.upload_model(identity(), name)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with enclave.connect(api_key="bai_the-api-key") as proxied:
        assert proxied.predict(name, [7.0]).output[0].as_flat() == [7.0]
    seen = b"\n".join(proxy.seen)
    assert len(proxy.seen) == 2 * 3
    assert seen.count(b"POST http://127.0.0.1") == 2
    for secret in (name.encode(), b"bai_the-api-key", b"/v2/", b"infer"):
        assert secret not in seen


@pytest.mark.anyio
@pytest.mark.parametrize(("no_proxy", "passed"), [("", 4), ("127.0.0.1", 0)])
async def test_on_an_event_loop_the_proxy_is_the_same(
    enclave: SimulatedEnclave,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    no_proxy: str,
    passed: int,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    async with blindai.AsyncConnection(enclave.url, simulation=True) as client:
        await client.models()
    assert len(proxy.seen) == passed


def test_a_proxy_that_is_not_to_be_used_is_not(
    enclave: SimulatedEnclave, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with enclave.connect() as direct:
        direct.models()
    assert proxy.seen == []


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        pytest.param("ftp://me:secret@p", "proxy: expected .* got another", id="ftp"),
        pytest.param("http://p:port", "proxy: expected .* got another", id="malformed"),
        pytest.param("socks5://p:1", "pip install 'httpx", id="SOCKS"),
    ],
)
@pytest.mark.parametrize("opening", [open_wire, open_async_wire])
def test_a_proxy_that_cannot_be_used_is_a_setting_to_mend(
    opening: Callable[[httpx.URL], object],
    proxy: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=message) as caught:
        opening(HTTP)
    assert "secret" not in str(caught.value)


def test_certificates_that_cannot_be_read_are_a_setting_to_mend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE .*: No such file"):
        open_wire(HTTPS)


def test_a_failure_names_the_address_and_the_proxy_but_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = httpx.ConnectError("refused")
    told = "network: ConnectError: refused (http://enclave.test)"
    assert describe(refused, HTTP) == told
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@proxy.test:8")
    via = ", by the proxy http://proxy.test:8)"
    assert describe(refused, HTTP) == told.replace(")", via)


def test_a_server_without_tls_is_told_from_others(enclave: SimulatedEnclave) -> None:
    with pytest.raises(TransportError, match=r"is it http:// there\? \(https://127"):
        blindai.connect(enclave.url.replace("http:", "https:"), simulation=True)
