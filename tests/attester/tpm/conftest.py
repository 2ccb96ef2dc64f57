"""A TPM in software: Debian's swtpm, one for each test, behind a socket."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blindai.attester.tpm import Tpm, TpmDevice, wire
from blindai.attester.tpm.commands import OWNER
from blindai.testing.devices.swtpm import SocketFiles

SWTPM = shutil.which("swtpm")
OWNER_WRITE_AND_READ = 0x00020002  # TPMA_NV_OWNERWRITE, TPMA_NV_OWNERREAD
AUTH_WRITE_AND_READ = 0x00040004
NV_BLOCK = 512


@pytest.fixture
def swtpm_socket(tmp_path: Path) -> Iterator[str]:
    """The socket of a TPM that has just been switched on."""
    if SWTPM is None:
        pytest.skip("swtpm is not installed: apt-get install swtpm")
    folder = tmp_path / "swtpm"
    folder.mkdir()
    command = [
        SWTPM,
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
    try:
        yield str(folder / "data")
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def swtpm(swtpm_socket: str) -> Iterator[Tpm]:
    """A TPM that has just been switched on."""
    with TpmDevice(swtpm_socket, SocketFiles()) as device:
        yield Tpm(device)


@pytest.fixture
def write_nv() -> Callable[..., None]:
    """Define an NV index and write to it (31.3, TPM2_NV_DefineSpace; 31.7)."""

    def write(
        tpm: Tpm, index: int, content: bytes, attributes: int = OWNER_WRITE_AND_READ
    ) -> None:
        public = struct.pack(">IHIHH", index, 0x000B, attributes, 0, len(content))
        parameters = wire.sized(b"") + wire.sized(public)
        tpm._run("TPM2_NV_DefineSpace", 0x12A, (OWNER,), parameters, wire.PASSWORD)
        by = OWNER if attributes == OWNER_WRITE_AND_READ else index
        for start in range(0, len(content), NV_BLOCK):
            block = content[start : start + NV_BLOCK]
            parameters = wire.sized(block) + struct.pack(">H", start)
            tpm._run("TPM2_NV_Write", 0x137, (by, index), parameters, wire.PASSWORD)

    return write


@pytest.fixture
def make_persistent() -> Callable[[Tpm, int, int], None]:
    """Keep an object under a handle of its own (28.5, TPM2_EvictControl)."""

    def make(tpm: Tpm, handle: int, persistent: int) -> None:
        handles, to = (OWNER, handle), struct.pack(">I", persistent)
        tpm._run("TPM2_EvictControl", 0x120, handles, to, wire.PASSWORD)

    return make
