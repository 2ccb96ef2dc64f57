"""The ONNX file to upload: from a path, from bytes, or from a model in memory.

Recent exporters write weights into a second file beside the first. An enclave takes one
upload and reads nothing else, so the second is folded in here, on the model owner's
machine; where it is too large for that, both leave as one bundle (`protocol.bundle`).
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self, TypeAlias

import httpx

from blindai.errors import ConfigurationError
from blindai.protocol import bundle

ModelLike: TypeAlias = "str | PathLike[str] | bytes | Any"
Progress: TypeAlias = Callable[[int, int], None]
PIECE_BYTES = 1 << 19
# Key "location" of an external data entry, as protobuf writes it (onnx.proto,
# StringStringEntryProto): whatever refers to another file contains these bytes.
_EXTERNAL_DATA = b"\x0a\x08location"
_TOO_LARGE = "model: expected less than 2 GiB in one ONNX file, got more"
# With room for what stands between tensors in the one file.
_FOLDED_BYTES = (2 << 30) - (16 << 20)


class Readable(Protocol):
    """What is read from its beginning to its end, and then closed."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none at the end."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An ONNX file that can be read as often as it takes.

    Attributes:
        name: A name for it, from the path; empty where there was none.
        size_bytes: Its size.
        parts: Where its bytes are, one part after the other.
    """

    name: str
    size_bytes: int
    parts: tuple[Path | bytes, ...] = field(repr=False)

    def open(self) -> Readable:
        """Open it for reading."""
        return _Reader(self.parts)


class _Reader:
    """Files and bytes, read as one file."""

    def __init__(self, parts: tuple[Path | bytes, ...]) -> None:
        self._waiting = list(parts)
        self._open = ExitStack()
        self._part: BinaryIO = BytesIO()

    def read(self, size: int, /) -> bytes:
        while not (piece := self._part.read(size)) and self._waiting:
            self._open.close()
            part = self._waiting.pop(0)
            opened: BinaryIO = (
                BytesIO(part) if isinstance(part, bytes) else part.open("rb")
            )
            self._part = self._open.enter_context(opened)
        return piece

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()


def find_model(model: ModelLike) -> ModelFile:
    """The file that a caller means.

    Args:
        model: A path, the file's bytes, or an `onnx.ModelProto`.

    Raises:
        ConfigurationError: If there is no such file, or it cannot be made one file.
    """
    if isinstance(model, bytes):
        return ModelFile("", len(model), (model,))
    if isinstance(model, str | PathLike):
        path = Path(model)
        if not path.is_file():
            raise ConfigurationError(f"model: expected a file, there is none at {path}")
        if _refers_to_another(path):
            return _with_its_files(path)
        return ModelFile(path.stem, path.stat().st_size, (path,))
    if hasattr(model, "SerializeToString"):
        return _of_bytes("", _serialise(model))
    raise ConfigurationError(
        "model: expected a path, bytes or an onnx.ModelProto, got "
        f"{type(model).__name__}"
    )


def _of_bytes(name: str, content: bytes) -> ModelFile:
    return ModelFile(name, len(content), (content,))


def _refers_to_another(path: Path) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return view.find(_EXTERNAL_DATA) >= 0


def _with_its_files(path: Path) -> ModelFile:
    """A model whose weights are in other files, as one.

    Raises:
        ConfigurationError: If they cannot be read, or not be called what they are.
    """
    try:
        import onnx  # noqa: PLC0415  only models of several files need it
    except ImportError as error:
        raise ConfigurationError(
            f"model {path}: its weights are in another file; `pip install onnx` to "
            "send them too, or export with external_data=False"
        ) from error
    from google.protobuf import message  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415  onnx brings it

    unreadable = message.DecodeError, onnx.checker.ValidationError, OSError, ValueError
    try:
        alone = onnx.load(path, load_external_data=False)
        names = sorted({_location(each) for each in alone.graph.initializer} - {""})
        sizes = [(path.parent / name).stat().st_size for name in names]
        if path.stat().st_size + sum(sizes) > _FOLDED_BYTES:
            return _bundle(path, names)
        return _of_bytes(path.stem, _serialise(onnx.load(path)))
    except unreadable as error:
        raise ConfigurationError(
            f"model {path}: its external weights cannot be read"
        ) from error


def _location(tensor: Any) -> str:  # noqa: ANN401  onnx is not a dependency
    return next((e.value for e in tensor.external_data if e.key == "location"), "")


def _bundle(path: Path, names: list[str]) -> ModelFile:
    files = {bundle.MODEL_NAME: path} | {name: path.parent / name for name in names}
    if not all(map(bundle.is_name, files)) or bundle.MODEL_NAME in names:
        raise ConfigurationError(
            f"model {path}: its weights are in files of other folders, or with names"
            " that a bundle cannot have; save it with all of them in one file beside"
            f" it, not called {bundle.MODEL_NAME}"
        )
    parts: list[Path | bytes] = []
    size = len(bundle.END)
    for name, file in files.items():
        length = file.stat().st_size
        around = bundle.header(name, length), bundle.padding(length)
        parts += around[0], file, around[1]
        size += length + sum(map(len, around))
    return ModelFile(path.stem, size, (*parts, bundle.END))


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
