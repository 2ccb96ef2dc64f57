"""Builds SmolLM2-135M as one ONNX graph: a question goes in, an answer comes out.

Tokens, the chat's form around the question, the loop of generation, and the text of the
answer are all inside. The weights stay in the 4 bits in which they are published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from examples.common.building import main
from examples.common.checking import check_export
from examples.gpt2.chat import STOP, gguf, graph
from examples.gpt2.smollm import Weights
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import AutoModelForCausalLM, AutoTokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from examples.common.checking import Inputs
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

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


def check(path: Path, published: Path) -> None:
    """Hold the graph against transformers: the same tokens, the same text."""
    own = original_tokenizer(published)
    model = AutoModelForCausalLM.from_pretrained(
        published.parent, gguf_file=published.name, dtype=torch.float32
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
    published = gguf()
    onnx.save(graph(Weights(published)), path)
    check(path, published)


if __name__ == "__main__":
    main(build)
