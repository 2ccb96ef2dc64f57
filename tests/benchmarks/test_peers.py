"""The arithmetic of the comparison with peers, and what it keeps; nothing is timed."""

from __future__ import annotations

import itertools
import math
import re
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from benchmarks.page import put
from benchmarks.peers import formats, growth, http, load, process, registry, tables
from benchmarks.peers.__main__ import PARTS
from benchmarks.peers.figures import (
    Figure,
    Sample,
    arrivals,
    cell,
    combine,
    number,
    percentile,
    ratio,
    table,
)
from benchmarks.peers.tasks import TASKS
from benchmarks.peers.visits import Pair, Visit

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements" / "peers").glob("*.txt"))
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
SLOW = Figure(rate=100.0, p50=1.0, p95=2.0, p99=3.0)
FAST = Figure(rate=250.0, p50=0.4, p95=0.5, p99=0.6)


# --------------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(1, 1.0), (50, 50.0), (50.5, 51.0), (95, 95.0), (99, 99.0), (100, 100.0)],
)
def test_a_percentile_is_the_value_of_the_nearest_rank(
    percent: float, expected: float
) -> None:
    assert percentile([float(each) for each in range(1, 101)], percent) == expected


def test_one_value_is_every_percentile() -> None:
    assert percentile([7.0], 1) == percentile([7.0], 99) == 7.0


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 50))


def test_slices_are_combined_by_all_latencies_and_all_time() -> None:
    figure = combine(
        [
            Sample(1.0, (5.0, 1.0), ("TimeoutError",)),
            Sample(3.0, (2.0, 4.0, 3.0, 6.0), ("TimeoutError", "StatusError")),
        ]
    )

    assert figure.rate == 6 / 4
    assert (figure.p50, figure.p95, figure.p99) == (3.0, 6.0, 6.0)
    assert figure.errors == (("TimeoutError", 2), ("StatusError", 1))


def test_slices_without_an_answer_have_a_rate_and_no_latency() -> None:
    figure = combine([Sample(2.0, ())])

    assert figure.rate == 0
    assert math.isnan(figure.p50)


def test_even_arrivals_are_as_far_apart_as_the_rate_says() -> None:
    assert arrivals(4, 1, even=True) == [0.0, 0.25, 0.5, 0.75]


def test_random_arrivals_come_in_order_and_at_the_rate_on_average() -> None:
    due = arrivals(1000, 10, even=False)

    assert due == sorted(due)
    assert len(due) == 10_000
    assert due[-1] == pytest.approx(10, rel=0.05)
    assert np.std(np.diff(due)) == pytest.approx(1e-3, rel=0.05)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.12"), (9.99, "9.99"), (12.34, "12.3"), (123.4, "123")],
)
def test_numbers_have_three_digits_that_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_a_ratio_to_nothing_is_left_empty() -> None:
    assert ratio(1, 0) == ratio(math.nan, 1) == ratio(1, math.nan) == ""
    assert ratio(3, 2) == "1.50x"


def test_errors_stand_beside_the_figure() -> None:
    figure = Figure(10, 1, 2, 3, (("TimeoutError", 4),))

    assert cell(figure) == "10.0 (1.00, 2.00, 3.00) **4 TimeoutError**"


# ---------------------------------------------------------------------------- tables


def test_a_table_has_a_cell_for_each_title() -> None:
    assert table(("a", "b"), [("1", "x|y\nz")]) == [
        "| a | b |",
        "|---|---|",
        "| 1 | x\\|y z |",
    ]
    with pytest.raises(ValueError, match="expected 2 cells, got 1"):
        table(("a", "b"), [("1",)])


def test_ratios_are_of_the_pair_beside_them() -> None:
    visit = Visit(
        pairs={
            1: Pair(ours=SLOW, theirs=FAST),
            8: Pair(ours=FAST, theirs=SLOW, ahead=Figure(300, 1, 2, 3)),
            64: Pair(ours=FAST, theirs=FAST),
        }
    )

    row = tables.rates({"triton": visit})[-1]

    assert row == (
        "| Triton, Python backend | 250 (0.40, 0.50, 0.60) | 0.40x "
        "| 100 (1.00, 2.00, 3.00) | 2.50x, ahead 3.00x "
        "| 250 (0.40, 0.50, 0.60) | 1.00x |"
    )
    goal = tables.goals({"tiny": {"triton": visit}})[-1]
    assert goal.endswith("| >= 2.5x | 2.50x | 3.00x |")


def test_what_was_not_measured_stays_in_every_table_with_its_reason() -> None:
    missing = Visit(reason="no wheel for this machine")
    found = {"mlserver": missing}
    ours = Visit(pairs={}, load={"even": SLOW, "random": FAST}, idle_mib=100)

    for lines in (
        tables.rates(found),
        tables.load({"tiny": found}, {"tiny": ours}),
        tables.memory(found, ours, 90),
        tables.clients(found, ours),
        tables.goals({"tiny": found}),
        tables.sizes({"MLServer": dict.fromkeys(growth.SIZES, missing.reason)}),
    ):
        assert "not measured: no wheel for this machine" in "\n".join(lines)


def test_the_typical_figure_is_the_visit_with_the_median_rate() -> None:
    visits = {
        name: Visit(pairs={8: Pair(ours=Figure(rate, 1, 2, 3), theirs=SLOW)})
        for name, rate in (("triton", 30), ("ray", 10), ("mlserver", 20))
    }

    typical = tables.typical(visits, 8)

    assert typical is not None
    assert typical.rate == 20
    assert tables.typical(visits, 8, ahead=True) is None
    assert tables.typical(visits, 64) is None


def test_only_what_stands_between_the_marks_is_written() -> None:
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb"

    assert put(text, "x", ["new"]) == "a\n<!-- x -->\nnew\n<!-- /x -->\nb"
    with pytest.raises(ValueError, match="unpack"):
        put(text, "y", ["new"])


@pytest.mark.parametrize(
    "name",
    ["run", "peers", *TASKS, "goals", *PARTS],
)
def test_the_page_has_a_place_for_each_table(name: str) -> None:
    assert put(PAGE, name, ["new"]) != PAGE


# ------------------------------------------------------------------------------ load


def test_failures_are_counted_by_name_and_are_no_latencies() -> None:
    turns = itertools.count()

    def ask() -> None:
        turn = next(turns)
        if turn == 6:
            raise load.EndedError
        if turn % 2:
            raise TimeoutError

    sample = load.opened(lambda _: ask, [0.0, 0.0, 0.0])

    # three threads ask once each beforehand: turns 3 to 5 count
    assert sample.errors == ("TimeoutError", "TimeoutError")
    assert len(sample.latencies_ms) == 1


def test_a_slice_ends_where_there_is_nothing_more_to_ask() -> None:
    turns = itertools.count()

    def ask() -> None:
        if next(turns) >= 10_000:
            raise load.EndedError

    sample = load.closed(lambda _: ask, 2, seconds=3600)

    assert sample.elapsed_s < 3600
    assert sample.errors == ()


# ------------------------------------------------------------------- HTTP and formats


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
        ),
    ],
    ids=["length", "chunked"],
)
def test_answers_are_read_to_their_end(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_READ_BYTES", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        asked = http.request(port, "/x", {"A": "b"}, b"body")
        thread = threading.Thread(target=_answer, args=(listener, len(asked), answer))
        thread.start()
        connection = http.Connection(port)
        try:
            assert connection.ask(asked) == b"hello"
            assert connection.ask(asked) == b"hello"
        finally:
            connection.close()
            thread.join()


def test_a_status_that_is_not_200_is_an_error() -> None:
    refusal = b"HTTP/1.1 429 Too Many\r\nContent-Length: 4\r\n\r\nslow"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        asked = http.request(port, "/x", {}, b"")
        thread = threading.Thread(target=_answer, args=(listener, len(asked), refusal))
        thread.start()
        with pytest.raises(http.StatusError, match="429: b'slow'"):
            http.get(port, "/x")
        thread.join()


def _answer(listener: socket.socket, size: int, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        while connection.recv(size, socket.MSG_WAITALL):
            connection.sendall(answer)


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        (formats.V2_JSON, b'{"outputs": [{"data": [1.5, 2]}]}'),
        (formats.V2_BASE64, b'{"outputs": [{"data": [1.5, 2]}]}'),
        (formats.OCTETS, np.array([1.5, 2], np.float32).tobytes()),
        (
            formats.V2_BINARY,
            b'{"outputs": [{"parameters": {"binary_data_size": 8}}]}'
            + np.array([1.5, 2], np.float32).tobytes(),
        ),
    ],
)
def test_every_format_carries_the_tensor(form: formats.Format, answer: bytes) -> None:
    body = form.write("m", np.array([[1.0, 2.0]], np.float32))

    assert "m" in body.path
    assert form.read(answer).tolist() == [1.5, 2]


# ------------------------------------------------------------- processes and versions


def test_a_process_ends_with_all_that_it_started(tmp_path: Path) -> None:
    child = "import time; time.sleep(600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with process.running([sys.executable, "-c", code], tmp_path / "log") as running:
        while len(running.pids()) < 2:
            pass
        assert running.pss_mib() > 1
        pids = running.pids()

    assert not any(_is_running(pid) for pid in pids)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # ended, and nobody has asked


def test_a_process_that_ends_at_start_says_why(tmp_path: Path) -> None:
    def not_yet() -> None:
        raise OSError

    code = "raise SystemExit('error: no such engine')"
    with (
        process.running([sys.executable, "-c", code], tmp_path / "log") as running,
        pytest.raises(process.NotMeasuredError, match="error: no such engine"),
    ):
        running.await_ready(not_yet)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_peers_are_locked_by_hash_without_packages_for_gpus(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    names = re.findall(r"^(\S+)==\S+ \\$", text, re.MULTILINE)

    assert names
    assert text.count("==") == len(names)
    assert len(re.findall(r"==.*\n    --hash=sha256:[0-9a-f]{64}", text)) == len(names)
    assert not [each for each in names if re.match(r"torch|nvidia-cu|triton$", each)]


def test_every_peer_has_a_lock_and_its_version_is_in_it() -> None:
    assert {path.stem for path in LOCKS} == {
        each.environment for each in registry.PEERS.values() if each.environment
    }
    assert all(each.version != "unknown" for each in registry.PEERS.values())


def test_all_peers_run_the_same_onnx_runtime_as_blindai() -> None:
    ours = re.search(
        r"^onnxruntime==\S+",
        (ROOT / "requirements" / "dev.txt").read_text(),
        re.MULTILINE,
    )
    assert ours is not None

    for lock in LOCKS:
        text = lock.read_text()
        assert lock.stem == "tract" or ours[0] in text
