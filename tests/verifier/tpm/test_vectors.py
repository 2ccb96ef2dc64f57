"""Genuine TPM evidence: Azure confidential VMs and a Google VM, from public projects.

`google_ak_chain.pem` is the certificate of a Google VM's attestation key, as published
in the README of github.com/salrashid123/gcp-vtpm-ek-ak, and the two above it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.vectors import FOLDER, needs_vectors
from tests.verifier.protobuf import read_fields

from blindai.errors import EvidenceError, VerificationError
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    PEM_CHAIN_TYPE,
    TDX_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.tpm import TpmEvidence
from blindai.verifier import Claims, SnpClaims, VerifiedClaims, roots, snp
from blindai.verifier.certificates import parse_pem
from blindai.verifier.endorsed import Endorsements
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import TOKEN
from blindai.verifier.tpm import AZURE_TDX, Azure
from blindai.verifier.tpm.ak import verify_ak
from blindai.verifier.tpm.boot import Boot
from blindai.verifier.tpm.claims import AzureClaims, GoogleInstance
from blindai.verifier.tpm.verification import Sent, parse_sent, verify_quote
from blindai.verifier.verification import tee_of

TPM = FOLDER / "tpm"
SNP = FOLDER / "snp"
THAT_DAY = datetime(2025, 9, 1, tzinfo=UTC)
RSASSA_SHA256 = bytes.fromhex("0014000b0100")


def octets(value: str | list[int]) -> bytes:
    """Bytes as trustee writes them: numbers, hexadecimal or base64."""
    if isinstance(value, list):
        return bytes(value)
    try:
        return bytes.fromhex(value)
    except ValueError:
        text = value.translate(str.maketrans("-_", "+/"))
        return base64.b64decode(text + "=" * (-len(text) % 4))


def pem(certificate: str) -> bytes:
    if certificate.startswith("-----"):
        return certificate.strip().encode() + b"\n"
    body = base64.encodebytes(octets(certificate))
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


@dataclass(frozen=True)
class Vector:
    """Azure evidence as trustee keeps it."""

    name: str
    product: str = ""
    extra_data: bytes = b"challenge"

    @property
    def document(self) -> dict[str, object]:
        document = json.loads((TPM / f"trustee_{self.name}.json").read_text())
        assert isinstance(document, dict)
        return document

    def sent(self) -> TpmEvidence:
        document = self.document
        quote = document.get("tpm_quote") or document["quote"]
        assert isinstance(quote, dict)
        report = document.get("hcl_report") or document["report"]
        return TpmEvidence(
            quote=octets(quote["message"]),
            signature=RSASSA_SHA256 + octets(quote["signature"]),
            pcrs={"sha256": dict(enumerate(map(octets, quote["pcrs"])))},
            hcl_report=octets(report),  # type: ignore[arg-type]  # JSON
            td_quote=octets(document.get("td_quote", "")),  # type: ignore[arg-type]  # JSON
        )

    def evidence(self, sent: TpmEvidence | None = None) -> Evidence:
        above = (SNP / f"{part}_{self.product.lower()}.pem" for part in ("ask", "ark"))
        chain = pem(str(self.document["vcek"])) + b"".join(
            p.read_bytes() for p in above
        )
        return Evidence(
            media_type=AZURE_SNP_TYPE,
            evidence=(sent or self.sent()).encode(),
            endorsements=(Endorsement(PEM_CHAIN_TYPE, chain),),
        )


MILAN_V1 = Vector("az-snp-vtpm_evidence-v1", "Milan")
MILAN_V2 = Vector(
    "az-snp-vtpm_evidence-v2",
    "Milan",
    bytes.fromhex(
        "982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9a"
        "a398f647caa2338748cd0fd9f5f819ef"
    ),
)
GENOA = Vector(
    "az-snp-vtpm_evidence-genoa",
    "Genoa",
    bytes.fromhex(
        "0218488bae25d2509232bf676f1a66a30d7372add909109b36016ef136f2938c"
        "a05475f8b46094de6b64270ea35d950f"
    ),
)
TDX = Vector("az-tdx-vtpm_evidence-v1")


def verify(evidence: Evidence, now: datetime = THAT_DAY) -> VerifiedClaims:
    tee = tee_of(evidence.media_type)
    return tee.verify(evidence, Procedure(), now, roots.PINNED)


@needs_vectors
@pytest.mark.parametrize("vector", [MILAN_V1, MILAN_V2, GENOA])
def test_azure_on_snp_is_verified(vector: Vector) -> None:
    verified = verify(vector.evidence())

    details = verified.claims.of(AzureClaims)
    assert verified.root.product == vector.product
    assert verified.claims.report_data == vector.extra_data
    assert details.hardware.of(SnpClaims).vmpl == 0
    assert details.tpm.clock.safe
    assert len(details.tpm.pcrs["sha256"]) == 24
    assert details.configuration.secure_boot


@needs_vectors
def test_what_the_guest_wrote_is_authentic() -> None:
    details = verify(MILAN_V2.evidence()).claims.of(AzureClaims)

    assert details.configuration.user_data.startswith(MILAN_V2.extra_data)


@needs_vectors
@pytest.mark.parametrize("days", [-3650, 3650 * 3])
def test_azure_outside_the_validity_is_refused(days: int) -> None:
    with pytest.raises(VerificationError, match="validity"):
        verify(MILAN_V1.evidence(), THAT_DAY + timedelta(days=days))


def flips(data: bytes, step: int, end: int | None = None) -> list[bytes]:
    """The data, each time with another bit changed."""
    found = []
    for bit in range(0, (end or len(data)) * 8, step):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        found.append(bytes(flipped))
    return found


@needs_vectors
@pytest.mark.parametrize("vector", [MILAN_V1, GENOA])
def test_no_bit_of_what_is_signed_can_change(vector: Vector) -> None:
    sent = vector.sent()
    claims_end = sent.hcl_report.rstrip(b"\x00").__len__()
    changed = [
        *(replace(sent, quote=each) for each in flips(sent.quote, 11)),
        *(replace(sent, signature=each) for each in flips(sent.signature, 61)),
        *(
            replace(sent, hcl_report=sent.hcl_report[:32] + each)
            for each in flips(sent.hcl_report[32:], 97, claims_end - 32)
        ),
    ]
    for each in changed:
        with pytest.raises((VerificationError, EvidenceError)):
            verify(vector.evidence(each))


@needs_vectors
def test_verification_takes_milliseconds() -> None:
    evidence = GENOA.evidence()
    verify(evidence)

    start = perf_counter()
    for _ in range(10):
        verify(evidence)

    assert (perf_counter() - start) / 10 < 0.05


def read_td_quote(
    evidence: Evidence, _procedure: Procedure, _now: datetime, _anchors: roots.Anchors
) -> VerifiedClaims:
    """What a TD quote says, as if its own procedure had been through."""
    body = evidence.evidence[48:]
    details = verify(GENOA.evidence()).claims.of(AzureClaims)
    claims = Claims(
        tee="tdx",
        measurement=body[136:184],
        report_data=body[520:584],
        debug=False,
        details=details.tpm,
    )
    return VerifiedClaims(claims=claims, root=roots.INTEL_SGX, token=TOKEN)


AZURE_ON_TDX = Azure(AZURE_TDX, TDX_QUOTE_TYPE, read_td_quote, snp.appraise)


def azure_tdx(sent: TpmEvidence) -> VerifiedClaims:
    evidence = Evidence(media_type=AZURE_TDX_TYPE, evidence=sent.encode())
    return AZURE_ON_TDX.verify(evidence, Procedure(), THAT_DAY, roots.PINNED)


@needs_vectors
def test_azure_on_tdx_is_verified_above_its_td_quote() -> None:
    verified = azure_tdx(TDX.sent())

    details = verified.claims.of(AzureClaims)
    assert verified.claims.tee == "az-tdx"
    assert verified.claims.report_data == b"challenge"
    assert details.configuration.vm_id == "6332533D-5649-4D02-8AA7-8F64B7C3EE21"


@needs_vectors
def test_another_td_quote_is_refused() -> None:
    sent = TDX.sent()
    quote = sent.td_quote[:568] + bytes(64) + sent.td_quote[632:]

    with pytest.raises(VerificationError, match="paravisor's claims"):
        azure_tdx(replace(sent, td_quote=quote))


@dataclass(frozen=True)
class GoogleVector:
    """A VM's attestation as go-tpm-tools keeps it (Protocol Buffers)."""

    quote: int

    def sent(self) -> tuple[Sent, bytes]:
        """What the TPM sent, and its key."""
        data = (TPM / "gotpm_gce-cos-85-nonce9009.pb").read_bytes()
        attestation = read_fields(data)
        fields = read_fields(attestation[2][self.quote])
        pcrs = read_fields(fields[3][0])
        bank = {4: "sha1", 11: "sha256", 12: "sha384"}[int.from_bytes(pcrs[1][0])]
        entries = map(read_fields, pcrs[2])
        values = {
            int.from_bytes(entry.get(1, [b""])[0]): entry[2][0] for entry in entries
        }
        evidence = TpmEvidence(
            quote=fields[1][0], signature=fields[2][0], pcrs={bank: values}
        )
        modulus = int.from_bytes(attestation[1][0][-256:])
        key = rsa.RSAPublicNumbers(65537, modulus).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return parse_sent(evidence, attestation[3][0]), spki


@needs_vectors
@pytest.mark.parametrize("quote", [1, 2])
def test_a_quote_of_google_and_its_log_are_verified(quote: int) -> None:
    sent, key = GoogleVector(quote).sent()

    boot = verify_quote(Procedure(), sent, key)

    assert sent.quote.extra_data == bytes.fromhex("9009")
    assert boot == Boot(
        replayed=frozenset({*range(17), 23}) - {10},  # which the kernel extends
        secure_boot=True,
        google_technology="sev",
    )


@needs_vectors
def test_a_bank_of_sha_1_vouches_for_no_log() -> None:
    sent, key = GoogleVector(0).sent()

    assert verify_quote(Procedure(), sent, key) == Boot()


def test_a_key_of_googles_chains_to_the_pinned_root() -> None:
    chain = parse_pem((Path(__file__).parent / "google_ak_chain.pem").read_bytes())
    endorsements = Endorsements(certificates=chain)
    procedure = Procedure()

    certificate, instance, root = verify_ak(
        procedure, endorsements, THAT_DAY, roots.PINNED
    )

    assert certificate is chain[0]
    assert root is roots.GOOGLE_EK_AK
    assert instance == GoogleInstance(
        zone="us-central1-a",
        project_number=995081019036,
        project_id="core-eso",
        instance_id=6524697943022743941,
        instance_name="instance-1",
    )
