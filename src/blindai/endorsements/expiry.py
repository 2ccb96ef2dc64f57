"""Until when a document of a vendor is current: read, and not believed.

Only moments are read here, and only to know when to ask again. The relying party's own
readers (`verifier`) decide what a document is worth; this package may not import them,
for the enclave's server carries nothing of the relying party.

    Certificate  RFC 5280, 4.1    tbs: [0] version, serial, algorithm, issuer, VALIDITY
    CRL          RFC 5280, 5.1    tbs: version, algorithm, issuer, thisUpdate, NEXT
    TCB info, QE identity         Intel PCS API v4, appendices A and B: nextUpdate
"""

from __future__ import annotations

import json
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.protocol import der
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
)
from blindai.protocol.endorsements import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from blindai.protocol.attestation import Endorsement

PEM_TYPE: Final = "application/x-pem-file"
_MOMENT = 4  # the fifth element of what is signed, in a certificate as in a CRL
_COLLATERAL_CHAINS = (
    "pck_crl_issuer_chain",
    "tcb_info_issuer_chain",
    "qe_identity_issuer_chain",
)


def earliest(endorsements: Iterable[Endorsement]) -> datetime | None:
    """When the first of these expires; None if there are none.

    Raises:
        EvidenceError: If one is not what its media type says, or of an unknown one.
    """
    return min((_expires_at(each) for each in endorsements), default=None)


def of_der(data: bytes) -> datetime:
    """When a certificate ends, or a CRL is to be replaced.

    Raises:
        EvidenceError: If it is neither.
    """
    what = "certificate or CRL"
    try:
        tbs, *_ = der.elements(der.only(data, der.SEQUENCE, what), what)
        moment = der.elements(tbs.content, what)[_MOMENT]
        if moment.tag == der.SEQUENCE:
            _, moment = der.elements(moment.content, what)
        return der.time(moment)
    except (EvidenceError, ValueError, IndexError) as error:
        raise EvidenceError("expected a certificate or CRL in DER") from error


def of_pem(data: bytes) -> datetime:
    """When the first of these certificates ends.

    Raises:
        EvidenceError: If there are none, or one is malformed.
    """
    moments = [of_der(der) for der in certificates(data)]
    if not moments:
        raise EvidenceError("expected certificates in PEM, got none")
    return min(moments)


def of_signed_json(data: bytes) -> datetime:
    """When TCB info or an enclave identity, in its envelope, is to be replaced.

    Raises:
        EvidenceError: If it is neither.
    """
    try:
        (inner,) = (each for each in json.loads(data).values() if type(each) is dict)
        return _next_update(inner)
    except (ValueError, AttributeError, RecursionError) as error:
        raise EvidenceError("expected one signed object in JSON") from error


def of_collateral(data: bytes) -> datetime:
    """When the first part of Intel's collateral, in the shape of a PCCS, expires.

    Raises:
        EvidenceError: If it is malformed.
    """
    try:
        parts = json.loads(data)
        moments = [of_pem(parts[name].encode()) for name in _COLLATERAL_CHAINS]
        moments += [
            of_der(bytes.fromhex(parts[name])) for name in ("root_ca_crl", "pck_crl")
        ]
        moments += [
            _next_update(json.loads(parts[name]))
            for name in ("tcb_info", "qe_identity")
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise EvidenceError("expected Intel's collateral in JSON") from error
    return min(moments)


READERS: Final[Mapping[str, Callable[[bytes], datetime]]] = MappingProxyType(
    {
        "application/pkix-cert": of_der,
        PEM_TYPE: of_pem,
        PEM_CHAIN_TYPE: of_pem,
        CRL_TYPE: of_der,
        "application/json": of_signed_json,
        INTEL_COLLATERAL_TYPE: of_collateral,
    }
)


def _expires_at(endorsement: Endorsement) -> datetime:
    reader = READERS.get(endorsement.media_type)
    if reader is None:
        raise EvidenceError("endorsement: expected a known media type, got another")
    return reader(endorsement.content)


def _next_update(document: dict[str, object]) -> datetime:
    moment = datetime.fromisoformat(str(document.get("nextUpdate")))
    if moment.utcoffset() is None:
        raise ValueError("nextUpdate: expected a time zone")
    return moment
