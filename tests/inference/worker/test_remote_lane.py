"""Any answer of a worker is an outcome, an error it may give, or its end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inference.worker.alive import descriptors

from blindai.errors import BlindAIError, InvalidRequestError, ProtocolError
from blindai.inference.isolation import Feed, Outcome
from blindai.inference.model import ModelSpec, TensorSpec
from blindai.inference.worker import frames, memory, remote_lane, specs
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
FEED = Feed.of(Tensor.of("x", np.zeros(2, np.float32)))
GOOD = {"out": [[[2], 0, 8], [[1], 8, 7]], "ns": 5, "memory": None, "dropped": []}
BODY = bytes(8) + b"\x03\x00\x00\x00abc"


async def answer(frame: Frame, spec: ModelSpec = SPEC) -> object:
    """What becomes of a run that is answered so: its outcome, or its error."""
    ours, theirs = frames.pair()
    with theirs:
        lane = RemoteLane(ours, spec, 1 << 20, lambda _: None, lambda _: None)
        future = lane.run([FEED], spec.outputs)
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


@pytest.mark.parametrize("nanoseconds", [10**400, -(10**400)])
def test_a_time_beyond_all_numbers_is_one_all_the_same(nanoseconds: int) -> None:
    frame = Frame(GOOD | {"ns": nanoseconds}, memoryview(BODY))

    assert isinstance(asyncio.run(answer(frame)), Outcome)


def test_more_strings_than_may_be_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame(dict(GOOD), memoryview(BODY))
    monkeypatch.setattr(remote_lane, "MAX_STRINGS", 1)
    assert isinstance(asyncio.run(answer(frame)), Outcome)

    monkeypatch.setattr(remote_lane, "MAX_STRINGS", 0)
    assert "larger than they may be" in str(asyncio.run(answer(frame)))


def test_strings_of_all_outputs_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [TensorSpec(name, Datatype.BYTES, None) for name in "tu"]
    spec = ModelSpec(SPEC.inputs, tuple(texts))
    frame = Frame(GOOD | {"out": [[[1], 8, 7]] * 2}, memoryview(BODY))
    monkeypatch.setattr(remote_lane, "MAX_STRINGS", 2)
    assert isinstance(asyncio.run(answer(frame, spec)), Outcome)

    monkeypatch.setattr(remote_lane, "MAX_STRINGS", 1)
    assert "larger than they may be" in str(asyncio.run(answer(frame, spec)))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param([[-1, -2], 0, 8], id="negative sizes"),
        pytest.param([[2.0], 0, 8], id="a fraction"),
        pytest.param([[2, True], 0, 8], id="a boolean"),
        pytest.param([[1] * 32 + [2], 0, 8], id="33 dimensions"),
        pytest.param([[1 << 60, 0], 0, 0], id="more elements than bytes can be"),
        pytest.param([[2], 8, 16], id="the end outside"),
        pytest.param([[2], -8, 8], id="the beginning outside"),
        pytest.param([[0], 4, -4], id="the end before the beginning"),
        pytest.param([[2], False, 8], id="a boolean for a place"),
        pytest.param([[2], 0, "8"], id="a text for a size"),
        pytest.param([[2], 0], id="no size"),
        pytest.param({"shape": [2]}, id="a map"),
    ],
)
def test_an_output_that_is_not_in_its_memory_is_refused(entry: object) -> None:
    head = GOOD | {"out": [entry, [[1], 8, 7]]}

    error = asyncio.run(answer(Frame(head, memoryview(BODY))))

    assert isinstance(error, ProtocolError)
    assert error.message == "its output is outside of its memory"


def test_outputs_have_no_more_bytes_than_they_may_together() -> None:
    body = bytes(1 << 20) + b"\x03\x00\x00\x00abc"
    elements = (1 << 20) // 4
    head = GOOD | {"out": [[[elements], 0, 1 << 20], [[1], 1 << 20, 7]]}

    error = asyncio.run(answer(Frame(head, memoryview(body))))
    assert isinstance(error, ProtocolError)
    assert error.message == "its outputs are larger than they may be"

    head = GOOD | {"out": [[[elements - 2], 8, (1 << 20) - 8], [[1], 1 << 20, 7]]}
    assert isinstance(asyncio.run(answer(Frame(head, memoryview(body)))), Outcome)


def test_a_refusal_is_made_printable_and_cut_to_size() -> None:
    detail = "\ud800\x1b[2J" + "x" * 20_000
    type_ = "tag:blindai,2026:problem/invalid-request"
    body = json.dumps({"type": type_, "detail": detail}).encode()

    error = asyncio.run(answer(Frame({"problem": True}, memoryview(body))))

    assert isinstance(error, InvalidRequestError)
    assert error.message.startswith("\\ud800\\x1b[2Jx")
    assert len(error.message) < 10_000


def test_memory_is_not_piled_up() -> None:
    """What was offered is used, or given up before there is more."""

    async def runs(dropped: list[int]) -> list[object]:
        ours, theirs = frames.pair()
        ended: list[object] = []
        with theirs:
            lane = RemoteLane(ours, SPEC, 1 << 20, lambda _: None, ended.append)
            for number, gone in ((0, []), (1, dropped)):
                future = lane.run([FEED], SPEC.outputs[:1])
                head = {"out": [[[2], 0, 8]], "ns": 5, "memory": number}
                frame = Frame(head | {"dropped": gone}, memoryview(b""), (_file(1),))
                try:
                    lane._take(frame)
                except ProtocolError as error:
                    ended.append(error.message)
                    break
                assert future.result().outputs[0].shape == (2,)
                del future
                gc.collect()
            lane.close()
        return ended

    assert asyncio.run(runs([0])) == []
    assert asyncio.run(runs([])) == ["it wrote to memory that is not free"]


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


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(["\ud800", "FP32", None], id="half a surrogate pair in a name"),
        pytest.param(["x", "FP32", ["n\udfff"]], id="... in a symbol"),
        pytest.param(["x", "FP32", [1 << 63]], id="a size beyond 63 bits"),
    ],
)
def test_a_declaration_that_no_answer_can_hold_is_refused(tensor: object) -> None:
    with pytest.raises(ProtocolError):
        specs.parse({"inputs": [], "outputs": [tensor]})


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
