"""AMD's procedure: one test for each line about the certificates that can refuse.

The simulated root's keys are public, so chains that AMD would not make can be made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from blindai.attester.simulated import (
    SimulatedPlatform,
    endorse,
    insecure_ark_key,
    insecure_ask_key,
)
from blindai.attester.simulated_report import sign, write_report
from blindai.errors import EvidenceError, VerificationError
from blindai.verifier import roots
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims

Verify = Callable[..., tuple[VerifiedClaims, Procedure]]
PLATFORM = SimulatedPlatform()
LEAF_KEY = ec.generate_private_key(ec.SECP384R1())
OTHER_KEY = ec.generate_private_key(ec.SECP384R1())
SMALL_RSA_KEY = rsa.generate_private_key(65537, 2048)
REPORT = sign(write_report(PLATFORM, bytes(64)), LEAF_KEY)
CHAIN = endorse(PLATFORM, LEAF_KEY.public_key())
LEAF, ASK, ARK = x509.load_pem_x509_certificates(CHAIN)
START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2075, 1, 1, tzinfo=UTC)
LATER = datetime(2090, 1, 1, tzinfo=UTC)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"")
BASIC = x509.BasicConstraints.oid
USAGE = x509.KeyUsage.oid


def pss(salt: int = 48) -> padding.PSS:
    return padding.PSS(padding.MGF1(hashes.SHA384()), salt)


@dataclass(frozen=True, kw_only=True)
class Issue:
    """A certificate like `of`, issued again with one thing changed."""

    of: x509.Certificate
    key: rsa.RSAPrivateKey
    subject: x509.Name | None = None
    issuer: x509.Name | None = None
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None = None
    not_before: datetime = START
    not_after: datetime = END
    without: frozenset[x509.ObjectIdentifier] = frozenset()
    more: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    padding: padding.PSS | padding.PKCS1v15 = field(default_factory=pss)
    algorithm: hashes.SHA384 | hashes.SHA256 = field(default_factory=hashes.SHA384)

    def make(self) -> x509.Certificate:
        original = cast("rsa.RSAPublicKey", self.of.public_key())
        builder = x509.CertificateBuilder(
            issuer_name=self.issuer or self.of.issuer,
            subject_name=self.subject or self.of.subject,
            public_key=self.public_key or original,
            serial_number=1,
            not_valid_before=self.not_before,
            not_valid_after=self.not_after,
        )
        kept = [(e.value, e.critical) for e in self.of.extensions if self.keeps(e)]
        for value, critical in (*kept, *self.more):
            builder = builder.add_extension(value, critical)
        return builder.sign(self.key, self.algorithm, rsa_padding=self.padding)

    def keeps(self, extension: x509.Extension[x509.ExtensionType]) -> bool:
        return extension.oid not in self.without


def leaf(**changes: object) -> x509.Certificate:
    return Issue(of=LEAF, key=insecure_ask_key(), **changes).make()  # type: ignore[arg-type]  # one of many


def ask(**changes: object) -> x509.Certificate:
    return Issue(of=ASK, key=insecure_ark_key(), **changes).make()  # type: ignore[arg-type]  # one of many


def pem(*certificates: x509.Certificate) -> bytes:
    encoding = serialization.Encoding.PEM
    return b"".join(certificate.public_bytes(encoding) for certificate in certificates)


def own_ark() -> bytes:
    """A chain below a root of the same name that has another key."""
    root = Issue(
        of=ARK, key=insecure_ask_key(), public_key=insecure_ask_key().public_key()
    )
    below = Issue(of=ASK, key=insecure_ask_key())
    return pem(LEAF, below.make(), root.make())


def other(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def test_a_chain_that_was_issued_again_is_verified(verify_snp: Verify) -> None:
    verify_snp(REPORT, pem(leaf(), ask(), ARK))


@pytest.mark.parametrize(
    ("chain", "line"),
    [
        pytest.param(own_ark(), "^root certificate: .*got unknown", id="own root"),
        pytest.param(pem(LEAF, ASK), "^certificate chain: .*no issuer", id="no root"),
        pytest.param(
            pem(LEAF, ask(issuer=other("x")), ARK),
            "certificate chain: .*no issuer x",
            id="ASK's issuer",
        ),
        pytest.param(
            pem(LEAF, ask(subject=other("x")), ARK),
            "certificate chain: .*no issuer INSECURE SIMULATION ASK",
            id="leaf's issuer",
        ),
        pytest.param(
            pem(LEAF, ask(without=frozenset({BASIC})), ARK),
            "leaf certificate: issuer: .*may not issue",
            id="ASK without constraints",
        ),
        pytest.param(
            pem(LEAF, ask(without=frozenset({USAGE})), ARK),
            "leaf certificate: issuer: .*may not issue",
            id="ASK without usage",
        ),
        pytest.param(
            pem(LEAF, ask(padding=pss(32)), ARK),
            "intermediate certificate: algorithm",
            id="salt",
        ),
        pytest.param(
            pem(LEAF, ask(algorithm=hashes.SHA256()), ARK),
            "intermediate certificate: algorithm",
            id="SHA-256",
        ),
        pytest.param(
            pem(leaf(padding=padding.PKCS1v15()), ASK, ARK),
            "leaf certificate: algorithm",
            id="PKCS #1 v1.5",
        ),
        pytest.param(
            pem(LEAF, Issue(of=ASK, key=insecure_ask_key()).make(), ARK),
            "intermediate certificate: signature",
            id="ASK signed by another key",
        ),
        pytest.param(
            pem(Issue(of=LEAF, key=insecure_ark_key()).make(), ASK, ARK),
            "leaf certificate: signature",
            id="leaf signed by another key",
        ),
        pytest.param(
            pem(LEAF, ask(more=((UNKNOWN, True),)), ARK),
            "intermediate certificate: critical extensions",
            id="ASK's extension",
        ),
        pytest.param(
            pem(leaf(more=((UNKNOWN, True),)), ASK, ARK),
            "leaf certificate: critical extensions",
            id="leaf's extension",
        ),
        pytest.param(
            pem(LEAF, ask(not_after=datetime(2026, 1, 1, tzinfo=UTC)), ARK),
            "intermediate certificate: validity",
            id="ASK expired",
        ),
        pytest.param(
            pem(leaf(not_before=datetime(2027, 1, 1, tzinfo=UTC)), ASK, ARK),
            "leaf certificate: validity",
            id="leaf not yet valid",
        ),
        pytest.param(
            pem(leaf(not_after=datetime(2026, 1, 1, tzinfo=UTC)), ASK, ARK),
            "leaf certificate: validity",
            id="leaf expired",
        ),
        pytest.param(
            pem(LEAF, ask(public_key=OTHER_KEY.public_key()), ARK),
            "leaf certificate: signature",
            id="ASK key on a curve",
        ),
        pytest.param(
            pem(leaf(public_key=OTHER_KEY.public_key()), ASK, ARK),
            "report signature: expected",
            id="another leaf key",
        ),
    ],
)
def test_a_chain_that_amd_did_not_make_is_refused(
    verify_snp: Verify, chain: bytes, line: str
) -> None:
    with pytest.raises(VerificationError, match=line):
        verify_snp(REPORT, chain)


def test_an_expired_root_is_refused(verify_snp: Verify) -> None:
    chain = pem(leaf(not_after=LATER), ask(not_after=LATER), ARK)

    with pytest.raises(VerificationError, match=r"^root certificate: validity"):
        verify_snp(REPORT, chain, now=datetime(2080, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("now", [START, END])
def test_validity_includes_its_first_and_last_second(
    verify_snp: Verify, now: datetime
) -> None:
    verify_snp(REPORT, CHAIN, now=now)


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        pytest.param(
            pem(leaf(public_key=SMALL_RSA_KEY.public_key()), ASK, ARK),
            "certificate key: expected ECDSA on secp384r1",
            id="RSA leaf key",
        ),
        pytest.param(
            pem(
                leaf(public_key=ec.generate_private_key(ec.SECP256R1()).public_key()),
                ASK,
                ARK,
            ),
            "certificate key: expected ECDSA on secp384r1",
            id="leaf key on P-256",
        ),
    ],
)
def test_a_key_of_another_kind_is_refused(
    verify_snp: Verify, chain: bytes, message: str
) -> None:
    with pytest.raises(EvidenceError, match=message):
        verify_snp(REPORT, chain)


def test_the_simulated_root_does_not_count_for_genuine_evidence(
    verify_snp: Verify,
) -> None:
    with pytest.raises(
        VerificationError, match=r"^root certificate: expected ARK-Milan"
    ):
        verify_snp(REPORT, CHAIN, anchors=roots.PINNED)
