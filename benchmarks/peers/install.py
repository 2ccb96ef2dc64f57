"""An environment for each peer, below `.bench/`, with the versions that are locked."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.process import NotMeasuredError

ROOT = Path(__file__).parents[2]
BENCH = ROOT / ".bench"
LOCKS = ROOT / "requirements" / "peers"
SERVERS = Path(__file__).parent / "servers"

# Triton's Python backend is linked to the Python library of the distribution.
_LIBRARY = """\
import ctypes, sys, sysconfig
ctypes.CDLL(f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0")
"""
DEBIAN_PYTHON = "/usr/bin/python3"


def python_of(environment: str) -> str:
    """The Python of a peer's environment, which is made if it is not there.

    Raises:
        NotMeasuredError: If it cannot be made here; pip's or Python's reason is in it.
    """
    lock = LOCKS / f"{environment}.txt"
    folder = BENCH / environment
    python = folder / "bin" / "python"
    mark, digest = folder / ".installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return str(python)
    print(f"installing {environment} (once) ...", file=sys.stderr)
    base = DEBIAN_PYTHON if environment == "triton" else sys.executable
    if environment == "triton":
        _require_library()
    shutil.rmtree(folder, ignore_errors=True)
    _run([base, "-m", "venv", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    _run([*pip, "--python", str(python), "install", *options, "-r", str(lock)])
    mark.write_text(digest)
    return str(python)


def version_of(environment: str, package: str) -> str:
    """The version that is locked."""
    text = (LOCKS / f"{environment}.txt").read_text()
    found = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE)
    return found[1] if found else "unknown"


def _require_library() -> None:
    try:
        _run([DEBIAN_PYTHON, "-c", _LIBRARY])
    except NotMeasuredError as error:
        raise NotMeasuredError(
            f"needs {DEBIAN_PYTHON} with its libpython (Debian: libpython3.x): {error}"
        ) from error


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  our own commands
    except OSError as error:
        raise NotMeasuredError(f"{command[0]}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        lines = [each for each in error.stderr.splitlines() if each.strip()] or ["?"]
        raise NotMeasuredError(f"not installed: {lines[-1].strip()[:160]}") from error
