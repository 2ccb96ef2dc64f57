"""From what visits found to the tables of docs/performance.md."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.peers import growth, registry, visits
from benchmarks.peers.figures import cell, number, ratio, table
from benchmarks.peers.tasks import TASKS, THREADS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.peers.figures import Figure
    from benchmarks.peers.registry import Peer
    from benchmarks.peers.visits import Pair, Visit

    Visits = Mapping[str, Visit]  # by name of the peer

OURS = "blindai, sealed"
AHEAD = "blindai, sealed ahead"
_MB = 1e6


class Goal(NamedTuple):
    """How many times a peer's rate blindai's has to be, with 8 clients."""

    task: str
    peer: str
    times: float


RATES = (
    Goal("tiny", "mlserver", 2),
    Goal("tiny", "triton", 2.5),
    Goal("tiny", "litserve", 3),
    Goal("image", "triton", 2),
    Goal("resnet18", "onnxruntime", 0.95),
)


def peers(chosen: Mapping[str, Peer]) -> list[str]:
    """Who is compared, in which version, asked how."""
    rows = [
        ("blindai", "this commit", "its client library, sealed, V2 with binary data"),
        *((each.title, each.version, each.words) for each in chosen.values()),
    ]
    return [*table(("", "version", "asked by"), rows), "", f"Threads: {THREADS}."]


def typical(found: Visits, clients: int, *, ahead: bool = False) -> Figure | None:
    """The figure of blindai with the median rate of all visits, if there is one."""
    pairs = [each.pairs[clients] for each in found.values() if clients in each.pairs]
    figures = [pair.ahead if ahead else pair.ours for pair in pairs]
    ordered = sorted(
        (each for each in figures if each is not None), key=lambda each: each.rate
    )
    return ordered[len(ordered) // 2] if ordered else None


def rates(found: Visits) -> list[str]:
    """Requests a second and latencies; ratios are of each visit's own pair."""
    titles = ["req/s (p50, p95, p99 ms)"]
    for clients in visits.CONCURRENCY:
        titles += [f"{clients} client{'s' if clients > 1 else ''}", "blindai"]
    rows = []
    for name, ahead in ((OURS, False), (AHEAD, True)):
        row = [name]
        for clients in visits.CONCURRENCY:
            figure = typical(found, clients, ahead=ahead)
            row += [cell(figure) if figure else "", ""]
        rows.append(row)
    for name, visit in found.items():
        row = [registry.PEERS[name].title]
        for clients in visits.CONCURRENCY:
            row += _pair_cells(visit.pairs.get(clients), visit)
        rows.append(row)
    return table(titles, rows)


def _pair_cells(pair: Pair | None, visit: Visit) -> list[str]:
    if pair is None:
        return [_missing(visit), ""]
    text = ratio(pair.ours.rate, pair.theirs.rate)
    if pair.ahead is not None:
        text += f", ahead {ratio(pair.ahead.rate, pair.theirs.rate)}"
    return [cell(pair.theirs), text]


def _missing(visit: Visit) -> str:
    return f"not measured: {visit.reason or 'it was not asked'}"


def least(found: Mapping[str, Mapping[int, Figure]]) -> list[str]:
    """What the parts of a sealed request cost the server."""
    clients = next(iter(found.values()))
    titles = ("req/s (p50, p95, p99 ms)", *(f"clients: {count}" for count in clients))
    rows = [(title, *map(cell, each.values())) for title, each in found.items()]
    return table(titles, rows)


def load(found: Mapping[str, Visits], ours: Visits) -> list[str]:
    """Latencies at 70 % of what 8 clients got."""
    rows = []
    for task, visited in found.items():
        rows += [
            [TASKS[task].title, OURS, *_load_cells(ours[task].load, ours[task])],
            [TASKS[task].title, AHEAD, *_load_cells(ours[task].load_ahead, ours[task])],
        ]
        rows += [
            [
                TASKS[task].title,
                peer.title,
                *_load_cells(visited[name].load, visited[name]),
            ]
            for name, peer in registry.PEERS.items()
            if name in visited and peer.form is not None
        ]
    titles = (
        "",
        "at 70 % of its rate with 8 clients",
        "even arrivals: req/s (p50, p95, p99 ms)",
        "p99 / p50",
        "random arrivals",
        "p99 / p50",
    )
    return table(titles, rows)


def _load_cells(load: Mapping[str, Figure], visit: Visit) -> list[str]:
    if not load:
        return [_missing(visit), "", "", ""]
    cells = []
    for kind in ("even", "random"):
        cells += [cell(load[kind]), ratio(load[kind].p99, load[kind].p50)]
    return cells


def memory(found: Visits, ours: Visit, empty_mib: float) -> list[str]:
    """Memory of idle servers."""
    rows = [
        ("blindai, no model", f"{empty_mib:.0f} MiB"),
        ("blindai", f"{ours.idle_mib:.0f} MiB"),
    ]
    for name, visit in found.items():
        known = not math.isnan(visit.idle_mib)
        text = f"{visit.idle_mib:.0f} MiB" if known else _missing(visit)
        rows.append((registry.PEERS[name].title, text))
    return table(("idle, with the model of four numbers", "PSS of all processes"), rows)


def clients(found: Visits, ours: Visit) -> list[str]:
    """Rates by how many clients there are."""
    shown = {OURS: ours} | {
        registry.PEERS[name].title: visit
        for name, visit in found.items()
        if registry.PEERS[name].form is not None
    }
    rows = []
    for count in (*visits.CONCURRENCY, *visits.MANY):
        row = [str(count)]
        for visit in shown.values():
            figure = visit.many.get(count)
            row.append(cell(figure) if figure else _missing(visit))
        rows.append(row)
    return table(("clients", *shown), rows)


def models(found: list[growth.Loaded]) -> list[str]:
    """What more models cost blindai."""
    titles = (
        "models",
        "memory",
        "upload of one",
        "8 clients on one: req/s (p50, p95, p99 ms)",
        "8 clients on all in turn",
    )
    rows = [
        (
            str(each.count),
            f"{each.memory_mib:.0f} MiB",
            f"{each.upload_s * 1e3:.0f} ms",
            cell(each.one),
            cell(each.all),
        )
        for each in found
    ]
    return table(titles, rows)


def sizes(found: Mapping[str, Mapping[int, float | str]]) -> list[str]:
    """p50 by size of the input."""
    rows = []
    for size in growth.SIZES:
        row = [amount(size)]
        for by_size in found.values():
            value = by_size[size]
            if isinstance(value, str):
                row.append(f"not measured: {value}")
            else:
                row.append(number(value))
        rows.append(row)
    return table(("input, p50 in ms", *found), rows)


def amount(size: int) -> str:
    """Bytes, in words."""
    for unit, each in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= each:
            return f"{size / each:.0f} {unit}"
    return f"{size} B"


def upload(found: growth.Upload) -> list[str]:
    """How long 1 GiB takes."""
    size = found.size_mib * (1 << 20) / _MB
    parts = (
        ("sealed and sent", found.sent_s),
        ("sent, sealed on disk, loaded, served", found.served_s),
        ("a new server with it, up to its first answer", found.again_s),
        ("written to the same disk, without blindai", found.copy_s),
        ("loaded by ONNX Runtime, without blindai", found.engine_s),
    )
    rows = [(what, f"{took:.1f} s", f"{size / took:.0f} MB/s") for what, took in parts]
    return table(("a model of 1 GiB", "time", "rate"), rows)


def goals(found: Mapping[str, Visits]) -> list[str]:
    """Goals of rate, beside what the visits found."""
    rows = []
    for goal in RATES:
        visit = found.get(goal.task, {}).get(goal.peer)
        if visit is None:
            continue
        pair = visit.pairs.get(visits.AT)
        what = f"{TASKS[goal.task].title}: {registry.PEERS[goal.peer].title}'s rate"
        ours, ahead = "", ""
        if pair is not None and pair.ahead is not None:
            ours = ratio(pair.ours.rate, pair.theirs.rate)
            ahead = ratio(pair.ahead.rate, pair.theirs.rate)
        rows.append((what, f">= {goal.times}x", ours or _missing(visit), ahead))
    titles = ("8 clients", "goal", OURS, AHEAD)
    return table(titles, rows)
