"""face-api's detector and recogniser as ONNX, written after the package's source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from examples.common.face_api import DETECTOR, RECOGNISER, weights
from examples.common.graphs import FLOAT, model, node

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

SIDE, CELLS = 416, 13  # pixels, and cells of the detector's grid, a side
FACE = 150  # pixels a side that the recogniser sees
_ANCHORS = (  # width and height of the boxes that each cell begins with, in cells
    (1.603231, 2.094468),
    (6.041143, 7.080126),
    (2.882459, 3.518061),
    (4.266906, 5.178857),
    (9.041765, 10.66308),
)
_DETECTOR_MEAN = 117.001, 114.697, 97.404
_RECOGNISER_MEAN = 122.782, 117.001, 104.298
_BLOCKS = (  # of the recogniser, in order
    *("conv32_1", "conv32_2", "conv32_3"),
    *("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    *("conv128_down", "conv128_1", "conv128_2"),
    *("conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
)


@dataclass
class _Net:
    """A network while it is written: what was last computed is called `now`.

    Attributes:
        tensors: The weights, as TensorFlow.js has them.
        now: The name of what was computed last.
        nodes: So far.
        constants: So far.
    """

    tensors: dict[str, NDArray[np.float32]]
    now: str = "pixels"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def op(self, kind: str, *more: str, **attributes: object) -> str:
        """Compute from `now` and what is named; the result is the new `now`."""
        result = f"{kind}_{len(self.nodes)}"
        inputs = " ".join((self.now, *more))
        self.nodes.append(node(kind, inputs, result, **attributes))
        self.now = result
        return result

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """A tensor of the graph's; its name."""
        self.constants[name] = value
        return name

    def scale(self, mean: tuple[float, ...]) -> None:
        """Less the mean of each colour, by 255."""
        colours = np.array(mean, np.float32).reshape(3, 1, 1)
        self.op("Sub", self.constant("mean", colours))
        self.op("Div", self.constant("most", np.array(255, np.float32)))

    def convolve(self, filters: str, bias: str | None, **attributes: object) -> None:
        """A convolution; TensorFlow keeps (height, width, in, out)."""
        weight = self.tensors[filters].transpose(3, 2, 0, 1)
        more = [self.constant(filters, np.ascontiguousarray(weight))]
        if bias is not None:
            more.append(self.constant(bias, self.tensors[bias]))
        self.op("Conv", *more, **attributes)


def detector() -> onnx.ModelProto:
    """The detector: 845 boxes, and how sure each is.

    `pixels: float32, (1, 3, 416, 416), 0..255, RGB` to `boxes: float32, (845, 4)` (top,
    left, bottom, right, in pixels) and `scores: float32, (845, 1), 0..1`.
    """
    net = _Net(weights(DETECTOR))
    net.scale(_DETECTOR_MEAN)
    for at in range(6):
        if at == 0:
            net.convolve("conv0/filters", "conv0/bias")
        else:  # each channel by itself, then all of them at each place
            depth = net.tensors[f"conv{at}/depthwise_filter"].transpose(2, 3, 0, 1)
            name = net.constant(f"depth_{at}", np.ascontiguousarray(depth))
            net.op("Conv", name, group=len(depth), pads=[1, 1, 1, 1])
            net.convolve(f"conv{at}/pointwise_filter", f"conv{at}/bias")
        net.op("LeakyRelu", alpha=0.1)
        strides = [1, 1] if at == 5 else [2, 2]
        net.op("MaxPool", kernel_shape=[2, 2], strides=strides, auto_pad="SAME_UPPER")
    net.convolve("conv8/filters", "conv8/bias")
    net.op("Transpose", perm=[0, 2, 3, 1])
    rows = net.op("Reshape", net.constant("rows", np.array([-1, 5], np.int64)))
    _boxes(net, rows)
    return model(
        net.nodes,
        {"pixels": (FLOAT, [1, 3, SIDE, SIDE])},
        {"boxes": (FLOAT, [845, 4]), "scores": (FLOAT, [845, 1])},
        net.constants,
    )


def _boxes(net: _Net, rows: str) -> None:
    """Boxes from rows: where in its cell the middle is, and how large it is."""
    where = np.stack(np.meshgrid(range(CELLS), range(CELLS), indexing="ij"), 2)
    cells = np.repeat(where.reshape(-1, 2), len(_ANCHORS), axis=0).astype(np.float32)
    anchors = np.tile(np.array(_ANCHORS, np.float32)[:, ::-1], (CELLS * CELLS, 1))
    net.op("Gather", net.constant("yx", np.array([1, 0], np.int64)), axis=1)
    net.op("Sigmoid")
    middle = net.op("Add", net.constant("cells", cells))
    net.now = rows
    net.op("Gather", net.constant("hw", np.array([3, 2], np.int64)), axis=1)
    net.op("Exp")
    half = net.op("Mul", net.constant("anchors", anchors / 2))
    pixels = net.constant("cell", np.array(SIDE / CELLS, np.float32))
    net.nodes += [
        node("Sub", f"{middle} {half}", "low"),
        node("Add", f"{middle} {half}", "high"),
        node("Concat", "low high", "corners", axis=1),
        node("Mul", f"corners {pixels}", "boxes"),
        node("Gather", f"{rows} {net.constant('last', np.array([4]))}", "sure", axis=1),
        node("Sigmoid", "sure", "scores"),
    ]


def recogniser() -> onnx.ModelProto:
    """The recogniser: a face as 128 numbers, close to those of the same face.

    `pixels: float32, (faces, 3, 150, 150), 0..255, RGB` to `descriptors: float32,
    (faces, 128)`.
    """
    net = _Net(weights(RECOGNISER))
    net.scale(_RECOGNISER_MEAN)
    _layer(net, "conv32_down", strides=[2, 2])
    net.op("Relu")
    net.op("MaxPool", kernel_shape=[3, 3], strides=[2, 2])
    for block in _BLOCKS:
        _residual(net, block, down="down" in block)
    net.op("ReduceMean", net.constant("places", np.array([2, 3])), keepdims=0)
    weight = net.constant("fc", net.tensors["fc"])
    net.nodes.append(node("MatMul", f"{net.now} {weight}", "descriptors"))
    return model(
        net.nodes,
        {"pixels": (FLOAT, ["faces", 3, FACE, FACE])},
        {"descriptors": (FLOAT, ["faces", 128])},
        net.constants,
    )


def _residual(net: _Net, block: str, *, down: bool) -> None:
    """Two layers, and what came in added to what goes out.

    On the way down what came in is halved by averages, and gets channels of zeros; the
    layers may see one place less a side, which is zero too.
    """
    came_in = net.now
    if down:
        _layer(net, f"{block}/conv1", strides=[2, 2])
    else:
        _layer(net, f"{block}/conv1", pads=[1, 1, 1, 1])
    net.op("Relu")
    _layer(net, f"{block}/conv2", pads=[1, 1, 1, 1])
    layers, added = net.now, came_in
    if down:
        net.now = came_in
        added = net.op("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
        layers, added = _fill(net, layers, added)
    net.now = layers
    net.op("Add", added)
    net.op("Relu")


def _fill(net: _Net, *values: str) -> list[str]:
    """Zeros behind each, in every direction, up to the size of the largest."""
    shapes = []
    for value in values:
        net.now = value
        shapes.append(net.op("Shape"))
    net.now = shapes[0]
    largest = net.op("Max", *shapes[1:])
    filled = []
    for value, shape in zip(values, shapes, strict=True):
        net.now = largest
        behind = net.op("Sub", shape)
        net.now = net.constant("nothing", np.zeros(4, np.int64))
        pads = net.op("Concat", behind, axis=0)
        net.now = value
        filled.append(net.op("Pad", pads))
    return filled


def _layer(net: _Net, name: str, **attributes: object) -> None:
    """A convolution, then a scale and an offset of each channel."""
    net.convolve(f"{name}/conv/filters", f"{name}/conv/bias", **attributes)
    for kind, part in (("Mul", "weights"), ("Add", "biases")):
        values = net.tensors[f"{name}/scale/{part}"].reshape(-1, 1, 1)
        net.op(kind, net.constant(f"{name}/scale/{part}", values))
