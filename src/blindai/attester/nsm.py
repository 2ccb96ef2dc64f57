"""AWS Nitro Enclaves: documents of the Nitro Security Module, by /dev/nsm.

One ioctl carries a request and an answer, both CBOR (Linux, include/uapi/linux/nsm.h;
AWS Nitro Enclaves NSM API, src/api):

    struct nsm_iovec { u64 addr, len }      struct nsm_raw { request, response }
    NSM_IOCTL_RAW = _IOWR(0x0A, 0, struct nsm_raw) = C0200A00h

    {"Attestation": {"user_data": bytes, "nonce": bytes or null, "public_key": null}}
    {"Attestation": {"document": bytes}} or {"Error": "InvalidArgument"}

The module takes requests of up to 4096 bytes (ours have about a hundred) and answers
with up to 12288. It keeps no secret for an enclave across restarts, so there is no key
to seal files under.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from blindai.attester.devices import failure, uninterrupted
from blindai.errors import HardwareError, ProtocolError
from blindai.protocol import cbor
from blindai.protocol.attestation import NITRO_DOCUMENT_TYPE, Evidence

if TYPE_CHECKING:
    from blindai.protocol.keyset import Binding

PATH: Final = "/dev/nsm"
NSM_IOCTL_RAW: Final = 0xC0200A00
MAX_RESPONSE_BYTES: Final = 0x3000
MESSAGE: Final = struct.Struct("=QQQQ")  # struct nsm_raw
ERROR_CODES: Final = frozenset(
    {
        "InvalidArgument",
        "InvalidIndex",
        "InvalidResponse",
        "ReadOnlyIndex",
        "InvalidOperation",
        "BufferTooSmall",
        "InputTooLarge",
        "InternalError",
    }
)
"""What the module may answer instead of a document (NSM API, ErrorCode)."""
_ADVICE: Final = MappingProxyType(
    {
        errno.ENOENT: "run this in a Nitro enclave, with the nsm driver loaded",
        errno.ENODEV: "run this in a Nitro enclave",
        errno.EACCES: "run the server as a user who may open it",
        errno.EPERM: "run the server as a user who may open it",
        errno.ENOTTY: "the driver is another; it has to be Linux's or AWS's nsm",
        errno.EMSGSIZE: "the module takes less than was asked",
    }
)


class Device(Protocol):
    """The module's device as `os` and `fcntl` have it; each call raises OSError."""

    def open(self, path: str, flags: int, /) -> int:
        """A descriptor."""
        ...

    def ioctl(self, descriptor: int, request: int, message: bytearray, /) -> int:
        """One exchange; the message is written over."""
        ...

    def close(self, descriptor: int, /) -> None:
        """Give a descriptor back."""
        ...


class Kernel:
    """The device itself."""

    def open(self, path: str, flags: int, /) -> int:
        """A descriptor."""
        return os.open(path, flags)

    def ioctl(self, descriptor: int, request: int, message: bytearray, /) -> int:
        """One exchange; the message is written over."""
        answer: int = fcntl.ioctl(descriptor, request, message)
        return answer

    def close(self, descriptor: int, /) -> None:
        """Give a descriptor back."""
        os.close(descriptor)


class NsmAttester:
    """A Nitro enclave, seen from inside.

    Args:
        device: How the module is asked.
    """

    def __init__(self, device: Device | None = None) -> None:
        self._device = device or Kernel()

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return NITRO_DOCUMENT_TYPE

    @property
    def sealing(self) -> str | None:
        """None: there is no sealing key."""
        return None

    def require_module(self) -> None:
        """Look whether the module's device is there.

        Raises:
            HardwareAbsentError: If it is not.
            HardwareError: If it cannot be opened.
        """
        try:
            descriptor = self._open()
        except OSError as error:
            failed = failure(PATH, "be opened", error, _ADVICE)
            raise failed from error
        self._device.close(descriptor)

    def attest(self, binding: Binding) -> Evidence:
        """A document with the digest as `user_data` and the nonce as `nonce`.

        Raises:
            HardwareError: If the module makes none.
        """
        asked = {
            "user_data": binding.digest,
            "nonce": binding.nonce,
            "public_key": None,
        }
        answer = self._exchange(cbor.encode({"Attestation": asked}))
        return Evidence(media_type=NITRO_DOCUMENT_TYPE, evidence=_document(answer))

    def sealing_key(self) -> bytes | None:
        """None: the module has no secret that the enclave finds again."""
        return None

    def _exchange(self, request: bytes) -> bytes:
        """Ask once.

        Raises:
            HardwareError: If the device cannot be asked, or says that it wrote more
                than there is room for.
        """
        asked = ctypes.create_string_buffer(request, len(request))
        answer = ctypes.create_string_buffer(MAX_RESPONSE_BYTES)
        message = bytearray(
            MESSAGE.pack(
                ctypes.addressof(asked),
                len(request),
                ctypes.addressof(answer),
                MAX_RESPONSE_BYTES,
            )
        )
        try:
            self._send(message)
        except OSError as error:
            failed = failure(PATH, "be asked for a document", error, _ADVICE)
            raise failed from error
        *_, length = MESSAGE.unpack(message)
        if length > MAX_RESPONSE_BYTES:
            raise HardwareError(
                f"{PATH}: expected at most {MAX_RESPONSE_BYTES} bytes, got {length}"
            )
        return answer.raw[:length]

    def _send(self, message: bytearray) -> None:
        device, descriptor = self._device, self._open()
        try:
            uninterrupted(lambda: device.ioctl(descriptor, NSM_IOCTL_RAW, message))
        finally:
            device.close(descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        return uninterrupted(lambda: self._device.open(PATH, flags))


def _document(answer: bytes) -> bytes:
    """The document in the module's answer.

    Raises:
        HardwareError: If there is none; an error of the module's is named.
    """
    try:
        value = cbor.decode_loosely(answer)
    except ProtocolError as error:
        raise HardwareError(f"{PATH}: answered with other than CBOR") from error
    match value:
        case {"Attestation": {"document": bytes(document)}} if document:
            return document
        case {"Error": str(code)} if code in ERROR_CODES:
            raise HardwareError(f"{PATH}: expected a document, got the error {code}")
        case _:
            raise HardwareError(f"{PATH}: expected a document, got another answer")
