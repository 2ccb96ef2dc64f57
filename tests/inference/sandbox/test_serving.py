"""A worker serves under the sandbox, and what it may not exceed does not end it."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest
from tests.inference.sandbox.conftest import Answers

from blindai.inference import sandbox

OFFERED = sandbox.offered()
pytestmark = pytest.mark.skipif(
    not (OFFERED.seccomp and OFFERED.landlock_abi), reason="no seccomp, or no Landlock"
)


@pytest.mark.parametrize("user", ["", ", as nobody"])
@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("model_by_descriptor", True),
        ("model_by_bytes", True),
        ("numpy_work", True),
        ("threads", 8),
        ("memory_in_a_descriptor", "hello"),
        ("trouble_in_words", True),
    ],
)
def test_it_serves(what: str, given: object, user: str, answers: Answers) -> None:
    assert answers[what + user] == (given, 0)


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("array_beyond_memory", "refused, and goes on: True"),
        ("pieces_beyond_memory", "refused below the limit: True, goes on: True"),
        ("model_beyond_memory", "refused, and goes on: True"),
        ("file_beyond_its_limit", "File too large, File too large"),
        ("descriptors_beyond_their_limit", "Too many open files"),
        ("a_file_in_memory", "made"),
        ("a_file_in_memory, without memfds", "Operation not permitted"),
    ],
)
def test_what_is_beyond_a_limit_is_refused(
    what: str, given: str, answers: Answers
) -> None:
    assert answers[what] == (given, 0)


def test_processor_time_ends(answers: Answers) -> None:
    assert answers["endless"] == (None, -signal.SIGXCPU)


def test_without_landlock_a_model_loads_from_bytes_and_not_by_descriptor(
    answers: Answers,
) -> None:
    assert answers["model_by_bytes, by seccomp alone"] == (True, 0)
    assert "system error number 1" in str(
        answers["model_by_descriptor, by seccomp alone"]
    )


def test_every_call_that_is_not_listed_is_refused(answers: Answers) -> None:
    assert answers["calls_not_listed"] == ([], 0)


def test_listed_calls_are_refused_with_other_arguments(answers: Answers) -> None:
    assert answers["arguments_not_listed"] == ([], 0)


def test_it_may_signal_itself(answers: Answers) -> None:
    assert answers["signal_to_itself"] == (0, 0)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="has one set of numbers")
def test_a_call_by_another_architectures_numbers_ends_it(answers: Answers) -> None:
    if answers["call_by_other_numbers, outside"][1]:
        pytest.skip("this kernel runs no 32-bit programs")

    assert answers["call_by_other_numbers"] == (None, -signal.SIGSYS)


def test_it_ends_with_its_parent(answers: Answers) -> None:
    assert answers["outlive"] == (None, 0)


def test_it_leaves_no_core_locks_no_memory_and_cannot_be_dumped(
    answers: Answers,
) -> None:
    assert answers["own_limits"] == ([0, 0, 4096, 0], 0)


def test_only_what_is_kept_stays_open(answers: Answers) -> None:
    assert answers["other_descriptors"] == ([True, True, False], 0)


def test_nothing_can_be_written_to_the_operators_log(answers: Answers) -> None:
    assert answers["standard_streams"] == ([True, True, True], 0)


def test_a_process_with_other_threads_does_not_enter(answers: Answers) -> None:
    said, _ = answers["with_a_thread"]

    assert "expected one thread, got 2" in str(said)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(f"Cap{of}", "0" * 16) for of in ("Inh", "Prm", "Eff", "Amb")],
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("oom_score_adj", "1000"),
    ],
)
@pytest.mark.parametrize("user", ["", ", as nobody"])
def test_it_has_no_privileges(
    field: str, value: str, user: str, answers: Answers
) -> None:
    state: Any = answers[f"own_state{user}"][0]

    assert state[field].strip() == value


@pytest.mark.skipif(os.getuid() != 0, reason="only root may lower the bounding set")
def test_root_cannot_get_its_privileges_back(answers: Answers) -> None:
    state: Any = answers["own_state"][0]

    assert re.fullmatch("0+", state["CapBnd"].strip())
