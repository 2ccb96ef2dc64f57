"""Runs pipelines as a worker does: admitted, loaded with extensions, run."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blindai.inference import runtime
from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.runtime import Model, Stop
from blindai.pipelines import Pipeline
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

Array = NDArray[Any]
ON = AdmissionLimits(extensions=True)
WITHOUT = AdmissionLimits()


@dataclass(frozen=True)
class Ready:
    """A pipeline that runs."""

    model: Model

    def __call__(self, **inputs: object) -> list[Array]:
        """What it gives, in its order; text as `str`."""
        kinds = {spec.name: spec.datatype for spec in self.model.spec.inputs}
        tensors = [_tensor(name, value, kinds[name]) for name, value in inputs.items()]
        outcome = self.model.run(tensors, self.model.spec.outputs, Stop())
        return [_shown(tensor) for tensor in outcome.outputs]


def ready(pipeline: Pipeline, limits: AdmissionLimits = ON) -> Ready:
    """A pipeline, admitted and loaded; with extensions unless the limits say not."""
    contents = pipeline.model().SerializeToString()
    spec = admit(memoryview(contents), limits)
    model = runtime.load(
        contents,
        spec,
        threads=1,
        max_output_bytes=1 << 30,
        extensions=limits.extensions,
    )
    return Ready(model)


def _tensor(name: str, value: object, kind: Datatype) -> Tensor:
    if kind is Datatype.BYTES:
        texts: Any = [value] if isinstance(value, str) else value
        array: Array = np.empty(len(texts), np.object_)
        array[:] = [text.encode() for text in texts]
    elif isinstance(value, bytes):
        array = np.frombuffer(value, np.uint8)
    else:
        array = np.asarray(value, kind.numpy)
    return Tensor(name, kind, array.shape, array)


def _shown(tensor: Tensor) -> Array:
    if tensor.datatype is not Datatype.BYTES:
        return tensor.array
    texts = np.empty(tensor.shape, object)
    texts.ravel()[:] = [each.decode() for each in tensor.array.ravel()]
    return texts


def photograph(height: int = 120, width: int = 90, seed: int = 1) -> Array:
    """Something like a photograph: colours that change from place to place."""
    noise = np.random.default_rng(seed).random((height // 8, width // 8, 3))
    small = Image.fromarray((noise * 255).astype(np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def file_of(pixels: Array | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image's file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(file: bytes) -> Array:
    """What Pillow sees in it."""
    return np.asarray(Image.open(BytesIO(file)).convert("RGB"))
