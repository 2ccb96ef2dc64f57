"""Evidence from a TPM: alone, where its key has a certificate, or of an Azure VM."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blindai.attester.tpm.commands import ENDORSEMENT
from blindai.attester.tpm.templates import ATTESTATION_KEY
from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    MAX_EVENT_LOG_BYTES,
    PEM_CHAIN_TYPE,
    TPM_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.tpm import HASHES, TpmEvidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from blindai.attester.tpm.commands import Tpm
    from blindai.attester.tpm.sealing import SealedSecret
    from blindai.protocol.keyset import Binding

EVENT_LOG: Final = Path("/sys/kernel/security/tpm0/binary_bios_measurements")
ALL_PCRS: Final = tuple(range(24))
# Certificate and template of Google's attestation keys (go-tpm-tools, client/keys.go).
GOOGLE_KEYS: Final = ((0x01C10002, 0x01C10003), (0x01C10000, 0x01C10001))
AZURE_KEY: Final = 0x81000003
AZURE_REPORT: Final = 0x01400001
_PAYLOAD_START, _TDREPORT_BYTES = 32, 1024
_TYPE_START, _TYPES = 1224, {2: AZURE_SNP_TYPE, 4: AZURE_TDX_TYPE}
_TRIES: Final = 8  # while something is being measured
_log = logging.getLogger("blindai.attester")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where evidence is taken from, and what comes with it.

    Attributes:
        bank: The bank that is quoted.
        pcrs: The registers that are quoted.
        event_log: What firmware wrote down; left out where there is none.
        endorsements: Certificates that the operator has, or that were fetched.
        sealed: The sealing secret; None if there is no key.
    """

    bank: str = "sha256"
    pcrs: tuple[int, ...] = ALL_PCRS
    event_log: Path = EVENT_LOG
    endorsements: tuple[Endorsement, ...] = ()
    sealed: SealedSecret | None = field(default=None, repr=False)


class TpmAttester:
    """A TPM whose attestation key has a certificate: Google's, or the operator's.

    Args:
        tpm: The TPM.
        sources: What is quoted, and what comes with it.
    """

    def __init__(self, tpm: Tpm, sources: Sources | None = None) -> None:
        self._tpm = tpm
        self._sources = sources or Sources()
        self._one_at_a_time = threading.Lock()

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return TPM_QUOTE_TYPE

    @property
    def sealing(self) -> str | None:
        """Which sealing key it has and what that is bound to, in words, if any."""
        return _sealing(self._sources)

    def attest(self, binding: Binding) -> Evidence:
        """A quote that binds what it is given.

        Raises:
            HardwareError: If the TPM gives none.
        """
        with self._one_at_a_time:
            template, certificate = self._google_key()
            key, _ = self._tpm.create_primary(ENDORSEMENT, template)
            try:
                sent = quote(self._tpm, key, binding.digest, self._sources)
            finally:
                self._tpm.flush(key)
        own = (Endorsement(PEM_CHAIN_TYPE, _pem(certificate)),) if certificate else ()
        return Evidence(
            media_type=self.tee,
            evidence=sent.encode(),
            endorsements=own + self._sources.endorsements,
            event_log=read_event_log(self._sources.event_log),
        )

    def public_key(self) -> bytes:
        """TPMT_PUBLIC of the attestation key, for whoever certifies it."""
        with self._one_at_a_time:
            template, _ = self._google_key()
            key, public = self._tpm.create_primary(ENDORSEMENT, template)
            self._tpm.flush(key)
        return public

    def sealing_key(self) -> bytes | None:
        """A key of 32 bytes for this TPM and this boot, or None.

        Raises:
            ConfigurationError: If something that is measured has changed.
            HardwareError: If the TPM fails.
        """
        with self._one_at_a_time:
            sealed = self._sources.sealed
            return None if sealed is None else sealed.read()

    def _google_key(self) -> tuple[bytes, bytes]:
        """Template and certificate of Google's key; our own and none elsewhere."""
        for certificate, template in GOOGLE_KEYS:
            if self._tpm.has(certificate) and self._tpm.has(template):
                return self._tpm.read_nv(template), self._tpm.read_nv(certificate)
        return ATTESTATION_KEY, b""


class AzureAttester:
    """The vTPM of an Azure confidential VM.

    Args:
        tpm: The vTPM.
        sources: What is quoted, and what comes with it.
        quote_td: Makes a TD quote of a TDREPORT of 1024 bytes.

    Raises:
        HardwareAbsentError: If this is no such VM.
    """

    def __init__(
        self,
        tpm: Tpm,
        sources: Sources | None = None,
        quote_td: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._tpm = tpm
        self._sources = sources or Sources()
        self._quote_td = quote_td
        self._td_quote = b""
        self._one_at_a_time = threading.Lock()
        if not (tpm.has(AZURE_KEY) and tpm.has(AZURE_REPORT)):
            raise HardwareAbsentError("TPM: expected the vTPM of Azure's paravisor")
        self._report = tpm.read_nv(AZURE_REPORT)
        kind = int.from_bytes(self._report[_TYPE_START : _TYPE_START + 4], "little")
        if kind not in _TYPES:
            raise HardwareError(f"paravisor's report: expected type 2 or 4, got {kind}")
        self._tee = _TYPES[kind]

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return self._tee

    @property
    def sealing(self) -> str | None:
        """Which sealing key it has and what that is bound to, in words, if any."""
        return _sealing(self._sources)

    def attest(self, binding: Binding) -> Evidence:
        """A quote that binds what it is given, with the paravisor's report.

        Raises:
            HardwareError: If the TPM gives none, or there is no TD quote.
        """
        with self._one_at_a_time:
            sent = quote(self._tpm, AZURE_KEY, binding.digest, self._sources)
            td_quote = self._read_td_quote() if self._tee == AZURE_TDX_TYPE else b""
        return Evidence(
            media_type=self._tee,
            evidence=replace(sent, hcl_report=self._report, td_quote=td_quote).encode(),
            endorsements=self._sources.endorsements,
            event_log=read_event_log(self._sources.event_log),
        )

    def sealing_key(self) -> bytes | None:
        """A key of 32 bytes for this TPM and this boot, or None.

        Raises:
            ConfigurationError: If something that is measured has changed.
            HardwareError: If the TPM fails.
        """
        with self._one_at_a_time:
            sealed = self._sources.sealed
            return None if sealed is None else sealed.read()

    def _read_td_quote(self) -> bytes:
        """The quote of the paravisor's report: one for as long as the report lasts.

        Raises:
            HardwareError: If there is no way to one.
        """
        if self._quote_td is None:
            raise HardwareError("Azure TDX: expected a way to a TD quote, got none")
        if not self._td_quote:
            start = _PAYLOAD_START
            report = self._report[start : start + _TDREPORT_BYTES]
            self._td_quote = self._quote_td(report)
        return self._td_quote


def quote(tpm: Tpm, key: int, extra_data: bytes, sources: Sources) -> TpmEvidence:
    """Registers and a quote that is of just these values.

    Raises:
        HardwareBusyError: If registers change each time between reading and quoting.
        HardwareError: If the TPM fails, or signs with a hash that is not known.
    """
    for _ in range(_TRIES):
        values = tpm.read_pcrs(sources.bank, sources.pcrs)
        quoted, signature = tpm.quote(key, extra_data, sources.bank, sources.pcrs)
        algorithm = HASHES.get(int.from_bytes(signature[2:4]))
        if algorithm is None:
            raise HardwareError("TPM: expected a key that signs with a known hash")
        digested = b"".join(values[index] for index in sorted(values))
        if quoted.endswith(hashlib.new(algorithm, digested).digest()):
            pcrs = {sources.bank: values}
            return TpmEvidence(quote=quoted, signature=signature, pcrs=pcrs)
    raise HardwareBusyError("TPM: PCRs change while they are quoted")


def read_event_log(path: Path) -> bytes:
    """What firmware wrote down; nothing where there is no log, or it is too long."""
    try:
        with path.open("rb") as file:
            log = file.read(MAX_EVENT_LOG_BYTES + 1)
    except OSError as error:
        _log.warning("evidence without an event log: %s", error)
        return b""
    if len(log) > MAX_EVENT_LOG_BYTES:
        _log.warning("evidence without an event log: more than %s bytes", len(log) - 1)
        return b""
    return log


def _sealing(sources: Sources) -> str | None:
    if sources.sealed is None:
        return None
    return (
        "a random secret, sealed by the TPM to the PCRs as they stood when it was made"
    )


def _pem(der: bytes) -> bytes:
    """A certificate in PEM; an NV index may be longer than what it holds."""
    size = 4 + int.from_bytes(der[2:4])  # of a certificate, two bytes of length
    body = base64.encodebytes(der[:size])
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
