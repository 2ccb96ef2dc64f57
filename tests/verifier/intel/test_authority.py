"""Who speaks for Intel: each certificate, list and statement that is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.verifier.intel.made_up import (
    ENCLAVE,
    INTEL,
    TRUST_DOMAIN,
    changed,
    statement,
    verify,
    with_collateral,
    with_parts,
)

from blindai.errors import EvidenceError, VerificationError
from blindai.testing.vendors.intel import (
    AUTHORITY_SERIAL,
    ISSUED,
    NEXT_UPDATE,
    PCK_SERIAL,
    TCB_SIGNING_SERIAL,
    Enclave,
    Intel,
    TrustDomain,
    evidence_of,
    sign,
)
from blindai.testing.vendors.intel_parts import (
    TDX,
)
from blindai.testing.vendors.pki import Authority, Validity, p256, p384, pem
from blindai.verifier import roots

Body = Enclave | TrustDomain
Json = dict[str, Any]
SECOND = timedelta(seconds=1)
PAST = Validity(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


def _signed_by_another(
    name: str = "Intel SGX TCB Signing", authority: Authority = INTEL.root
) -> dict[str, str]:
    """The identity as another certificate's key signed it."""
    key = p256()
    signer = authority.issue(name, key.public_key(), serial=9)
    text = INTEL.collateral(TDX)["qe_identity"]
    chain = pem(signer, authority.certificate, INTEL.root.certificate)
    return {
        "qe_identity_issuer_chain": chain.decode(),
        "qe_identity_signature": sign(key, text.encode()).hex(),
    }


def test_statements_may_have_two_signers() -> None:
    verified, procedure = verify(with_collateral(_signed_by_another()))

    names = [check.name for check in procedure.transcript.checks]
    assert verified.claims.tee == "tdx"
    assert "QE identity signing leaf certificate: signature" in names


class TestPlatformCertificate:
    def test_a_root_that_is_not_pinned_does_not_count(self) -> None:
        with pytest.raises(VerificationError, match="PCK root certificate: expected"):
            verify(INTEL.evidence(ENCLAVE), anchors=roots.PINNED)

    def test_another_made_up_root_does_not_count(self) -> None:
        with pytest.raises(VerificationError, match="PCK root certificate: expected"):
            verify(Intel().evidence(ENCLAVE))

    def test_it_is_issued_below_the_root(self) -> None:
        other = Intel(keys=INTEL.keys)
        chain = pem(other.pck, other.authority.certificate, INTEL.root.certificate)

        with pytest.raises(
            VerificationError, match="PCK intermediate certificate: signature"
        ):
            verify(with_parts(certificates=chain))

    def test_its_issuer_is_there(self) -> None:
        chain = pem(INTEL.pck, INTEL.root.certificate)
        evidence = with_parts(certificates=chain)
        collateral = INTEL.collateral(TDX)
        collateral["pck_crl_issuer_chain"] = pem(INTEL.root.certificate).decode()

        with pytest.raises(VerificationError, match="PCK certificate chain: expected"):
            verify(evidence_of(TDX, evidence.evidence, collateral))

    @pytest.mark.parametrize(
        ("serials", "line"),
        [
            (
                {"revoked_by_authority": (PCK_SERIAL,)},
                "PCK leaf certificate: revocation",
            ),
            (
                {"revoked_by_root": (AUTHORITY_SERIAL,)},
                "PCK intermediate certificate: revocation",
            ),
            (
                {"revoked_by_root": (TCB_SIGNING_SERIAL,)},
                "TCB signing leaf certificate: revocation",
            ),
        ],
    )
    def test_a_revoked_one_is_refused(self, serials: Json, line: str) -> None:
        with pytest.raises(
            VerificationError, match=f"{line}: expected not in .* got in the list"
        ):
            verify(changed(**serials).evidence(ENCLAVE))

    @pytest.mark.parametrize(
        ("validity", "line"),
        [
            ("pck_validity", "PCK leaf certificate: validity"),
            ("tcb_signing_validity", "TCB signing leaf certificate: validity"),
            ("root_list", "PCK intermediate certificate: revocation list: validity"),
            ("authority_list", "PCK leaf certificate: revocation list: validity"),
        ],
    )
    def test_an_expired_one_is_refused(self, validity: str, line: str) -> None:
        with pytest.raises(VerificationError, match=f"{line}: expected 2025-01-01"):
            verify(changed(**{validity: PAST}).evidence(ENCLAVE))

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"pck_name": "Intel SGX TCB Signing"}, id="name"),
            pytest.param({"authority_name": "Intel SGX Other CA"}, id="issuer"),
        ],
    )
    def test_it_has_the_role_of_one(self, changes: Json) -> None:
        with pytest.raises(VerificationError, match="PCK leaf certificate: role"):
            verify(changed(**changes).evidence(ENCLAVE))

    @pytest.mark.parametrize("key", ["root_ca_crl", "pck_crl"])
    def test_both_lists_are_needed(self, key: str) -> None:
        other = Authority.root("Another CA", p256()).crl().hex()

        with pytest.raises(
            VerificationError, match="revocation lists: expected those of Intel"
        ):
            verify(with_collateral({key: other}))

    def test_one_list_does_not_stand_in_for_the_other(self) -> None:
        collateral = INTEL.collateral(TDX)

        with pytest.raises(VerificationError, match="revocation lists: expected"):
            verify(with_collateral({"pck_crl": collateral["root_ca_crl"]}))

    def test_a_list_is_signed_by_its_issuer(self) -> None:
        forged = replace(INTEL.authority, key=p256()).crl().hex()

        with pytest.raises(
            VerificationError, match="PCK leaf certificate: revocation list: expected"
        ):
            verify(with_collateral({"pck_crl": forged}))

    def test_without_intel_s_extension_it_is_malformed(self) -> None:
        plain = INTEL.authority.issue(
            "Intel SGX PCK Certificate", INTEL.keys.pck.public_key()
        )
        chain = pem(plain, INTEL.authority.certificate, INTEL.root.certificate)

        with pytest.raises(EvidenceError, match="SGX extension, got none"):
            verify(with_parts(certificates=chain))

    def test_its_key_is_on_p_256(self) -> None:
        keys = replace(INTEL.keys, pck=p384())
        evidence = with_parts(
            ENCLAVE, 3, changed(keys=keys), qe_report_signature=bytes(64)
        )

        with pytest.raises(EvidenceError, match="expected ECDSA on secp256r1"):
            verify(evidence)


class TestStatements:
    @pytest.mark.parametrize(
        ("key", "name"), [("tcb_info", "TCB info"), ("qe_identity", "QE identity")]
    )
    def test_a_changed_one_is_refused(self, key: str, name: str) -> None:
        text = INTEL.collateral(TDX)[key].replace("UpToDate", "UptoDate", 1)

        with pytest.raises(VerificationError, match=f"{name}: signature: expected"):
            verify(with_collateral({key: text}))

    @pytest.mark.parametrize("key", ["tcb_info", "qe_identity"])
    def test_one_that_is_not_authentic_is_not_read(self, key: str) -> None:
        with pytest.raises(VerificationError, match="signature: expected"):
            verify(with_collateral({key: "no JSON"}))

    @pytest.mark.parametrize("body", [ENCLAVE, TRUST_DOMAIN])
    @pytest.mark.parametrize(
        "now",
        [
            pytest.param(ISSUED - SECOND, id="before"),
            pytest.param(NEXT_UPDATE + SECOND, id="after"),
        ],
    )
    def test_one_is_refused_outside_its_dates(self, body: Body, now: datetime) -> None:
        with pytest.raises(VerificationError, match="TCB info: validity: expected"):
            verify(INTEL.evidence(body), now)

    @pytest.mark.parametrize("now", [ISSUED, NEXT_UPDATE])
    def test_one_counts_on_its_dates(self, now: datetime) -> None:
        verified, _ = verify(INTEL.evidence(ENCLAVE), now)

        assert verified.claims.tee == "sgx"

    @pytest.mark.parametrize(
        "changes",
        [
            {"nextUpdate": "2026-05-31T00:00:00Z"},
            {"issueDate": "2026-06-02T00:00:00Z"},
        ],
    )
    def test_an_identity_is_refused_outside_its_dates(self, changes: Json) -> None:
        outdated = changed(change_qe_identity=statement(**changes))

        with pytest.raises(VerificationError, match="QE identity: validity: expected"):
            verify(outdated.evidence(ENCLAVE))

    def test_their_signer_has_the_role_of_one(self) -> None:
        with pytest.raises(
            VerificationError, match="TCB signing leaf certificate: role"
        ):
            verify(changed(tcb_signing_name="Intel SGX Other").evidence(ENCLAVE))

    def test_a_second_signer_has_it_too(self) -> None:
        with pytest.raises(
            VerificationError, match="QE identity signing leaf certificate: role"
        ):
            verify(with_collateral(_signed_by_another("Intel SGX Other")))

    def test_their_signer_stands_directly_below_the_root(self) -> None:
        below = INTEL.root.authority("Intel SGX Other CA", p256(), serial=8)
        members = _signed_by_another(authority=below)

        with pytest.raises(
            VerificationError,
            match=r"QE identity signing leaf certificate: role: .* Intel SGX Other CA",
        ):
            verify(with_collateral(members))

    def test_a_second_signer_leads_to_the_root(self) -> None:
        other = Authority.root("Intel SGX Root CA", p256())
        members = _signed_by_another(authority=other)

        with pytest.raises(
            VerificationError, match="QE identity signing root certificate: expected"
        ):
            verify(with_collateral(members))

    def test_their_signer_s_key_is_on_p_256(self) -> None:
        keys = replace(INTEL.keys, tcb_signing=p384())
        other = changed(keys=keys)
        signers = pem(other.tcb_signing, INTEL.root.certificate).decode()

        with pytest.raises(EvidenceError, match="expected ECDSA on secp256r1"):
            verify(with_collateral({"tcb_info_issuer_chain": signers}))
