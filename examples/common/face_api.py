"""face-api's two small networks: their weights, their graphs, and the original to ask.

The package is JavaScript with weights of 8 bits (`@vladmandic/face-api`, MIT). The
weights are read as TensorFlow.js does, the graphs are written by hand after its source,
and the original itself, run by Node, says whether they are right.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from examples.common import KEPT
from examples.common.archives import extract, read
from examples.common.checking import ExportError
from examples.common.packages import NPM, Package
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = Package(
    NPM,
    "@vladmandic/face-api",
    "1.7.15",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
)
DETECTOR, RECOGNISER = "tiny_face_detector_model", "face_recognition_model"
SURE = 0.5
"""From this confidence on a box is a face, as the original has it."""
_TIMEOUT_S = 600.0


def photos() -> list[NDArray[np.uint8]]:
    """The package's six demo photos, `(height, width, 3)`, RGB."""
    found = read(PACKAGE, "package/demo/sample*.jpg")
    images = (Image.open(BytesIO(each)).convert("RGB") for each in found.values())
    return [np.asarray(image) for image in images]


def weights(name: str) -> dict[str, NDArray[np.float32]]:
    """A network's tensors: bytes, times a scale, plus a minimum of each tensor's.

    Raises:
        ExportError: If the file holds more than its list of tensors says.
    """
    found = read(PACKAGE, f"package/model/{name}*")
    content = found[f"package/model/{name}.bin"]
    (manifest,) = json.loads(found[f"package/model/{name}-weights_manifest.json"])
    tensors, at = {}, 0
    for each in manifest["weights"]:
        how = each.get("quantization", {"dtype": "float32", "scale": 1, "min": 0})
        stored, count = np.dtype(how["dtype"]), int(np.prod(each["shape"]))
        levels = np.frombuffer(content, stored, count, at).astype(np.float32)
        values = levels * np.float32(how["scale"]) + np.float32(how["min"])
        tensors[each["name"]] = values.reshape(each["shape"])
        at += count * stored.itemsize
    if at != len(content):
        raise ExportError(f"{name}: expected {at} bytes of weights, got {len(content)}")
    return tensors


def ask_original(net: str, images: list[NDArray[np.uint8]]) -> list[Any]:
    """What the JavaScript original says of each image.

    Args:
        net: `detector` (score, left, top, right, bottom of each face) or `recogniser`
            (128 numbers).
        images: `(height, width, 3)`, RGB.

    Raises:
        ExportError: If Node is missing, or the original fails.
    """
    program = shutil.which("node")
    if program is None:
        raise ExportError("face-api: expected the program node, which is not installed")
    wanted = "package/dist/face-api.esm.js", "package/model/*"
    folder = extract(PACKAGE, KEPT / "cache" / "face-api", *wanted)
    script = Path(__file__).with_suffix(".mjs")
    with tempfile.TemporaryDirectory() as made:
        jobs = []
        for number, image in enumerate(images):
            path = Path(made) / str(number)
            path.write_bytes(np.ascontiguousarray(image).tobytes())
            jobs.append({"net": net, "file": str(path), "shape": image.shape})
        bundle, models = folder / wanted[0], folder / "package" / "model"
        done = subprocess.run(  # noqa: S603  our own script, on a pinned package
            [program, "--no-warnings", str(script), str(bundle), str(models)],
            check=False,
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
    if done.returncode:
        raise ExportError(f"face-api: the original failed: {done.stderr[-300:]}")
    answers: list[Any] = json.loads(done.stdout)
    return answers
