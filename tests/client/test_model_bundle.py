"""Models too large for one ONNX file leave as one bundle, the same for the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from blindai.client import model_file
from blindai.client.model_file import ModelStream, find_model
from blindai.errors import ConfigurationError
from blindai.protocol.bundle import parse_bundle


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing fitted in one file."""
    monkeypatch.setattr(model_file, "_FOLDED_BYTES", 100)


def save(folder: Path, *locations: str, name: str = "large.onnx") -> Path:
    x, y = (helper.make_tensor_value_info(n, TensorProto.UINT8, [600]) for n in "xy")
    tensors = []
    for number, location in enumerate(locations):
        tensor = TensorProto(name=f"w{number}", data_type=TensorProto.UINT8, dims=[600])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensors.append(tensor)
        (folder / location).parent.mkdir(exist_ok=True)
        (folder / location).write_bytes(bytes([number]) * 600)
    node = helper.make_node("Add", ["x", "w0"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y], tensors)
    path = folder / name
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def test_all_files_leave_as_one(tmp_path: Path) -> None:
    path = save(tmp_path, "b.data", "a.data")

    found = find_model(path)
    contents = b"".join(ModelStream(found, None))

    assert (found.name, found.size_bytes) == ("large", len(contents))
    bundle = parse_bundle(memoryview(contents))
    assert bytes(bundle.model) == path.read_bytes()
    assert {name: bytes(data) for name, data in bundle.files.items()} == {
        "a.data": b"\1" * 600,
        "b.data": b"\0" * 600,
    }


def test_the_digest_is_that_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    digests = set()
    for folder, name in ((tmp_path, "large.onnx"), (tmp_path / "other", "x.onnx")):
        stream = ModelStream(find_model(save(folder, "a.data", name=name)), None)
        digests.add(hashlib.sha256(b"".join(stream)).hexdigest())
        assert stream.sha256 in digests

    assert len(digests) == 1


def test_it_is_read_as_often_as_it_takes(tmp_path: Path) -> None:
    found = find_model(save(tmp_path, "a.data"))

    assert b"".join(ModelStream(found, None)) == b"".join(ModelStream(found, None))


def test_pieces_are_no_larger_than_asked_for(tmp_path: Path) -> None:
    with find_model(save(tmp_path, "a.data")).open() as file:
        pieces = list(iter(lambda: file.read(100), b""))

    assert max(map(len, pieces)) == 100
    assert len(b"".join(pieces)) == find_model(tmp_path / "large.onnx").size_bytes


def test_what_fits_is_folded_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_file, "_FOLDED_BYTES", 10_000)

    contents = b"".join(ModelStream(find_model(save(tmp_path, "a.data")), None))

    model = onnx.ModelProto.FromString(contents)
    assert model.graph.initializer[0].raw_data == bytes(600)


@pytest.mark.parametrize("location", ["sub/a.data", ".hidden", "model.onnx"])
def test_names_that_a_bundle_cannot_have_are_refused(
    tmp_path: Path, location: str
) -> None:
    path = save(tmp_path, location)

    with pytest.raises(
        ConfigurationError, match="save it with all of them in one file"
    ):
        find_model(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = save(tmp_path, "a.data")
    (tmp_path / "a.data").unlink()

    with pytest.raises(ConfigurationError, match=r"large.onnx.*cannot be read"):
        find_model(path)
