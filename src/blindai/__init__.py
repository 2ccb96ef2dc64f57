"""Confidential AI inference: send nothing until the enclave has proved itself.

import blindai
with blindai.connect("https://enclave.example", policy="policy.toml") as client:
    client.upload_model(model="resnet18.onnx", model_name="resnet18")
    response = client.predict("resnet18", image)
    response.output[0].as_numpy().argmax()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from blindai import errors as errors
    from blindai.client.async_connection import AsyncConnection as AsyncConnection
    from blindai.client.connection import Connection as Connection
    from blindai.client.connection import connect as connect
    from blindai.client.output import Tensor as Tensor
    from blindai.client.proof import Proof as Proof
    from blindai.client.results import PredictResponse as PredictResponse
    from blindai.client.results import UploadResponse as UploadResponse
    from blindai.client.transport import AsyncSealedTransport as AsyncSealedTransport
    from blindai.client.transport import SealedTransport as SealedTransport
    from blindai.verifier import Policy as Policy

_HOMES = {
    "AsyncConnection": "blindai.client.async_connection",
    "AsyncSealedTransport": "blindai.client.transport",
    "Connection": "blindai.client.connection",
    "Policy": "blindai.verifier",
    "PredictResponse": "blindai.client.results",
    "Proof": "blindai.client.proof",
    "SealedTransport": "blindai.client.transport",
    "Tensor": "blindai.client.output",
    "UploadResponse": "blindai.client.results",
    "connect": "blindai.client.connection",
}
__all__ = [*_HOMES, "__version__", "errors"]  # noqa: PLE0604  the names are strings


def __getattr__(name: str) -> object:
    """Import what is asked for, and only then: `import blindai` itself is quick.

    Raises:
        AttributeError: If there is no such name.
    """
    if name == "errors":
        return import_module("blindai.errors")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'blindai' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """What there is, imported yet or not."""
    return sorted({*globals(), *__all__})
