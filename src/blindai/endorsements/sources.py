"""Which documents belong to evidence, and where they are.

Pure: evidence and addresses in, requests out; answers in, endorsements out.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from blindai.endorsements.amd import REPORT_BYTES, plan_report
from blindai.endorsements.intel import INTEL, plan_quote
from blindai.errors import ConfigurationError, EvidenceError
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    TDX_QUOTE_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from blindai.endorsements.documents import Answer, Request
    from blindai.protocol.attestation import Endorsement, Evidence

COVERED: Final = frozenset(
    {
        SEV_SNP_REPORT_TYPE,
        SGX_QUOTE_TYPE,
        TDX_QUOTE_TYPE,
        AZURE_SNP_TYPE,
        AZURE_TDX_TYPE,
    }
)
_PCCS_PATH: Final = "/sgx/certification/v4"
# Azure's HCL report: a header of 32 bytes that begins so, then the SNP report
# (Microsoft, Azure confidential VM guest attestation design, attestation report).
_HCL, _HCL_HEADER_BYTES = b"HCLA", 32


class Plan(Protocol):
    """One way to endorse evidence."""

    @property
    def requests(self) -> tuple[Request, ...]:
        """What has to be fetched, the most important first."""
        ...

    def assemble(
        self, answers: Mapping[Request, Answer], now: datetime
    ) -> tuple[Endorsement, ...]:
        """What the evidence brings along, with what the answers so far are good for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Whom to ask. Nothing depends on their being honest: what they say is signed.

    Attributes:
        amd: AMD's key distribution service, or a mirror of it.
        intel: Intel's provisioning certification service, or a PCCS.
    """

    amd: str = "https://kdsintf.amd.com"
    intel: str = INTEL

    def __post_init__(self) -> None:
        """Require HTTPS, and take off what a PCCS is usually written with.

        Raises:
            ConfigurationError: If an address is no https one, nor http to this machine.
        """
        for each in fields(self):
            address = getattr(self, each.name).rstrip("/").removesuffix(_PCCS_PATH)
            _require_private(each.name, address)
            object.__setattr__(self, each.name, address)


def plan(evidence: Evidence, addresses: Addresses) -> tuple[Plan, ...]:
    """What to fetch for evidence, in one of these ways, the first the likeliest.

    Nothing where its TEE needs nothing, or the evidence brings all of it along.

    Raises:
        EvidenceError: If the evidence does not say what it needs.
    """
    content, own = evidence.evidence, evidence.endorsements
    match evidence.media_type:
        case type_ if type_ == SEV_SNP_REPORT_TYPE:
            return plan_report(content, own, addresses.amd)
        case type_ if type_ == AZURE_SNP_TYPE:
            return plan_report(_hcl_report(content), own, addresses.amd)
        case type_ if type_ == SGX_QUOTE_TYPE:
            return plan_quote(content, own, "sgx", addresses.intel)
        case type_ if type_ in {TDX_QUOTE_TYPE, AZURE_TDX_TYPE}:
            return plan_quote(content, own, "tdx", addresses.intel)
        case _:
            return ()


def _hcl_report(evidence: bytes) -> bytes:
    """The SNP report in evidence of an Azure confidential VM.

    Raises:
        EvidenceError: If there is no HCL report in it.
    """
    at = evidence.find(_HCL)
    if at < 0:
        raise EvidenceError("evidence: expected an HCL report, got none")
    start = at + _HCL_HEADER_BYTES
    return evidence[start : start + REPORT_BYTES]


def _require_private(name: str, address: str) -> None:
    """Require that nobody on the way learns which chip asks.

    Raises:
        ConfigurationError: If the address is no https one, nor http to this machine.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        usable = not (parts.query or parts.fragment or parts.username)
    except ValueError:
        host, usable = "", False
    else:
        usable &= parts.scheme == "https" or (
            parts.scheme == "http" and _is_this_machine(host)
        )
    if not host or not usable:
        raise ConfigurationError(
            f"endorsements address ({name}): expected https://host[:port], or "
            f"http://127.0.0.1[:port], got {address!r}"
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
