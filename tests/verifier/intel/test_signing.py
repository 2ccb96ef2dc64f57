"""From the platform's key to the quote: each signature and name that is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from tests.verifier.intel.made_up import (
    ENCLAVE,
    INTEL,
    TRUST_DOMAIN,
    changed,
    statement,
    verify,
    with_parts,
)

from blindai.errors import EvidenceError, VerificationError
from blindai.testing.vendors.intel import (
    Intel,
    sign,
)
from blindai.testing.vendors.intel_parts import (
    TDX,
    quoting_enclave,
)
from blindai.testing.vendors.pki import p256

Json = dict[str, Any]


def _qe(**changes: object) -> Intel:
    enclave = quoting_enclave(TDX)
    return changed(qe=replace(enclave, **changes))  # type: ignore[arg-type]  # one of many


def _bound(key: bytes, authentication_data: bytes) -> bytes:

    return hashlib.sha256(key + authentication_data).digest() + bytes(32)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        pytest.param(
            {"qe_report_signature": bytes(64)}, "QE report: signature", id="PCK"
        ),
        pytest.param({"signature": bytes(64)}, "quote signature", id="quote"),
        pytest.param(
            {"authentication_data": b"x" * 32}, "attestation key", id="binding"
        ),
    ],
)
def test_a_part_of_another_quote_is_refused(parts: Json, line: str) -> None:
    with pytest.raises(VerificationError, match=f"{line}: expected"):
        verify(with_parts(**parts))


def test_another_platform_s_quoting_enclave_is_refused() -> None:
    other = changed(keys=replace(INTEL.keys, pck=p256()))
    parts = other.quote_parts(TRUST_DOMAIN, bytes(64), 5)

    with pytest.raises(VerificationError, match="QE report: signature: expected"):
        verify(
            with_parts(
                qe_report=parts.qe_report,
                qe_report_signature=parts.qe_report_signature,
            )
        )


def test_another_attestation_key_is_refused() -> None:
    other = changed(keys=replace(INTEL.keys, attestation=p256()))
    parts = other.quote_parts(TRUST_DOMAIN, bytes(64), 5)

    with pytest.raises(VerificationError, match="attestation key: expected"):
        verify(
            with_parts(attestation_key=parts.attestation_key, signature=parts.signature)
        )


def test_the_binding_is_all_of_the_report_data() -> None:
    parts = INTEL.quote_parts(TRUST_DOMAIN, bytes(64), 5)
    report = parts.qe_report[:-1] + b"\x01"
    signature = sign(INTEL.keys.pck, report)

    with pytest.raises(VerificationError, match="attestation key: expected"):
        verify(with_parts(qe_report=report, qe_report_signature=signature))


def test_the_attestation_key_is_a_point() -> None:
    quote = INTEL.quote_parts(TRUST_DOMAIN, bytes(64), 5)
    key = bytes(64)
    report = quoting_enclave(TDX).encode(_bound(key, quote.authentication_data))
    evidence = with_parts(
        attestation_key=key,
        qe_report=report,
        qe_report_signature=sign(INTEL.keys.pck, report),
    )

    with pytest.raises(EvidenceError, match="expected a point on P-256"):
        verify(evidence)


@pytest.mark.parametrize(
    ("made_by", "line"),
    [
        pytest.param(_qe(mr_signer=b"x" * 32), "QE: signer", id="signer"),
        pytest.param(_qe(isv_prod_id=3), "QE: product: expected 2, got 3", id="id"),
        pytest.param(_qe(flags=0x13), "QE: attributes", id="debug"),
        pytest.param(_qe(misc_select=1), "QE: extended features", id="features"),
        pytest.param(
            changed(change_qe_identity=statement(id="QE")),
            "QE identity: kind: expected TD_QE, got QE",
            id="SGX's identity for TDX",
        ),
    ],
)
def test_another_enclave_does_not_quote(made_by: Intel, line: str) -> None:
    with pytest.raises(VerificationError, match=line):
        verify(made_by.evidence(TRUST_DOMAIN))


def test_tdx_s_identity_is_not_one_for_sgx() -> None:
    made_by = changed(change_qe_identity=statement(id="TD_QE"))

    with pytest.raises(VerificationError, match="QE identity: kind: expected QE"):
        verify(made_by.evidence(ENCLAVE))


def test_bits_that_the_identity_masks_do_not_count() -> None:
    verified, _ = verify(_qe(flags=0x15, xfrm=1).evidence(TRUST_DOMAIN))

    assert verified.claims.tee == "tdx"
