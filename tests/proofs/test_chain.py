"""Chains: what is missing, what contradicts itself, what is there twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from blindai.proofs import Chain, Link, judge_chain

INSTANCE = bytes(16)


def digest(number: int, branch: str = "") -> bytes:
    return f"{branch}{number}".encode().ljust(32, b"\x00")


def link(number: int, label: str = "", branch: str = "", before: str = "") -> Link:
    """A proof of one branch that names the one before it, of another perhaps."""
    return Link(
        label=label or f"{branch}{number}",
        instance=INSTANCE,
        sequence=number,
        digest=digest(number, branch),
        previous=digest(number - 1, before) if number else None,
    )


def judged(*links: Link) -> Chain:
    (chain,) = judge_chain(links)
    return chain


@given(st.permutations(range(6)))
def test_all_of_them_in_any_order_are_whole(order: list[int]) -> None:
    chain = judged(*map(link, order))

    assert chain.whole
    assert [each.sequence for each in chain.links] == list(range(6))


def test_a_hole_is_a_gap() -> None:
    chain = judged(link(2), link(3), link(6))

    assert chain.gaps == ((0, 1), (4, 5))
    assert (chain.forks, chain.repeats, chain.whole) == ((), (), False)


def test_two_of_one_number_are_a_fork() -> None:
    chain = judged(link(0), link(1), link(1, branch="b"))

    assert chain.forks == (("1", "b1"),)
    assert not chain.whole


def test_one_that_follows_either_of_two_is_no_second_fork() -> None:
    chain = judged(link(0), link(1), link(1, branch="b"), link(2, before="b"))

    assert chain.forks == (("1", "b1"),)


def test_one_that_names_another_before_it_is_a_fork() -> None:
    chain = judged(link(0), link(1, before="b"))

    assert chain.forks == (("0", "1"),)


def test_across_a_gap_nothing_contradicts() -> None:
    assert judged(link(0), link(2, before="b")).forks == ()


def test_a_first_that_names_one_before_it_contradicts_itself() -> None:
    first = Link(
        label="a", instance=INSTANCE, sequence=0, digest=digest(0), previous=digest(9)
    )
    later = Link(
        label="b", instance=INSTANCE, sequence=5, digest=digest(5), previous=None
    )

    assert judged(first).forks == (("a", "a"),)
    assert judged(later).forks == (("b", "b"),)


def test_the_same_proof_twice_is_a_repeat() -> None:
    chain = judged(link(0), link(0, "copy"), link(1))

    assert chain.repeats == (("0", "copy"),)
    assert (chain.gaps, chain.forks) == ((), ())
    assert not chain.whole


def test_each_start_of_an_enclave_has_a_chain_of_its_own() -> None:
    other = Link(
        label="o", instance=b"\x01" * 16, sequence=0, digest=b"o", previous=None
    )

    first, second = judge_chain([link(0), other, link(1)])

    assert first.whole
    assert second.whole


def test_no_proofs_are_no_chain() -> None:
    assert judge_chain([]) == ()
