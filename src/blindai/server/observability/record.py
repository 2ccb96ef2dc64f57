"""What one request leaves behind: how it went, in words that say nothing of it.

    with recorded(Record(Door.SEALED)) as record:
        ...
    current().problem = "not-found"

Each word is one of a closed set (`ROUTES`, the kinds of problems), so that nothing a
user chose can get in. The tenant is for `opaque` only.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.server.asgi import Scope

KEYS: Final = "keys"
EVIDENCE: Final = "evidence"
UNOPENED: Final = "unopened"
OTHER: Final = "other"
ROUTES: Final = frozenset(
    {
        "configuration",
        "delete",
        "index",
        "infer",
        "live",
        "model",
        "model_ready",
        "server",
        "upload",
    }
)
"""Names of the endpoints of `routes.Routes`."""


@dataclass(slots=True)
class Record:
    """How one request went.

    Attributes:
        route: Its class: `KEYS`, `EVIDENCE`, `OTHER` or, of a sealed request,
            `UNOPENED` or one of `ROUTES`.
        request_id: Names it in answers and in the log.
        outer_status: HTTP status outside the seal; 0 if there was no answer.
        inner_status: HTTP status inside it; 0 if there was none.
        problem: Kind of the problem inside; empty if there was none.
        tenant: Whose API key it bore, where there are any; never to be shown.
        bytes_in: Of the request, as the network saw it.
        bytes_out: Of the answer, likewise.
        seconds: From its head to the end of its answer.
    """

    route: str = OTHER
    request_id: str = field(default_factory=lambda: secrets.token_hex(8))
    outer_status: int = 0
    inner_status: int = 0
    problem: str = ""
    tenant: str = field(default="", repr=False)
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0

    @property
    def status(self) -> str:
        """The class of its status, such as `2xx`; `none` if there was no answer."""
        status = self.inner_status or self.outer_status
        return f"{status // 100}xx" if status else "none"


_current: ContextVar[Record | None] = ContextVar("blindai_request", default=None)


@contextmanager
def recorded(record: Record) -> Iterator[Record]:
    """Make a record the current one, here and in all that is started here."""
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)


def current() -> Record:
    """The record of the request at hand; one for nobody, where none is kept."""
    return _current.get() or Record()


def request_id() -> str | None:
    """The id of the request at hand, if there is one."""
    record = _current.get()
    return None if record is None else record.request_id


def route_of(scope: Scope) -> str:
    """The class of the route that an application took; OTHER if it is not ours."""
    name = getattr(scope.get("endpoint"), "name", OTHER)
    return name if name in ROUTES else OTHER
