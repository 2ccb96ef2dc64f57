"""Bundles: one form for the same files, and nothing else is read as one."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ModelRefusedError
from blindai.protocol import bundle
from blindai.protocol.bundle import (
    END,
    header,
    is_bundle,
    is_name,
    padding,
    parse_bundle,
)

FILES = {"model.onnx": b"graph", "a.data": bytes(600), "b.data": b""}


def write(files: dict[str, bytes]) -> bytes:
    parts = (
        header(name, len(data)) + data + padding(len(data))
        for name, data in files.items()
    )
    return b"".join(parts) + END


def parse(data: bytes) -> bundle.Bundle:
    return parse_bundle(memoryview(data))


def test_what_is_written_is_read() -> None:
    found = parse(write(FILES))

    assert bytes(found.model) == b"graph"
    assert {name: bytes(data) for name, data in found.files.items()} == {
        "a.data": bytes(600),
        "b.data": b"",
    }


def test_a_bundle_is_seen_by_its_beginning() -> None:
    assert is_bundle(memoryview(write(FILES)))
    assert not is_bundle(memoryview(b"model.onnx"))
    assert not is_bundle(memoryview(b"\x08\x08"))


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar")
def test_tar_writes_the_same_bytes(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    options = (
        "--format=gnu -b1 --mode=644 --mtime=@0 --owner=0 --group=0 --numeric-owner"
    )

    command = ["tar", *options.split(), "-c", *FILES]
    archive = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)  # noqa: S603  the one in PATH

    assert archive.stdout == write(FILES)


@pytest.mark.parametrize("size", [1, 8**11 - 1, 8**11, 2**40])
def test_sizes_of_any_length_are_read(size: int) -> None:
    block = header("model.onnx", size)

    with pytest.raises(ModelRefusedError, match=f"'model.onnx' with {size} bytes"):
        parse(block)


def test_others_can_read_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(write(FILES))) as archive:
        assert archive.getnames() == list(FILES)


@pytest.mark.parametrize(
    "name", ["w.data", "model.onnx_data", "a b", "onnx::MatMul_1", "_", "x" * 100]
)
def test_plain_names_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "x" * 101,
        "é",
        "a\n",
        "-r",
    ],
)
def test_paths_and_other_names_are_not(name: str) -> None:
    assert not is_name(name)


def changed(at: int, to: bytes) -> bytes:
    data = write(FILES)
    return data[:at] + to + data[at + len(to) :]


def member(**fields: object) -> bytes:
    """Another header, as `tarfile` writes it."""
    made = tarfile.TarInfo("model.onnx")
    for name, value in fields.items():
        setattr(made, name, value)
    return made.tobuf(tarfile.GNU_FORMAT) + END


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "headers as", id="nothing"),
        pytest.param(write(FILES)[:-1], "headers as", id="a shorter end"),
        pytest.param(write(FILES) + bytes(512), "headers as", id="a longer end"),
        pytest.param(write(FILES) + b"x", "headers as", id="something after the end"),
        pytest.param(write(FILES)[:-1024], "headers as", id="no end"),
        pytest.param(member(mode=0o777), "headers as", id="another mode"),
        pytest.param(member(mtime=1), "headers as", id="another time"),
        pytest.param(member(uid=1), "headers as", id="an owner"),
        pytest.param(member(uname="root"), "headers as", id="an owner's name"),
        pytest.param(member(type=tarfile.SYMTYPE), "headers as", id="a link"),
        pytest.param(member(linkname="/etc/passwd"), "headers as", id="a link's name"),
        pytest.param(changed(148, b"7"), "headers as", id="another checksum"),
        pytest.param(changed(124, b"+"), "headers as", id="a size that is no number"),
        pytest.param(changed(124, b"\x80"), "headers as", id="a size of two forms"),
        pytest.param(write({"../x": b""}), "headers as", id="a path"),
        pytest.param(changed(512 + 5, b"x"), "zeros up to", id="a block not of zeros"),
        pytest.param(write({"a": b""}), "in the order", id="no model"),
        pytest.param(END, "in the order", id="no file"),
        pytest.param(
            write({"model.onnx": b"", "b": b"", "a": b""}),
            "in the order",
            id="disorder",
        ),
        pytest.param(
            write({"a": b"", "model.onnx": b""}), "in the order", id="the model later"
        ),
        pytest.param(
            write({"model.onnx": b""})[:-1024] + write({"model.onnx": b""}),
            "each once, got 'model.onnx'",
            id="twice",
        ),
    ],
)
def test_refuses(data: bytes, message: str) -> None:
    with pytest.raises(ModelRefusedError, match=message):
        parse(data)


def test_refuses_more_files_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_FILES", 3)
    assert parse(write(FILES)).files

    monkeypatch.setattr(bundle, "MAX_FILES", 2)
    with pytest.raises(ModelRefusedError, match="at most 2 files, each once, got 'b"):
        parse(write(FILES))


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelRefusedError):
        parse(b"model.onnx\0" + data)


@given(st.data())
def test_a_changed_bundle_is_another_or_refused(data: st.DataObject) -> None:
    whole = bytearray(write(FILES))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    try:
        found = parse(bytes(whole))
    except ModelRefusedError:
        return
    files = {"model.onnx": bytes(found.model)}
    files |= {name: bytes(contents) for name, contents in found.files.items()}
    assert write(files) == whole
