"""Gramine's /dev/attestation, made up: process-wide state, quotes made when opened.

As libos/src/fs/dev/attestation.c has it: report data shorter than 64 bytes is padded
and counts from the close on; a quote that cannot be made is EACCES.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from blindai.testing.devices.files import FakeFile

if TYPE_CHECKING:
    from collections.abc import Callable

_REPORT_DATA_BYTES: Final = 64


class FakeGramine:
    """A tree for `FakeFiles`.

    Attributes:
        report_data: What the next quote binds.
    """

    def __init__(
        self,
        quote: Callable[[bytes], bytes],
        *,
        folder: str = "/dev/attestation",
        attestation_type: bytes = b"dcap",
        sealing_secret: bytes = bytes(range(16)),
    ) -> None:
        """Start an enclave.

        Args:
            quote: Makes a quote that binds 64 bytes.
            folder: Where its files are.
            attestation_type: What the manifest says.
            sealing_secret: What EGETKEY gives.
        """
        self._quote = quote
        self._folder = folder
        self._type = attestation_type
        self._sealing_secret = sealing_secret
        self.report_data = bytes(_REPORT_DATA_BYTES)

    def open(self, path: str, /) -> FakeFile:
        """One of Gramine's files.

        Raises:
            OSError: If there is none such.
        """
        match path.removeprefix(f"{self._folder}/"):
            case "attestation_type":
                return FakeFile(load=lambda: self._type)
            case "user_report_data":
                return self._user_report_data()
            case "quote" if self._type != b"none":
                made = self._quote(self.report_data)
                return FakeFile(load=lambda: made)
            case "keys/_sgx_mrenclave":
                return FakeFile(load=lambda: self._sealing_secret)
            case _:
                raise OSError(errno.ENOENT, "made up")

    def _user_report_data(self) -> FakeFile:
        written = bytearray()

        def release() -> None:
            self.report_data = bytes(written[:64]).ljust(_REPORT_DATA_BYTES, b"\x00")

        return FakeFile(store=written.extend, release=release)
