"""A request before it is sealed and an answer after it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blindai.client.session import Session
    from blindai.client.streams import OpenedStream, Stream
    from blindai.protocol.bhttp import Fields

Timeouts = Mapping[str, float | None]
"""Seconds for `connect`, `read`, `write` and `pool`, as httpx has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRequest:
    """What is to be sealed.

    Attributes:
        method: HTTP method.
        authority: Host and port that the request names inside the seal.
        path: Path and query.
        fields: Names and values; the sealed date is added to them.
        body: Its content.
        size_bytes: Of the content, where it is known.
        in_memory: Whether the content is there already; then it is a synchronous body.
        repeatable: Whether it can be read again from the start.
        timeouts: For the network.
    """

    method: str
    authority: bytes
    path: bytes
    fields: Fields = field(repr=False)
    body: Stream = field(repr=False)
    size_bytes: int | None
    in_memory: bool
    repeatable: bool
    timeouts: Timeouts


@dataclass(frozen=True, slots=True)
class PlainResponse:
    """What was opened.

    Attributes:
        status: HTTP status.
        fields: Names, in lower case, and values.
        content: Opened as it is read; changed or cut short, it raises.
        session: What the request was sealed to.
    """

    status: int
    fields: Fields = field(repr=False)
    content: OpenedStream = field(repr=False)
    session: Session
