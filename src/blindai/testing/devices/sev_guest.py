"""/dev/sev-guest, made up: the driver's call and the firmware's key derivation.

As drivers/virt/coco/sev-guest/sev-guest.c and AMD 56860 (MSG_KEY_REQ) have them: the
request and its response lie in the caller's memory, at the addresses in the call.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.testing.devices.files import FakeFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_SNP_GET_DERIVED_KEY: Final = 0xC0205301
_CALL: Final = struct.Struct("<B7xQQII")
_REQUEST: Final = struct.Struct("<IIQIIQ")
_INVALID_PARAMETERS: Final = 0x16
_MAX_VMPL: Final = 3
_PLACEHOLDER: Final = 0xFF  # fw_error before the firmware was asked


@dataclass(kw_only=True)
class FakeSevGuest:
    """A tree for `FakeFiles`, and the `ioctl` of `fcntl`.

    Attributes:
        device: Where it is.
        chip_secret: What this chip alone has.
        guest_policy: The guest's policy, 64 bits.
        measurement: The guest's launch measurement, 48 bytes.
        vmpl: Where the guest runs.
        failures: Errors of the next calls: number, firmware's code, host's code.
        statuses: The firmware's statuses for the next calls; then it succeeds.
    """

    device: str = "/dev/sev-guest"
    chip_secret: bytes = field(default=b"a made-up chip", repr=False)
    guest_policy: int = 0x30000
    measurement: bytes = bytes(48)
    vmpl: int = 0
    failures: list[tuple[int, int, int]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def open(self, path: str, /) -> FakeFile:
        """The device.

        Raises:
            OSError: If the path is another.
        """
        if path != self.device:
            raise OSError(errno.ENOENT, "made up")
        return FakeFile(load=bytes)

    def ioctl(self, descriptor: int, request: int, argument: bytearray, /) -> int:
        """SNP_GET_DERIVED_KEY.

        Raises:
            OSError: As the driver.
        """
        del descriptor
        version, request_at, response_at, _, _ = _CALL.unpack(argument)
        if request != _SNP_GET_DERIVED_KEY:
            raise OSError(errno.ENOTTY, "made up")
        if version == 0:
            raise OSError(errno.EINVAL, "made up")
        if self.failures:
            number, firmware, host = self.failures.pop(0)
            _CALL.pack_into(
                argument, 0, version, request_at, response_at, firmware, host
            )
            raise OSError(number, "made up")
        _CALL.pack_into(argument, 0, version, request_at, response_at, _PLACEHOLDER, 0)
        answer = self._answer(ctypes.string_at(request_at, _REQUEST.size))
        ctypes.memmove(response_at, answer, len(answer))
        return 0

    def _answer(self, request: bytes) -> bytes:
        root, reserved, fields, vmpl, svn, tcb = _REQUEST.unpack(request)
        status = self.statuses.pop(0) if self.statuses else 0
        if root or reserved or svn or tcb or not self.vmpl <= vmpl <= _MAX_VMPL:
            status = _INVALID_PARAMETERS
        if status:
            return status.to_bytes(4, "little") + bytes(60)
        context = b"".join(self._context(fields, vmpl))
        return bytes(32) + hmac.digest(self.chip_secret, context, hashlib.sha256)

    def _context(self, fields: int, vmpl: int) -> Iterator[bytes]:
        yield struct.pack("<QI", fields, vmpl)
        if fields & 1:
            yield self.guest_policy.to_bytes(8, "little")
        if fields & 8:
            yield self.measurement
