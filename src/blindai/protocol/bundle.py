"""Bundles: a model and the files with its weights, one after the other, as one upload.

A protobuf message ends at 2 GiB, so larger models keep weights in files beside it. A
bundle is a tar archive, and exactly the one that this writes (TAR(5), "gnu" format):

    the model, under the name "model.onnx"
    its files, by name in ascending order, as bytes
    two blocks of zeros

Each is a header of 512 bytes, in which mode is 644 and owner, group and time are 0, and
the contents, filled up to whole blocks with zeros. So the same files make the same
bundle, and its digest is theirs:

    same="--format=gnu -b1 --mode=644 --mtime=@0 --owner=0 --group=0 --numeric-owner"
    tar $same -c model.onnx weights.data | sha256sum

Names say which file a tensor means, and nothing else: no file is opened by them.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.errors import ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODEL_NAME: Final = "model.onnx"
BLOCK_BYTES: Final = 512
END: Final = bytes(2 * BLOCK_BYTES)
MAX_FILES: Final = 10_000
_MAGIC: Final = MODEL_NAME.encode() + b"\0"
_NAME: Final = re.compile(r"[A-Za-z0-9_][ -.0-\[\]-~]{0,99}")
_NAME_BYTES: Final = 100
_SIZE: Final = slice(124, 136)
_BINARY: Final = 0x80  # the first byte of a size from 8 GiB


@dataclass(frozen=True, slots=True)
class Bundle:
    """Where things are in a bundle.

    Attributes:
        model: The model's bytes.
        files: Those of the files beside it, by name.
    """

    model: memoryview
    files: Mapping[str, memoryview]


def is_name(name: str) -> bool:
    """Whether a file may be called this: printable ASCII of at most 100, no path."""
    return _NAME.fullmatch(name) is not None


def is_bundle(contents: memoryview) -> bool:
    """Whether these bytes mean to be a bundle. A model cannot begin like one.

    As protobuf they would say a field of 32 bits, and then a wire type that is none.
    """
    return contents[: len(_MAGIC)] == _MAGIC


def header(name: str, size: int) -> bytes:
    """What stands before a file in a bundle, 512 bytes."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """What stands after a file of a size."""
    return bytes(-size % BLOCK_BYTES)


def parse_bundle(contents: memoryview) -> Bundle:
    """Find the files in a bundle. Nothing is copied.

    Raises:
        ModelRefusedError: If it is not one, or not written as it has to be.
    """
    entries = dict(_entries(contents))
    names = list(entries)
    if names[:1] != [MODEL_NAME] or names[1:] != sorted(names[1:]):
        raise ModelRefusedError(
            f"bundle: expected {MODEL_NAME} and then its files in the order of their"
            " names, got another order"
        )
    return Bundle(entries.pop(MODEL_NAME), entries)


def _entries(contents: memoryview) -> Iterator[tuple[str, memoryview]]:
    seen: set[str] = set()
    at = 0
    while contents[at:] != END:
        block = bytes(contents[at : at + BLOCK_BYTES])
        name, size = _name(block), _size(block)
        start, end = at + BLOCK_BYTES, at + BLOCK_BYTES + size
        at = end + len(padding(size))
        if not is_name(name) or header(name, size) != block:
            raise ModelRefusedError(
                "bundle: expected headers as `tar --format=gnu` writes them, with plain"
                f" names, mode 644, and owner, group and time 0, got {block[:100]!r}"
            )
        if at > len(contents) or any(contents[end:at]):
            raise ModelRefusedError(
                f"bundle: expected {name!r} with {size} bytes and zeros up to a whole"
                " block, got fewer or others"
            )
        if name in seen or len(seen) == MAX_FILES:
            raise ModelRefusedError(
                f"bundle: expected at most {MAX_FILES} files, each once, got {name!r}"
            )
        seen.add(name)
        yield name, contents[start:end]


def _name(block: bytes) -> str:
    return block[:_NAME_BYTES].partition(b"\0")[0].decode("latin-1")


def _size(block: bytes) -> int:
    """The size a header says; of one that is malformed, any number."""
    field = block[_SIZE]
    if field[:1] == bytes((_BINARY,)):
        return int.from_bytes(field[1:], "big")
    octal = field[:-1]
    return int(octal, 8) if re.fullmatch(rb"[0-7]+", octal) else 0
