"""Any answer of a worker is an outcome, an error it may give, or its end."""

from __future__ import annotations

import asyncio
import os
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inference.worker.alive import descriptors

from blindai.errors import BlindAIError, ProtocolError
from blindai.inference.isolation import Feed, Outcome
from blindai.inference.model import ModelSpec, TensorSpec
from blindai.inference.worker import frames, memory, specs
from blindai.inference.worker.frames import Frame
from blindai.inference.worker.remote_lane import RemoteLane
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

SPEC = ModelSpec(
    (TensorSpec("x", Datatype.FP32, ("n",)),),
    (TensorSpec("y", Datatype.FP32, ("n",)), TensorSpec("t", Datatype.BYTES, None)),
)
NUMBERS = st.one_of(st.integers(-2, 20), st.integers(-(2**64), 2**64 - 1))
SCALARS = st.one_of(
    NUMBERS, st.none(), st.booleans(), st.text(max_size=3), st.binary(max_size=3)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["out", "ns", "x"]), inner, max_size=3),
    ),
    max_leaves=8,
)
ENTRIES = st.one_of(
    ANYTHING,
    st.tuples(st.lists(NUMBERS, max_size=40), NUMBERS, NUMBERS).map(list),
    st.integers(0, 8).map(lambda size: [[size], 0, 4 * size]),
)
HEADS = st.fixed_dictionaries(
    {},
    optional={
        "out": st.one_of(ANYTHING, st.tuples(ENTRIES, ENTRIES).map(list)),
        "ns": st.one_of(ANYTHING, st.just(5)),
        "memory": st.one_of(ANYTHING, st.just(1), st.none()),
        "dropped": st.one_of(ANYTHING, st.just([])),
        "problem": ANYTHING,
    },
)
GOOD = {"out": [[[2], 0, 8], [[1], 8, 7]], "ns": 5, "memory": None, "dropped": []}
BODY = bytes(8) + b"\x03\x00\x00\x00abc"


async def answer(frame: Frame) -> object:
    """What becomes of a run that is answered so: its outcome, or its error."""
    ours, theirs = frames.pair()
    with theirs:
        lane = RemoteLane(ours, SPEC, 1 << 20, lambda _: None, lambda _: None)
        feed = Feed.of(Tensor.of("x", np.zeros(2, np.float32)))
        future = lane.run([feed], SPEC.outputs)
        try:
            lane._take(frame)
        except ProtocolError as error:
            return error  # the channel ends the worker for it
        finally:
            lane.close()
        assert future.done()
        return future.exception() or future.result()


def test_a_good_answer_is_an_outcome() -> None:
    outcome = asyncio.run(answer(Frame(dict(GOOD), memoryview(BODY))))

    assert isinstance(outcome, Outcome)
    assert [each.array.tolist() for each in outcome.outputs] == [[0, 0], [b"abc"]]


@given(HEADS, st.binary(max_size=64), st.lists(st.booleans(), max_size=3))
def test_any_answer_is_an_outcome_or_an_error(
    head: dict[str, object], body: bytes, shown: list[bool]
) -> None:
    before = descriptors()
    frame = Frame(head, memoryview(body), tuple(map(_file, shown)))

    result = asyncio.run(answer(frame))

    assert isinstance(result, BlindAIError | Outcome)
    del result
    assert descriptors() <= before


def _file(sealed: object) -> int:
    if sealed:
        made = memory.SharedMemory.create(64)
        return os.dup(made.new_descriptors[0])
    return os.memfd_create("unsealed")


@given(ANYTHING)
def test_any_declaration_is_one_or_an_error(value: object) -> None:
    try:
        spec = specs.parse(value)
    except ProtocolError:
        return
    assert isinstance(spec, ModelSpec)


@given(st.recursive(ANYTHING, lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_a_declaration_like_one_is_one_or_an_error(value: object) -> None:
    tensors = [["x", "FP32", value]]
    try:
        spec = specs.parse({"inputs": tensors, "outputs": tensors})
    except ProtocolError:
        return
    assert specs.encode(spec) == {"inputs": tensors, "outputs": tensors}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_an_error(data: bytes) -> None:
    ours, theirs = frames.pair()
    with ours, theirs:
        theirs.send(data or b"\0")
        try:
            frame = frames.receive(ours)
        except ProtocolError:
            return
        assert frame is not None


def test_more_descriptors_than_fit_are_closed() -> None:
    ours, theirs = frames.pair()
    with ours, theirs:
        before = descriptors()
        socket.send_fds(theirs, [b"\0\0\0\1\xa0"], [theirs.fileno()] * 100)
        with pytest.raises(ProtocolError, match="cut off"):
            frames.receive(ours)
        assert descriptors() == before
