"""A made-up Nitro Security Module: the device of an enclave below a made-up AWS.

    NsmAttester(device=Nsm(aws, clock)).attest(binding)

It keeps to the driver's rules (Linux, drivers/misc/nsm.c): the message is `struct
nsm_raw` in the caller's memory, requests have up to 4096 bytes, an answer is cut off
nowhere but refused where it does not fit.
"""

from __future__ import annotations

import ctypes
import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cbor2

from blindai.attester.nsm import MESSAGE, NSM_IOCTL_RAW, PATH

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from blindai.testing.vendors.aws import Aws

MAX_REQUEST_BYTES: Final = 0x1000
_DESCRIPTOR: Final = 7


@dataclass(kw_only=True)
class Nsm:
    """The device.

    Attributes:
        aws: Who signs its documents.
        clock: The hypervisor's.
        changes: Fields of its documents that are not as usual.
        answer: What it answers instead of a document, or None.
        interruptions: How many calls a signal still interrupts.
        length: How long it says its answer is, or None for the truth.
        is_open: Whether a descriptor was not given back.
        requests: What it was asked, in order.
    """

    aws: Aws
    clock: Callable[[], datetime]
    changes: dict[str, object] = field(default_factory=dict)
    answer: bytes | None = None
    interruptions: int = 0
    length: int | None = None
    is_open: bool = False
    requests: list[object] = field(default_factory=list)

    def open(self, path: str, _flags: int, /) -> int:
        """A descriptor.

        Raises:
            FileNotFoundError: If it is another device's path.
        """
        self._interrupt()
        if path != PATH:
            raise FileNotFoundError(errno.ENOENT, "no such device", path)
        self.is_open = True
        return _DESCRIPTOR

    def ioctl(self, descriptor: int, request: int, message: bytearray, /) -> int:
        """One exchange, in the caller's memory.

        Raises:
            OSError: If the request is none of the driver's, or too long.
        """
        self._interrupt()
        if descriptor != _DESCRIPTOR or not self.is_open:
            raise OSError(errno.EBADF, "not open")
        if request != NSM_IOCTL_RAW or len(message) != MESSAGE.size:
            raise OSError(errno.ENOTTY, "another request")
        asked, size, room, capacity = MESSAGE.unpack(message)
        if size > MAX_REQUEST_BYTES:
            raise OSError(errno.EMSGSIZE, "too long")
        answer = self._answer(ctypes.string_at(asked, size))
        if len(answer) > capacity:
            answer = cbor2.dumps({"Error": "BufferTooSmall"})
        ctypes.memmove(room, answer, len(answer))
        length = len(answer) if self.length is None else self.length
        message[:] = MESSAGE.pack(asked, size, room, length)
        return 0

    def close(self, _descriptor: int, /) -> None:
        """Give the descriptor back."""
        self.is_open = False

    def _answer(self, request: bytes) -> bytes:
        value = cbor2.loads(request)
        self.requests.append(value)
        if self.answer is not None:
            return self.answer
        fields = value["Attestation"] | self.changes
        document = self.aws.document(fields, now=self.clock())
        return cbor2.dumps({"Attestation": {"document": document}})

    def _interrupt(self) -> None:
        if self.interruptions:
            self.interruptions -= 1
            raise InterruptedError(errno.EINTR, "a signal")
