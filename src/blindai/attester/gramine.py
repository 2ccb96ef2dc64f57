"""Intel SGX under Gramine, through its pseudo-files in /dev/attestation.

Gramine documentation, "Attestation and Secret Provisioning", low-level interface:

    attestation_type       r   "dcap", as sgx.remote_attestation in the manifest
    user_report_data       w   64 bytes; count when the file is closed
    quote                  r   opening it asks the quoting enclave; a quote, version 3
    keys/_sgx_mrenclave    r   16 bytes: EGETKEY's sealing key for this MRENCLAVE

The files belong to the process and have no locks, so calls are made one at a time. The
sealing key is bound to MRENCLAVE, to the CPU's microcode (CPUSVN) and to the
attributes, debug among them: a production enclave and a debug one have different keys.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Final

from blindai.attester.devices import Files, read_file, write_file
from blindai.attester.evidence_fields import require_bound
from blindai.errors import HardwareError
from blindai.protocol.attestation import SGX_QUOTE_TYPE, Evidence
from blindai.sealing import derive_key

if TYPE_CHECKING:
    from blindai.protocol.keyset import Binding

FOLDER: Final = "/dev/attestation"
SEALING_SECRET_BYTES: Final = 16

_DCAP: Final = "dcap"
_MAX_QUOTE_BYTES: Final = 1 << 15
_MAX_NAME_BYTES: Final = 64
_ADVICE: Final = {
    errno.ENOENT: "run the server under gramine-sgx, with "
    'sgx.remote_attestation = "dcap" in its manifest',
    errno.EACCES: "the quoting enclave does not answer: look at the AESM service and "
    "the PCCS on the host",
}


class GramineAttester:
    """An Intel SGX enclave under Gramine.

    Args:
        folder: Where Gramine has its pseudo-files.
        files: Reads and writes them.
    """

    def __init__(self, folder: str = FOLDER, files: Files = os) -> None:
        self._folder = folder
        self._files = files
        self._lock = threading.Lock()

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return SGX_QUOTE_TYPE

    @property
    def sealing(self) -> str | None:
        """Which sealing key it derives, in words."""
        return "derived by the CPU for this chip, its microcode and this MRENCLAVE"

    def require_dcap(self) -> None:
        """Whether quotes are for DCAP, the one scheme that is verified.

        Raises:
            HardwareError: If they are not, or this is no enclave under Gramine.
        """
        name = self._read("attestation_type", _MAX_NAME_BYTES)
        text = name.rstrip(b"\x00\n").decode("ascii", "replace")
        if text != _DCAP:
            raise HardwareError(
                f"{self._folder}/attestation_type: expected {_DCAP}, got {text!r}; "
                'set sgx.remote_attestation = "dcap" in the manifest'
            )

    def attest(self, binding: Binding) -> Evidence:
        """A quote that binds what it is given.

        Raises:
            HardwareError: If Gramine gives none.
        """
        bound = binding.report_data
        with self._lock:
            self.require_dcap()
            path = f"{self._folder}/user_report_data"
            write_file(self._files, path, bound, _ADVICE)
            quote = self._read("quote", _MAX_QUOTE_BYTES)
        return require_bound(Evidence(media_type=self.tee, evidence=quote), bound)

    def sealing_key(self) -> bytes | None:
        """A key of 32 bytes for this MRENCLAVE on this machine.

        Raises:
            HardwareError: If Gramine gives none.
        """
        with self._lock:
            self.require_dcap()
            secret = self._read("keys/_sgx_mrenclave", SEALING_SECRET_BYTES)
        if len(secret) != SEALING_SECRET_BYTES:
            raise HardwareError(
                f"{self._folder}/keys/_sgx_mrenclave: expected {SEALING_SECRET_BYTES}"
                f" bytes, got {len(secret)}"
            )
        return derive_key(secret, "sgx mrenclave")

    def _read(self, name: str, limit: int) -> bytes:
        return read_file(self._files, f"{self._folder}/{name}", limit, _ADVICE)
