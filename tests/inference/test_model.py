"""What a model's description promises."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from blindai.inference.model import Dimension, ModelInfo, ModelSpec, TensorSpec
from blindai.protocol.datatypes import Datatype


@pytest.mark.parametrize(
    ("shape", "written"),
    [
        ((2, 3), [2, 3]),
        ((), []),
        ((0,), [0]),
        (("batch", None, 3), [-1, -1, 3]),
        (None, [-1]),
    ],
)
def test_metadata_writes_sizes_that_are_not_fixed_as_minus_one(
    shape: tuple[Dimension, ...] | None, written: list[int]
) -> None:
    assert TensorSpec("x", Datatype.FP32, shape).v2_shape == written


def test_a_model_does_not_print_its_owner() -> None:
    info = ModelInfo(
        name="model",
        digest="00" * 32,
        size_bytes=1,
        spec=ModelSpec((), ()),
        owner="key:secret",
        created_at=datetime(2024, 1, 1, tzinfo=UTC),
    )

    assert "secret" not in repr(info)
