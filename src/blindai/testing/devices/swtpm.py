"""A TPM in software, Debian's `swtpm`, in the place of /dev/tpmrm0.

It is a real TPM 2.0 but for the hardware: it measures, quotes and seals. Its process
ends with ours.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from blindai.attester.tpm import Tpm, TpmDevice, wire
from blindai.attester.tpm.commands import OWNER
from blindai.errors import HardwareAbsentError

_STARTS_WITHIN_S: Final = 10
_SHA256: Final = 0x000B
_OWNER_WRITE_AND_READ: Final = 0x00020002  # TPMA_NV_OWNERWRITE, TPMA_NV_OWNERREAD
_NV_BLOCK: Final = 512


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


def write_nv(tpm: Tpm, index: int, content: bytes) -> None:
    """Define an NV index and write to it.

    TPM2_NV_DefineSpace and TPM2_NV_Write (TPM 2.0 Library 1.59, part 3, 31.3, 31.7).
    """
    public = struct.pack(
        ">IHIHH", index, _SHA256, _OWNER_WRITE_AND_READ, 0, len(content)
    )
    parameters = wire.sized(b"") + wire.sized(public)
    _run(tpm, "TPM2_NV_DefineSpace", 0x12A, (OWNER,), parameters)
    for start in range(0, len(content), _NV_BLOCK):
        block = wire.sized(content[start : start + _NV_BLOCK])
        parameters = block + struct.pack(">H", start)
        _run(tpm, "TPM2_NV_Write", 0x137, (OWNER, index), parameters)


def make_persistent(tpm: Tpm, handle: int, persistent: int) -> None:
    """Keep an object under a handle of its own (28.5, TPM2_EvictControl)."""
    to = struct.pack(">I", persistent)
    _run(tpm, "TPM2_EvictControl", 0x120, (OWNER, handle), to)


def _run(
    tpm: Tpm, name: str, code: int, handles: tuple[int, ...], parameters: bytes
) -> None:
    tpm._run(name, code, handles, parameters, wire.PASSWORD)  # noqa: SLF001  commands that only firmware gives
