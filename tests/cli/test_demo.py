"""The demo reads its line, leaks nothing, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import Result

from blindai.cli import demo, demo_enclave, demo_ocr, demo_search, signals
from blindai.cli.demo_relay import Capture, Relay
from blindai.cli.demo_search import (
    VISIBLE,
    LeakError,
    Secret,
    liveliest_piece,
    require_sealed,
)
from blindai.errors import BlindAIError

Run = Callable[..., Result]
needs_model = pytest.mark.skipif(
    find_spec("rapidocr_onnxruntime") is None or find_spec("PIL") is None,
    reason="the demo's model (rapidocr-onnxruntime) or Pillow is not installed",
)


@needs_model
def test_the_demo_reads_its_line_and_ends_with_0() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "blindai", "demo"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count(demo.TEXT) == 2  # drawn, and read
    assert "not there" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80


@needs_model
def test_all_bytes_between_client_and_enclave_are_sealed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Capture] = {}
    secrets: dict[str, bytes] = {}

    def look(capture: Capture, looked_for: tuple[Secret, ...]) -> None:
        seen["all"] = capture
        secrets.update({each.label: each.needle for each in looked_for})

    monkeypatch.setattr(demo_search, "require_sealed", look)

    result = run("demo")

    capture = seen["all"]
    assert result.exit_code == 0, result.output
    assert capture.count(VISIBLE) > 0
    assert capture.sent_bytes > demo_ocr.find_model().stat().st_size
    assert capture.requests().keys() == {
        "GET /.well-known/blindai/attestation",
        "POST /.well-known/ohttp-gateway",
    }
    assert secrets["the text"] == demo.TEXT.encode()
    assert secrets["the API key"].startswith(b"bai_")
    assert len(secrets) == 6
    assert [capture.count(each) for each in secrets.values()] == [0] * 6
    assert capture.count(b"authorization") == 0
    assert capture.count(b"/infer") == 0
    assert capture.count(b"Amoxicillin") == 0


@needs_model
def test_a_picture_of_ones_own_is_read(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "line.png"
    drawn = demo_ocr.draw("Hello world, patient 4711")
    drawn.resize((drawn.width * 2, drawn.height * 2)).save(picture)

    result = run("demo", "--image", picture)

    assert result.exit_code == 0, result.output
    assert "Hello world, patient 4711" in result.stdout
    assert "drawn" not in result.stdout


@needs_model
def test_a_text_that_is_not_recognised_ends_with_1(run: Run) -> None:
    result = run("demo", "--text", "\u65e5\u672c\u65e5\u672c\u65e5\u672c")

    assert result.exit_code == 1
    assert "expected what is read to be 90% similar" in result.stderr


@needs_model
def test_a_leak_ends_with_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "MODEL_NAME", "ohttp-gateway")  # stands in every request

    result = run("demo")

    assert result.exit_code == 1
    assert "got the model's name" in result.stderr


@needs_model
def test_a_short_text_is_not_searched_for(run: Run) -> None:
    assert "too short to search for" in run("demo", "--text", "a1").stdout


def test_the_exit_code_holds_wherever_it_was_interrupted(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text("""
import sys
from blindai import cli
from blindai.cli import application
def app():
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        sys.exit(130)
application.app = app
cli.main()
""")

    words = [sys.executable, "-m", "interrupted"]
    ended = subprocess.run(words, check=False, cwd=tmp_path)  # noqa: S603  our words

    assert ended.returncode == 130


@needs_model
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_all_ends_when_it_is_interrupted(ending: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "blindai", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        line = next(each for each in process.stdout if "process " in each)
        child = int(line.split("process ")[1].split(",")[0])
        process.send_signal(ending)
        process.communicate(timeout=20)

    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_an_enclave_that_is_just_being_started_ends_too(
    tmp_path: Path, interrupted_starts: list[subprocess.Popen[bytes]]
) -> None:
    running = demo_enclave.run_enclave(tmp_path / "none.toml", tmp_path / "log")
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        running.__enter__()

    assert interrupted_starts[0].returncode is not None


@needs_model
def test_threads_and_processes_end_with_the_demo(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(threading.enumerate())
    processes: list[int] = []
    original = demo_enclave._await_address

    def note(process: subprocess.Popen[bytes]) -> tuple[str, int]:
        processes.append(process.pid)
        return original(process)

    monkeypatch.setattr(demo_enclave, "_await_address", note)

    run("demo", "--text", "\u65e5\u672c")  # fails half-way

    assert set(threading.enumerate()) <= before
    with pytest.raises(ProcessLookupError):
        os.kill(processes[0], 0)


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("rapidocr_onnxruntime", "pip install --no-deps rapidocr-onnxruntime==1.4.4"),
    ],
)
def test_a_missing_model_names_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, missing: str, advice: str
) -> None:
    monkeypatch.setattr(demo_ocr, "_PACKAGE", missing + "_absent")

    result = run("demo")

    assert result.exit_code == 2
    assert advice in result.stderr


@needs_model
def test_a_missing_pillow_names_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)

    result = run("demo")

    assert result.exit_code == 2
    assert "pip install '.[demo]'" in result.stderr


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 151])
def test_a_text_that_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(BlindAIError, match="expected one line of 1 to 150"):
        demo_ocr.draw(text)


def test_an_enclave_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    config = tmp_path / "blindai.toml"
    config.write_text("nonsense = 1\n")

    with (
        pytest.raises(BlindAIError, match="expected the enclave to start"),
        demo_enclave.run_enclave(config, tmp_path / "log"),
    ):
        pass  # pragma: no cover  it does not start

    assert b"nonsense" in (tmp_path / "log").read_bytes()


def test_a_relay_passes_everything_on_and_writes_it_down() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as enclave,
        Relay("127.0.0.1", enclave.getsockname()[1]) as relay,
    ):
        port = int(relay.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = enclave.accept()
            with accepted:
                client.sendall(b"GET /a?b HTTP/1.1\r\n\r\n")
                asked = accepted.recv(100)
                accepted.sendall(b"answer")
                answer = client.recv(100)

    assert asked == b"GET /a?b HTTP/1.1\r\n\r\n"
    assert answer == b"answer"
    assert relay.capture.requests() == {"GET /a": 1}
    assert (relay.capture.sent_bytes, relay.capture.received_bytes) == (21, 6)


def test_a_relay_ends_although_a_connection_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as enclave:
        with Relay("127.0.0.1", enclave.getsockname()[1]) as relay:
            port = int(relay.url.rpartition(":")[2])
            client = socket.create_connection(("127.0.0.1", port))
            accepted, _ = enclave.accept()
        with client, accepted:
            assert client.recv(1) == b""


def test_a_relay_to_nowhere_ends_the_connection() -> None:
    with Relay("127.0.0.1", 1) as relay:
        port = int(relay.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert client.recv(1) == b""


def test_nothing_sent_has_no_glimpse() -> None:
    assert Capture().glimpse(48) == b""


SEALED = bytearray(b"POST " + VISIBLE)


def test_a_sealed_capture_is_accepted() -> None:
    require_sealed(Capture([SEALED], []), (Secret("x", b"a long secret"),))


@pytest.mark.parametrize("direction", ["sent", "received"])
def test_a_secret_in_either_direction_is_a_leak(direction: str) -> None:
    capture = Capture([SEALED], [])
    getattr(capture, direction).append(bytearray(b".. a long secret .."))

    with pytest.raises(LeakError, match="got the thing"):
        require_sealed(capture, (Secret("the thing", b"a long secret"),))


def test_an_empty_capture_proves_nothing() -> None:
    with pytest.raises(LeakError, match="expected the gateway's path"):
        require_sealed(Capture(), ())


def test_a_secrets_needle_is_in_no_repr() -> None:
    assert "a long secret" not in repr(Secret("x", b"a long secret"))


def test_the_liveliest_piece_is_where_the_data_is() -> None:
    data = bytes(160) + bytes(range(48)) + bytes(160)

    assert liveliest_piece(data) == bytes(range(48))


def test_of_little_data_the_piece_is_all() -> None:
    assert liveliest_piece(b"abc") == b"abc"
