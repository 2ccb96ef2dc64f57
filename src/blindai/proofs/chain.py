"""Several proofs of one enclave: whether one is missing, or two are at one place.

Each start of an enclave numbers its proofs from 0, and each names the one before it by
its digest. Who holds all of them sees that nothing was left out; who holds some sees
which numbers are not there, and whether those that follow each other belong together.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a chain is made of: a verified proof.

    Attributes:
        label: What to call it: a file's name.
        instance: Names the start of the enclave, 16 bytes: from the keyset.
        sequence: Its number.
        digest: Its digest, 32 bytes.
        previous: The digest that it names; None if it names none.
    """

    label: str
    instance: bytes
    sequence: int
    digest: bytes
    previous: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What became of the proofs of one start of an enclave.

    Attributes:
        instance: Names it, 16 bytes.
        links: Its proofs, each once, by number.
        gaps: First and last number of each stretch that is not there, from 0 on.
        forks: What contradicts each other: two proofs of one number, or one that names
            another than the one before it.
        repeats: Proofs that were given more than once.
    """

    instance: bytes
    links: tuple[Link, ...]
    gaps: tuple[tuple[int, int], ...]
    forks: tuple[tuple[str, str], ...]
    repeats: tuple[tuple[str, str], ...]

    @property
    def whole(self) -> bool:
        """Whether all proofs up to the last one are there, once, in one history."""
        return not (self.gaps or self.forks or self.repeats)


def judge_chain(links: Iterable[Link]) -> tuple[Chain, ...]:
    """Put proofs in order, those of each start of an enclave by themselves."""
    by_instance: dict[bytes, list[Link]] = defaultdict(list)
    for link in links:
        by_instance[link.instance].append(link)
    return tuple(_judge(instance, each) for instance, each in by_instance.items())


def _judge(instance: bytes, links: Sequence[Link]) -> Chain:
    first: dict[bytes, Link] = {}
    repeats = []
    for link in links:
        known = first.setdefault(link.digest, link)
        if known is not link:
            repeats.append((known.label, link.label))
    ordered = sorted(first.values(), key=lambda link: link.sequence)
    return Chain(
        instance=instance,
        links=tuple(ordered),
        gaps=tuple(_gaps([link.sequence for link in ordered])),
        forks=tuple(_forks(ordered)),
        repeats=tuple(repeats),
    )


def _gaps(numbers: Sequence[int]) -> Iterable[tuple[int, int]]:
    expected = 0
    for number in numbers:
        if number > expected:
            yield expected, number - 1
        expected = number + 1


def _forks(ordered: Sequence[Link]) -> Iterable[tuple[str, str]]:
    groups = [list(group) for _, group in groupby(ordered, attrgetter("sequence"))]
    for group in groups:
        yield from ((group[0].label, other.label) for other in group[1:])
    for before, after in pairwise(groups):
        if before[0].sequence + 1 != after[0].sequence:
            continue  # a gap, across which nothing can be said
        known = {link.digest for link in before}
        yield from (
            (before[0].label, link.label)
            for link in after
            if link.previous not in known
        )
    for link in ordered:
        if (link.sequence == 0) != (link.previous is None):
            yield link.label, link.label
