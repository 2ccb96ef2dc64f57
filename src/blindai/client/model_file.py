"""The ONNX file to upload: from a path, from bytes, or from a model in memory.

Recent exporters write weights into a second file beside the first. An enclave takes one
file and reads no other, so the second is folded in here, on the model owner's machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import httpx

from blindai.errors import ConfigurationError

ModelLike: TypeAlias = "str | PathLike[str] | bytes | Any"
Progress: TypeAlias = Callable[[int, int], None]
PIECE_BYTES = 1 << 19
# Key "location" of an external data entry, as protobuf writes it (onnx.proto,
# StringStringEntryProto): whatever refers to another file contains these bytes.
_EXTERNAL_DATA = b"\x0a\x08location"
_TOO_LARGE = "model: expected less than 2 GiB in one ONNX file, got more"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An ONNX file that can be read as often as it takes.

    Attributes:
        name: A name for it, from the path; empty where there was none.
        size_bytes: Its size.
        source: Where its bytes are.
    """

    name: str
    size_bytes: int
    source: Path | bytes = field(repr=False)

    def open(self) -> BinaryIO:
        """Open it for reading."""
        if isinstance(self.source, bytes):
            return BytesIO(self.source)
        return self.source.open("rb")


def find_model(model: ModelLike) -> ModelFile:
    """The file that a caller means.

    Args:
        model: A path, the file's bytes, or an `onnx.ModelProto`.

    Raises:
        ConfigurationError: If there is no such file, or it cannot be made one file.
    """
    if isinstance(model, bytes):
        return ModelFile("", len(model), model)
    if isinstance(model, str | PathLike):
        path = Path(model)
        if not path.is_file():
            raise ConfigurationError(f"model: expected a file, there is none at {path}")
        if _refers_to_another(path):
            return ModelFile(path.stem, *_sized(_fold(path)))
        return ModelFile(path.stem, path.stat().st_size, path)
    if hasattr(model, "SerializeToString"):
        return ModelFile("", *_sized(_serialise(model)))
    raise ConfigurationError(
        "model: expected a path, bytes or an onnx.ModelProto, got "
        f"{type(model).__name__}"
    )


def _sized(content: bytes) -> tuple[int, bytes]:
    return len(content), content


def _refers_to_another(path: Path) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return view.find(_EXTERNAL_DATA) >= 0


def _fold(path: Path) -> bytes:
    try:
        import onnx  # noqa: PLC0415  only models of several files need it
    except ImportError as error:
        raise ConfigurationError(
            f"model {path}: its weights are in another file; `pip install onnx` to "
            "fold them in, or export with external_data=False"
        ) from error
    from google.protobuf import message  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415  onnx brings it

    unreadable = message.DecodeError, onnx.checker.ValidationError, OSError, ValueError
    try:
        loaded = onnx.load(path)
    except unreadable as error:
        raise ConfigurationError(
            f"model {path}: its external weights cannot be read"
        ) from error
    return _serialise(loaded)


def _serialise(model: Any) -> bytes:  # noqa: ANN401  onnx is not a dependency
    from google.protobuf import message  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415  the model's own

    try:
        content: bytes = model.SerializeToString()
    except (message.EncodeError, ValueError) as error:  # by protobuf's implementation
        raise ConfigurationError(_TOO_LARGE) from error
    return content


class ModelStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A model's bytes on their way, hashed as they go.

    Attributes:
        sha256: Of what was sent the last time, once all was, in hexadecimal.
    """

    def __init__(self, model: ModelFile, progress: Progress | None) -> None:
        """Prepare to send.

        Args:
            model: What to send.
            progress: Called with the bytes sent so far and all of them.
        """
        self.sha256 = ""
        self._model = model
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, read in a thread."""
        hasher, sent = hashlib.sha256(), 0
        with self._model.open() as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
                sent += len(piece)
                self._note(hasher, piece, sent)
        self.sha256 = hasher.hexdigest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, read on an event loop; each read is a thread's."""
        hasher, sent = hashlib.sha256(), 0
        with self._model.open() as file:
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield piece
                sent += len(piece)
                self._note(hasher, piece, sent)
        self.sha256 = hasher.hexdigest()

    def _note(self, hasher: hashlib._Hash, piece: bytes, sent: int) -> None:
        hasher.update(piece)
        if self._progress is not None:
            self._progress(sent, self._model.size_bytes)
