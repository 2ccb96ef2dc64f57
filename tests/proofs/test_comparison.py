"""Runs again: the same bits, near, different, or nothing to compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.proofs.making import OUTPUTS, RUNTIME, SALT, committed, run

from blindai.proofs import Comparison, Verdict, compare, differences
from blindai.proofs.comparison import largest_difference
from blindai.protocol.commitments import Side
from blindai.protocol.datatypes import Datatype
from blindai.protocol.proof import Batch
from blindai.protocol.tensor import Tensor

ELSEWHERE = replace(RUNTIME, version="1.23.0", cpu=("avx", "avx512f"))


def numbers(*values: float, name: str = "y", kind: str = "<f4") -> Tensor:
    return Tensor.of(name, np.array(values, kind))


THEN = (numbers(1, 2),)
NEAR = (numbers(1, 2.25),)


def compared(outputs: tuple[Tensor, ...], **options: Any) -> Comparison:  # noqa: ANN401  compare's own
    ran = run(outputs=committed(Side.OUTPUT, *THEN))
    here = options.pop("here", RUNTIME)
    return compare(ran, SALT, outputs, here, then=THEN, **options)


def test_the_same_bits_are_identical_wherever_they_come_from() -> None:
    assert compared(THEN, here=ELSEWHERE) == Comparison(
        verdict=Verdict.IDENTICAL, largest=0.0
    )


def test_what_is_near_enough_is_within_tolerance() -> None:
    assert compared(NEAR, tolerance=0.25) == Comparison(
        verdict=Verdict.WITHIN_TOLERANCE, largest=0.25
    )


def test_what_is_further_away_is_different() -> None:
    assert compared(NEAR, tolerance=0.2).verdict is Verdict.DIFFERENT


def test_no_tolerance_tolerates_nothing() -> None:
    assert compared(NEAR).verdict is Verdict.DIFFERENT


def test_where_something_else_computes_nothing_follows() -> None:
    found = compared(NEAR, here=ELSEWHERE)

    assert found.verdict is Verdict.NOT_COMPARABLE
    assert found.differs == (
        "version: 1.22.0 then, 1.23.0 here",
        "cpu: avx2 then, avx512f here",
    )


def test_other_outputs_beside_rows_that_are_not_here_say_nothing() -> None:
    together = run(
        outputs=committed(Side.OUTPUT, *THEN), batch=Batch(requests=2, rows=5)
    )

    found = compare(together, SALT, NEAR, RUNTIME, then=THEN)

    assert found.verdict is Verdict.NOT_COMPARABLE
    assert found.differs == (
        "batch: 2 requests of 5 rows then, one and its copies here",
    )
    assert compare(together, SALT, THEN, RUNTIME).verdict is Verdict.IDENTICAL


def test_integers_beyond_the_precision_of_floating_point_differ() -> None:
    then, now = (numbers(2**60 + more, kind="<i8") for more in (0, 1))
    ran = run(outputs=committed(Side.OUTPUT, then))

    found = compare(ran, SALT, [now], RUNTIME, then=[then], tolerance=0.0)

    assert (found.verdict, found.largest) == (Verdict.DIFFERENT, 1.0)


def test_without_the_outputs_of_then_no_tolerance_is_judged() -> None:
    found = compare(
        run(outputs=committed(Side.OUTPUT, *THEN)), SALT, NEAR, RUNTIME, tolerance=9.0
    )

    assert found == Comparison(verdict=Verdict.DIFFERENT)


def test_the_same_runtime_differs_in_nothing() -> None:
    assert differences(RUNTIME, RUNTIME) == ()


def test_fewer_features_are_told() -> None:
    fewer = replace(RUNTIME, cpu=("avx",))

    assert differences(RUNTIME, fewer) == ("cpu: avx2 then, nothing more here",)


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        pytest.param((numbers(1),), (numbers(1),), 0.0, id="none"),
        pytest.param((numbers(1, 5),), (numbers(2, 2),), 3.0, id="the largest"),
        pytest.param((numbers(np.nan),), (numbers(np.nan),), 0.0, id="NaN twice"),
        pytest.param((numbers(np.nan),), (numbers(1),), np.inf, id="NaN once"),
        pytest.param((numbers(np.inf),), (numbers(np.inf),), 0.0, id="infinity twice"),
        pytest.param((numbers(np.inf),), (numbers(1),), np.inf, id="infinity once"),
        pytest.param((numbers(),), (numbers(),), 0.0, id="no elements"),
        pytest.param((), (), 0.0, id="no tensors"),
        pytest.param(
            (numbers(-128, 1, kind="i1"),), (numbers(127, 1, kind="i1"),), 255, id="i8"
        ),
        pytest.param(
            (numbers(-(2**63), kind="<i8"),),
            (numbers(2**63 - 1, kind="<i8"),),
            2.0**64,
            id="all of 64 bits",
        ),
        pytest.param(
            (numbers(0, kind="<u8"),), (numbers(2**63, kind="<u8"),), 2.0**63, id="u64"
        ),
        pytest.param((numbers(1, kind="?"),), (numbers(0, kind="?"),), 1, id="?"),
        pytest.param((numbers(1),), (numbers(1, name="z"),), None, id="names"),
        pytest.param((numbers(1),), (numbers(1, kind="<i4"),), None, id="types"),
        pytest.param((numbers(1),), (numbers(1, 2),), None, id="shapes"),
        pytest.param(
            (numbers(1), numbers(1, name="a")),
            (numbers(1, name="a"), numbers(3)),
            2.0,
            id="another order",
        ),
    ],
)
def test_the_largest_difference(
    then: tuple[Tensor, ...], now: tuple[Tensor, ...], expected: float | None
) -> None:
    assert largest_difference(then, now) == expected


def test_text_has_no_difference_to_name() -> None:
    text = (Tensor("t", Datatype.BYTES, (1,), np.array([b"a"], dtype=object)),)

    assert largest_difference(text, text) is None


def test_bfloat16_is_compared_as_the_numbers_that_it_stands_for() -> None:
    one, two = (
        (Tensor("b", Datatype.BF16, (1,), np.array([bits], "<u2")),)
        for bits in (0x3F80, 0x4000)
    )

    assert largest_difference(one, two) == 1.0


def test_outputs_of_another_order_are_the_same() -> None:
    ran = run(outputs=committed(Side.OUTPUT, *OUTPUTS))

    assert compare(ran, SALT, OUTPUTS[::-1], RUNTIME).verdict is Verdict.IDENTICAL
