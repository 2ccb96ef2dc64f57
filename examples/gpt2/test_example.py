"""Questions are answered through a real server, as transformers answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import blindai
from blindai.errors import BlindAIError

if TYPE_CHECKING:
    from examples.conftest import Served

# Builds a model of 135 million weights, in an environment with torch.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning"),
]


def test_a_question_is_answered(served: Served) -> None:
    asked, answer, _ = served.ask("What is the capital of France?")

    assert asked == "> What is the capital of France?"
    assert answer == "The capital of France is Paris."


def test_questions_of_a_batch_are_answered_as_they_are_alone(served: Served) -> None:
    first, second = "What is the capital of France?", "Who wrote Hamlet?"

    together = served.ask(first, second)

    assert together == [*served.ask(first), *served.ask(second)]


def test_an_answer_is_no_longer_than_was_asked_for(served: Served) -> None:
    with blindai.connect(served.url, simulation=True, timeout=300) as client:
        question = ["Tell me a long story about the sea."]
        given = {"question": question, "max_tokens": [7]}
        answer, tokens = client.predict("gpt2", given).output

    assert tokens.shape == (1, 7)
    assert answer.as_text()


@pytest.mark.parametrize("most", [0, -1, 100_000])
def test_a_length_that_is_none_is_refused(served: Served, most: int) -> None:
    with (
        blindai.connect(served.url, simulation=True) as client,
        pytest.raises(BlindAIError, match="expected 1 to 512"),
    ):
        client.predict("gpt2", {"question": ["Hi"], "max_tokens": [most]})


def test_a_megabyte_of_text_is_refused(served: Served) -> None:
    with (
        blindai.connect(served.url, simulation=True) as client,
        pytest.raises(BlindAIError, match="expected"),
    ):
        client.predict("gpt2", {"question": ["a" * 1_000_000], "max_tokens": [5]})


def test_no_question_at_all_is_refused_in_words(served: Served) -> None:
    with (
        blindai.connect(served.url, simulation=True) as client,
        pytest.raises(BlindAIError, match="question: expected one or more, got none"),
    ):
        client.predict("gpt2", {"question": [], "max_tokens": [5]})
