"""One document over HTTP: the only place here that touches the network.

No redirects, no compression, a limit on size while reading, and one on the whole time:
whoever answers may be slow, broken or hostile, and costs no more than that.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Protocol, Self

import httpx

from blindai.endorsements.documents import read_answer
from blindai.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType

    from blindai.endorsements.documents import Answer, Request

TIMEOUT_S: Final = 15.0
# A proxy that the environment names is for the network, not for this machine.
_NO_PROXY: Final = {
    f"all://{host}": None for host in ("127.0.0.1", "[::1]", "localhost")
}
_BUSY: Final = frozenset({429, 503})


class FetchError(TransportError):
    """A document could not be fetched.

    Attributes:
        retry_after: How long the source, which is busy, asked to be left alone; None
            if it is not busy.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Fetch(Protocol):
    """Gives the answer to a request, or raises."""

    async def __call__(self, request: Request) -> Answer:
        """The answer.

        Raises:
            TransportError: If there is none.
            EvidenceError: If it is not what was asked for.
        """
        ...


class HttpFetch:
    """Fetches over HTTP; a context manager that keeps connections open."""

    def __init__(
        self, clock: Callable[[], datetime], *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            clock: This machine's clock, aware, in UTC.
            timeout_s: How long one document may take, from the first byte to the last.
        """
        self._clock = clock
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            mounts=_NO_PROXY,
            timeout=timeout_s,
            headers={"accept-encoding": "identity", "user-agent": "blindai"},
        )

    async def __call__(self, request: Request) -> Answer:
        """Fetch a document.

        Raises:
            FetchError: If it cannot be had.
            EvidenceError: If something else came.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                content, fields = await self._read(request)
        except TimeoutError as error:
            raise FetchError(
                f"{request.name}: expected an answer within {self._timeout_s:g} s"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(f"{request.name}: {type(error).__name__}") from error
        return read_answer(request, content, fields)

    async def _read(self, request: Request) -> tuple[bytes, Mapping[str, str]]:
        accept = f"{request.kind.media_type}, */*;q=0.1"
        async with self._client.stream(
            "GET", request.url, headers={"accept": accept}
        ) as response:
            self._require_document(request, response)
            content = bytearray()
            async for piece in response.aiter_raw():
                content += piece
                if len(content) > request.kind.max_bytes:
                    raise FetchError(
                        f"{request.name}: expected at most "
                        f"{request.kind.max_bytes} bytes, got more"
                    )
            return bytes(content), response.headers

    def _require_document(self, request: Request, response: httpx.Response) -> None:
        """Require an answer that brings a document as it is.

        Raises:
            FetchError: If it does not.
        """
        if response.status_code != 200:
            busy = response.status_code in _BUSY
            raise FetchError(
                f"{request.name}: expected status 200, got {response.status_code}",
                read_retry_after(response.headers, self._clock()) if busy else None,
            )
        if "content-encoding" in response.headers:
            raise FetchError(f"{request.name}: expected no content encoding, got one")

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._client.aclose()


def read_retry_after(fields: Mapping[str, str], now: datetime) -> timedelta:
    """How long a source asks to be left alone (RFC 9110, 10.2.3); zero if it does not.

    Args:
        fields: The header, names in lower case.
        now: This machine's time.
    """
    value = fields.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=int(value[:9]))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the second for numbers that no date has
        return timedelta()
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta())
