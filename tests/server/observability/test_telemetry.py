"""Anonymous usage: what is told, to whom, and what happens if they misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from blindai import __version__
from blindai.errors import TransportError
from blindai.server.observability.record import Record
from blindai.server.observability.telemetry import (
    SWITCHES,
    Counts,
    Report,
    Telemetry,
    refused_by,
)
from blindai.server.observability.telemetry_sending import build_request, send

TEE = "simulated-sev-snp-report"
PAGE = Path(__file__).parents[3] / "docs" / "telemetry.md"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(answering: Answering) -> AsyncIterator[str]:
    """A server that answers as it likes, and its address."""
    answers: list[asyncio.Task[None]] = []

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await answering(reader, writer)
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.append(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/usage?a=b"
    finally:
        server.close()
        for each in answers:
            each.cancel()
        await asyncio.gather(*answers, return_exceptions=True)
        await asyncio.sleep(0)


def replying(answer: bytes, received: list[bytes] | None = None) -> Answering:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(size[1])) if size else b""
        if received is not None:
            received.append(head + body)
        writer.write(answer)
        await writer.drain()

    return reply


async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    elsewhere = b"HTTP/1.1 302 Go\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
    writer.write(OK if b" /elsewhere " in head else elsewhere)
    await writer.drain()


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.Event().wait()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        writer.write(b"y")
        await asyncio.sleep(0.05)


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: " + b"y" * 60000 + b"\r\n")
        await writer.drain()


def test_a_report_holds_what_its_page_says_and_nothing_else() -> None:
    rows = re.findall(r"^\| `(\w+(?:\.\w+)?)` \|", PAGE.read_text(), re.MULTILINE)
    expected = [each.name for each in fields(Report) if each.name != "counts"]
    expected += [f"counts.{each.name}" for each in fields(Counts)]

    assert rows == expected


def test_a_report_says_how_and_how_often() -> None:
    told = json.loads(Telemetry(TEE).report().encode())

    assert re.fullmatch(r"[0-9a-f]{32}", told.pop("instance"))
    assert re.fullmatch(r"3\.\d+", told.pop("python"))
    assert isinstance(told.pop("machine"), str)
    assert told == {
        "schema": 1,
        "mode": "simulation",
        "tee": "sev-snp-report",
        "version": __version__,
        "system": "Linux",
        "uptime_h": 0,
        "counts": {"inferences": 0, "uploads": 0, "deletes": 0, "errors": 0},
    }


def test_hardware_is_no_simulation() -> None:
    assert Telemetry("tdx-quote").report().mode == "hardware"


def test_requests_are_counted_by_kind() -> None:
    telemetry = Telemetry(TEE)

    for route, status, problem in (
        ("infer", 200, ""),
        ("infer", 200, ""),
        ("infer", 404, "not-found"),
        ("infer", 499, ""),
        ("upload", 201, ""),
        ("delete", 204, ""),
        ("index", 200, ""),
    ):
        telemetry.finished(Record(route, inner_status=status, problem=problem))

    assert telemetry.report().counts == Counts(2, 1, 1, 1)


def test_each_start_has_an_instance_of_its_own() -> None:
    assert Telemetry(TEE).report().instance != Telemetry(TEE).report().instance


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize(
    ("value", "off"), [("1", True), ("true", True), ("0", False), ("", False)]
)
def test_a_variable_turns_it_off(name: str, value: str, off: bool) -> None:  # noqa: FBT001  a table
    assert refused_by({name: value}) == (name if off else None)


def test_without_a_variable_it_is_not_refused() -> None:
    assert refused_by({}) is None


@pytest.mark.anyio
async def test_what_arrives_is_what_is_built() -> None:
    received: list[bytes] = []
    report = Telemetry(TEE).report().encode()

    async with listening(replying(OK, received)) as url:
        await send(url, report)
        request = build_request(url, report)

    head = [f"POST {request.url.raw_path.decode()} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in request.headers.items()]
    whole = "\r\n".join(head).lower() + "\r\n\r\n" + report.decode()
    found, _, body = received[0].decode().partition("\r\n\r\n")
    assert found.lower() + "\r\n\r\n" + body == whole


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answering",
    [
        pytest.param(replying(b""), id="hangs up"),
        pytest.param(replying(b"\xff\0 nonsense\r\n\r\n"), id="no HTTP"),
        pytest.param(replying(b"HTTP/1.1 500 No\r\n\r\n"), id="500"),
        pytest.param(redirect, id="a redirect, which is not followed"),
        pytest.param(hang, id="hangs"),
        pytest.param(drip, id="a byte now and then"),
        pytest.param(flood, id="fields without end"),
    ],
)
async def test_a_server_that_misbehaves_is_an_error_in_time(
    answering: Answering,
) -> None:
    async with asyncio.timeout(5), listening(answering) as url:
        with pytest.raises(TransportError, match="telemetry: expected"):
            await send(url, b"{}", timeout_s=0.5)


@pytest.mark.anyio
async def test_a_body_without_end_is_not_read() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"

    async with asyncio.timeout(5), listening(replying(answer)) as url:
        await send(url, b"{}")


@pytest.mark.anyio
async def test_it_tells_at_the_start_and_again() -> None:
    told: list[bytes] = []
    twice = asyncio.Event()

    async def tell(report: bytes) -> None:
        told.append(report)
        if len(told) == 2:
            twice.set()

    telemetry = Telemetry(TEE)
    async with telemetry.telling(tell, 0.01), asyncio.timeout(5):
        telemetry.finished(Record("infer", inner_status=200))
        await twice.wait()

    assert json.loads(told[1])["counts"]["inferences"] == 1


@pytest.mark.anyio
async def test_a_failure_is_said_once_and_never_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = 0
    enough = asyncio.Event()

    async def fail(_: bytes) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            enough.set()
        raise TransportError("a secret address")

    async with Telemetry(TEE).telling(fail, 0.001), asyncio.timeout(5):
        await enough.wait()

    assert caplog.messages == ["telemetry is not delivered: TransportError"]
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.anyio
async def test_a_server_that_hangs_holds_up_no_end() -> None:
    telemetry, reached = Telemetry(TEE), asyncio.Event()

    async def reach(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await hang(reader, writer)

    async with (
        asyncio.timeout(5),
        listening(reach) as url,
        telemetry.telling(lambda report: send(url, report), 60),
    ):
        await reached.wait()
