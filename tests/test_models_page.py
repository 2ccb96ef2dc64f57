"""The page about models says what the program does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from blindai.inference import admission, outline, weights
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.model import MAX_NAME_CHARACTERS, MAX_TENSORS

PAGE = (Path(__file__).parents[1] / "docs" / "models.md").read_text()
LIMITS = dict(re.findall(r"^\| `?([a-z_ ]+)`? \| ([\d ]+) \|", PAGE, re.MULTILINE))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (field.name, field.default)
            for field in fields(AdmissionLimits)
            if field.name.startswith("max_")
        ),
        ("messages in one another", outline.MAX_DEPTH),
        ("dimensions", weights.MAX_DIMENSIONS),
    ],
)
def test_every_limit_stands_in_it(name: str, value: int) -> None:
    assert int(LIMITS[name].replace(" ", "")) == value


@pytest.mark.parametrize(
    "words",
    [
        f"IR version {admission._IR_VERSIONS[0]} to {admission._IR_VERSIONS[-1]}",
        f"`ai.onnx` {admission._OPSETS[0]} to {admission._OPSETS[-1]},",
        f"`ai.onnx.ml` {admission._ML_OPSETS[0]} to {admission._ML_OPSETS[-1]},",
        f"at most {MAX_TENSORS} of each",
        f"at most {MAX_NAME_CHARACTERS} characters",
        *(f"`{name}`" for _, name in admission._REFUSED),
    ],
)
def test_what_is_required_stands_in_it(words: str) -> None:
    assert words in PAGE
