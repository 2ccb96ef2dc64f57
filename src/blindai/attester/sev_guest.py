"""The key that AMD's secure processor derives for one SEV-SNP guest: /dev/sev-guest.

include/uapi/linux/sev-guest.h; SNP_GET_DERIVED_KEY is _IOWR('S', 1, 32 bytes):

    snp_guest_request_ioctl    size
      msg_version                 1   1; then 7 bytes of padding
      req_data                    8   address of the request
      resp_data                   8   address of the response
      fw_error                    4   firmware's code, where the call fails
      vmm_error                   4   ... the host's: 1 wrong length, 2 busy

MSG_KEY_REQ and MSG_KEY_RSP (AMD 56860, "Key Derivation"), integers little-endian:

    request                    size
      root_key_select             4   0: the VLEK if one is loaded, else the VCEK
      reserved                    4
      guest_field_select          8   what is mixed in: bit 0 guest policy, 1 image id,
                                      2 family id, 3 measurement, 4 guest SVN, 5 TCB
      vmpl                        4   mixed in always; not below the guest's own
      guest_svn                   4
      tcb_version                 8
    response                   size
      status                      4   0, 0x16 invalid parameters, 0x27 invalid key
      reserved                   28
      key                        32

The key changes with the endorsement key, so with the chip or provider and its firmware.
The **guest policy** is mixed in beside the measurement because it is no part of the
measurement: without it the host could start the same image in debug mode, read its
memory, and have the key.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING, Final, Protocol

from blindai.attester.devices import Files, failure, uninterrupted
from blindai.errors import HardwareBusyError, HardwareError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEVICE: Final = "/dev/sev-guest"
SNP_GET_DERIVED_KEY: Final = 0xC0205301
KEY_BYTES: Final = 32

_GUEST_POLICY: Final = 1 << 0
_MEASUREMENT: Final = 1 << 3
_CALL: Final = struct.Struct("<B7xQQII")
_REQUEST: Final = struct.Struct("<IIQIIQ")
_RESPONSE_BYTES: Final = 64
_KEY_AT: Final = 32
_VMM_BUSY: Final = 2
_STATUSES: Final[Mapping[int, str]] = {  # include/uapi/linux/psp-sev.h
    0x01: "invalid platform state",
    0x02: "invalid guest state",
    0x14: "unsafe hardware state",
    0x15: "not supported by this firmware",
    0x16: "invalid parameters: is the VMPL one that this guest has?",
    0x17: "resource limit",
    0x18: "secure data invalid",
    0x1D: "message counter exhausted: restart the VM",
    0x27: "invalid key: the chip has none of this kind",
}
_ADVICE: Final[Mapping[int, str]] = {
    errno.ENOENT: "load the driver: modprobe sev-guest; a container needs the device",
    errno.EACCES: "run the server as root, or give it the device",
    errno.EPERM: "run the server as root, or give it the device",
    errno.ENOTTY: "the guest's key with the secure processor was given up after a "
    "failure (see the kernel's log): restart the VM",
    errno.EBADMSG: "the secure processor's answer was not authentic: restart the VM",
    errno.EIO: "the secure processor or the host failed: restart the VM",
}


class Ioctl(Protocol):
    """Device calls as the `fcntl` module has them."""

    def ioctl(self, descriptor: int, request: int, argument: bytearray, /) -> int:
        """Call the device, which may change the argument; raises OSError."""
        ...


def read_derived_key(
    vmpl: int,
    *,
    device: str = DEVICE,
    files: Files = os,
    calls: Ioctl = fcntl,
) -> bytes:
    """The key, 32 bytes, of this measurement, guest policy and VMPL.

    Args:
        vmpl: Mixed into the key; the guest's own VMPL or one above it, 0 to 3.
        device: Where the driver is.
        files: Opens and closes it.
        calls: Calls it.

    Raises:
        HardwareError: If the driver, the host or the firmware refuses.
        HardwareBusyError: If the host is busy.
    """
    fields = _GUEST_POLICY | _MEASUREMENT
    request = ctypes.create_string_buffer(_REQUEST.pack(0, 0, fields, vmpl, 0, 0))
    response = ctypes.create_string_buffer(_RESPONSE_BYTES)
    try:
        _call(device, files, calls, _addresses(request, response))
        status = int.from_bytes(response.raw[:4], "little")
        if status != 0:
            raise HardwareError(f"{device}: derived key: {_name(status)}")
        return response.raw[_KEY_AT : _KEY_AT + KEY_BYTES]
    finally:
        ctypes.memset(response, 0, _RESPONSE_BYTES)


def _addresses(*buffers: ctypes.Array[ctypes.c_char]) -> tuple[int, int]:
    request, response = map(ctypes.addressof, buffers)
    return request, response


def _call(device: str, files: Files, calls: Ioctl, addresses: tuple[int, int]) -> None:
    argument = bytearray(_CALL.pack(1, *addresses, 0, 0))
    try:
        descriptor = uninterrupted(lambda: files.open(device, os.O_RDWR | os.O_CLOEXEC))
        try:
            uninterrupted(
                lambda: calls.ioctl(descriptor, SNP_GET_DERIVED_KEY, argument)
            )
        finally:
            files.close(descriptor)
    except OSError as error:
        _, _, _, firmware, host = _CALL.unpack(argument)
        raise _refusal(device, error, firmware, host) from error


def _refusal(device: str, error: OSError, firmware: int, host: int) -> HardwareError:
    refused = failure(device, "derive a key", error, _ADVICE)
    if host == _VMM_BUSY:
        return HardwareBusyError(f"{refused.message} (the host is busy)")
    if firmware in _STATUSES:
        return type(refused)(f"{refused.message} (firmware: {_name(firmware)})")
    return refused


def _name(status: int) -> str:
    return f"status {status:#x}, {_STATUSES.get(status, 'not known')}"
