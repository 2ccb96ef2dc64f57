"""The code in docs/pipelines.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.pipelines.running import file_of, photograph, ready
from tests.pipelines.test_audio import NOISE, wav
from tests.pipelines.vocabularies import SPECIAL, gpts

from blindai.errors import InvalidRequestError
from blindai.server.settings import Settings
from blindai.testing import SimulatedEnclave

PAGE = Path(__file__).parents[2] / "docs" / "pipelines.md"
ADDRESS = "http://127.0.0.1:9923"


def blocks(language: str) -> list[str]:
    page = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def classifier() -> onnx.ModelProto:
    """(1, 3, 224, 224) to (1, 6): the mean of each colour, and their opposites."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Neg", ["flat"], ["opposite"]),
            helper.make_node("Concat", ["flat", "opposite"], ["y"], axis=1),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6])],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, ir_version=8, opset_imports=[opset])


def detector() -> onnx.ModelProto:
    """Always the same two boxes."""
    rows = np.array(
        [[[320, 320, 100, 100, 0.9, 0.1, 0.9], [30, 30, 8, 8, 0.1, 0.9, 0.1]]]
    )
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMin", ["x"], ["least"], keepdims=0),
            helper.make_node("Mul", ["least", "zero"], ["none"]),
            helper.make_node("Add", ["rows", "none"], ["y"]),
        ],
        "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 640, 640])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 7])],
        [
            numpy_helper.from_array(rows.astype(np.float32), "rows"),
            numpy_helper.from_array(np.zeros((), np.float32), "zero"),
        ],
    )
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, ir_version=9, opset_imports=[opset])


@pytest.fixture
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(classifier(), "model.onnx")
    onnx.save(detector(), "detector.onnx")
    Path("names.txt").write_text("red\ngreen\nblue\ncyan\nmagenta\nyellow\n")
    Path("vocab.txt").write_text("\n".join([*SPECIAL, "hello", "world", "!"]))
    Path("tokenizer.json").write_text(gpts("together")[1], encoding="utf-8")
    photo = photograph(300, 400) // 2
    photo[..., 1] += 120
    Path("photo.jpg").write_bytes(file_of(photo, "JPEG"))


@pytest.mark.usefixtures("_files")
@pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning")
def test_the_page_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    (configuration,) = blocks("toml")
    names: dict[str, Any] = {}
    with SimulatedEnclave(Settings.parse(configuration)) as enclave:
        for block in blocks("python"):
            exec(block.replace(ADDRESS, enclave.url), names)  # noqa: S102  our own page

    label, score = capsys.readouterr().out.split()
    assert label == "green"
    assert 0 < float(score) < 1
    assert blocks("python")[1].count(ADDRESS) == 1


@pytest.mark.usefixtures("_files")
def test_what_the_page_writes_does_what_it_says() -> None:
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks("python")):
        if number != 1:
            exec(block, names)  # noqa: S102  our own page

    def run(name: str, **inputs: object) -> list[Any]:
        class Saved:
            def model(self) -> onnx.ModelProto:
                return onnx.load(name)

        return ready(Saved())(**inputs)  # type: ignore[arg-type]  # as a pipeline

    heard, wave = run("sound.onnx", clip=wav(NOISE, rate=44_100))
    assert (heard.shape, wave.shape) == ((1, 80, 3000), (1, 436))
    assert run("words.onnx", texts="Hello world!")[0].tolist() == [[2, 5, 6, 7, 3]]
    assert run("bytes.onnx", texts="Hello 😀!")[1].tolist() == ["Hello 😀!"]
    box, _, name = run("boxes.onnx", photo=Path("photo.jpg").read_bytes())
    assert np.allclose(box, [[118.75, 168.75, 181.25, 231.25]])
    assert name.tolist() == ["dog"]
    assert run("ages.onnx", ages=[9, 42])[0].tolist() == [0, 4]
    with pytest.raises(InvalidRequestError, match="expected at most 150 years"):
        run("ages.onnx", ages=[151])
