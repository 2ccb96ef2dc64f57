"""Lines in the log."""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator

import pytest

from blindai.server.observability import logs
from blindai.server.observability.logs import JsonFormatter, LogFormat, PlainFormatter
from blindai.server.observability.record import Record, recorded


def failed() -> logging.LogRecord:
    """A line about an error whose words are secret."""
    try:
        raise ValueError("a secret")  # noqa: TRY301  to have a traceback
    except ValueError:
        return logging.LogRecord(
            "blindai.x", logging.ERROR, __file__, 1, "failed\nmore", (), sys.exc_info()
        )


def test_a_plain_line_has_time_level_and_message_and_no_traceback() -> None:
    line = PlainFormatter().format(failed())

    assert re.fullmatch(r"[\d-]+ [\d:,]+ ERROR failed \(ValueError\)", line)


def test_a_json_line_has_the_same_in_one_object() -> None:
    fields = json.loads(JsonFormatter().format(failed()))

    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", fields.pop("time"))
    assert fields == {
        "level": "ERROR",
        "logger": "blindai.x",
        "message": "failed",
        "error": "ValueError",
    }


def test_a_json_line_within_a_request_has_its_id() -> None:
    with recorded(Record()) as record:
        fields = json.loads(JsonFormatter().format(failed()))

    assert fields["request_id"] == record.request_id


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (*logs.LOGGERS, None)]
    before = [(each, each.handlers, each.propagate, each.level) for each in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    logging.captureWarnings(capture=False)


def test_in_json_there_is_a_line_about_each_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up(LogFormat.JSON)
    record = Record("infer", inner_status=404, problem="not-found", seconds=0.0015)
    record.bytes_in, record.bytes_out, record.tenant = 7, 8, "a secret"

    logs.log_request(record)

    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    del fields["time"]
    assert fields == {
        "level": "INFO",
        "logger": "blindai.access",
        "message": "request",
        "request_id": record.request_id,
        "route": "infer",
        "status": "4xx",
        "problem": "not-found",
        "ms": 1.5,
        "bytes_in": 7,
        "bytes_out": 8,
    }


def test_in_json_what_other_packages_say_is_json_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.set_up(LogFormat.JSON)

    logging.getLogger("other").warning("one")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("two", UserWarning, stacklevel=1)

    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["logger"], first["message"]) == ("other", "one")
    assert second["logger"] == "py.warnings"


def test_in_text_requests_leave_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogFormat.TEXT)

    logs.log_request(Record())
    logging.getLogger("blindai").warning("seen")

    assert capsys.readouterr().err.endswith("WARNING seen\n")
