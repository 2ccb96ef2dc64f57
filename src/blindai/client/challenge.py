"""Asking an enclave for its attestation, wherever it is; nothing of it is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from blindai.client.flow import Close, Read, Send
from blindai.client.wire import DEFAULT_TIMEOUT_S
from blindai.errors import ConfigurationError, OverloadedError, TransportError
from blindai.protocol.attestation import MAX_ATTESTATION_BYTES
from blindai.protocol.attestation import MEDIA_TYPE as ATTESTATION_TYPE
from blindai.protocol.names import ATTESTATION_PATH

if TYPE_CHECKING:
    from blindai.client.flow import Flow
    from blindai.client.plain import Timeouts

DEFAULT_TIMEOUTS: Final = httpx.Timeout(DEFAULT_TIMEOUT_S).as_dict()
EVIDENCE_S: Final = 60.0  # for all of its body, once it has begun


def fetch(url: httpx.URL, nonce: bytes | None, timeouts: Timeouts) -> Flow[bytes]:
    """Ask an enclave for its attestation; nothing in it is believed yet.

    Args:
        url: Of the gateway.
        nonce: The challenge, 32 bytes, or None for evidence of any age.
        timeouts: For the network.

    Raises:
        TransportError: If it does not answer.
        OverloadedError: If it makes no more evidence right now.
    """
    query = "" if nonce is None else f"?nonce={nonce.hex()}"
    asked = url.join(f"{ATTESTATION_PATH}{query}")
    request = httpx.Request("GET", asked, extensions={"timeout": timeouts})
    response: httpx.Response = yield Send(request)
    try:
        if response.status_code == 429:
            raise OverloadedError("evidence: the enclave makes no more right now")
        _require_evidence(response, url)
        evidence: bytes = yield Read(response, MAX_ATTESTATION_BYTES, EVIDENCE_S)
        return evidence
    finally:
        yield Close(response)


def _require_evidence(response: httpx.Response, url: httpx.URL) -> None:
    """Require that what answered may be an enclave, and no page of somebody else's.

    Raises:
        TransportError: If it cannot.
    """
    named: str = response.headers.get("content-type", ATTESTATION_TYPE)
    media_type = named.partition(";")[0].strip().lower()
    expected, got = ATTESTATION_TYPE, ascii(media_type[:80])
    if response.status_code != 200:
        expected, got = "status 200", str(response.status_code)
    elif media_type == ATTESTATION_TYPE:
        return
    at = url.join(ATTESTATION_PATH)
    raise TransportError(
        f"evidence: expected {expected}, got {got} from {at}: is there an enclave?"
    )


def parse_url(url: str) -> httpx.URL:
    """The address of a gateway; https where it names no scheme.

    Raises:
        ConfigurationError: If it is malformed.
    """
    try:
        parsed = httpx.URL(url if "://" in url else f"https://{url}")
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if not _is_origin(parsed):
        got = "one with a user's name" if parsed.userinfo else repr(url)
        raise ConfigurationError(
            f"address: expected http(s)://host[:port] and nothing behind it, got {got}"
        )
    return parsed


def _is_origin(url: httpx.URL) -> bool:
    """Whether it names a gateway and no more: what else it said would be dropped."""
    port = 1 if url.port is None else url.port
    named = url.scheme in {"http", "https"} and url.host and 0 < port < 1 << 16
    more = url.userinfo or url.query or url.fragment or url.path not in {"", "/"}
    return bool(named) and not more
