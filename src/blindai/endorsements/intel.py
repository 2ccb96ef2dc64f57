"""What Intel's provisioning certification service, or a PCCS, has for a quote.

Intel SGX and TDX PCS API v4, and the PCCS that caches it, below one address:

    /sgx/certification/v4/pckcrl?ca=&encoding=der   SGX-PCK-CRL-Issuer-Chain
    /{sgx,tdx}/certification/v4/tcb?fmspc=          TCB-Info-Issuer-Chain
    /{sgx,tdx}/certification/v4/qe/identity         SGX-Enclave-Identity-Issuer-Chain
    /sgx/certification/v4/rootcacrl                 a PCCS only; Intel has it elsewhere

The fields in the header bring the issuers' certificates, percent-encoded.

Of the quote, only the PCK certificate is looked for: it is the first in PEM, for the
certification data of type 5 is the PCK certificate chain (SGX DCAP ECDSA Quote Library
API, A.4, QE Certification Data), and it is text. It names the CA in its issuer, and the
platform in its extension 1.2.840.113741.1.13.1.4, FMSPC, an OCTET STRING of 6 bytes
(Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.endorsements.documents import Kind, Request, open_envelope
from blindai.errors import EvidenceError
from blindai.protocol.attestation import INTEL_COLLATERAL_TYPE, Endorsement
from blindai.protocol.endorsements import certificates

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from blindai.endorsements.documents import Answer

INTEL: Final = "https://api.trustedservices.intel.com"
INTEL_ROOT_CRL: Final = (
    "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
)
_CERTIFICATION: Final = "certification/v4"
_FMSPC: Final = bytes.fromhex("060a2a864886f84d010d01040406")  # OID, OCTET STRING 6
_FMSPC_BYTES: Final = 6
_CAS: Final = {
    "processor": b"Intel SGX PCK Processor CA",
    "platform": b"Intel SGX PCK Platform CA",
}
_TCB_INFO, _QE_IDENTITY = "tcbInfo", "enclaveIdentity"
_QE_IDS: Final = {"sgx": b'"id":"QE"', "tdx": b'"id":"TD_QE"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotePlan:
    """The documents that belong to one quote; only together are they of use.

    Attributes:
        own: What the evidence brings along.
        tcb_info: Which patch levels the platform may have.
        qe_identity: Which quoting enclave is Intel's.
        pck_crl: What the CA of PCK certificates revoked.
        root_crl: What the root revoked.
    """

    own: tuple[Endorsement, ...]
    tcb_info: Request
    qe_identity: Request
    pck_crl: Request
    root_crl: Request

    @property
    def requests(self) -> tuple[Request, ...]:
        """What has to be fetched."""
        return (self.tcb_info, self.qe_identity, self.pck_crl, self.root_crl)

    def assemble(
        self,
        answers: Mapping[Request, Answer],
        now: datetime,  # noqa: ARG002  the relying party is told what has expired
    ) -> tuple[Endorsement, ...]:
        """Intel's collateral, in the shape of a PCCS, too once all of it is there."""
        if any(request not in answers for request in self.requests):
            return self.own
        pck_crl, tcb_info = answers[self.pck_crl], answers[self.tcb_info]
        identity = answers[self.qe_identity]
        signed_tcb_info, tcb_info_signature = open_envelope(tcb_info.content, _TCB_INFO)
        signed_identity, identity_signature = open_envelope(
            identity.content, _QE_IDENTITY
        )
        parts = {
            "pck_crl_issuer_chain": pck_crl.issuers,
            "root_ca_crl": answers[self.root_crl].content.hex(),
            "pck_crl": pck_crl.content.hex(),
            "tcb_info_issuer_chain": tcb_info.issuers,
            "tcb_info": signed_tcb_info,
            "tcb_info_signature": tcb_info_signature,
            "qe_identity_issuer_chain": identity.issuers,
            "qe_identity": signed_identity,
            "qe_identity_signature": identity_signature,
        }
        made = Endorsement(INTEL_COLLATERAL_TYPE, json.dumps(parts).encode())
        return (*self.own, made)


def plan_quote(
    quote: bytes, own: tuple[Endorsement, ...], tee: str, address: str
) -> tuple[QuotePlan, ...]:
    """What to fetch for a quote; nothing where the evidence brings it along.

    Args:
        quote: As the quoting enclave made it, or something that has it inside.
        own: What the evidence brings along.
        tee: `sgx` or `tdx`.
        address: Of Intel's service or of a PCCS.

    Raises:
        EvidenceError: If there is no PCK certificate in it.
    """
    if any(each.media_type == INTEL_COLLATERAL_TYPE for each in own):
        return ()
    pck = _pck(quote)
    sgx, below = (f"{address}/{kind}/{_CERTIFICATION}" for kind in ("sgx", tee))
    root_crl = INTEL_ROOT_CRL if address == INTEL else f"{sgx}/rootcacrl"
    return (
        QuotePlan(
            own=own,
            tcb_info=_tcb_info(below, _fmspc(pck)),
            qe_identity=_qe_identity(below, _QE_IDS[tee]),
            pck_crl=_pck_crl(sgx, _ca(pck)),
            root_crl=Request(
                name="Intel root CRL",
                url=root_crl,
                kind=Kind.CRL,
                mentions=b"Intel SGX Root CA",
                revised=True,
            ),
        ),
    )


def _tcb_info(below: str, fmspc: str) -> Request:
    return Request(
        name="Intel TCB info",
        url=f"{below}/tcb?fmspc={fmspc}",
        kind=Kind.SIGNED_JSON,
        mentions=fmspc.encode(),
        envelope=_TCB_INFO,
        issuer_headers=("tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"),
        revised=True,
    )


def _qe_identity(below: str, name: bytes) -> Request:
    return Request(
        name="Intel QE identity",
        url=f"{below}/qe/identity",
        kind=Kind.SIGNED_JSON,
        mentions=name,
        envelope=_QE_IDENTITY,
        issuer_headers=("sgx-enclave-identity-issuer-chain",),
        revised=True,
    )


def _pck_crl(below: str, ca: str) -> Request:
    return Request(
        name="Intel PCK CRL",
        url=f"{below}/pckcrl?ca={ca}&encoding=der",
        kind=Kind.CRL,
        mentions=_CAS[ca],
        issuer_headers=("sgx-pck-crl-issuer-chain",),
        revised=True,
    )


def _pck(quote: bytes) -> bytes:
    for der in certificates(quote):
        if _FMSPC in der:
            return der
    raise EvidenceError("quote: expected a PCK certificate (certification data 5)")


def _fmspc(pck: bytes) -> str:
    at = pck.index(_FMSPC) + len(_FMSPC)
    fmspc = pck[at : at + _FMSPC_BYTES]
    return fmspc.hex().upper()


def _ca(pck: bytes) -> str:
    for ca, name in _CAS.items():
        if name in pck:
            return ca
    raise EvidenceError("PCK certificate: expected the processor or the platform CA")
