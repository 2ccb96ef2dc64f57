"""Outputs as JSON and NumPy have them, text and odd numbers included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blindai.cli.predict import _print_outputs, first_values
from blindai.cli.tensor_files import save_outputs, to_json
from blindai.client.output import Tensor
from blindai.client.results import PredictResponse
from blindai.errors import ConfigurationError
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor as WireTensor


def tensor(array: Any, name: str = "y") -> Tensor:  # noqa: ANN401  any array
    datatype = Datatype.BYTES if array.dtype == object else Datatype.of(array.dtype)
    return Tensor(WireTensor(name, datatype, array.shape, array))


def text(*values: bytes) -> Tensor:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return tensor(array)


def test_numbers_that_json_has_not_are_text() -> None:
    values = tensor(np.array([1.5, np.nan, np.inf, -np.inf], dtype=np.float64))

    assert to_json(values)["data"] == [1.5, "nan", "inf", "-inf"]


def test_text_is_text_in_json_and_in_the_table() -> None:
    words = text(b"yes", b"\xff")

    assert to_json(words)["data"] == ["yes", "\\xff"]
    assert first_values(words) == "yes \\xff"


def test_whole_numbers_stay_whole_and_long_outputs_are_cut() -> None:
    assert first_values(tensor(np.arange(9))) == "0 1 2 3 4 5 \u2026"


def test_text_is_saved_without_pickle(tmp_path: Path) -> None:
    save_outputs(tmp_path / "o.npz", [text(b"a", b"bc")])

    with np.load(tmp_path / "o.npz", allow_pickle=False) as arrays:
        assert arrays["y"].tolist() == [b"a", b"bc"]


def test_text_that_numpy_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="zero bytes"):
        save_outputs(tmp_path / "o.npz", [text(b"a\x00")])


def test_an_output_may_have_any_name(tmp_path: Path) -> None:
    save_outputs(
        tmp_path / "o.npz", [tensor(np.ones(2), "file"), tensor(np.ones(1), "a/b")]
    )

    with np.load(tmp_path / "o.npz") as arrays:
        assert set(arrays) == {"file", "a/b"}


def test_a_single_number_has_a_shape_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = PredictResponse(
        output=(tensor(np.array(2.0)),),
        model_name="m",
        model_version=1,
        model_digest="ab" * 32,
        inference_time=0.001,
    )

    _print_outputs(answer, None)

    assert "one number" in capsys.readouterr().out
