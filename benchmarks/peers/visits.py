"""Visits: one peer and blindai on one model, side by side, slice by slice in turn."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers import ours
from benchmarks.peers.figures import Figure, Sample, arrivals, combine
from benchmarks.peers.process import NotMeasuredError
from blindai.errors import BlindAIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.peers.ours import Ours
    from benchmarks.peers.registry import Peer
    from benchmarks.peers.subjects import Subject
    from benchmarks.peers.tasks import Task

    Array = np.ndarray[Any, Any]

CONCURRENCY = (1, 8, 64)
MANY = (256, 1000)
AT = 8  # clients at which load is set, and blindai's requests are sealed ahead as well
LOAD = 0.7
_SLICES = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """One peer and blindai with as many clients.

    Attributes:
        ours: blindai, by its client library.
        theirs: The peer.
        ahead: blindai, requests sealed before the clock started; not for all.
    """

    ours: Figure
    theirs: Figure
    ahead: Figure | None = None


@dataclass(slots=True)
class Visit:
    """What one visit found; what is not there was not measured.

    Attributes:
        reason: Why there is nothing more.
        idle_mib: Memory with the model loaded, before the first slice.
        pairs: By clients.
        load: By kind of arrivals, at `LOAD` of what 8 clients got.
        load_ahead: Likewise, of blindai, requests sealed before the clock started.
        many: By clients, where there are more.
    """

    reason: str = ""
    idle_mib: float = float("nan")
    pairs: dict[int, Pair] = field(default_factory=dict)
    load: dict[str, Figure] = field(default_factory=dict)
    load_ahead: dict[str, Figure] = field(default_factory=dict)
    many: dict[int, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured of each visit.

    Attributes:
        seconds: For each figure.
        loaded: Whether at `LOAD` too.
        many: Whether with `MANY` clients too.
    """

    seconds: float
    loaded: bool = True
    many: bool = False


def say(words: str) -> None:
    """Tell whoever waits."""
    print(words, file=sys.stderr, flush=True)


def visit(peer: Peer, task: Task, plan: Plan) -> Visit:
    """Measure a peer and blindai in turn; what fails, twice, is the reason."""
    say(f"{task.name}: {peer.name}")
    found = _visit(peer, task, plan)
    if found.reason:
        say(f"{task.name}: {peer.name} again, after: {found.reason}")
        found = _visit(peer, task, plan)
    return found


def _visit(peer: Peer, task: Task, plan: Plan) -> Visit:
    found = Visit()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        try:
            theirs = stack.enter_context(peer.start(task, folder))
            _require_right(theirs, task)
            found.idle_mib = theirs.memory_mib()
            here = stack.enter_context(ours.serving(folder))
            here.upload(task.content(), task.name)
            _require_right(here, task)
            _measure_pairs(found, here, theirs, task.array(), plan.seconds)
            if peer.form is not None:
                _measure_rest(found, theirs, task.array(), plan)
        except NotMeasuredError as error:
            found.reason = str(error)
        except (BlindAIError, OSError) as error:
            found.reason = f"{type(error).__name__}: {error}"
    return found


def alone(task: Task, plan: Plan) -> Visit:
    """Measure what needs no peer beside it, of blindai."""
    found = Visit()
    say(f"{task.name}: blindai")
    with tempfile.TemporaryDirectory() as name, ours.serving(Path(name)) as here:
        here.upload(task.content(), task.name)
        _require_right(here, task)
        found.idle_mib = here.memory_mib()
        if plan.loaded:
            array, seconds = task.array(), plan.seconds
            seen = combine([here.closed(array, AT, seconds)])
            found.load = _at_load(here.opened, array, seen, seconds)
            seen = combine([here.ahead(array, AT, seconds)])
            found.load_ahead = _at_load(here.opened_ahead, array, seen, seconds)
        if plan.many:
            _measure_many(found, here, task.array(), (*CONCURRENCY, *MANY), plan)
    return found


def in_turn(slices: Iterable[Callable[[], Sample]]) -> list[Figure]:
    """Take slices A B C A B C; one figure each."""
    wanted = list(slices)
    taken: list[list[Sample]] = [[] for _ in wanted]
    for _ in range(_SLICES):
        for samples, take in zip(taken, wanted, strict=True):
            samples.append(take())
    return [combine(samples) for samples in taken]


def _measure_pairs(
    found: Visit, here: Ours, theirs: Subject, array: Array, seconds: float
) -> None:
    each_s = seconds / _SLICES
    for clients in CONCURRENCY:
        slices = [
            lambda n=clients: here.closed(array, n, each_s),
            lambda n=clients: theirs.closed(array, n, each_s),
        ]
        if clients == AT:
            slices.append(lambda n=clients: here.ahead(array, n, each_s))
        found.pairs[clients] = Pair(*in_turn(slices))


def _measure_rest(found: Visit, theirs: Subject, array: Array, plan: Plan) -> None:
    if plan.loaded:
        most = found.pairs[AT].theirs
        found.load = _at_load(theirs.opened, array, most, plan.seconds)
    if plan.many:
        for clients, pair in found.pairs.items():
            found.many[clients] = pair.theirs
        _measure_many(found, theirs, array, MANY, plan)


def _at_load(
    opened: Callable[[Array, Sequence[float]], Sample],
    array: Array,
    most: Figure,
    seconds: float,
) -> dict[str, Figure]:
    """By kind of arrivals, at `LOAD` of the most that there were."""
    found = {}
    for kind in ("even", "random"):
        due = arrivals(LOAD * most.rate, seconds, even=kind == "even")
        found[kind] = combine([opened(array, due)])
    return found


def _measure_many(
    found: Visit,
    subject: Subject | Ours,
    array: Array,
    numbers: Iterable[int],
    plan: Plan,
) -> None:
    for clients in numbers:
        found.many[clients] = combine([subject.closed(array, clients, plan.seconds)])


def _require_right(subject: Subject | Ours, task: Task) -> None:
    """Require the answer that ONNX Runtime gives here.

    Raises:
        NotMeasuredError: If it is another one.
    """
    from benchmarks.peers.servers import engine  # noqa: PLC0415  heavy

    array = task.array()
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(task.content())
        file.flush()
        expected = engine.Model(file.name, 1).run(array).ravel()
    answer = subject.answer(array)
    if answer.shape != expected.shape or not np.allclose(
        answer, expected, rtol=1e-3, atol=1e-3
    ):
        raise NotMeasuredError("it answers something else than ONNX Runtime")
