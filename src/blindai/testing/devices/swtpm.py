"""A TPM in software, Debian's `swtpm`, in the place of /dev/tpmrm0.

It is a real TPM 2.0 but for the hardware: it measures, quotes and seals. Its process
ends with ours.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from blindai.attester.tpm import TpmDevice
from blindai.errors import HardwareAbsentError

_STARTS_WITHIN_S: Final = 10


class SocketFiles:
    """Files as `os` has them, but a path is that of a socket.

    Args:
        most: How many bytes come at a time.
    """

    def __init__(self, most: int = 1 << 16) -> None:
        self._most = most

    def open(self, path: str, _flags: int, /) -> int:
        """A connection; a TPM that is still starting is waited for."""
        client = socket.socket(socket.AF_UNIX)
        give_up = time.monotonic() + _STARTS_WITHIN_S
        while client.connect_ex(path) and time.monotonic() < give_up:
            time.sleep(0.002)
        return client.detach()

    def read(self, descriptor: int, size: int, /) -> bytes:
        """The next bytes."""
        return os.read(descriptor, min(size, self._most))

    def write(self, descriptor: int, data: bytes, /) -> int:
        """Send bytes."""
        return os.write(descriptor, data)

    def close(self, descriptor: int, /) -> None:
        """End the connection."""
        os.close(descriptor)


def start_swtpm() -> tuple[TpmDevice, Path]:
    """A TPM that was just switched on, and a folder that ends with it.

    Raises:
        HardwareAbsentError: If `swtpm` is not installed.
    """
    program = shutil.which("swtpm")
    if program is None:
        raise HardwareAbsentError("swtpm: not installed; apt-get install swtpm")
    folder = Path(tempfile.mkdtemp(prefix="blindai-swtpm-"))
    command = [
        program,
        "socket",
        "--tpm2",
        "--tpmstate",
        f"dir={folder}",
        "--server",
        f"type=unixio,path={folder}/data",
        "--ctrl",
        f"type=unixio,path={folder}/control",
        "--flags",
        "not-need-init,startup-clear",
    ]
    process = subprocess.Popen(command)  # noqa: S603  our own words

    def end() -> None:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return TpmDevice(str(folder / "data"), SocketFiles()), folder
