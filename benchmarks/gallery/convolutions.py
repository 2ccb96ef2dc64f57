"""FaceNet, YOLOv5, COVID-Net and M5, with batch normalisation folded in."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003  of a type alias
from functools import partial

import numpy as np
from onnx import helper

from benchmarks.models import Graph, file_of, model

FACE = (1, 3, 160, 160)
SCENE = (1, 3, 640, 640)
CHEST = (1, 3, 480, 480)
Kernel = int | tuple[int, int]


class Network(Graph):
    """Draws convolutions."""

    def conv(
        self,
        x: str,
        channels: tuple[int, int],
        size: Kernel,
        stride: int = 1,
        pad: Kernel | None = None,
        group: int = 1,
    ) -> str:
        """A convolution with a bias; by default its output is as large as its input."""
        before, after = channels
        sizes = (size, size) if isinstance(size, int) else size
        pads = tuple(each // 2 for each in sizes) if pad is None else (pad, pad)
        weight = self.weight(after, before // group, *sizes)
        return self.add(
            "Conv",
            x,
            weight,
            self.weight(after),
            strides=[stride] * 2,
            pads=[*pads, *pads],
            group=group,
        )

    def relu(self, x: str, channels: tuple[int, int], *rest: int) -> str:
        """A convolution, and what is below zero cut off."""
        return self.add("Relu", self.conv(x, channels, *rest))

    def silu(self, x: str, channels: tuple[int, int], *rest: int) -> str:
        """A convolution, each number times its logistic."""
        y = self.conv(x, channels, *rest)
        return self.add("Mul", y, self.add("Sigmoid", y))

    def pool(self, x: str, size: int, stride: int, pad: int = 0) -> str:
        """The largest of each square."""
        shape, pads = [size] * 2, [pad] * 4
        return self.add(
            "MaxPool", x, kernel_shape=shape, strides=[stride] * 2, pads=pads
        )

    def join(self, *parts: str) -> str:
        """Channels of one after those of another."""
        return self.add("Concat", *parts, axis=1)

    def end(self, x: str) -> None:
        """This is the output."""
        self.nodes.append(helper.make_node("Identity", [x], ["y"]))


def facenet() -> bytes:
    """A face to 512 numbers: Inception-ResNet v1 (Szegedy and others 2016).

    As FaceNet's public weights have it (Schroff and others 2015; facenet-pytorch).
    """
    graph = Network(np.random.default_rng(5))
    x = graph.relu("x", (3, 32), 3, 2, 0)
    x = graph.relu(x, (32, 32), 3, 1, 0)
    x = graph.pool(graph.relu(x, (32, 64), 3), 3, 2)
    x = graph.relu(graph.relu(x, (64, 80), 1), (80, 192), 3, 1, 0)
    x = graph.relu(x, (192, 256), 3, 2, 0)
    small: list[list[_Part]] = [
        [(32, 1)],
        [(32, 1), (32, 3)],
        [(32, 1), *[(32, 3)] * 2],
    ]
    for _ in range(5):
        x = _residual(graph, x, 256, small, 0.17)
    wide: _Part = (192, 1)
    x = _reduced(graph, x, 256, [[(384, 3)], [wide, (192, 3), (256, 3)]])
    middle: list[list[_Part]] = [[(128, 1)], [(128, 1), (128, (1, 7)), (128, (7, 1))]]
    for _ in range(10):
        x = _residual(graph, x, 896, middle, 0.10)
    one: _Part = (256, 1)
    last: _Part = (256, 3)
    x = _reduced(graph, x, 896, [[one, (384, 3)], [one, last], [one, last, last]])
    large: list[list[_Part]] = [[(192, 1)], [(192, 1), (192, (1, 3)), (192, (3, 1))]]
    for index in range(6):
        x = _residual(graph, x, 1792, large, 0.20 if index < 5 else 1)
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add(
        "Add", graph.add("MatMul", x, graph.weight(1792, 512)), graph.weight(512)
    )
    graph.end(graph.add("LpNormalization", x, axis=1, p=2))
    return file_of(model(graph.nodes, FACE, (1, 512), graph.weights))


_Part = tuple[int, Kernel]  # channels after a convolution, and its size


def _residual(
    graph: Network,
    x: str,
    width: int,
    branches: Sequence[Sequence[_Part]],
    scale: float,
) -> str:
    ends = []
    for branch in branches:
        y, before = x, width
        for after, size in branch:
            y = graph.add("Relu", graph.conv(y, (before, after), size))
            before = after
        ends.append(y)
    total = sum(branch[-1][0] for branch in branches)
    y = graph.conv(graph.join(*ends), (total, width), 1)
    y = graph.add("Mul", y, graph.constant(np.array(scale, np.float32)))
    y = graph.add("Add", y, x)
    return y if scale == 1 else graph.add("Relu", y)


def _reduced(
    graph: Network, x: str, width: int, branches: Sequence[Sequence[_Part]]
) -> str:
    """Half as high and wide: the last convolution of each branch, and a pool."""
    ends = []
    for branch in branches:
        y, before = x, width
        for after, size in branch[:-1]:
            y = graph.add("Relu", graph.conv(y, (before, after), size))
            before = after
        after, size = branch[-1]
        ends.append(graph.add("Relu", graph.conv(y, (before, after), size, 2, 0)))
    return graph.join(*ends, graph.pool(x, 3, 2))


def yolov5() -> bytes:
    """A scene to 25200 boxes with 85 numbers: YOLOv5s of Ultralytics, version 6."""
    graph = Network(np.random.default_rng(6))
    x = graph.silu("x", (3, 32), 6, 2, 2)
    x = _c3(graph, graph.silu(x, (32, 64), 3, 2), (64, 64), 1)
    fine = _c3(graph, graph.silu(x, (64, 128), 3, 2), (128, 128), 2)
    half = _c3(graph, graph.silu(fine, (128, 256), 3, 2), (256, 256), 3)
    x = _c3(graph, graph.silu(half, (256, 512), 3, 2), (512, 512), 1)
    pools = [graph.silu(x, (512, 256), 1)]
    for _ in range(3):
        pools.append(graph.pool(pools[-1], 5, 1, 2))
    x = graph.silu(graph.join(*pools), (1024, 512), 1)
    top = graph.silu(x, (512, 256), 1)
    c3 = partial(_c3, graph, count=1, added=False)
    x = c3(graph.join(_larger(graph, top), half), (512, 256))
    side = graph.silu(x, (256, 128), 1)
    small = c3(graph.join(_larger(graph, side), fine), (256, 128))
    x = graph.silu(small, (128, 128), 3, 2)
    medium = c3(graph.join(x, side), (256, 256))
    x = graph.silu(medium, (256, 256), 3, 2)
    large = c3(graph.join(x, top), (512, 512))
    scales = ((small, 128, 80), (medium, 256, 40), (large, 512, 20))
    boxes = [_boxes(graph, *each) for each in scales]
    graph.end(graph.join(*boxes))
    return file_of(model(graph.nodes, SCENE, (1, 25200, 85), graph.weights))


def _c3(
    graph: Network,
    x: str,
    channels: tuple[int, int],
    count: int,
    added: bool = True,  # noqa: FBT001, FBT002  as the network's own
) -> str:
    before, after = channels
    half = after // 2
    y = graph.silu(x, (before, half), 1)
    for _ in range(count):
        inner = graph.silu(graph.silu(y, (half, half), 1), (half, half), 3)
        y = graph.add("Add", y, inner) if added else inner
    other = graph.silu(x, (before, half), 1)
    return graph.silu(graph.join(y, other), (after, after), 1)


def _larger(graph: Network, x: str) -> str:
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    return graph.add("Resize", x, "", scales, mode="nearest")


def _boxes(graph: Network, x: str, channels: int, side: int) -> str:
    """Places and sizes in the image from what the network says of each cell."""
    y = graph.conv(x, (channels, 255), 1)
    shape = graph.constant(np.array([1, 3, 85, side * side]))
    y = graph.add("Transpose", graph.add("Reshape", y, shape), perm=[0, 1, 3, 2])
    y = graph.add("Sigmoid", y)

    def part(first: int, last: int) -> str:
        ends = [graph.constant(np.array([each])) for each in (first, last, 3)]
        return graph.add("Slice", y, *ends)

    rows, columns = np.mgrid[:side, :side]
    grid = np.stack([columns, rows], -1).reshape(1, 1, -1, 2).astype(np.float32)
    two, stride = np.array(2, np.float32), np.array(640 / side, np.float32)
    places = graph.add("Mul", part(0, 2), graph.constant(two))
    places = graph.add("Add", places, graph.constant(grid - 0.5))
    places = graph.add("Mul", places, graph.constant(stride))
    sizes = graph.add("Mul", part(2, 4), graph.constant(two))
    sizes = graph.add("Mul", sizes, sizes)
    anchors = np.array([[10, 13], [16, 30], [33, 23]], np.float32) * (80 / side)
    sizes = graph.add("Mul", sizes, graph.constant(anchors.reshape(1, 3, 1, 2)))
    whole = graph.add("Concat", places, sizes, part(4, 85), axis=3)
    return graph.add("Reshape", whole, graph.constant(np.array([1, -1, 85])))


def covidnet() -> bytes:
    """An X-ray of a chest to two scores: COVID-Net's blocks (Wang and others 2020).

    The widths are ours: they give the 8.8 million weights that COVID-Net CXR-2 has
    (Pavlova and others 2022), whose own are not in its paper.
    """
    graph = Network(np.random.default_rng(7))
    x = graph.pool(graph.relu("x", (3, 64), 7, 2), 3, 2, 1)
    before = 64
    for after, count in ((136, 3), (272, 4), (540, 6), (1080, 3)):
        if before != 64:
            x = graph.pool(x, 2, 2)
        shortcut = graph.relu(x, (before, after), 1)
        x = graph.add("Add", _pepx(graph, x, before, after), shortcut)
        for _ in range(count - 1):
            x = graph.add("Add", x, _pepx(graph, x, after, after))
        before = after
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add("MatMul", x, graph.weight(1080, 2))
    graph.end(graph.add("Softmax", graph.add("Add", x, graph.weight(2)), axis=1))
    return file_of(model(graph.nodes, CHEST, (1, 2), graph.weights))


def _pepx(graph: Network, x: str, before: int, after: int) -> str:
    """Projection, expansion, depthwise, projection, extension."""
    narrow, wide = before // 2, before * 3 // 4
    y = graph.conv(graph.conv(x, (before, narrow), 1), (narrow, wide), 1)
    y = graph.conv(y, (wide, wide), 3, group=wide)
    return graph.relu(graph.conv(y, (wide, narrow), 1), (narrow, after), 1)


def m5(samples: int) -> bytes:
    """A second of sound to the scores of 35 words (Dai and others 2016, table 1)."""
    graph = Network(np.random.default_rng(8))
    x, before = "x", 1
    for after, size, stride in ((128, 80, 4), (128, 3, 1), (256, 3, 1), (512, 3, 1)):
        weight, bias = graph.weight(after, before, size), graph.weight(after)
        x = graph.add("Relu", graph.add("Conv", x, weight, bias, strides=[stride]))
        x = graph.add("MaxPool", x, kernel_shape=[4], strides=[4])
        before = after
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add(
        "Add", graph.add("MatMul", x, graph.weight(512, 35)), graph.weight(35)
    )
    graph.end(graph.add("LogSoftmax", x, axis=1))
    return file_of(model(graph.nodes, (1, 1, samples), (1, 35), graph.weights))
