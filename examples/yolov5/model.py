"""Makes a face detector of YOLO's family, from a photo's file to boxes, in one file.

The network is the tiny face detector of the npm package face-api: a YOLOv2 with
separable convolutions, 0.19 MB of weights. The photo is decoded, fitted into 416 pixels
a side and looked at, and of boxes that overlap one is kept (NMS), all in the graph.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from examples.common.building import main
from examples.common.checking import check_export
from examples.common.face_api import SURE, ask_original, photos
from examples.common.face_nets import SIDE, detector
from PIL import Image

from blindai.pipelines import Pipeline, boxes, image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from examples.common.checking import Inputs
    from numpy.typing import NDArray

OVERLAP = 0.4  # of two boxes, from which on they are one face; as face-api has it
WIDTH = 960  # pixels, of the sample


def pipeline() -> onnx.ModelProto:
    """`photo: uint8, (bytes)`, a JPEG or PNG file, to `boxes` and `scores`.

    `boxes: float32, (faces, 4)`: top, left, bottom, right, in pixels of the photo;
    `scores: float32, (faces,)`, the surest first.
    """
    whole = Pipeline()
    photo = image.decode(whole.file("photo"))
    fitted = image.letterbox(photo, (SIDE, SIDE), fill=0, centred=False)
    corners, scores = whole.run(detector(), image.normalise(fitted.pixels, scale=1.0))
    choice = boxes.Choice(least_score=SURE, overlap=OVERLAP)
    found = boxes.on_image(boxes.keep(corners, scores, choice), fitted)
    whole.give(boxes=found.boxes, scores=found.scores)
    return whole.model()


def check(path: Path) -> None:
    """Hold the whole against face-api's JavaScript, on photos that fill the square."""
    squares = [
        Image.fromarray(each).crop((0, 0, max(each.shape), max(each.shape)))
        for each in photos()
    ]
    small = [np.asarray(each.resize((SIDE, SIDE))) for each in squares]
    answers = iter(ask_original("detector", small))

    def original(_: Inputs) -> Sequence[NDArray[Any]]:
        found = np.array(next(answers), np.float32)
        found = found[found[:, 0].argsort()[::-1]]
        return [found[:, [2, 1, 4, 3]].clip(0, SIDE), found[:, 0]]

    inputs = [{"photo": np.frombuffer(png(each), np.uint8)} for each in small]
    print(check_export(path, original, inputs, atol=1e-3))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels as a PNG file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def build(path: Path, samples: Path) -> None:
    """Write the model, and a photo to try it on."""
    onnx.save(pipeline(), path)
    check(path)
    photo = Image.fromarray(photos()[-1])
    photo.thumbnail((WIDTH, WIDTH))
    photo.save(samples / "photo.jpg", quality=90)


if __name__ == "__main__":
    main(build)
