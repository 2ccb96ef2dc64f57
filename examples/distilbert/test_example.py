"""Sentences are felt for through a real server: in int8, and fine-tuned (slow)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from examples.common import EXAMPLES, KEPT, ROOT
from examples.common.environments import environment
from examples.common.serving import Example, serve
from examples.conftest import Served

import blindai
from blindai.errors import BlindAIError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)

GOOD = "A warm, funny film that I would happily see again."
BAD = "Two hours of boredom; the plot is stupid and the acting is terrible."


@pytest.fixture(scope="module")
def small() -> Iterator[Served]:
    """The one in int8, which needs no environment of its own."""
    model = KEPT / "distilbert" / "int8" / "distilbert.onnx"
    source = EXAMPLES / "distilbert" / "int8.py"
    if not model.is_file() or model.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(  # noqa: S603  our own program
            [sys.executable, str(source), str(model)],
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    example = Example("distilbert", Path(sys.executable), model)
    with serve(example) as url:
        yield Served(example, url)


def label(answer: str) -> str:
    return answer.split(maxsplit=1)[0]


def test_int8_tells_praise_from_blame(small: Served) -> None:
    good, bad = small.ask(GOOD, BAD)

    assert label(good) == "positive"
    assert label(bad) == "negative"


def test_int8_is_right_about_most_of_what_people_rated(small: Served) -> None:
    from examples.distilbert.reviews import NAMES, reviews  # noqa: PLC0415  fetches

    _, kept = reviews()
    part = kept[::16]
    with blindai.connect(small.url, simulation=True) as client:
        answers = client.predict("distilbert", [each.text for each in part])

    labels = answers.output[0].as_texts()
    right = [NAMES[each.label] == said for each, said in zip(part, labels, strict=True)]
    assert len(part) > 60
    assert sum(right) / len(right) > 0.7


def test_a_sentence_is_judged_alike_alone_and_beside_others(small: Served) -> None:
    together = small.ask(GOOD, BAD)

    assert together == [*small.ask(GOOD), *small.ask(BAD)]


def test_no_text_at_all_is_judged_too(small: Served) -> None:
    assert len(small.ask("")) == 1


def test_a_megabyte_of_text_is_refused(small: Served) -> None:
    with (
        blindai.connect(small.url, simulation=True) as client,
        pytest.raises(BlindAIError, match="expected"),
    ):
        client.predict("distilbert", ["very " * 250_000])


PUBLISHED = """
import numpy as np, onnxruntime, torch
from examples.distilbert.model import exported
from transformers import DistilBertConfig, DistilBertForSequenceClassification
size = DistilBertConfig(n_layers=2, dim=64, hidden_dim=128, n_heads=4)
network = DistilBertForSequenceClassification(size).eval()
session = onnxruntime.InferenceSession(exported(network).SerializeToString())
ids = torch.randint(1, 1000, (3, 5))
mask = torch.tensor([[1] * 5, [1] * 3 + [0] * 2, [1] * 4 + [0]])
with torch.no_grad():
    wanted = network(ids, mask).logits.numpy()
(got,) = session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
np.testing.assert_allclose(got, wanted, atol=1e-5)
"""


@pytest.mark.slow
def test_the_published_architecture_is_exported_as_the_readme_says() -> None:
    subprocess.run(  # noqa: S603  our own program
        [str(environment("distilbert")), "-c", PUBLISHED],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.slow
def test_fine_tuned_tells_praise_from_blame(served: Served) -> None:
    good, bad = served.ask(GOOD, BAD)

    assert label(good) == "positive"
    assert label(bad) == "negative"


@pytest.mark.slow
def test_fine_tuned_hears_what_a_sentence_ends_with(served: Served) -> None:
    (answer,) = served.ask("The acting is fine, but the story goes nowhere.")

    assert label(answer) == "negative"
