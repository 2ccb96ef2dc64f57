"""A transcript is read from what matters to what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from rich.text import Text

from blindai.cli.transcript_table import (
    Line,
    read_line,
    sections,
    summarise,
    tabulate,
    tabulate_expiries,
)
from blindai.transcript import Check, Expiry, Status, Transcript


def check(
    name: str,
    status: Status = Status.PASSED,
    *,
    expected: str = "off",
    actual: str = "off",
    required: bool = True,
) -> Check:
    return Check(
        name=name,
        status=status,
        expected=expected,
        actual=actual,
        source="RFC 5280 6.1.3, path validation",
        required=required,
    )


def test_refusals_stand_first_and_what_was_left_open_last() -> None:
    transcript = Transcript(
        (
            check("open", Status.NOT_EVALUATED, required=False),
            check("passed"),
            check("failed", Status.FAILED),
            check("missing", Status.NOT_EVALUATED),
        )
    )

    titles = {
        title: [each.name for each in group] for title, group in sections(transcript)
    }

    assert titles == {
        "Refused": ["failed", "missing"],
        "Passed": ["passed"],
        "Left open": ["open"],
    }
    assert summarise(transcript) == "1 checks passed, 2 refused, 1 left open"


def test_parts_of_one_thing_share_a_line() -> None:
    transcript = Transcript((check("leaf: issuer"), check("leaf: key"), check("leaf")))

    ((_, group),) = sections(transcript)

    assert group == [Line("\u2713", "leaf", "issuer, key, itself", "RFC 5280")]


def test_a_failed_part_has_a_line_of_its_own() -> None:
    transcript = Transcript((check("leaf: issuer"), check("leaf: key", Status.FAILED)))

    (_, refused), (_, passed) = sections(transcript)

    assert [each.name for each in refused] == ["leaf: key"]
    assert [each.name for each in passed] == ["leaf: issuer"]


def test_a_failure_says_what_was_expected() -> None:
    failed = check("debug", Status.FAILED, expected="off", actual="on")

    assert read_line(failed) == Line(
        "\u2717",
        "debug",
        "expected off, got on",
        "RFC 5280 6.1.3",
        "Do not trust it until the operator has explained it.",
    )


def test_what_was_not_pinned_shows_what_is_there_and_why() -> None:
    unpinned = check(
        "build",
        Status.NOT_EVALUATED,
        expected="the policy pins no value",
        actual="'blindai'",
        required=False,
    )

    assert read_line(unpinned).seen == "'blindai' (the policy pins no value)"


def test_another_reason_is_told() -> None:
    unknown = check(
        "revocation", Status.NOT_EVALUATED, expected="no list", actual="not known"
    )

    assert read_line(unknown).seen == "not known (no list)"


def test_agreement_is_said_once() -> None:
    assert read_line(check("a", expected="made by X", actual="made by it")).seen == (
        "made by X"
    )
    assert read_line(check("a", expected="Genoa", actual="Genoa (2)")).seen == (
        "Genoa (2)"
    )
    assert read_line(check("a", expected="on or off", actual="on")).seen == (
        "on (accepted: on or off)"
    )


YEAR = timedelta(days=365)


@pytest.mark.parametrize(
    ("day", "left"),
    [
        (-2, "2 days ago"),
        (-1, "1 day ago"),
        (0, "within a day"),
        (1, "in 1 day"),
        (9, "in 9 days"),
    ],
)
def test_it_says_how_long_everything_lasts(day: int, left: str) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    console = Console(width=80)

    with console.capture() as captured:
        ends = now + timedelta(days=day)
        table = tabulate_expiries((Expiry("leaf", now - YEAR, ends),), now)
        console.print(table)

    assert captured.get().splitlines()[-1].rstrip().endswith(f"UTC  {left}")


@pytest.mark.parametrize(
    ("lifetime_h", "left_h", "style"),
    [
        (24, 23, ""),  # a keyset
        (24, 6, ""),
        (24, 5, "bold red"),
        (24, -1, "bold red"),
        (24 * 30, 24 * 7, ""),  # Intel's statements
        (24 * 30, 24 * 7 - 1, "bold red"),
        (24 * 365, 24 * 7, ""),
        (24 * 365, 24 * 7 - 1, "bold red"),
    ],
)
def test_what_soon_is_goes_by_the_lifetime(
    lifetime_h: int, left_h: int, style: str
) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    ends = now + timedelta(hours=left_h)
    begins = ends - timedelta(hours=lifetime_h)

    table = tabulate_expiries((Expiry("keyset", begins, ends),), now)

    (*_, cell) = table.columns[2].cells
    assert isinstance(cell, Text)
    assert cell.style == style


@pytest.mark.parametrize(("width", "source"), [(40, False), (71, False), (80, True)])
def test_a_narrow_screen_has_room_for_what_was_seen(
    width: int,
    source: bool,  # noqa: FBT001  a case
) -> None:
    transcript = Transcript((check("debug mode", actual="on, which is another word"),))
    console = Console(width=width)
    with console.capture() as captured:
        console.print(tabulate(transcript, width))
    words = captured.get()
    assert "another word" in " ".join(words.split())
    assert ("RFC 5280" in words) is source
