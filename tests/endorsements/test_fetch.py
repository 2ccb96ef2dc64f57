"""One document over HTTP, from a server that may do anything."""

from __future__ import annotations

import gzip
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.endorsements.conftest import (
    NOW,
    SOON,
    Clock,
    Reply,
    Vendor,
    a_request,
    revoked,
    sgx,
)

from blindai.endorsements.documents import Answer, Kind
from blindai.endorsements.fetch import FetchError, HttpFetch, read_retry_after
from blindai.endorsements.sources import Addresses, plan
from blindai.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

CRL = revoked("Root")


@pytest.fixture
async def fetch(clock: Clock) -> AsyncIterator[HttpFetch]:
    async with HttpFetch(clock, timeout_s=2) as fetching:
        yield fetching


async def ask(fetch: HttpFetch, vendor: Vendor, reply: Reply) -> Answer:
    vendor.replies["/crl"] = reply
    return await fetch(a_request(f"{vendor.url}/crl", mentions=b"Root"))


async def test_a_document_is_fetched(fetch: HttpFetch, vendor: Vendor) -> None:
    answer = await ask(fetch, vendor, Reply(CRL))

    assert (answer.content, answer.expires_at) == (CRL, SOON)
    (sent,) = vendor.headers
    assert sent["accept"] == "application/pkix-crl, */*;q=0.1"
    assert sent["accept-encoding"] == "identity"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_no_proxy_is_asked_for_what_is_on_this_machine(
    clock: Clock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    vendor.replies["/crl"] = Reply(CRL)
    url = vendor.url.replace("127.0.0.1", name)

    async with HttpFetch(clock) as fetch:
        answer = await fetch(a_request(f"{url}/crl"))

    assert answer.content == CRL


async def test_all_that_belongs_to_a_quote_is_fetched(
    fetch: HttpFetch, vendor: Vendor
) -> None:
    vendor.serve_intel()
    (found,) = plan(sgx(), Addresses(intel=vendor.url))

    answers = {request: await fetch(request) for request in found.requests}

    assert len(found.assemble(answers, NOW)) == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(Reply(b"no", status=500), "status 200, got 500", id="an error"),
        pytest.param(Reply(b"no", status=404), "status 200, got 404", id="not there"),
        pytest.param(
            Reply(status=302, fields={"location": "/other"}), "got 302", id="a redirect"
        ),
        pytest.param(
            Reply(CRL[:-9], fields={"content-length": str(len(CRL))}),
            "RemoteProtocolError",
            id="truncated",
        ),
        pytest.param(
            Reply(CRL + bytes(Kind.CRL.max_bytes)), "at most 32768 bytes", id="large"
        ),
        pytest.param(
            Reply(gzip.compress(CRL), fields={"content-encoding": "gzip"}),
            "no content encoding",
            id="compressed",
        ),
    ],
)
async def test_what_is_no_document_is_an_error(
    fetch: HttpFetch, vendor: Vendor, reply: Reply, message: str
) -> None:
    with pytest.raises(FetchError, match=f"^the CRL: .*{message}") as raised:
        await ask(fetch, vendor, reply)

    assert raised.value.retry_after is None


@pytest.mark.parametrize(
    "body", [b"<html>busy</html>", revoked("Another CA"), CRL[:-9], b""]
)
async def test_something_else_is_refused(
    fetch: HttpFetch, vendor: Vendor, body: bytes
) -> None:
    with pytest.raises(EvidenceError, match=r"^the CRL: expected"):
        await ask(fetch, vendor, Reply(body))


async def test_a_redirect_is_not_followed(fetch: HttpFetch, vendor: Vendor) -> None:
    vendor.replies["/other"] = Reply(CRL)
    with pytest.raises(FetchError):
        await ask(fetch, vendor, Reply(status=301, fields={"location": "/other"}))

    assert vendor.asked == ["/crl"]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_says_when_to_come_back(
    fetch: HttpFetch, vendor: Vendor, status: int
) -> None:
    with pytest.raises(FetchError, match=f"got {status}") as raised:
        await ask(fetch, vendor, Reply(status=status, fields={"retry-after": "17"}))

    assert raised.value.retry_after == timedelta(seconds=17)


async def test_a_slow_server_is_given_up(clock: Clock, vendor: Vendor) -> None:
    async with HttpFetch(clock, timeout_s=0.2) as fetch:
        with pytest.raises(FetchError, match=r"the CRL: .*(within 0.2 s|ReadTimeout)"):
            await ask(fetch, vendor, Reply(CRL, pause_s=30))


async def test_a_network_that_is_not_there_is_an_error(fetch: HttpFetch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(FetchError, match="the CRL: ConnectError"):
        await fetch(a_request(f"http://127.0.0.1:{port}/crl"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("9" * 30, 999_999_999),
        ("Mon, 01 Jun 2026 12:01:30 GMT", 90),
        ("Mon, 01 Jun 2026 12:01:30 -0000", 90),
        ("Mon, 01 Jun 2026 11:00:00 GMT", 0),
        ("-5", 0),
        ("\u00b2", 0),
        ("soon", 0),
        ("", 0),
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999", 0),
        ("Mon, 01 Jan 2020 99999999999999999999:00:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: int) -> None:
    found = read_retry_after({"retry-after": value}, NOW)

    assert found == timedelta(seconds=seconds)


def test_without_retry_after_it_is_nothing() -> None:
    assert read_retry_after({}, NOW) == timedelta()
