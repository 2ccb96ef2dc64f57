"""An environment for an example: this one, and on top of it what the example names.

What is here (the locked server and client) is not installed again: the example's own
environment looks here after it looked at home.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

from examples.common import EXAMPLES, KEPT, ROOT, programs

from blindai.errors import BlindAIError
from blindai.text import printable

if TYPE_CHECKING:
    from pathlib import Path

_LOCK = ROOT / "requirements" / "demo.txt"
_HERE = sysconfig.get_path("purelib")
_TIMEOUT_S = 1800.0
_LAST_WORDS = 600  # characters


class NotInstalledError(BlindAIError):
    """What an example needs cannot be installed."""

    next_step = "Check the network and pip's configuration, then try again."


def environment(name: str, kept: Path = KEPT, examples: Path = EXAMPLES) -> Path:
    """The Python of an example's own environment, installed if need be.

    Args:
        name: Of the example.
        kept: Below which it is.
        examples: Where the examples are.

    Raises:
        NotInstalledError: If it cannot be installed; pip's reason is in it.
    """
    folder = kept / name / "venv"
    python = folder / "bin" / "python"
    wanted = examples / name / "requirements.txt"
    stamp, digest = folder / "installed", _digest(wanted)
    if stamp.is_file() and stamp.read_text() == digest:
        return python
    print(f"installing what {name} needs (once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _install(folder, wanted)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, NotInstalledError):
            raise NotInstalledError(f"{name}: {error.message}") from error
        raise
    stamp.write_text(digest)
    return python


def _install(folder: Path, wanted: Path) -> None:
    """Make an environment.

    Raises:
        NotInstalledError: If it cannot be made.
    """
    python = folder / "bin" / "python"
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    home = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
    below = f"import site; site.addsitedir({_HERE!r})\n"  # its .pth files count too
    (folder / home / "below.pth").write_text(below)
    locked = folder / "locked.txt"  # what is locked stays at its version ...
    locked.write_text("\n".join(_pins(wanted)) + "\n")
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run(
        [
            *pip,
            "--no-input",
            "install",
            "--no-compile",
            "-c",
            str(locked),
            "-r",
            str(wanted),
        ]
    )


def _pins(wanted: Path) -> list[str]:
    """`name==version` of all that is locked, without the digests.

    ... unless the example names another: what it brings needs an older one.
    """
    own = {line.partition("==")[0] for line in _lines(wanted)}
    return [line for line in _lines(_LOCK) if line.partition("==")[0] not in own]


def _lines(path: Path) -> list[str]:
    """The requirements of a file, without digests and comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line and line[0] not in " #"]


def _digest(wanted: Path) -> str:
    """Of all that decides what is installed."""
    content = _LOCK.read_bytes() + b"\0" + wanted.read_bytes()
    return hashlib.sha256(content + sys.version.encode() + _HERE.encode()).hexdigest()


def _run(command: list[str]) -> None:
    """Run a program to its end.

    Raises:
        NotInstalledError: If it fails, or takes too long.
    """
    try:
        done = programs.run(command, cwd=ROOT, timeout_s=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(
            f"{command[0]}: expected to end within {_TIMEOUT_S:.0f} s, it did not"
        ) from error
    if done.returncode:
        said = printable(" / ".join(done.stderr.strip().splitlines()))
        raise NotInstalledError(f"expected to install, got: {said[-_LAST_WORDS:]}")
