"""Lines in the log: plain text for people, or one JSON object a line for machines.

Both take the first line of a message, and of an exception its class only: its own
words may quote what a user sent.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from blindai.server.observability.record import request_id
from blindai.text import printable

if TYPE_CHECKING:
    from blindai.server.observability.record import Record

LOGGERS: Final = ("blindai", "uvicorn", "uvicorn.error", "uvicorn.asgi")
_access = logging.getLogger("blindai.access")


class LogFormat(StrEnum):
    """How lines look."""

    TEXT = "text"
    JSON = "json"


class PlainFormatter(logging.Formatter):
    """Time, level and message on one plain line; of an exception, its class only."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = logging.makeLogRecord({**record.__dict__, "exc_info": None})
        text = printable(super().format(line).partition("\n")[0])
        kind = _error(record)
        return text if kind is None else f"{text} ({kind})"


class JsonFormatter(logging.Formatter):
    """One JSON object: time, level, logger, message, and what else there is.

    `request_id` stands in lines about a request, `error` has an exception's class. What
    a line brings of its own is in its record's `fields`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The object, on one line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage().partition("\n")[0],
        }
        fields |= getattr(record, "fields", {})
        for name, value in (("request_id", request_id()), ("error", _error(record))):
            if value is not None:
                fields.setdefault(name, value)
        return json.dumps(fields)


def log_request(record: Record) -> None:
    """A line about a request that has ended: its class, how it ended, how long, sizes.

    Sizes are those of the network. Neither path nor names are in it.
    """
    fields = {
        "request_id": record.request_id,
        "route": record.route,
        "status": record.status,
        "problem": record.problem or None,
        "ms": round(record.seconds * 1000, 3),
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
    }
    _access.info("request", extra={"fields": fields})


def set_up(log_format: LogFormat) -> None:
    """Have every line written to stderr in this format.

    Lines about requests are written in JSON only.
    """
    handler = logging.StreamHandler()
    as_json = log_format is LogFormat.JSON
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    level = logging.INFO if as_json else logging.WARNING
    logging.getLogger("blindai").setLevel(level)
    if as_json:  # what other packages say, too, so that each line is an object
        logging.getLogger().handlers = [handler]
        logging.captureWarnings(capture=True)


def _error(record: logging.LogRecord) -> str | None:
    kind = record.exc_info[0] if record.exc_info else None
    return None if kind is None else kind.__name__
