"""The search finds what a query means, through a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import blindai
from blindai.errors import InvalidRequestError

if TYPE_CHECKING:
    from examples.conftest import Served


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("bushfires threaten homes near Sydney", "firefighters"),
        ("who won the cricket match", "cricket"),
        ("PEACE TALKS BETWEEN ISRAEL AND THE PALESTINIANS", "peace"),
    ],
)
def test_the_articles_found_are_about_the_query(
    served: Served, query: str, word: str
) -> None:
    asked, *found = served.ask(query)

    assert asked == query
    assert len(found) == 3
    assert word in " ".join(found)


def test_punctuation_does_not_hide_a_word(served: Served) -> None:
    plain, marked = served.ask("cricket match"), served.ask('"cricket", (match)?!')

    assert plain[1:] == marked[1:]


@pytest.mark.parametrize("query", ["xyzzy plugh", "", "?!"])
def test_a_query_without_a_known_word_finds_nothing(served: Served, query: str) -> None:
    assert served.ask(query) == [query, "  none of these words is known"]


def test_a_query_that_no_article_is_near_is_said_so(served: Served) -> None:
    assert served.ask("é") == ["é", "  no article is near"]


def test_queries_are_answered_one_by_one(served: Served) -> None:
    first, second = "cricket", "interest rates"

    both = served.ask(first, second)

    assert both == [*served.ask(first), *served.ask(second)]


@pytest.mark.filterwarnings("ignore:this enclave is SIMULATED")
@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([200_000 * "word "], "at most 1000 characters, got more"),
        (["é" * 1001], "at most 1000 characters, got more"),
        (["interest", 1_000_000 * ","], "at most 1000 characters, got more"),
        (65 * ["cricket"], "1 to 64 of them, got another number"),
        ([], "1 to 64 of them, got another number"),
    ],
)
def test_more_than_people_ask_is_refused_in_words(
    served: Served, queries: list[str], message: str
) -> None:
    with (
        blindai.connect(served.url, simulation=True) as client,
        pytest.raises(InvalidRequestError, match=message),
    ):
        client.predict("word2vec", queries)


def test_as_much_as_may_be_is_answered(served: Served) -> None:
    queries = 64 * [500 * "é,"]

    assert len(served.ask(*queries)) == 64 * 2
