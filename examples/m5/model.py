"""Trains M5 to tell six speakers apart by their voice, from telephone prompts.

M5 (Dai, Dai, Qu, Li and Das, "Very deep convolutional neural networks for raw
waveforms", 2016) takes the waveform itself: four convolutions, each followed by
pooling, then the mean over time. The graph takes a WAV file, and names the speaker.
"""

from __future__ import annotations

import hashlib
import io
import wave
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import soundfile
import torch
from examples.common.archives import read
from examples.common.building import main
from examples.common.checking import check_export
from examples.common.graphs import FLOAT, model, node
from examples.common.packages import DEBIAN, Package
from torch import nn

from blindai.pipelines import Pipeline, audio, labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from examples.common.checking import Inputs
    from numpy.typing import NDArray

    Clip = NDArray[np.float32]

CORE = "1.6.1-1"
SPEAKERS = {
    "Allison (English)": Package(
        DEBIAN,
        "asterisk-core-sounds-en-gsm",
        CORE,
        "ddc33205a56aebf54c73a0fb95c3a0d8131087878d74857a4e54bcab2b0d72ae",
    ),
    "June (French)": Package(
        DEBIAN,
        "asterisk-core-sounds-fr-gsm",
        CORE,
        "97bd8bebb7ef775046802a5a466d8f89916f54f437e158a1ec537cef814d44fd",
    ),
    "Armelle (French)": Package(
        DEBIAN,
        "asterisk-prompt-fr-armelle",
        "20070613-2.2",
        "162570b1a9b3512a98f06b89f60c7c17cf1b9b52297315adca9a4e5be728bea3",
    ),
    "July (Spanish)": Package(
        DEBIAN,
        "asterisk-prompt-es-co",
        "0.20070403-2.1",
        "6702696e045514699e87dc8fb70f370717e5df91f821f7bec8dd0df1be008e83",
    ),
    "Carlo (Italian)": Package(
        DEBIAN,
        "asterisk-core-sounds-it-gsm",
        CORE,
        "fb6d6ce94502894714f00240c372a291bcaa4cd3e05fdf278780a4dd9edfabab",
    ),
    "Maxim (Russian)": Package(
        DEBIAN,
        "asterisk-core-sounds-ru-gsm",
        CORE,
        "19770f5c211e8c3a1dc8eefd703382570da7edf00c52db069ebc2a64d5dda4bd",
    ),
}
ALLISON_IN_SPANISH = Package(
    DEBIAN,
    "asterisk-core-sounds-es-gsm",
    CORE,
    "533b4c29e232cae99f89a6933b5fc0af5341514e513924df401c683e222614b7",
)
NO_VOICE = ("silence", "beep", "tone", "monkeys")  # in names of files
RATE_HZ = 8000
LEAST, MOST = RATE_HZ * 7 // 10, RATE_HZ * 3
"""Shorter clips are left out, longer ones cut."""
WINDOW = RATE_HZ
TOO_SHORT = "recording: expected 0.7 seconds or more, got less"
EPOCHS, BATCH, TOP_RATE = 7, 64, 4e-3
SEED = 11
WIDTHS = 64, 64, 128, 256
"""Half of the paper's, which learns in a quarter of the time."""


@dataclass(frozen=True)
class Clips:
    """Clips of the speakers, each of which is there once.

    Attributes:
        train: 70 %, with the number of the speaker.
        choose: 10 %.
        test: 20 %: never looked at while training.
    """

    train: list[tuple[Clip, int]]
    choose: list[tuple[Clip, int]]
    test: list[tuple[Clip, int]]


def load(package: Package) -> dict[str, Clip]:
    """The spoken clips of a package, by the digest of their file: each once."""
    clips = {}
    for name, content in read(package, "*.gsm").items():
        if any(each in PurePosixPath(name).parent.name + name for each in NO_VOICE):
            continue
        sound, _ = soundfile.read(
            io.BytesIO(content),
            dtype="float32",
            format="RAW",
            subtype="GSM610",
            samplerate=RATE_HZ,
            channels=1,
        )
        if len(sound) >= LEAST:
            clips[hashlib.sha256(content).hexdigest()] = sound[:MOST]
    return clips


def split() -> Clips:
    """Clips that no two speakers share, shared out at random."""
    voices = [load(package) for package in SPEAKERS.values()]
    every = [digest for voice in voices for digest in voice]
    shared = {digest for digest in every if every.count(digest) > 1}
    parts: Clips = Clips([], [], [])
    draw = np.random.default_rng(SEED)
    for number, voice in enumerate(voices):
        kept = [clip for digest, clip in voice.items() if digest not in shared]
        order = draw.permutation(len(kept))
        ends = [len(kept) * 7 // 10, len(kept) * 8 // 10]
        for part, at in zip(
            (parts.train, parts.choose, parts.test),
            np.split(order, ends),
            strict=True,
        ):
            part += [(kept[each], number) for each in at]
        print(f"{list(SPEAKERS)[number]:18} {len(kept)} clips")
    return parts


class M5(nn.Module):
    """The network of the paper, on waveforms of any length from 0.7 seconds on."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for width in WIDTHS:
            size, stride = (80, 4) if before == 1 else (3, 1)
            convolution = nn.Conv1d(before, width, size, stride)
            layers += [convolution, nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(4)]
            before = width
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(before, len(SPEAKERS))

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """`sound: (batch, samples)` to a number for each speaker, before softmax."""
        loudness = sound.square().mean(1, keepdim=True).add(1e-8).sqrt()
        return self.out(self.layers((sound / loudness)[:, None]).mean(2))


def train(network: M5, parts: Clips) -> None:
    """Train on windows of a second, drawn anew each time; keep the best epoch."""
    draw = np.random.default_rng(SEED)
    steps = EPOCHS * (len(parts.train) // BATCH + 1)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, TOP_RATE, total_steps=steps
    )
    loss = nn.CrossEntropyLoss(label_smoothing=0.05)
    best, kept = -1.0, network.state_dict()
    for epoch in range(EPOCHS):
        network.train()
        order = draw.permutation(len(parts.train))
        for at in np.split(order, range(BATCH, len(order), BATCH)):
            batch = [parts.train[each] for each in at]
            sounds = torch.from_numpy(
                np.stack([window(each, draw) for each, _ in batch])
            )
            optimizer.zero_grad()
            wanted = torch.tensor([speaker for _, speaker in batch])
            loss(network(sounds), wanted).backward()
            optimizer.step()
            schedule.step()
        right = share_of_windows(network, parts.choose)
        print(f"epoch {epoch + 1}: {right:.1%} of {len(parts.choose)} seconds")
        if right > best:
            best = right
            kept = {name: each.clone() for name, each in network.state_dict().items()}
    network.load_state_dict(kept)
    network.eval()


def window(sound: Clip, draw: np.random.Generator) -> Clip:
    """A second of a clip, from anywhere in it; silence where it is shorter."""
    start = int(draw.integers(max(1, len(sound) - WINDOW + 1)))
    piece = sound[start : start + WINDOW]
    return np.pad(piece, (0, WINDOW - len(piece)))


def share_of_windows(network: M5, clips: Sequence[tuple[Clip, int]]) -> float:
    """Of how many clips a second from anywhere is given to who speaks it."""
    network.eval()
    start = np.random.default_rng(SEED)
    sounds = np.stack([window(each, start) for each, _ in clips])
    with torch.no_grad():
        said = network(torch.from_numpy(sounds)).argmax(1).numpy()
    return float(np.mean(said == [speaker for _, speaker in clips]))


def share(network: M5, clips: Sequence[tuple[Clip, int]]) -> float:
    """How many clips, whole ones, are given to who speaks them."""
    network.eval()
    with torch.no_grad():
        said = [
            int(network(torch.from_numpy(each)[None]).argmax()) for each, _ in clips
        ]
    return float(np.mean([a == b for a, (_, b) in zip(said, clips, strict=True)]))


def graph(network: M5) -> onnx.ModelProto:
    """The network: `sound: float32, (batch, samples)` to `probability`."""
    tensors = {
        name: each.numpy()
        for name, each in network.state_dict().items()
        if each.dtype == torch.float32
    }
    tensors |= {
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "least": np.array(1e-8, np.float32),
    }
    nodes = [
        node("Mul", "sound sound", "square"),
        node("ReduceMean", "square one", "power", keepdims=1),
        node("Add", "power least", "some_power"),
        node("Sqrt", "some_power", "loudness"),
        node("Div", "sound loudness", "even"),
        node("Unsqueeze", "even one", "layer_0"),
    ]
    for at in range(len(WIDTHS)):
        nodes += layer(at)
    nodes += [
        node("ReduceMean", f"layer_{len(WIDTHS)} two", "mean", keepdims=0),
        node("Gemm", "mean out.weight out.bias", "scores", transB=1),
        node("Softmax", "scores", "probability", axis=-1),
    ]
    used = {name for each in nodes for name in each.input}
    return model(
        nodes,
        {"sound": (FLOAT, ["batch", "samples"])},
        {"probability": (FLOAT, ["batch", len(SPEAKERS)])},
        {name: each for name, each in tensors.items() if name in used},
    )


def layer(at: int) -> list[onnx.NodeProto]:
    """One layer, by torch's names: from `layer_{at}` to the next."""
    weights = " ".join(f"layers.{4 * at}.{each}" for each in ("weight", "bias"))
    parts = ("weight", "bias", "running_mean", "running_var")
    scales = " ".join(f"layers.{4 * at + 1}.{each}" for each in parts)
    stride, pool = [4 if at == 0 else 1], [4]
    return [
        node("Conv", f"layer_{at} {weights}", f"conv_{at}", strides=stride),
        node("BatchNormalization", f"conv_{at} {scales}", f"norm_{at}"),
        node("Relu", f"norm_{at}", f"relu_{at}"),
        node(
            "MaxPool", f"relu_{at}", f"layer_{at + 1}", kernel_shape=pool, strides=pool
        ),
    ]


def pipeline(network: onnx.ModelProto) -> onnx.ModelProto:
    """`recording: uint8, (bytes)`, a WAV file, to who speaks.

    `speaker: string, (1, 6)`, the likeliest first, and `probability: float32, (1, 6)`.
    """
    whole = Pipeline()
    sound = audio.read_wav(whole.file("recording"))
    samples = audio.resample(sound, RATE_HZ)
    ops = samples.graph
    enough = ops.op("GreaterOrEqual", ops.op("Size", samples), LEAST)
    samples = ops.require(samples, enough, TOO_SHORT)
    (probability,) = whole.run(network, ops.op("Unsqueeze", samples, [0]))
    best = labels.top(probability, list(SPEAKERS), len(SPEAKERS))
    whole.give(speaker=best.labels, probability=best.scores)
    return whole.model()


def check(path: Path, network: M5, clips: Sequence[tuple[Clip, int]]) -> None:
    """Hold the whole against torch, on recordings of different lengths."""
    answers = iter(clips)

    def original(_: Inputs) -> Sequence[NDArray[Any]]:
        sound = (next(answers)[0] * 32767).astype("<i2").astype(np.float32) / 32768
        with torch.no_grad():
            likely = network(torch.from_numpy(sound)[None]).softmax(1)[0].numpy()
        order = likely.argsort()[::-1]
        names = np.array([list(SPEAKERS)[each] for each in order], object)
        return [names[None], likely[order][None]]

    inputs = [{"recording": np.frombuffer(wav(each), np.uint8)} for each, _ in clips]
    print(check_export(path, original, inputs))


def wav(sound: Clip) -> bytes:
    """A clip as a WAV file, 16 bits."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return content.getvalue()


def build(path: Path, samples: Path) -> None:
    """Write the model, and a clip of each speaker that it never heard."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # threads mostly wait for one another in it
    parts = split()
    network = M5()
    train(network, parts)
    print(f"{share(network, parts.test):.1%} of {len(parts.test)} unseen clips")
    spanish = [(clip, 0) for clip in load(ALLISON_IN_SPANISH).values()][:200]
    right = share(network, spanish)
    print(f"Allison in Spanish, never heard: {right:.1%} of {len(spanish)} clips")
    onnx.save(pipeline(graph(network)), path)
    firsts = [next(each for each in parts.test if each[1] == n) for n in range(6)]
    check(path, network, firsts)
    for (clip, number), name in zip(firsts, SPEAKERS, strict=True):
        file = samples / f"{number + 1}-{name.split()[0].lower()}.wav"
        file.write_bytes(wav(clip))


if __name__ == "__main__":
    main(build)
