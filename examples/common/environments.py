"""An environment for an example: the locked server and client, and what it names."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from examples.common import EXAMPLES, KEPT, ROOT

from blindai.errors import BlindAIError
from blindai.text import printable

if TYPE_CHECKING:
    from pathlib import Path

_LOCKS = "requirements/demo.txt", "requirements/build.txt"
_TIMEOUT_S = 1800.0
_LAST_WORDS = 600  # characters


class NotInstalledError(BlindAIError):
    """What an example needs cannot be installed."""

    next_step = "Check the network and pip's configuration, then try again."


def environment(name: str) -> Path:
    """The Python of an example's own environment, installed if need be.

    Args:
        name: Of the example.

    Raises:
        NotInstalledError: If it cannot be installed; pip's reason is in it.
    """
    folder = KEPT / name / "venv"
    python = folder / "bin" / "python"
    wanted = EXAMPLES / name / "requirements.txt"
    stamp, digest = folder / "installed", _digest(wanted)
    if stamp.is_file() and stamp.read_text() == digest:
        return python
    print(f"installing what {name} needs (once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-input", "install"]
    for lock in _LOCKS:
        _run([*pip, "--no-deps", "--require-hashes", "-r", str(ROOT / lock)])
    _run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    kept = folder / "locked.txt"  # what is locked stays at its version
    kept.write_text("\n".join(_pins()) + "\n")
    _run([*pip, "-c", str(kept), "-r", str(wanted)])
    stamp.write_text(digest)
    return python


def _pins() -> list[str]:
    """`name==version` of all that is locked, without the digests."""
    lines = [
        line
        for lock in _LOCKS
        for line in (ROOT / lock).read_text(encoding="utf-8").splitlines()
    ]
    return [line.split()[0] for line in lines if "==" in line.split(" ", 1)[0]]


def _digest(wanted: Path) -> str:
    """Of all that decides what is installed."""
    parts = [*(ROOT / lock for lock in _LOCKS), wanted]
    content = b"\0".join(part.read_bytes() for part in parts)
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def _run(command: list[str]) -> None:
    """Run a program to its end.

    Raises:
        NotInstalledError: If it fails, or takes too long.
    """
    try:
        done = subprocess.run(  # noqa: S603  our own words
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            cwd=ROOT,
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(
            f"{command[0]}: expected to end within {_TIMEOUT_S:.0f} s, it did not"
        ) from error
    if done.returncode:
        said = printable(" / ".join(done.stderr.strip().splitlines()))
        raise NotInstalledError(f"expected to install, got: {said[-_LAST_WORDS:]}")
