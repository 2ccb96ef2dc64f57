"""Predictions from files, as a table, as JSON, and into a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from blindai.client.model_file import ModelStream, find_model

Run = Callable[..., Result]
ROW = np.arange(4, dtype=np.float32).reshape(1, 4)


def write_npy(path: Path) -> None:
    np.save(path, ROW)


def write_npz(path: Path) -> None:
    np.savez(path, x=ROW)


def writes(value: Any) -> Callable[[Path], None]:  # noqa: ANN401  any JSON
    def write(path: Path) -> None:
        path.write_text(json.dumps(value))

    return write


V2_INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 1, 2, 3]}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        pytest.param("in.npy", write_npy, id="npy"),
        pytest.param("in.npz", write_npz, id="npz"),
        pytest.param("in.json", writes([[0, 1, 2, 3]]), id="list"),
        pytest.param("in.json", writes({"x": [[0, 1, 2, 3]]}), id="dict"),
        pytest.param("in.json", writes({"inputs": {"x": [[0, 1, 2, 3]]}}), id="inputs"),
        pytest.param("in.json", writes({"inputs": [V2_INPUT]}), id="V2"),
    ],
)
def test_inputs_are_read(
    run: Run, served: str, tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)

    words = ("predict", served, "double", tmp_path / name, "--simulation", "--json")
    fields = json.loads(run(*words).stdout)

    assert fields.keys() == {
        "model_name",
        "model_version",
        "model_digest",
        "inference_time_s",
        "outputs",
    }
    assert fields["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [0, 2, 4, 6]}
    ]


@pytest.fixture
def row(tmp_path: Path) -> Path:
    path = tmp_path / "row.npy"
    write_npy(path)
    return path


def test_outputs_are_a_table(run: Run, served: str, row: Path) -> None:
    printed = run("predict", served, "double", row, "--simulation").stdout

    assert "double, version 1 (SHA-256 " in printed
    assert "y       FP32  1 x 4  0 2 4 6" in printed


def test_outputs_are_written_by_name(
    run: Run, served: str, row: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"

    printed = run("predict", served, "double", row, "--simulation", "--output", out)

    assert "written to" in printed.stdout
    with np.load(out) as arrays:
        assert arrays["y"].tolist() == [[0, 2, 4, 6]]


def test_an_output_that_cannot_be_written_ends_with_2(
    run: Run, served: str, row: Path, tmp_path: Path
) -> None:
    words = ("--simulation", "--output", tmp_path / "none" / "out.npz")

    result = run("predict", served, "double", row, *words)

    assert result.exit_code == 2
    assert "there is no folder" in result.stderr


@pytest.mark.parametrize("option", ["--output", "--proof"])
def test_where_an_answer_goes_is_looked_at_before_anything_is_sent(
    run: Run, row: Path, tmp_path: Path, option: str
) -> None:
    words = ("predict", "http://127.0.0.1:1", "double", row, "--simulation", option)

    for where in (tmp_path / "none" / "out", tmp_path):
        assert run(*words, where).exit_code == 2


def test_a_digest_pins_the_model(
    run: Run, served: str, row: Path, double: Path
) -> None:
    import hashlib  # noqa: PLC0415  for this test only

    contents = b"".join(ModelStream(find_model(double), None))
    digest = hashlib.sha256(contents).hexdigest()
    words = ("predict", served, "double", row, "--simulation", "--digest")

    assert run(*words, digest).exit_code == 0
    assert run(*words, "ab" * 32).exit_code == 8


def test_a_model_that_is_not_there_ends_with_8(
    run: Run, served: str, row: Path
) -> None:
    result = run("predict", served, "other", row, "--simulation")

    assert result.exit_code == 8
    assert "next: See what is there with `blindai models list`." in result.stderr


def test_a_tensor_of_another_shape_ends_with_8(
    run: Run, served: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "in.npy", ROW[:, :3])
    words = ("predict", served, "double", tmp_path / "in.npy", "--simulation")

    assert run(*words).exit_code == 8


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.txt", "1 2 3"),
        ("in.json", "{"),
        ("in.json", "3"),
        ("in.json", "[" * 100_000),
        ("in.json", '{"inputs": [{"name": "x"}]}'),
        ("in.json", '{"inputs": [{"name": "x", "shape": [2, 2], "data": [1]}]}'),
        ("in.json", '{"inputs": [{"name": "x", "shape": "a", "data": [1]}]}'),
        ("in.npy", "not an array"),
        ("in.npy", ""),
        ("in.npz", "PK\x03\x04 not an archive"),
    ],
)
def test_an_unreadable_input_ends_with_2_before_anything_is_sent(
    run: Run, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)

    words = ("predict", "http://127.0.0.1:1", "m", tmp_path / name, "--simulation")
    result = run(*words)

    assert result.exit_code == 2
    assert f"error: input {tmp_path / name}: " in result.stderr


def test_a_pickled_input_is_not_opened(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.array([{}], dtype=object), allow_pickle=True)

    words = ("predict", "http://127.0.0.1:1", "m", tmp_path / "in.npy", "--simulation")

    assert run(*words).exit_code == 2


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        pytest.param("none.npy", None, "cannot be read: No such file", id="no file"),
        pytest.param("a.json", "[1,\n 2", "delimiter at line 2, column 3", id="JSON"),
        pytest.param("a.json", b"\xff", "as .json: expected UTF-8", id="not UTF-8"),
        pytest.param("a.npz", "secret", "expected arrays of numbers", id="no array"),
    ],
)
def test_an_unreadable_input_says_why_and_not_what_it_holds(
    run: Run, tmp_path: Path, name: str, content: str | bytes | None, why: str
) -> None:
    data = content.encode() if isinstance(content, str) else content
    if data is not None:
        (tmp_path / name).write_bytes(data)

    words = ("http://127.0.0.1:1", "double", tmp_path / name, "--simulation")
    result = run("predict", *words)

    assert result.exit_code == 2
    assert why in result.stderr
    assert "secret" not in result.stderr
