"""An enclave's answer to one challenge, for whoever wants to look at it themselves.

    answer = fetch_answer("https://enclave.example")
    result = verify(answer.collection, nonce=answer.nonce, policy=policy, now=now)

A connection does the same by itself, and keeps nothing of it but the result.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import httpx

from blindai.client.challenge import DEFAULT_TIMEOUTS, fetch, parse_url
from blindai.client.flow import run
from blindai.client.wire import describe, open_wire
from blindai.errors import TransportError
from blindai.protocol.keyset import NONCE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an enclave answered, and to what; nothing in it is believed.

    Attributes:
        nonce: The 32 random bytes that were sent, or None if none were.
        collection: The CMW collection that came back.
    """

    nonce: bytes | None = field(repr=False)
    collection: bytes = field(repr=False)


def fetch_answer(url: str, *, challenge: bool = True) -> Answer:
    """Ask an enclave for its attestation.

    Args:
        url: Of the gateway: scheme, host and port; https where it names none.
        challenge: Whether to send a fresh nonce, so that the answer cannot be old.

    Raises:
        ConfigurationError: If the URL is malformed.
        TransportError: If it does not answer.
        OverloadedError: If it makes no more evidence right now.
    """
    address = parse_url(url)
    nonce = secrets.token_bytes(NONCE_BYTES) if challenge else None
    wire = open_wire(address)
    try:
        collection = run(fetch(address, nonce, DEFAULT_TIMEOUTS), wire)
    except httpx.TransportError as error:
        raise TransportError(describe(error, address)) from error
    finally:
        wire.close()
    return Answer(nonce=nonce, collection=collection)
