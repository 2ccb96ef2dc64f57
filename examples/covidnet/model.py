"""SYNTHETIC: a network like COVID-Net, on pictures that a program drew. Not medicine.

COVID-Net (Wang, Lin and Wong, 2020) looks for COVID-19 in chest X-rays. Neither its
weights nor any X-rays can be had here, so this draws two lungs, with and without
bright spots in them, and trains a small network of COVID-Net's blocks (PEPX) on that.
It shows how such a service runs. It says nothing about any person.
"""

from __future__ import annotations

import tempfile
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from examples.common.building import main
from examples.common.checking import check_export
from PIL import Image
from torch import nn

from blindai.pipelines import Pipeline, image, labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from examples.common.checking import Inputs
    from numpy.typing import NDArray

NAMES = ("SYNTHETIC, no spots drawn", "SYNTHETIC, spots drawn")
SIDE, DRAWN = 96, 128  # pixels
WIDTHS = 16, 32, 64, 96
TRAIN, TEST, EPOCHS, BATCH, TOP_RATE = 800, 200, 7, 32, 5e-3
SEED = 3


def draw(dice: np.random.Generator, *, spots: bool) -> NDArray[np.uint8]:
    """Two lungs, ribs and a heart, and perhaps one to three soft spots, in grey."""
    size = DRAWN
    y, x = np.mgrid[0:size, 0:size] / size
    lean, wide = dice.uniform(-0.03, 0.03), dice.uniform(0.15, 0.19)
    picture = np.full((size, size), dice.uniform(0.65, 0.8))
    lungs = np.zeros_like(picture)
    for middle in (0.3 + lean, 0.7 + lean):
        tall = dice.uniform(0.3, 0.36)
        inside = ((x - middle) / wide) ** 2 + ((y - 0.5) / tall) ** 2
        lungs = np.maximum(lungs, 1 / (1 + np.exp(18 * (inside - 1))))
    picture -= dice.uniform(0.4, 0.5) * lungs
    for at in np.arange(0.2, 0.85, 0.085):  # ribs
        arc = y - at - 0.25 * (x - 0.5) ** 2
        picture += 0.07 * np.exp(-((arc / 0.012) ** 2))
    heart = ((x - 0.57) / 0.13) ** 2 + ((y - 0.66) / 0.15) ** 2
    picture += 0.25 / (1 + np.exp(12 * (heart - 1)))
    for _ in range(int(dice.integers(1, 4)) if spots else 0):
        middle = dice.choice([0.3, 0.7]) + lean + dice.uniform(-0.07, 0.07)
        high, wide = dice.uniform(0.32, 0.68), dice.uniform(0.035, 0.07)
        soft = np.exp(-(((x - middle) ** 2 + (y - high) ** 2) / wide**2))
        picture += dice.uniform(0.2, 0.38) * soft * lungs
    picture += dice.normal(0, 0.02, picture.shape)
    return (255 * picture.clip(0, 1)).astype(np.uint8)


class Pepx(nn.Sequential):
    """COVID-Net's block: project, expand, look around in each channel, and again."""

    def __init__(self, before: int, after: int) -> None:
        less, more = before // 2, after
        super().__init__(
            nn.Conv2d(before, less, 1),
            nn.Conv2d(less, more, 1),
            nn.Conv2d(more, more, 3, padding=1, groups=more),
            nn.Conv2d(more, less, 1),
            nn.Conv2d(less, after, 1),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        )


class Network(nn.Module):
    """Four stages, each half as large as the one before."""

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = [
            nn.Conv2d(3, WIDTHS[0], 7, 2, 3),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(),
        ]
        for before, after in pairwise(WIDTHS):
            stages += [Pepx(before, after), nn.MaxPool2d(2)]
        self.stages = nn.Sequential(*stages)
        self.out = nn.Linear(WIDTHS[-1], len(NAMES))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`pixels: (batch, 3, 96, 96), -1..1` to probabilities, `(batch, 2)`."""
        return self.scores(pixels).softmax(1)

    def scores(self, pixels: torch.Tensor) -> torch.Tensor:
        """Before softmax."""
        return self.out(self.stages(pixels).mean((2, 3)))


def pictures(
    count: int, dice: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures as the network takes them, and which have spots."""
    spots = dice.integers(0, 2, count)
    drawn = (Image.fromarray(draw(dice, spots=bool(each))) for each in spots)
    small = [each.resize((SIDE, SIDE)).convert("RGB") for each in drawn]
    pixels = np.stack([np.asarray(each) for each in small]).transpose(0, 3, 1, 2)
    scaled = pixels.astype(np.float32) / np.float32(127.5) - 1
    return torch.from_numpy(scaled), torch.from_numpy(spots)


def train(network: Network, dice: np.random.Generator) -> None:
    """Train it, and print how right it is on pictures that it never saw."""
    data, truth = pictures(TRAIN, dice)
    optimizer = torch.optim.AdamW(network.parameters())
    steps = EPOCHS * -(-TRAIN // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, TOP_RATE, total_steps=steps
    )
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAIN).split(BATCH):
            optimizer.zero_grad()
            scores = network.scores(data[batch])
            nn.functional.cross_entropy(scores, truth[batch]).backward()
            optimizer.step()
            schedule.step()
    network.eval()
    data, truth = pictures(TEST, dice)
    with torch.no_grad():
        right = (network(data).argmax(1) == truth).float().mean()
    print(f"{right:.1%} of {TEST} unseen drawings, half of which have spots")


def export(network: Network, path: Path) -> None:
    """Write the network as torch's exporter does, and hold it against torch."""
    batch = torch.export.Dim.DYNAMIC
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, SIDE, SIDE),),
        path,
        input_names=["pixels"],
        output_names=["probability"],
        dynamic_shapes=({0: batch},),
        external_data=False,
        dynamo=True,
        verbose=False,
    )

    def original(inputs: Inputs) -> Sequence[NDArray[Any]]:
        with torch.no_grad():
            return [network(torch.from_numpy(inputs["pixels"])).numpy()]

    drawn, _ = pictures(6, np.random.default_rng(SEED + 1))
    inputs = [{"pixels": each.numpy()} for each in drawn.split([1, 2, 3])]
    print(check_export(path, original, inputs))


def pipeline(network: onnx.ModelProto) -> onnx.ModelProto:
    """`picture: uint8, (bytes)`, a JPEG or PNG file, to what was drawn, and how likely.

    `drawn: string, (1, 2)`, the likelier first, and `probability: float32, (1, 2)`.
    """
    whole = Pipeline()
    picture = image.resize(image.decode(whole.file("picture")), (SIDE, SIDE), "bicubic")
    pixels = image.normalise(picture, (1.0, 1.0, 1.0), scale=1 / 127.5)
    (probability,) = whole.run(network, pixels)
    best = labels.top(probability, NAMES, len(NAMES))
    whole.give(drawn=best.labels, probability=best.scores)
    return whole.model()


def build(path: Path, samples: Path) -> None:
    """Write the model, and drawings to try it on."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # it is small: threads mostly wait for one another
    dice = np.random.default_rng(SEED)
    network = Network()
    train(network, dice)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "network.onnx"
        export(network, alone)
        onnx.save(pipeline(onnx.load(alone)), path)
    for number, spots in enumerate((False, True, False, True), start=1):
        kind = "spots" if spots else "none"
        file = BytesIO()
        Image.fromarray(draw(dice, spots=spots)).save(file, "PNG")
        (samples / f"{number}-drawn-{kind}.png").write_bytes(file.getvalue())


if __name__ == "__main__":
    main(build)
