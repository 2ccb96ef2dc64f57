"""From the platform's key to the quote: who signed what.

Documents: Intel SGX DCAP ECDSA Quote Library API, A.4; Intel TDX DCAP Quoting Library
API, A.3; Intel SGX and TDX Provisioning Certification Service API, version 4.

The platform's key (PCK) signs the report of Intel's quoting enclave. That report holds
the digest of the attestation key, which the enclave made. And that key signs the quote.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from blindai.errors import EvidenceError
from blindai.verifier.intel.authority import QE_IDENTITY
from blindai.verifier.intel.enclave_report import masked
from blindai.verifier.signatures import Algorithm, ecdsa_verifies, load_ecdsa_key

if TYPE_CHECKING:
    from blindai.verifier.intel.qe_identity import QeIdentity
    from blindai.verifier.intel.quote import Quote
    from blindai.verifier.procedure import Procedure

QUOTE: Final = "Intel SGX DCAP ECDSA Quote Library API, A.4"
_POINT: Final = b"\x04"  # uncompressed (SEC 1, 2.3.3)


def verify_quoting_enclave(
    procedure: Procedure, quote: Quote, identity: QeIdentity, kind: str
) -> None:
    """The enclave that signed is Intel's quoting enclave, on this platform.

    1. The platform's key signed its report.
    2. It is the enclave that Intel describes: signer, product, attributes, features.

    Args:
        procedure: Where the transcript is written.
        quote: The quote; its first certificate is authentic already.
        identity: What Intel says of its quoting enclave, authentic already.
        kind: Which quoting enclave it has to be: QE or TD_QE.

    Raises:
        EvidenceError: If the platform's key is not on P-256.
        VerificationError: If a step does not hold.
    """
    report = quote.qe_report
    key = load_ecdsa_key(quote.certificates[0].spki, ec.SECP256R1)
    _verify_signature(
        procedure,
        "QE report: signature",
        key,
        quote.qe_report_signature,
        report.encoding,
    )
    for name, expected, actual in (
        ("QE identity: kind", kind, identity.id),
        ("QE: signer", identity.mr_signer.hex(), report.mr_signer.hex()),
        ("QE: product", str(identity.isv_prod_id), str(report.isv_prod_id)),
        (
            "QE: attributes",
            masked(identity.attributes, identity.attributes_mask).hex(),
            masked(report.attributes, identity.attributes_mask).hex(),
        ),
        (
            "QE: extended features",
            masked(identity.misc_select, identity.misc_select_mask).hex(),
            masked(report.misc_select, identity.misc_select_mask).hex(),
        ),
    ):
        procedure.require(
            name,
            holds=actual == expected,
            expected=expected,
            actual=actual,
            source=QE_IDENTITY,
        )


def verify_quote_signature(procedure: Procedure, quote: Quote) -> None:
    """The quoting enclave has the attestation key, and that key signed the quote.

    Raises:
        EvidenceError: If the key is no point on P-256.
        VerificationError: If a step does not hold.
    """
    bound = hashlib.sha256(quote.attestation_key + quote.qe_authentication_data)
    expected = bound.digest() + bytes(32)
    procedure.require(
        "attestation key",
        holds=hmac.compare_digest(quote.qe_report.report_data, expected),
        expected=f"the one that the QE report names, {expected.hex()}",
        actual=quote.qe_report.report_data.hex(),
        source=f"{QUOTE}, QE Report",
    )
    key = _attestation_key(quote.attestation_key)
    _verify_signature(procedure, "quote signature", key, quote.signature, quote.signed)


def _attestation_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """The key with these X and Y.

    Raises:
        EvidenceError: If there is none on P-256.
    """
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256R1(), _POINT + point
        )
    except ValueError as error:
        raise EvidenceError("attestation key: expected a point on P-256") from error


def _verify_signature(
    procedure: Procedure,
    name: str,
    key: ec.EllipticCurvePublicKey,
    signature: bytes,
    data: bytes,
) -> None:
    holds = ecdsa_verifies(Algorithm.ECDSA_SHA256, key, signature, data)
    whose = "the platform's (PCK)" if name.startswith("QE") else "the attestation"
    procedure.require(
        name,
        holds=holds,
        expected=f"made by {whose} key",
        actual="made by it" if holds else "not made by it",
        source=QUOTE,
    )
