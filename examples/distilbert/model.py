"""Fine-tunes MiniLM on film reviews, and exports it: text in, what it feels out.

Takes some minutes: epoch by epoch it says how many.
"""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from examples.common.building import main
from examples.common.checking import check_export
from examples.distilbert.reviews import NAMES, TOKENS, around, minilm, reviews
from safetensors.torch import load
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import BertConfig, BertModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from examples.common.checking import Inputs
    from examples.distilbert.reviews import Review
    from numpy.typing import NDArray

    from blindai.pipelines import Pipeline, Value
    from blindai.pipelines.text import Tokens

EPOCHS = 2
BATCH = 32
FROZEN = 2  # layers that stay as they are, with the table of tokens below them
RATE = 8e-5  # of learning, at most; the new layer's is HEAD_RATE
HEAD_RATE = 1e-3
WARM = 60  # steps until then
OPSET = 20

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Sentiment(torch.nn.Module):
    """MiniLM, the mean of its tokens, and two scores of it."""

    def __init__(self) -> None:
        super().__init__()
        config = BertConfig(**json.loads(minilm("config.json")))
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.head = torch.nn.Linear(config.hidden_size, len(NAMES))
        weights = load(minilm("model.safetensors"))
        self.encoder.load_state_dict(
            {name: weights[name] for name in self.encoder.state_dict()}
        )

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores of each text, (texts, 2)."""
        tokens = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        kept = mask.unsqueeze(-1).to(tokens.dtype)
        return self.head((tokens * kept).sum(1) / kept.sum(1))


def tokenizer() -> Tokenizer:
    """MiniLM's own."""
    made = Tokenizer.from_str(minilm("tokenizer.json").decode())
    made.no_padding()
    made.enable_truncation(TOKENS)
    return made


def batches(rows: Sequence[Review], order: torch.Generator | None) -> Iterator[Batch]:
    """Sentences of about the same length together; in a random order, if any."""
    own = tokenizer()
    ids = [own.encode(each.text).ids for each in rows]
    by_length = sorted(range(len(rows)), key=lambda index: len(ids[index]))
    parts = [by_length[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    if order is not None:
        parts = [parts[at] for at in torch.randperm(len(parts), generator=order)]
    for part in parts:
        padded = torch.zeros(len(part), len(ids[part[-1]]), dtype=torch.long)
        for row, index in enumerate(part):
            padded[row, : len(ids[index])] = torch.tensor(ids[index])
        wanted = torch.tensor([rows[index].label for index in part])
        yield padded, (padded != 0).long(), wanted


def tune(model: Sentiment, rows: Sequence[Review]) -> None:
    """Fine-tune the upper layers."""
    fixed = [model.encoder.embeddings, *model.encoder.encoder.layer[:FROZEN]]
    for part in fixed:
        part.requires_grad_(requires_grad=False)
    learning = [each for each in model.encoder.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": learning, "lr": RATE},
            {"params": model.head.parameters(), "lr": HEAD_RATE},
        ],
        weight_decay=0.01,
    )
    steps = EPOCHS * -(-len(rows) // BATCH)
    slope = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARM) * (1 - step / steps)
    )
    order = torch.Generator().manual_seed(0)
    start = time.monotonic()
    model.train()
    for epoch in range(EPOCHS):
        for ids, mask, wanted in batches(rows, order):
            loss = functional.cross_entropy(model(ids, mask), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            slope.step()
        print(f"epoch {epoch + 1} of {EPOCHS}: {time.monotonic() - start:.0f} s")
    model.eval()


@torch.no_grad()
def accuracy(model: Sentiment, rows: Sequence[Review]) -> float:
    """The share of sentences it is right about."""
    right = sum(
        int((model(ids, mask).argmax(1) == wanted).sum())
        for ids, mask, wanted in batches(rows, None)
    )
    return right / len(rows)


def exported(model: torch.nn.Module) -> onnx.ModelProto:
    """A network that takes ids and a mask as ONNX, of any number of texts and tokens.

    Also one of transformers': what it calls its inputs does not matter.
    """
    buffer = io.BytesIO()
    # Two tensors: one that is given twice is exported as one input for both.
    ids = torch.arange(14).reshape(2, 7)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    sizes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    program = torch.onnx.export(
        model,
        (ids, mask),
        dynamo=True,
        opset_version=OPSET,
        input_names=["ids", "mask"],
        output_names=["scores"],
        dynamic_shapes=(sizes, sizes),
        verbose=False,
    )
    program.save(buffer)
    return onnx.load_from_string(buffer.getvalue())


def check(path: Path, model: Sentiment, rows: Sequence[Review]) -> None:
    """Hold the graph against the framework and its own tokenizer, text by text."""
    own = tokenizer()

    @torch.no_grad()
    def original(inputs: Inputs) -> list[NDArray[Any]]:
        (words,) = inputs["text"]
        ids = torch.tensor([own.encode(words).ids])
        scores = torch.softmax(model(ids, torch.ones_like(ids)), dim=1)
        best = int(scores.argmax())
        named = np.array([[NAMES[best]]], object)
        return [named, scores[:, best : best + 1].numpy()]

    texts = [{"text": np.array([each.text], object)} for each in rows]
    print(check_export(path, original, texts))


def build(path: Path, samples: Path) -> None:
    """Write the model."""
    del samples  # sentences: the client has some
    torch.manual_seed(0)
    learned, kept = reviews()
    model = Sentiment()
    tune(model, learned)
    share = accuracy(model, kept)
    print(f"{len(learned)} sentences learned; right about {share:.1%} of {len(kept)}")
    network = exported(model)

    def classify(pipeline: Pipeline, tokens: Tokens) -> Value:
        (scores,) = pipeline.run(network, tokens.ids, tokens.mask)
        return scores

    onnx.save(around(classify), path)
    check(path, model, kept[:40])


if __name__ == "__main__":
    main(build)
