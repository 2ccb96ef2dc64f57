"""Makes a model that compares two faces, from two photos' files to one distance.

The networks are face-api's: its tiny detector finds the surest face of each photo, its
recogniser makes 128 numbers of each. Only how far apart those are leaves the graph:
what would recognise the person again does not. `same` is a threshold's verdict, which
is chosen here on some photos, and measured on others.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from examples.common.building import main
from examples.common.checking import check_export, open_model
from examples.common.face_api import SURE, ask_original, photos
from examples.common.face_nets import FACE, SIDE, detector, recogniser
from onnx import TensorProto
from PIL import Image, ImageEnhance, ImageOps

from blindai.pipelines import Pipeline, boxes, image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from examples.common.checking import Inputs
    from numpy.typing import NDArray

    from blindai.pipelines import Value

ROOM = 1.8  # how much of a photo around a face is cut out, in widths of the face
SAFE = 0.9
"""The threshold, as a part of the smallest distance of two people on some photos: two
who are taken for one are worse than one who is taken for two."""
NO_FACE = "photo: expected a face, got none"


def pipeline(threshold: float) -> onnx.ModelProto:
    """`first` and `second: uint8, (bytes)`, JPEG or PNG files, to how alike they are.

    Args:
        threshold: The largest distance of two photos of one face.

    The model gives `distance: float32, (1,)`, and `same: bool, (1,)`.
    """
    whole = Pipeline()
    faces = [face(whole, whole.file(name)) for name in ("first", "second")]
    graph = faces[0].graph
    (descriptors,) = whole.run(recogniser(), graph.op("Concat", *faces, axis=0))
    first, second = graph.ops("Split", 2, descriptors, axis=0, num_outputs=2)
    apart = graph.op("Sub", first, second)
    distance = graph.op("ReduceL2", apart, [1], keepdims=0)
    whole.give(distance=distance, same=graph.op("Less", distance, threshold))
    return whole.model()


def face(whole: Pipeline, file: Value) -> Value:
    """The surest face of a photo, as the recogniser takes it; without one it fails."""
    photo = image.decode(file)
    graph = photo.graph
    fitted = image.letterbox(photo, (SIDE, SIDE), fill=0, centred=False)
    corners, scores = whole.run(detector(), image.normalise(fitted.pixels, scale=1.0))
    choice = boxes.Choice(least_score=SURE)
    found = boxes.on_image(boxes.keep(corners, scores, choice), fitted)
    some = graph.op("Greater", graph.op("Size", found.scores), 0)
    first = graph.op("Slice", graph.require(found.boxes, some, NO_FACE), [0], [1])
    box = graph.op("Reshape", first, [2, 2])  # its low corner, its high corner
    middle = graph.op("ReduceMean", box, [0], keepdims=0)
    low, high = graph.ops("Split", 2, box, axis=0, num_outputs=2)
    half = graph.op("Mul", graph.op("ReduceMax", graph.op("Sub", high, low)), 0.5)
    half = graph.op("Reshape", half, [1])
    start = graph.op("Max", graph.op("Round", graph.op("Sub", middle, half)), 0.0)
    end = graph.op("Round", graph.op("Add", middle, half))  # Slice cuts at the edge
    ends = [graph.op("Cast", each, to=TensorProto.INT64) for each in (start, end)]
    cut = graph.op("Slice", photo, *ends, [0, 1])
    return image.normalise(image.resize(cut, (FACE, FACE)), scale=1.0)


@dataclass(frozen=True)
class Pairs:
    """Pairs of files of which it is known whether they show one face.

    Attributes:
        same: A face, and the same picture of it altered.
        different: Two faces of one photo: two people.
    """

    same: list[tuple[bytes, bytes]]
    different: list[tuple[bytes, bytes]]


def pairs(photo: NDArray[np.uint8], find: Callable[[Inputs], Any]) -> Pairs:
    """All pairs of a photo's faces."""
    picture = Image.fromarray(photo)
    cut = [around(picture, box) for box in find({"photo": as_array(jpeg(picture))})[0]]
    faces = [each for each in cut if len(find({"photo": as_array(jpeg(each))})[0]) == 1]
    same = [
        (jpeg(each), jpeg(other))
        for each in faces
        for other in altered(each)
        if len(find({"photo": as_array(jpeg(other))})[0]) == 1
    ]
    return Pairs(same, [(jpeg(a), jpeg(b)) for a, b in combinations(faces, 2)])


def around(picture: Image.Image, box: NDArray[np.float32]) -> Image.Image:
    """A face, with room around it."""
    top, left, bottom, right = box.tolist()
    half = ROOM * max(bottom - top, right - left) / 2
    y, x = (top + bottom) / 2, (left + right) / 2
    edges = max(0, x - half), max(0, y - half), x + half, y + half
    return picture.crop(tuple(map(round, edges)))


def altered(picture: Image.Image) -> list[Image.Image]:
    """The same face: mirrored, dark, grey, small, turned, cut off, and blocky."""
    width, height = picture.size
    return [
        ImageOps.mirror(picture),
        ImageEnhance.Brightness(picture).enhance(0.5),
        ImageOps.grayscale(picture).convert("RGB"),
        picture.resize((width // 2, height // 2)),
        picture.rotate(10, Image.Resampling.BILINEAR),
        picture.crop((width // 10, 0, width, height * 9 // 10)),
        Image.open(BytesIO(jpeg(picture, quality=25))).convert("RGB"),
    ]


def jpeg(picture: Image.Image, quality: int = 95) -> bytes:
    """A picture as a JPEG file."""
    file = BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def as_array(file: bytes) -> NDArray[np.uint8]:
    """A file as the model takes it."""
    return np.frombuffer(file, np.uint8)


def finder() -> onnx.ModelProto:
    """`photo: uint8, (bytes)` to the boxes of its faces."""
    whole = Pipeline()
    photo = image.decode(whole.file("photo"))
    fitted = image.letterbox(photo, (SIDE, SIDE), fill=0, centred=False)
    corners, scores = whole.run(detector(), image.normalise(fitted.pixels, scale=1.0))
    choice = boxes.Choice(least_score=SURE, overlap=0.4)
    found = boxes.on_image(boxes.keep(corners, scores, choice), fitted)
    whole.give(boxes=found.boxes)
    return whole.model()


def check(folder: Path) -> None:
    """Hold the recogniser against face-api's JavaScript."""
    path = folder / "recogniser.onnx"
    onnx.save(recogniser(), path)
    cut = [Image.fromarray(each).crop((300, 0, 900, 600)) for each in photos()]
    small = [np.asarray(each.resize((FACE, FACE))) for each in cut]
    answers = iter(ask_original("recogniser", small))

    def original(_: Inputs) -> Sequence[NDArray[Any]]:
        return [np.array([next(answers)], np.float32)]

    inputs = [
        {"pixels": each.transpose(2, 0, 1)[None].astype(np.float32)} for each in small
    ]
    print(check_export(path, original, inputs))


def measure(folder: Path) -> tuple[float, list[Pairs]]:
    """A threshold from half of the photos, and how right it is on the others."""
    path = folder / "either.onnx"
    onnx.save(finder(), path)
    find = open_model(path)
    every = [pairs(photo, find) for photo in photos()]
    onnx.save(pipeline(0.0), path)
    ask = open_model(path)

    def apart(files: list[tuple[bytes, bytes]]) -> list[float]:
        named = [{"first": as_array(a), "second": as_array(b)} for a, b in files]
        return [float(ask(each)[0][0]) for each in named]

    chosen, unseen = every[::2], every[1::2]
    same = apart([pair for each in chosen for pair in each.same])
    different = apart([pair for each in chosen for pair in each.different])
    threshold = round(SAFE * min(different), 2)
    called = sum(each < threshold for each in same)
    print(
        f"two people are {min(different):.2f} apart or more, in {len(different)} pairs"
    )
    print(f"so the same face is below {threshold}: {called} of {len(same)} pairs are")
    same = apart([pair for each in unseen for pair in each.same])
    different = apart([pair for each in unseen for pair in each.different])
    right = sum(each < threshold for each in same)
    print(f"on other photos: {right} of {len(same)} pairs of one face are called same")
    right = sum(each >= threshold for each in different)
    print(f"and {right} of {len(different)} pairs of two people different")
    return threshold, unseen


def build(path: Path, samples: Path) -> None:
    """Write the model, and faces to try it on."""
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder))
        threshold, unseen = measure(Path(folder))
    onnx.save(pipeline(threshold), path)
    first, mirrored = unseen[-1].same[0]
    other = unseen[-1].different[0][1]
    for name, file in (("1-a", first), ("2-a-mirrored", mirrored), ("3-b", other)):
        (samples / f"{name}.jpg").write_bytes(file)


if __name__ == "__main__":
    main(build)
