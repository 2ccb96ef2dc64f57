"""A TPM in software: Debian's swtpm, one for each test, behind a socket."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
def switch_on(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Switch a TPM on; if it is on, off and on again, with all that it keeps."""
    if SWTPM is None:
        pytest.skip("swtpm is not installed: apt-get install swtpm")
    folder = tmp_path / "swtpm"
    folder.mkdir()
    sockets = (folder / "data", folder / "control")
    command = [
        SWTPM,
        "socket",
        "--tpm2",
        "--tpmstate",
        f"dir={folder}",
        "--server",
        f"type=unixio,path={sockets[0]}",
        "--ctrl",
        f"type=unixio,path={sockets[1]}",
        "--flags",
        "not-need-init,startup-clear",
    ]
    with ExitStack() as running:

        def on() -> str:
            running.close()
            for path in sockets:
                path.unlink(missing_ok=True)
            process = subprocess.Popen(command)  # noqa: S603  our own words
            running.callback(process.wait)
            running.callback(process.kill)
            return str(sockets[0])

        yield on


@pytest.fixture
def swtpm_socket(switch_on: Callable[[], str]) -> str:
    """The socket of a TPM that has just been switched on."""
    return switch_on()


@pytest.fixture
def boot(switch_on: Callable[[], str]) -> Iterator[Callable[..., Tpm]]:
    """Start a machine anew, and measure what it starts into register 4."""
    with ExitStack() as open_devices:

        def start(*measured: bytes) -> Tpm:
            open_devices.close()
            device = TpmDevice(switch_on(), SocketFiles())
            tpm = Tpm(open_devices.enter_context(device))
            for digest in measured:
                tpm.extend_pcr(4, [(0x000B, digest)])
            return tpm

        yield start


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
