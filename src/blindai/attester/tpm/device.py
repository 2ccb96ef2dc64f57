"""A TPM, seen as bytes: a command in, its response out.

    response = TpmDevice().transmit(command)

`/dev/tpmrm0` is the kernel's resource manager: what one process loads, no other sees,
and all of it is flushed when the file is closed.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, Protocol

from blindai.attester.devices import Files, failure, uninterrupted
from blindai.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

RESOURCE_MANAGER: Final = "/dev/tpmrm0"
HEADER_BYTES: Final = 10  # tag u16, size u32, code u32
MAX_RESPONSE_BYTES: Final = 4096
_ADVICE: Final[Mapping[int, str]] = {
    errno.ENOENT: "the machine has no TPM 2.0, or its driver is not loaded",
    errno.EACCES: "run the server as root, or in the group that owns the device",
    errno.EBUSY: "another process holds the TPM: use /dev/tpmrm0, which is shared",
}


class Transport(Protocol):
    """A way to a TPM."""

    def transmit(self, command: bytes) -> bytes:
        """The response to a command."""
        ...


class TpmDevice:
    """A TPM behind a device of the kernel's; opened by the first command.

    Args:
        path: The device.
        files: Makes the calls.
    """

    def __init__(self, path: str = RESOURCE_MANAGER, files: Files = os) -> None:
        self._path = path
        self._files = files
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the device back, and with it all that was loaded."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._files.close(descriptor)

    def transmit(self, command: bytes) -> bytes:
        """The response to a command.

        Raises:
            HardwareAbsentError: If there is no such device.
            HardwareBusyError: If another process holds it.
            HardwareError: If it fails, or its response is cut short.
        """
        try:
            return self._transmit(command)
        except OSError as error:
            self.close()
            failed = failure(self._path, "be used", error, _ADVICE)
            raise failed from error

    def _transmit(self, command: bytes) -> bytes:
        descriptor = self._descriptor
        if descriptor is None:
            flags = os.O_RDWR | os.O_CLOEXEC
            descriptor = uninterrupted(lambda: self._files.open(self._path, flags))
            self._descriptor = descriptor
        written = uninterrupted(lambda: self._files.write(descriptor, command))
        if written != len(command):
            raise HardwareError(
                f"{self._path}: expected to take {len(command)} bytes at once,"
                f" took {written}"
            )
        response = b""
        while len(response) < _expected(response):
            piece = uninterrupted(
                lambda: self._files.read(descriptor, MAX_RESPONSE_BYTES)
            )
            response += piece
            if not piece or len(response) > MAX_RESPONSE_BYTES:
                raise HardwareError(f"{self._path}: expected a whole response")
        return response


def _expected(response: bytes) -> int:
    """How long a response will be, as far as its beginning tells."""
    if len(response) < HEADER_BYTES:
        return HEADER_BYTES
    return max(HEADER_BYTES, int.from_bytes(response[2:6]))
