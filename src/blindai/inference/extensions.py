"""onnxruntime-extensions: one library of operators for images, sound and text.

Only where the measured configuration says so. The package's Python is never imported:
the library is found by its place and registered with ONNX Runtime, and with it no
operator that is written in Python.

Its decoder of JPEG is libjpeg with the handler of errors that ends the process: in a
worker that is one model's, in the server's own process it is the enclave.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from blindai.errors import ConfigurationError

DOMAINS: Final = ("ai.onnx.contrib", "com.microsoft.extensions")
ENDS_PROCESS: Final = frozenset({"DecodeImage", "EncodeImage"})
"""Operators that end the process where they meet data that they do not take."""


def library() -> str:
    """Where the library is. Neither imports nor loads anything.

    Raises:
        ConfigurationError: If it is not installed.
    """
    package = find_spec("onnxruntime_extensions")
    folder = Path(package.origin).parent if package and package.origin else None
    found = sorted(folder.glob("_extensions_pydll*.so")) if folder else []
    if not found:
        raise ConfigurationError(
            "extensions: expected onnxruntime-extensions to be installed (the extra"
            " blindai[extensions]), got none of it"
        )
    return str(found[0])


@cache
def loaded_library() -> str:
    """Where the library is, loaded into this process for good.

    ONNX Runtime opens it by this name for each model, which needs no file any more.

    Raises:
        ConfigurationError: If it is not installed, or does not load.
    """
    path = library()
    try:
        ctypes.CDLL(path)
    except OSError as error:
        raise ConfigurationError(
            f"extensions: expected onnxruntime-extensions to load, got {error}"
        ) from error
    return path
