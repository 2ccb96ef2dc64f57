"""Whisper in transformers, with the same weights: what the export is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from examples.wav2vec2.whisper import LAYERS, PROMPT, STOP, WIDTH
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examples.wav2vec2.whisper import Never
    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[np.float16]]


def loaded(tensors: Tensors, never: Never) -> WhisperForConditionalGeneration:
    """The model of transformers.

    Raises:
        ValueError: If tensors are missing, or left over.
    """
    config = WhisperConfig(
        vocab_size=len(tensors["decoder/embeddings/weight"]),
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH,
    )
    model = WhisperForConditionalGeneration(config)
    state = {
        name: torch.from_numpy(array.astype(np.float32))
        for name, array in _named(tensors)
    }
    missing = model.load_state_dict(state, strict=False)
    left = set(missing.missing_keys) - {"proj_out.weight"}  # the decoder's table, tied
    if left or missing.unexpected_keys:
        raise ValueError(f"weights: expected all of them, got {missing}")
    model.generation_config = _generation(never)
    return model.eval()


def _generation(never: Never) -> GenerationConfig:
    """What OpenAI's own settings are, for English."""
    start, language, task, no_times = PROMPT
    return GenerationConfig(
        is_multilingual=True,
        lang_to_id={"<|en|>": language},
        task_to_id={"transcribe": task},
        no_timestamps_token_id=no_times,
        decoder_start_token_id=start,
        bos_token_id=STOP,
        eos_token_id=STOP,
        pad_token_id=STOP,
        suppress_tokens=list(never.always),
        begin_suppress_tokens=list(never.first),
        max_length=448,
    )


def _named(tensors: Tensors) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Tensors under the names that transformers has for them."""
    for side in ("encoder", "decoder"):
        places = tensors[f"{side}/position_encodings/encodings"]
        yield f"model.{side}.embed_positions.weight", places
        yield from _norm(tensors, f"{side}/layer_norm", f"model.{side}.layer_norm")
        for layer in range(LAYERS):
            theirs, ours = f"model.{side}.layers.{layer}", f"{side}/layer_{layer}"
            yield from _attention(
                tensors, f"{ours}/self_attention", f"{theirs}.self_attn", "qkv"
            )
            if side == "decoder":
                yield from _attention(
                    tensors, f"{ours}/attention", f"{theirs}.encoder_attn", "q kv"
                )
            yield from _norm(
                tensors, f"{ours}/ffn/layer_norm", f"{theirs}.final_layer_norm"
            )
            for index in (0, 1):
                name = f"{ours}/ffn/linear_{index}"
                yield f"{theirs}.fc{index + 1}.weight", tensors[f"{name}/weight"]
                yield f"{theirs}.fc{index + 1}.bias", tensors[f"{name}/bias"]
    yield "model.decoder.embed_tokens.weight", tensors["decoder/embeddings/weight"]
    for name in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            yield f"model.encoder.{name}.{part}", tensors[f"encoder/{name}/{part}"]


def _norm(
    tensors: Tensors, ours: str, theirs: str
) -> Iterator[tuple[str, NDArray[np.float16]]]:
    yield f"{theirs}.weight", tensors[f"{ours}/gamma"]
    yield f"{theirs}.bias", tensors[f"{ours}/beta"]


def _attention(
    tensors: Tensors, ours: str, theirs: str, parts: str
) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """What CTranslate2 keeps in one matrix, apart; Whisper's keys have no bias."""
    yield from _norm(tensors, f"{ours}/layer_norm", f"{theirs}_layer_norm")
    groups = parts.split()
    for index, group in enumerate([*groups, "o"]):
        for kind in ("weight", "bias"):
            whole = tensors[f"{ours}/linear_{index}/{kind}"]
            for name, part in zip(group, np.split(whole, len(group)), strict=True):
                letter = "out" if name == "o" else name
                if (name, kind) != ("k", "bias"):
                    yield f"{theirs}.{letter}_proj.{kind}", part
