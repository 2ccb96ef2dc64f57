"""A TPM with an AK certificate: one test for each line that can refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.verifier.tpm.conftest import ANCHORS

from blindai.errors import EvidenceError, VerificationError
from blindai.protocol.attestation import (
    CRL_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.keyset import Binding
from blindai.protocol.tpm import parse_tpm_evidence
from blindai.testing.vendors.pki import Validity, p256, p384, pem
from blindai.testing.vendors.tpm import (
    BOOT,
    INSTANCE_OID,
    GoogleVm,
    Instance,
    MadeUpTpm,
    ak_extensions,
    google_authority,
    google_root,
    key_usage,
    separator,
)
from blindai.verifier import roots
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims
from blindai.verifier.tpm.boot import Boot
from blindai.verifier.tpm.claims import AkSource, GoogleInstance, TpmClaims

Verify = Callable[..., tuple[VerifiedClaims, Procedure]]
VM = GoogleVm()
BINDING = Binding(bytes(range(32)), None)
EVIDENCE = VM.attest(BINDING)


def test_honest_evidence_is_verified(verify: Verify) -> None:
    verified, procedure = verify(EVIDENCE)

    claims = verified.claims
    details = claims.of(TpmClaims)
    assert claims.tee == "tpm"
    assert claims.report_data == BINDING.digest
    assert claims.measurement == VM.tpm.quote(b"").pcr_digest
    assert not claims.debug
    assert details.pcrs == VM.tpm.pcrs
    assert details.firmware_version == 0x2023000100000002
    assert details.clock.safe
    assert details.ak_source is AkSource.CERTIFICATE
    assert details.boot == Boot(
        replayed=frozenset({*range(17), 23}),
        secure_boot=True,
        google_technology="sev-snp",
    )
    assert details.instance == GoogleInstance(
        zone="made-up-zone1-a",
        project_number=123456789,
        project_id="made-up-project",
        instance_id=987654321,
        instance_name="made-up-instance",
    )
    assert not procedure.transcript.refusals


@pytest.mark.parametrize(
    "tpm",
    [
        pytest.param(MadeUpTpm(hash="sha384"), id="ECDSA SHA-384"),
        pytest.param(MadeUpTpm(key=p384(), hash="sha512"), id="P-384"),
        pytest.param(MadeUpTpm(key=rsa.generate_private_key(65537, 2048)), id="RSASSA"),
        pytest.param(MadeUpTpm(banks=("sha1", "sha256")), id="two banks"),
        pytest.param(MadeUpTpm(indices=(0, 4, 7)), id="three registers"),
    ],
)
def test_tpms_of_all_kinds_are_verified(verify: Verify, tpm: MadeUpTpm) -> None:
    verified, _ = verify(GoogleVm(tpm=tpm).attest(BINDING))

    assert verified.claims.of(TpmClaims).pcrs == tpm.pcrs
    assert verified.claims.of(TpmClaims).boot.secure_boot


def test_a_machine_without_a_log_is_verified(verify: Verify) -> None:
    verified, _ = verify(replace(EVIDENCE, event_log=b""))

    assert verified.claims.of(TpmClaims).boot == Boot()


def certified(*extensions: tuple[x509.ExtensionType, bool]) -> Evidence:
    return GoogleVm(extensions=extensions).attest(BINDING)


CONSTRAINTS, USAGE, INSTANCE = ak_extensions()
ENCRYPTS = (key_usage(key_encipherment=True), True)
SIGNS_AND_MORE = (key_usage(digital_signature=True, key_agreement=True), True)
FOR_EKS = (x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.23.133.8.1")]), False)
FOR_AKS = (x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.23.133.8.3")]), False)


def test_an_extended_key_usage_may_name_attestation_keys(verify: Verify) -> None:
    verify(certified(CONSTRAINTS, USAGE, INSTANCE, FOR_AKS))


def weakly_signed() -> Evidence:
    tpm = MadeUpTpm(hash="sha1", key=rsa.generate_private_key(65537, 2048))
    return GoogleVm(tpm=tpm).attest(BINDING)


def signed_by_another() -> Evidence:
    sent = replace(VM.tpm, key=p256()).evidence(BINDING.digest)
    return VM.evidence(sent)


def with_another_register() -> Evidence:
    sent = VM.tpm.evidence(BINDING.digest)
    pcrs = {"sha256": VM.tpm.pcrs["sha256"] | {4: bytes(32)}}
    return VM.evidence(replace(sent, pcrs=pcrs))


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        pytest.param(
            certified(CONSTRAINTS, ENCRYPTS, INSTANCE), "key usage", id="an EK"
        ),
        pytest.param(
            certified(CONSTRAINTS, SIGNS_AND_MORE, INSTANCE), "key usage", id="and more"
        ),
        pytest.param(certified(CONSTRAINTS, INSTANCE), "key usage", id="no usage"),
        pytest.param(
            certified(CONSTRAINTS, USAGE, INSTANCE, FOR_EKS), "key usage", id="for EKs"
        ),
        pytest.param(
            certified(*ak_extensions(Instance(production=False))),
            "instance: .* production",
            id="a test machine",
        ),
        pytest.param(
            GoogleVm(validity=Validity(last=datetime(2026, 1, 1, tzinfo=UTC))).attest(
                BINDING
            ),
            "leaf certificate: validity",
            id="expired",
        ),
        pytest.param(weakly_signed(), "hash: .* SHA-256 or .*sha1", id="SHA-1"),
        pytest.param(signed_by_another(), "quote signature: .* not", id="another key"),
        pytest.param(with_another_register(), "PCR digest", id="another register"),
        pytest.param(
            VM.attest(BINDING, pcr_digest=bytes(32)), "PCR digest", id="another digest"
        ),
    ],
)
def test_evidence_that_does_not_hold_is_refused(
    verify: Verify, evidence: Evidence, message: str
) -> None:
    with pytest.raises(VerificationError, match=message):
        verify(evidence)


def test_a_root_that_is_not_pinned_is_refused(verify: Verify) -> None:
    with pytest.raises(VerificationError, match=r"root certificate: .*EK/AK"):
        verify(EVIDENCE, anchors=roots.PINNED)


def test_another_vendors_root_is_refused(verify: Verify) -> None:
    own = roots.Root(name="own", vendor=roots.AMD, digest=VM.root_digest)

    with pytest.raises(VerificationError, match="root certificate"):
        verify(EVIDENCE, anchors=roots.Anchors((own,)))


def test_a_revoked_key_is_refused(verify: Verify) -> None:
    crl = Endorsement(CRL_TYPE, google_authority().crl(revoked=[3]))

    with pytest.raises(VerificationError, match="leaf certificate: revocation"):
        verify(GoogleVm(more=(crl,)).attest(BINDING))


def test_only_authorities_have_to_be_looked_up_in_a_list(verify: Verify) -> None:
    strict = replace(ANCHORS, require_revocation=True)
    crl = Endorsement(CRL_TYPE, google_root().crl())

    _, without = verify(EVIDENCE, anchors=strict)
    _, with_list = verify(GoogleVm(more=(crl,)).attest(BINDING), anchors=strict)

    assert [check.name for check in without.transcript.refusals] == [
        "intermediate certificate: revocation"
    ]
    assert not with_list.transcript.refusals


def endorsed(*certificates: x509.Certificate) -> Evidence:
    return replace(
        EVIDENCE, endorsements=(Endorsement(PEM_CHAIN_TYPE, pem(*certificates)),)
    )


def named(*names: str) -> Instance:
    return replace(Instance(), **dict.fromkeys(names, "x\x1b"))  # type: ignore[arg-type]  # text


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        pytest.param(
            endorsed(google_authority().certificate, google_root().certificate),
            "one AK certificate, got 0",
            id="no leaf",
        ),
        pytest.param(
            GoogleVm(more=(Endorsement(PEM_CHAIN_TYPE, GoogleVm().chain),)).attest(
                BINDING
            ),
            "one AK certificate, got 2",
            id="two leaves",
        ),
        pytest.param(
            certified(CONSTRAINTS, USAGE), "Google's instance", id="no instance"
        ),
        pytest.param(
            certified(
                CONSTRAINTS,
                USAGE,
                (x509.UnrecognizedExtension(INSTANCE_OID, b"\x30\x00"), False),
            ),
            "instance information: expected 6",
            id="an empty instance",
        ),
        pytest.param(certified(*ak_extensions(named("zone"))), "128 ASCII", id="zone"),
        pytest.param(
            certified(*ak_extensions(named("project_id"))), "128 ASCII", id="project"
        ),
        pytest.param(
            certified(*ak_extensions(named("instance_name"))), "128 ASCII", id="name"
        ),
        pytest.param(
            certified(*ak_extensions(Instance(zone="z" * 129))), "128 ASCII", id="long"
        ),
        pytest.param(replace(EVIDENCE, event_log=b"log"), "event log", id="log"),
        pytest.param(replace(EVIDENCE, evidence=b""), "TPM evidence", id="evidence"),
    ],
)
def test_malformed_evidence_is_refused(
    verify: Verify, evidence: Evidence, message: str
) -> None:
    with pytest.raises(EvidenceError, match=message):
        verify(evidence)


def test_a_name_may_be_as_long_as_the_limit_says(verify: Verify) -> None:
    longest = "z" * 128

    verified, _ = verify(certified(*ak_extensions(Instance(zone=longest))))

    instance = verified.claims.of(TpmClaims).instance
    assert instance is not None
    assert instance.zone == longest


def test_no_bit_of_what_is_signed_can_change(verify: Verify) -> None:
    sent = parse_tpm_evidence(EVIDENCE.evidence)

    for bit in range(0, len(sent.quote) * 8, 3):
        quote = bytearray(sent.quote)
        quote[bit // 8] ^= 1 << bit % 8
        with pytest.raises((VerificationError, EvidenceError)):
            verify(VM.evidence(replace(sent, quote=bytes(quote))))


def test_the_signature_covers_nothing_but_the_quote(verify: Verify) -> None:
    """What is outside has no say: more endorsements and padding change nothing."""
    verify(replace(EVIDENCE, event_log=EVIDENCE.event_log + bytes(100)))


def test_only_what_comes_before_the_separator_is_the_firmwares(verify: Verify) -> None:
    late = (separator(0), separator(7), *BOOT)
    verified, _ = verify(GoogleVm(tpm=MadeUpTpm(measurements=late)).attest(BINDING))

    boot = verified.claims.of(TpmClaims).boot
    assert boot.secure_boot is None
    assert boot.google_technology is None
