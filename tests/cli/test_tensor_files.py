"""Outputs as JSON and NumPy have them, text and odd numbers included."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.cli.predict import _print_outputs, first_values
from blindai.cli.tensor_files import load_inputs, save_outputs, to_json
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Inputs as NumPy writes them, by suffix."""
    folder = tmp_path_factory.mktemp("inputs")
    array = np.arange(40, dtype=np.float32)
    np.savez_compressed(folder / "in.npz", x=array)
    np.save(folder / "in.npy", array)
    return {each.suffix: each.read_bytes() for each in folder.iterdir()}


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@given(data=st.data())
def test_a_damaged_file_is_read_or_is_a_mistake_of_use(
    whole: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    data: st.DataObject,
) -> None:
    damaged = bytearray(whole[suffix])
    places = st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=8)
    for place in data.draw(places):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(damaged)

    with contextlib.suppress(ConfigurationError):
        load_inputs(path)


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [
        pytest.param(".npz", b"-\x00\x00\x00\x08", b"-\x00\x00\x00\x07", id="a method"),
        pytest.param(".npy", b"'shape'", b"'sha((e", id="brackets"),
        pytest.param(".npy", b"(40,)", b"(040,", id="a number"),
    ],
)
def test_a_damaged_file_is_a_mistake_of_use(
    whole: dict[str, bytes], tmp_path: Path, suffix: str, old: bytes, new: bytes
) -> None:
    path = tmp_path / f"in{suffix}"
    assert old in whole[suffix]
    path.write_bytes(whole[suffix].replace(old, new))

    with pytest.raises(ConfigurationError, match=f"cannot be read as {suffix}"):
        load_inputs(path)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_inputs(tmp_path / "none.npy")
