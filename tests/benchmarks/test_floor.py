"""The floor that figures stand on answers what the model answers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import floor, models


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_the_floor_runs_the_model(*, sealed: bool) -> None:
    content = models.linear()
    array = np.arange(4, dtype=np.float32).reshape(1, 4)
    (expected,) = floor.session(content, 1).run(None, {"x": array})

    with floor.bare(content, array, 1, sealed=sealed) as ask:
        answers = [np.frombuffer(ask(), np.float32) for _ in range(3)]

    for answer in answers:
        assert np.array_equal(answer, expected.ravel())
