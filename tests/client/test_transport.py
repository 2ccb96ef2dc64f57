"""Any httpx client becomes attested: its requests reach any application, sealed."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from blindai import AsyncSealedTransport, SealedTransport
from blindai.attester.simulated import SimulatedAttester
from blindai.client.plain import PlainRequest
from blindai.errors import SealingError
from blindai.protocol.chunks import MAX_CHUNK_BYTES
from blindai.server.asgi import App
from blindai.server.enclave import Enclave, Measured
from blindai.server.gateway import Gateway
from blindai.server.serve import now
from blindai.testing import SimulatedEnclave

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)
BASE = "https://inner.test:8443"


async def _echo(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
        },
        headers={"x-answer": "yes"},
    )


async def _sizes(request: Request) -> Response:
    sizes = [len(piece) async for piece in request.stream() if piece]
    return JSONResponse({"total": sum(sizes), "pieces": len(sizes)})


async def _cookie(request: Request) -> Response:
    response = JSONResponse(request.cookies)
    response.set_cookie("session", "42")
    return response


async def _hang(request: Request) -> Response:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()


async def _large(_: Request) -> Response:
    return Response(bytes(200_000))


async def _compressed(_: Request) -> Response:
    headers = {"content-encoding": "gzip"}
    return Response(gzip.compress(b"squeezed"), headers=headers)


def _application() -> App:
    released = asyncio.Event()

    async def events(_: Request) -> Response:
        async def stream() -> AsyncIterator[str]:
            yield "data: first\n\n"
            await released.wait()
            yield "data: second\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def release(_: Request) -> Response:
        released.set()
        return Response(status_code=204)

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/echo/{rest:path}", _echo, methods=methods),
            Route("/sizes", _sizes, methods=["POST"]),
            Route("/cookie", _cookie),
            Route("/hang", _hang),
            Route("/large", _large),
            Route("/compressed", _compressed),
            Route("/events", events),
            Route("/release", release, methods=["POST"]),
        ]
    )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Somebody else's application, behind the door."""
    measured = Measured(config_digest=bytes(32), build="test")
    enclave = Enclave(SimulatedAttester(), measured, now, quotes_per_second=4096)
    with SimulatedEnclave(app=Gateway(_application(), enclave)) as running:
        yield running.url


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    transport = SealedTransport(url, simulation=True)
    with httpx.Client(transport=transport, base_url=BASE) as client:
        yield client


@pytest.fixture
async def aclient(url: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = AsyncSealedTransport(url, simulation=True)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


def _pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(70_000)


async def _apieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(70_000)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_queries_headers_and_bodies_pass(
    client: httpx.Client, method: str
) -> None:
    answer = client.request(
        method, "/echo/a%20b", params={"q": "ä&b"}, headers={"X-Own": "1"}, content="hi"
    )
    seen = answer.json()
    assert seen["method"] == method
    assert (seen["path"], seen["query"]) == ("/echo/a%20b", "q=%C3%A4%26b")
    assert seen["body"] == "hi"
    assert (seen["headers"]["x-own"], answer.headers["x-answer"]) == ("1", "yes")
    assert seen["headers"]["host"] == "inner.test:8443"


def test_the_enclave_is_told_how_large_chunks_may_be(client: httpx.Client) -> None:
    seen = client.get("/echo/").json()["headers"]
    assert seen["blindai-chunk-bytes"] == str(MAX_CHUNK_BYTES)


def test_a_head_is_answered(client: httpx.Client) -> None:
    answer = client.head("/echo/")
    assert (answer.status_code, answer.headers["x-answer"]) == (200, "yes")


def test_a_status_of_the_applications_is_passed_on(client: httpx.Client) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/sizes").status_code == 405


def test_cookies_are_kept(client: httpx.Client) -> None:
    assert client.get("/cookie").json() == {}
    assert client.get("/cookie").json() == {"session": "42"}


def test_a_compressed_answer_is_decompressed(client: httpx.Client) -> None:
    assert client.get("/compressed").text == "squeezed"


def test_a_generator_is_sent_piece_by_piece(client: httpx.Client) -> None:
    seen = client.post("/sizes", content=_pieces(10)).json()
    assert seen["total"] == 700_000
    assert seen["pieces"] > 9


def test_a_form_with_a_file_is_sent(client: httpx.Client) -> None:
    files = {"file": ("name.bin", b"contents")}
    assert "contents" in client.post("/echo/", files=files).json()["body"]


@pytest.mark.parametrize("size", [1 << 17, (1 << 17) + 1, 1 << 20])
def test_a_large_body_in_memory_is_sent(client: httpx.Client, size: int) -> None:
    assert client.post("/sizes", content=bytes(size)).json()["total"] == size


def test_an_answer_is_opened_as_it_arrives(client: httpx.Client) -> None:
    with client.stream("GET", "/events") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        client.post("/release")
        assert "data: second" in list(lines)


def test_an_answer_that_is_not_read_leaves_the_client_usable(
    client: httpx.Client,
) -> None:
    with client.stream("GET", "/large") as answer:
        assert answer.status_code == 200
    assert client.get("/large").content == bytes(200_000)


def test_a_timeout_holds(client: httpx.Client) -> None:
    client.get("/echo/")
    with pytest.raises(httpx.ReadTimeout):
        client.get("/hang", timeout=0.1)


def test_a_redirect_leads_nowhere_but_through_the_door(client: httpx.Client) -> None:
    answer = client.get("https://elsewhere.test/echo/")
    assert answer.json()["headers"]["host"] == "elsewhere.test"


def test_the_verification_is_there_to_be_read(url: str) -> None:
    transport = SealedTransport(url, simulation=True)
    assert transport.attestation is None
    result = transport.attest()
    assert transport.attestation is result
    transport.close()


def test_a_request_without_timeouts_has_the_usual_ones(url: str) -> None:
    with SealedTransport(url, simulation=True) as transport:
        answer = transport.handle_request(httpx.Request("GET", f"{BASE}/echo/"))
        assert answer.read()
        assert answer.status_code == 200


class _Cut(httpx.BaseTransport):
    """Leaves the last byte of every sealed answer out."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport(verify=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        content = answer.read()
        answer.close()
        content = content[:-1] if request.method == "POST" else content
        return httpx.Response(200, headers=answer.headers, content=content)

    def close(self) -> None:
        self._inner.close()


def test_an_answer_cut_short_is_an_error_while_it_is_read(url: str) -> None:
    transport = SealedTransport(url, simulation=True, wire=_Cut())
    with httpx.Client(transport=transport) as client, pytest.raises(SealingError):
        client.get(f"{BASE}/large")


@pytest.mark.anyio
async def test_on_an_event_loop_requests_pass_too(aclient: httpx.AsyncClient) -> None:
    seen = (await aclient.post("/echo/x?y=1", content="hi")).json()
    assert (seen["path"], seen["query"], seen["body"]) == ("/echo/x", "y=1", "hi")
    assert (await aclient.get("/nowhere")).status_code == 404
    assert (await aclient.get("/large")).content == bytes(200_000)


@pytest.mark.anyio
async def test_on_an_event_loop_a_generator_is_sent_piece_by_piece(
    aclient: httpx.AsyncClient,
) -> None:
    seen = (await aclient.post("/sizes", content=_apieces(10))).json()
    assert seen["total"] == 700_000


@pytest.mark.anyio
async def test_on_an_event_loop_an_answer_is_opened_as_it_arrives(
    aclient: httpx.AsyncClient,
) -> None:
    async with aclient.stream("GET", "/events") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "data: first"
        await aclient.post("/release")
        assert "data: second" in [line async for line in lines]


@pytest.mark.anyio
async def test_on_an_event_loop_a_timeout_holds(aclient: httpx.AsyncClient) -> None:
    await aclient.get("/echo/")
    with pytest.raises(httpx.ReadTimeout):
        await aclient.get("/hang", timeout=0.1)


@pytest.mark.anyio
async def test_on_an_event_loop_the_verification_is_there_to_be_read(url: str) -> None:
    async with AsyncSealedTransport(url, simulation=True) as transport:
        assert transport.attestation is None
        assert await transport.attest() is transport.attestation


@pytest.mark.anyio
async def test_a_body_for_the_other_kind_of_client_is_the_callers_mistake(
    url: str,
) -> None:
    class Threads(httpx.SyncByteStream):
        pass

    class Loop(httpx.AsyncByteStream):
        pass

    def plain(body: httpx.SyncByteStream | httpx.AsyncByteStream) -> PlainRequest:
        return PlainRequest(
            method="POST",
            authority=b"inner.test",
            path=b"/echo/",
            fields=(),
            body=body,
            size_bytes=None,
            in_memory=False,
            repeatable=False,
            timeouts={},
        )

    with (
        SealedTransport(url, simulation=True) as transport,
        pytest.raises(TypeError, match="expected one for a synchronous client"),
    ):
        transport.exchange(plain(Loop()))
    async with AsyncSealedTransport(url, simulation=True) as atransport:
        with pytest.raises(TypeError, match="expected one for an asynchronous client"):
            await atransport.exchange(plain(Threads()))


@pytest.mark.anyio
async def test_on_an_event_loop_a_clock_that_differs_is_corrected(
    serve: Callable[[App], SimulatedEnclave], gateway: Callable[..., Gateway]
) -> None:
    slow = serve(gateway(_application(), lambda: now() - timedelta(hours=1)))
    async with AsyncSealedTransport(slow.url, simulation=True) as transport:
        request = httpx.Request("GET", f"{BASE}/large")
        answer = await transport.handle_async_request(request)
        assert await answer.aread() == bytes(200_000)


@pytest.mark.anyio
async def test_on_an_event_loop_a_head_may_be_all_there_is(
    serve: Callable[[App], SimulatedEnclave], gateway: Callable[..., Gateway]
) -> None:
    empty = serve(gateway(Response(status_code=204)))
    async with AsyncSealedTransport(empty.url, simulation=True) as transport:
        request = httpx.Request("GET", BASE)
        answer = await transport.handle_async_request(request)
        assert (answer.status_code, await answer.aread()) == (204, b"")
