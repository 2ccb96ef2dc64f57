"""Genuine SEV-SNP evidence of AMD processors, from public projects."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
from tests.vectors import FOLDER, needs_vectors

from blindai.errors import AppraisalError, EvidenceError, VerificationError
from blindai.protocol import keyset
from blindai.protocol.attestation import (
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    Attestation,
    Endorsement,
    Evidence,
    encode_attestation,
)
from blindai.protocol.keyset import Purpose, Statement
from blindai.testing import simulated_keyset
from blindai.verifier import (
    AttestationResult,
    PlatformInfo,
    Policy,
    SnpClaims,
    SnpPolicy,
    Tcb,
    VerifiedClaims,
    roots,
    snp,
    verify,
)
from blindai.verifier.appraisal import Bound, Challenge, appraise
from blindai.verifier.certificates import Certificate, parse_pem
from blindai.verifier.procedure import Procedure
from blindai.verifier.snp.claims import SigningKey

pytestmark = needs_vectors


def pem(der: bytes) -> bytes:
    text = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A report, its chain, and a date inside their validity."""

    report: str
    leaf: str
    intermediate: str
    root: str
    now: datetime
    product: str
    measurement: str

    def evidence(self, **parts: str) -> Evidence:
        folder = FOLDER / "snp"
        leaf = parts.get("leaf", self.leaf)
        intermediate = parts.get("intermediate", self.intermediate)
        root = parts.get("root", self.root)
        chain = (
            pem((folder / leaf).read_bytes())
            + (folder / intermediate).read_bytes()
            + (folder / root).read_bytes()
        )
        return Evidence(
            media_type=SEV_SNP_REPORT_TYPE,
            evidence=(folder / self.report).read_bytes(),
            endorsements=(Endorsement(PEM_CHAIN_TYPE, chain),),
        )

    def certificate(self) -> Certificate:
        return parse_pem(self.evidence().endorsements[0].content)[0]

    def verify(
        self, now: datetime | None = None, parts: Mapping[str, str] | None = None
    ) -> VerifiedClaims:
        evidence = self.evidence(**(parts or {}))
        return snp.verify(evidence, Procedure(), now or self.now, roots.PINNED)


MILAN = Vector(
    report="trustee_milan_report.bin",
    leaf="trustee_milan_vcek.der",
    intermediate="ask_milan.pem",
    root="ark_milan.pem",
    now=datetime(2024, 6, 1, tzinfo=UTC),
    product="Milan",
    measurement="a1f39304",
)
MILAN_DEBUG = Vector(
    report="gosev_milan_report.bin",
    leaf="gosev_milan_vcek.der",
    intermediate="ask_milan.pem",
    root="ark_milan.pem",
    now=datetime(2024, 6, 1, tzinfo=UTC),
    product="Milan",
    measurement="b07af962",
)
MILAN_VLEK = Vector(
    report="trustee_milan_vlek_report.bin",
    leaf="trustee_milan_vlek.der",
    intermediate="asvk_milan.pem",
    root="ark_milan.pem",
    now=datetime(2025, 6, 1, tzinfo=UTC),
    product="Milan",
    measurement="8922ebbd",
)
GENOA = Vector(
    report="trustee_genoa_report.bin",
    leaf="trustee_genoa_vcek.der",
    intermediate="ask_genoa.pem",
    root="ark_genoa.pem",
    now=datetime(2026, 6, 1, tzinfo=UTC),
    product="Genoa",
    measurement="f57dc09a",
)
VECTORS = {
    "Milan v2": MILAN,
    "Milan v2, debug": MILAN_DEBUG,
    "Milan v3, VLEK": MILAN_VLEK,
    "Genoa v3": GENOA,
}
each = pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())


@each
def test_genuine_evidence_is_verified(vector: Vector) -> None:
    verified = vector.verify()

    assert not verified.root.simulated
    assert verified.root.product == vector.product
    assert verified.claims.measurement.hex().startswith(vector.measurement)


@each
def test_it_is_refused_a_day_before_its_leaf_is_valid(vector: Vector) -> None:
    first = vector.certificate().not_before

    vector.verify(first)
    with pytest.raises(VerificationError, match="leaf certificate: validity"):
        vector.verify(first - timedelta(days=1))


@each
def test_it_is_refused_a_day_after_its_leaf_is_valid(vector: Vector) -> None:
    last = vector.certificate().not_after

    vector.verify(last)
    with pytest.raises(VerificationError, match="leaf certificate: validity"):
        vector.verify(last + timedelta(days=1))


@pytest.mark.parametrize(
    ("vector", "parts", "line"),
    [
        pytest.param(
            MILAN,
            {"intermediate": "ask_genoa.pem"},
            "certificate chain: .*no issuer SEV-Milan",
            id="Genoa's ASK",
        ),
        pytest.param(
            MILAN,
            {"intermediate": "asvk_milan.pem"},
            "certificate chain: .*no issuer SEV-Milan",
            id="Milan's ASVK",
        ),
        pytest.param(
            MILAN,
            {"root": "ark_genoa.pem"},
            "certificate chain: .*no issuer ARK-Milan",
            id="Genoa's ARK",
        ),
        pytest.param(
            MILAN,
            {"root": "ask_milan.pem"},
            "certificate chain: .*no issuer ARK-Milan",
            id="an ASK as root",
        ),
        pytest.param(
            GENOA,
            {"intermediate": "ask_milan.pem", "root": "ark_milan.pem"},
            "certificate chain: .*no issuer SEV-Genoa",
            id="Genoa's leaf below Milan",
        ),
        pytest.param(
            MILAN,
            {"leaf": "gosev_milan_vcek.der"},
            "report signature: expected",
            id="another chip's leaf",
        ),
        pytest.param(
            GENOA,
            {"intermediate": "ask_turin.pem", "root": "ark_turin.pem"},
            "certificate chain: .*no issuer SEV-Genoa",
            id="Turin",
        ),
    ],
)
def test_a_swapped_certificate_is_refused(
    vector: Vector, parts: dict[str, str], line: str
) -> None:
    with pytest.raises(VerificationError, match=line):
        vector.verify(None, parts)


def test_certificates_may_come_in_any_order() -> None:
    evidence = MILAN.evidence()
    blocks = evidence.endorsements[0].content.replace(b"-\n-", b"-\n|-").split(b"|")
    turned = replace(
        evidence,
        endorsements=tuple(
            Endorsement(PEM_CHAIN_TYPE, block) for block in reversed(blocks)
        ),
    )

    assert len(turned.endorsements) == 3
    snp.verify(turned, Procedure(), MILAN.now, roots.PINNED)


def test_genuine_evidence_is_no_simulated_evidence() -> None:
    with pytest.raises(VerificationError, match="root certificate: expected INSECURE"):
        snp.verify(MILAN.evidence(), Procedure(), MILAN.now, roots.SIMULATION)


@each
def test_no_byte_of_a_genuine_report_can_change(vector: Vector) -> None:
    evidence = vector.evidence()

    for position in range(0, len(evidence.evidence), 3):
        changed = replace(evidence, evidence=flipped(evidence.evidence, position))
        with pytest.raises((VerificationError, EvidenceError)):
            snp.verify(changed, Procedure(), vector.now, roots.PINNED)


@each
@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_byte_of_a_genuine_certificate_can_change(
    vector: Vector, place: int
) -> None:
    evidence = vector.evidence()
    path = [each.encoding for each in parse_pem(evidence.endorsements[0].content)]

    for position in range(place, len(path[place]), 19):
        changed = [*path]
        changed[place] = flipped(path[place], position)
        chain = Endorsement(PEM_CHAIN_TYPE, b"".join(map(pem, changed)))
        with pytest.raises((VerificationError, EvidenceError)):
            snp.verify(
                replace(evidence, endorsements=(chain,)),
                Procedure(),
                vector.now,
                roots.PINNED,
            )


def flipped(data: bytes, position: int) -> bytes:
    bit = data[position] ^ 1 << position % 8
    return data[:position] + bytes([bit]) + data[position + 1 :]


def test_a_genuine_report_signed_by_a_provider_names_it() -> None:
    claims = MILAN_VLEK.verify().claims.of(SnpClaims)

    assert claims.signing_key is SigningKey.VLEK
    assert claims.csp_id == "CN=cc-us-east-2.amazonaws.com"
    assert claims.chip_id == bytes(64)
    assert claims.tcb == Tcb(bootloader=4, tee=0, snp=24, microcode=217)
    assert claims.launch_tcb == claims.committed_tcb
    assert claims.current_tcb.microcode == 220
    assert claims.current_version == (1, 55, 29)
    assert claims.platform.tsme
    assert claims.platform.alias_check
    assert claims.report_id_ma == b"\xff" * 32


def test_a_genuine_report_says_how_its_machine_is_set_up() -> None:
    claims = GENOA.verify().claims.of(SnpClaims)

    assert claims.version == 3
    assert claims.signing_key is SigningKey.VCEK
    assert claims.platform == PlatformInfo(
        smt=False,
        tsme=False,
        ecc=True,
        rapl_dis=False,
        ciphertext_hiding_dram=False,
        alias_check=True,
        tio=None,
        others=0,
    )
    assert claims.launch_mitigations is claims.current_mitigations is None


def appraised(vector: Vector, policy: Policy) -> AttestationResult:
    """Appraise as if the evidence bound a keyset that is valid now."""
    verified = vector.verify()
    keys = simulated_keyset(
        not_before=vector.now, not_after=vector.now + timedelta(days=1)
    )
    statement = Statement(Purpose.ATTESTATION, bytes(32), bytes(32))
    challenge = Challenge(
        nonce=bytes(32), purpose=Purpose.ATTESTATION, now=vector.now, policy=policy
    )
    bound = Bound(keys, statement)
    transcript = Procedure().transcript
    return appraise(verified, bound, challenge, transcript, snp.appraise)


def pinned(vector: Vector, **changes: object) -> Policy:
    measurement = vector.verify().claims.measurement
    snp_policy = SnpPolicy(measurements=(measurement,), **changes)  # type: ignore[arg-type]  # one of many
    return Policy(sev_snp=snp_policy)


@pytest.mark.parametrize("vector", [MILAN, GENOA], ids=["Milan", "Genoa"])
def test_genuine_evidence_is_accepted_by_a_policy_that_pins_it(vector: Vector) -> None:
    result = appraised(vector, pinned(vector))

    assert not result.simulated


def test_a_guest_policy_that_allows_debug_is_refused() -> None:
    with pytest.raises(AppraisalError, match=r"^debug mode: expected off, got on\n"):
        appraised(MILAN_DEBUG, pinned(MILAN_DEBUG))


def test_vmpl_1_is_refused() -> None:
    with pytest.raises(AppraisalError, match=r"^VMPL: expected 0, got 1\n"):
        appraised(MILAN_VLEK, pinned(MILAN_VLEK))


def test_vmpl_1_is_accepted_where_the_policy_says_so() -> None:
    result = appraised(MILAN_VLEK, pinned(MILAN_VLEK, vmpl=(0, 1)))

    assert result.claims.of(SnpClaims).vmpl == 1


def test_a_policy_for_simulation_refuses_genuine_evidence() -> None:
    with pytest.raises(
        AppraisalError, match=r"^kind of TEE: expected the simulation only"
    ):
        appraised(MILAN, Policy.for_simulation())


def test_evidence_that_binds_something_else_is_refused() -> None:
    keys = simulated_keyset().encode()
    statement = Statement(Purpose.ATTESTATION, keyset.digest(keys), bytes(32)).encode()
    collection = encode_attestation(
        Attestation(keyset=keys, statement=statement, evidence=MILAN.evidence())
    )

    with pytest.raises(VerificationError, match=r"^report data: expected SHA-256"):
        verify(collection, nonce=bytes(32), policy=pinned(MILAN), now=MILAN.now)


def test_verification_takes_milliseconds() -> None:
    evidence = GENOA.evidence()

    started = perf_counter()
    for _ in range(10):
        snp.verify(evidence, Procedure(), GENOA.now, roots.PINNED)

    assert (perf_counter() - started) / 10 < 0.05
