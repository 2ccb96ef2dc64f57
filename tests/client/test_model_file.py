"""Whatever a model comes as, one ONNX file leaves."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import EncodeError  # type: ignore[import-untyped,unused-ignore]  # none shipped
from onnx import TensorProto, helper, numpy_helper

import blindai
from blindai.client.model_file import PIECE_BYTES, ModelStream, find_model
from blindai.errors import ConfigurationError

WEIGHTS = np.arange(256, dtype=np.float32)


@pytest.fixture
def path(tmp_path: Path, identity: Callable[..., bytes]) -> Path:
    path = tmp_path / "resnet.v2.onnx"
    path.write_bytes(identity())
    return path


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A model whose weights are in a second file."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [256])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [256])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    opset = helper.make_opsetid("", 20)
    path = tmp_path / "split.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[opset], ir_version=10),
        path,
        save_as_external_data=True,
        location="split.data",
        size_threshold=0,
    )
    return path


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_read_as_it_is_and_gives_the_name(
    path: Path, kind: Callable[[Path], object]
) -> None:
    found = find_model(kind(path))
    assert (found.name, found.size_bytes) == ("resnet.v2", path.stat().st_size)
    assert b"".join(ModelStream(found, None)) == path.read_bytes()


def test_bytes_have_no_name() -> None:
    found = find_model(b"onnx")
    assert (found.name, found.size_bytes) == ("", 4)
    assert b"".join(ModelStream(found, None)) == b"onnx"


def test_a_model_in_memory_is_serialised(path: Path) -> None:
    found = find_model(onnx.load(path))
    assert found.name == ""
    assert b"".join(ModelStream(found, None)) == path.read_bytes()


def test_weights_in_a_second_file_are_folded_in(
    client: blindai.Connection, split: Path, name: str
) -> None:
    client.upload_model(split, name)
    response = client.predict(name, np.ones(256, np.float32))
    assert np.array_equal(response.output[0].as_numpy(), WEIGHTS + 1)


def test_weights_in_a_second_file_that_is_missing_are_missed(split: Path) -> None:
    (split.parent / "split.data").unlink()
    with pytest.raises(ConfigurationError, match="external weights cannot be read"):
        find_model(split)


def test_a_file_that_only_looks_as_if_it_had_weights_elsewhere_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "garbage.onnx"
    path.write_bytes(b"\x0a\x08location\xff\xff")
    with pytest.raises(ConfigurationError, match="external weights cannot be read"):
        find_model(path)


def test_without_onnx_weights_in_a_second_file_say_what_to_install(
    split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigurationError, match="pip install onnx"):
        find_model(split)


def test_without_onnx_a_model_of_one_file_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert find_model(path).size_bytes == path.stat().st_size


class _Huge:
    """A model that protobuf does not serialise for its size."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def SerializeToString(self) -> bytes:  # noqa: N802  protobuf's name
        raise self._error


@pytest.mark.parametrize("error", [EncodeError("too large"), ValueError("2GB")])
def test_a_model_that_one_file_cannot_hold_is_refused(error: Exception) -> None:
    with pytest.raises(ConfigurationError, match="expected less than 2 GiB"):
        find_model(_Huge(error))


@pytest.mark.parametrize("where", ["nowhere.onnx", "."])
def test_a_path_without_a_file_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(ConfigurationError, match="model: expected a file"):
        find_model(tmp_path / where)


@pytest.mark.parametrize("model", [7, None, bytearray(b"onnx")])
def test_anything_else_is_refused_by_its_type(model: object) -> None:
    with pytest.raises(ConfigurationError, match=f"got {type(model).__name__}"):
        find_model(model)


def test_an_empty_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    assert find_model(tmp_path / "empty.onnx").size_bytes == 0


def test_a_stream_reports_progress_and_hashes_what_it_gave() -> None:
    content = bytes(PIECE_BYTES + 3)
    seen: list[tuple[int, int]] = []
    stream = ModelStream(find_model(content), lambda *sizes: seen.append(sizes))
    assert b"".join(stream) == content
    assert seen == [(PIECE_BYTES, len(content)), (len(content), len(content))]
    assert stream.sha256 == hashlib.sha256(content).hexdigest()


def test_a_stream_can_be_read_again() -> None:
    stream = ModelStream(find_model(b"onnx"), None)
    assert b"".join(stream) == b"".join(stream) == b"onnx"


def test_a_stream_that_was_not_read_to_its_end_has_no_digest() -> None:
    stream = ModelStream(find_model(b"onnx"), None)
    next(iter(stream))
    assert stream.sha256 == ""


@pytest.mark.anyio
async def test_a_stream_is_read_on_an_event_loop_too() -> None:
    stream = ModelStream(find_model(b"onnx"), None)
    assert [piece async for piece in stream] == [b"onnx"]
    assert stream.sha256 == hashlib.sha256(b"onnx").hexdigest()


def test_the_contents_are_not_in_the_repr() -> None:
    assert "weights" not in repr(find_model(b"weights"))
