"""One message of telemetry over HTTP: sent, and whatever comes back left alone.

No redirects, no cookies, nothing kept between two messages, a limit on the whole time;
of an answer only the status is looked at.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from blindai.errors import TransportError

TIMEOUT_S: Final = 10.0
_FIELDS: Final = {"content-type": "application/json", "user-agent": "blindai"}


def build_request(url: str, report: bytes) -> httpx.Request:
    """The request as it leaves, each field of its header."""
    return httpx.Request("POST", url, headers=_FIELDS, content=report)


async def send(url: str, report: bytes, timeout_s: float = TIMEOUT_S) -> None:
    """Send a report.

    Raises:
        TransportError: If it is not accepted with a status of 2xx in time.
    """
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(follow_redirects=False, timeout=timeout_s) as client,
        ):
            response = await client.send(build_request(url, report), stream=True)
            await response.aclose()
    except (TimeoutError, httpx.HTTPError) as error:
        raise TransportError("telemetry: expected an answer, got none") from error
    if not response.is_success:
        raise TransportError(
            f"telemetry: expected a status of 2xx, got {response.status_code}"
        )
