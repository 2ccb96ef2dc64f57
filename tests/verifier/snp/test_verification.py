"""AMD's procedure: one test for each line about the report that can refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from blindai.attester.simulated import SimulatedPlatform, endorse
from blindai.attester.simulated_report import (
    REPORT_BYTES,
    SIGNED_BYTES,
    sign,
    write_report,
)
from blindai.errors import EvidenceError, VerificationError
from blindai.testing.vendors.pki import pem
from blindai.transcript import Status
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims

Verify = Callable[..., tuple[VerifiedClaims, Procedure]]
PLATFORM = SimulatedPlatform()
LEAF_KEY = ec.generate_private_key(ec.SECP384R1())
REPORT = sign(write_report(PLATFORM, bytes(64)), LEAF_KEY)
CHAIN = endorse(PLATFORM, LEAF_KEY.public_key())


@pytest.fixture
def verify_platform(verify_snp: Verify) -> Verify:
    """Verify what a platform says of itself, well signed."""

    def verify(**changes: object) -> tuple[VerifiedClaims, Procedure]:
        platform = replace(PLATFORM, **changes)  # type: ignore[arg-type]  # one of many
        report = sign(write_report(platform, bytes(64)), LEAF_KEY)
        return verify_snp(report, endorse(platform, LEAF_KEY.public_key()))

    return verify


def test_honest_evidence_is_verified(verify_snp: Verify) -> None:
    verified, procedure = verify_snp(REPORT, CHAIN)

    assert verified.root.simulated
    assert verified.claims.measurement == PLATFORM.measurement
    assert not procedure.transcript.refusals


def test_the_transcript_says_that_revocation_is_not_known(verify_snp: Verify) -> None:
    _, procedure = verify_snp(REPORT, CHAIN)

    lines = [c for c in procedure.transcript.checks if c.name.endswith("revocation")]
    assert [line.status for line in lines] == [Status.NOT_EVALUATED] * 2


def test_a_vlek_is_verified_without_a_chip(verify_platform: Verify) -> None:
    _, procedure = verify_platform(
        leaf_hwid=None, leaf_csp_id="CN=a.cloud.example", flags=1 << 2
    )

    (line,) = (c for c in procedure.transcript.checks if c.name == "chip ID")
    assert line.status is Status.NOT_EVALUATED
    assert "CN=a.cloud.example" in line.expected


def test_a_report_of_version_2_is_verified_without_a_processor(
    verify_platform: Verify,
) -> None:
    _, procedure = verify_platform(version=2, cpuid=(0, 0, 0))

    name = "product of the report"
    (line,) = (c for c in procedure.transcript.checks if c.name == name)
    assert line.status is Status.NOT_EVALUATED


@pytest.mark.parametrize("model", [0x10, 0x1F, 0xA0, 0xAF])
def test_processors_of_the_product_are_verified(
    verify_platform: Verify, model: int
) -> None:
    verify_platform(cpuid=(0x19, model, 0))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param({"signature_algorithm": 2}, "algorithm: expected", id="algorithm"),
        pytest.param({"flags": 7 << 2}, "signing key: .*NONE", id="unsigned"),
        pytest.param({"flags": 1 << 2}, "signing key: .*VLEK", id="VLEK, leaf is VCEK"),
        pytest.param({"flags": 3 << 2}, "signing key: .*reserved", id="reserved key"),
        pytest.param({"leaf_tcb": bytes(8)}, "reported TCB", id="firmware"),
        pytest.param({"leaf_hwid": bytes(64)}, "chip ID", id="chip"),
        pytest.param({"chip_id": bytes(64)}, "chip ID", id="hidden chip"),
        pytest.param(
            {"leaf_product": "Milan-B0"}, "the leaf certificate", id="leaf product"
        ),
        pytest.param({"cpuid": (0x19, 0x01, 0)}, "of the report", id="Milan"),
        pytest.param({"cpuid": (0x1A, 0x11, 0)}, "of the report", id="Turin"),
        pytest.param({"cpuid": (0x19, 0x20, 0)}, "of the report", id="model 20h"),
        pytest.param({"cpuid": (0x19, 0x9F, 0)}, "of the report", id="model 9Fh"),
        pytest.param({"cpuid": (0x19, 0xB0, 0)}, "of the report", id="model B0h"),
        pytest.param({"flags": 2}, "chip key: .*masked", id="masked"),
        pytest.param(
            {"committed_tcb": bytes([9, 0, 0, 0, 0, 0, 23, 84])},
            "committed TCB",
            id="committed bootloader",
        ),
        pytest.param(
            {
                "tcb": bytes([10, 1, 0, 0, 0, 0, 23, 84]),
                "leaf_tcb": bytes([10, 1, 0, 0, 0, 0, 23, 84]),
            },
            "committed TCB",
            id="committed TEE",
        ),
        pytest.param(
            {"committed_tcb": bytes([10, 0, 0, 0, 0, 0, 22, 84])},
            "committed TCB",
            id="committed SNP",
        ),
        pytest.param(
            {"committed_tcb": bytes([10, 0, 0, 0, 0, 0, 23, 83])},
            "committed TCB",
            id="committed microcode",
        ),
        pytest.param(
            {"current_tcb": bytes([10, 0, 0, 0, 0, 0, 22, 84])},
            "current TCB",
            id="current",
        ),
        pytest.param({"flags": 1}, "author key", id="author key without digest"),
        pytest.param(
            {"author_key_digest": b"a" * 48}, "author key", id="digest without key"
        ),
    ],
)
def test_a_platform_that_contradicts_itself_is_refused(
    verify_platform: Verify, changes: dict[str, object], line: str
) -> None:
    with pytest.raises(VerificationError, match=line):
        verify_platform(**changes)


def test_an_author_key_with_its_digest_is_verified(verify_platform: Verify) -> None:
    verify_platform(flags=1, author_key_digest=b"a" * 48)


def test_an_error_carries_the_lines_up_to_the_one_that_failed(
    verify_platform: Verify,
) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_platform(flags=2)

    transcript = caught.value.transcript
    assert transcript is not None
    *before, last = transcript.checks
    assert last.name == "chip key"
    assert all(check.holds for check in before)


@pytest.mark.parametrize("leaves", [0, 2])
def test_there_is_exactly_one_leaf(verify_snp: Verify, leaves: int) -> None:
    leaf, *issuers = x509.load_pem_x509_certificates(CHAIN)

    with pytest.raises(EvidenceError, match=f"one VCEK or VLEK .*, got {leaves}"):
        verify_snp(REPORT, pem(*[leaf] * leaves, *issuers))


def flipped(position: int) -> bytes:
    bit = 1 << position % 8
    return REPORT[:position] + bytes([REPORT[position] ^ bit]) + REPORT[position + 1 :]


def test_no_byte_of_a_report_can_change(verify_snp: Verify) -> None:
    for position in range(REPORT_BYTES):
        with pytest.raises((VerificationError, EvidenceError)):
            verify_snp(flipped(position), CHAIN)


@pytest.mark.parametrize(
    "position", [SIGNED_BYTES + 48, SIGNED_BYTES + 143, 0x330, 0x49F]
)
def test_signature_padding_is_zero(verify_snp: Verify, position: int) -> None:
    with pytest.raises(VerificationError, match="report signature: padding"):
        verify_snp(flipped(position), CHAIN)
