"""Whoever gives a file for another learns what it is, and where it belongs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.vectors import FOLDER, needs_vectors
from typer.testing import Result

from blindai.cli.lookalikes import given_for_endorsements, given_for_evidence

Run = Callable[..., Result]

CERTIFICATES = "snp/ark_milan.pem", "certificates", "Pass it with --endorsements"
COLLATERAL = (
    "sgx/phala_sgx_v3_collateral.json",
    "Intel's collateral",
    "Pass it with --endorsements",
)
PROOF = (
    "sgx/blindai_exec_run.proof",
    "a proof of the original BlindAI",
    "`blindai proof verify`",
)
OLD_POLICY = (
    "sgx/blindai_policy.toml",
    "a policy of the original BlindAI",
    "`blindai policy convert`",
)
EVENT_LOG = "tdx/gotdx_cos113_ccel.bin", "an event log", "--event-log"
MANIFEST = (
    "nvidia/NV_GPU_DRIVER_GH100_550.144.03.xml",
    "a reference integrity manifest (RIM)",
    "docs/tees/nvidia-gpu.md",
)
REPORT = "snp/trustee_milan_report.bin"


@needs_vectors
@pytest.mark.parametrize("command", ["verify", "show"])
@pytest.mark.parametrize(
    ("file", "words", "advice"),
    [
        CERTIFICATES,
        ("snp/trustee_milan_vcek.der", "certificates", "Pass it with --endorsements"),
        ("nvidia/hopperCertChain.txt", "certificates", "Pass it with --endorsements"),
        COLLATERAL,
        PROOF,
        ("sgx/blindai_exec_upload.proof", *PROOF[1:]),
        OLD_POLICY,
        EVENT_LOG,
        MANIFEST,
        ("nvidia/nvtrust_vbios_rim_1010_0200_882_96005E0001.swidtag", *MANIFEST[1:]),
    ],
)
@pytest.mark.parametrize("tee", ["", "tpm", "sgx"])
def test_what_is_no_evidence_is_called_by_its_name(
    run: Run, command: str, tee: str, file: str, words: str, advice: str
) -> None:
    options = ("--tee", tee) if tee else ()

    result = run("evidence", command, FOLDER / file, *options)

    assert result.exit_code == 4
    assert "evidence file: expected " in result.stderr
    assert f"; it looks like {words}\n" in result.stderr
    assert advice in result.stderr


@needs_vectors
@pytest.mark.parametrize(
    ("file", "words", "advice"),
    [
        (REPORT, "an SEV-SNP report of 1184 bytes", "Give evidence as FILE"),
        ("sgx/phala_sgx_v3_quote.bin", "an SGX quote", "Give evidence as FILE"),
        (
            "tpm/gotpm_gce-cos-85-nonce9009.pb",
            "go-tpm-tools' protobuf",
            "Give evidence as FILE",
        ),
        PROOF,
        OLD_POLICY,
        EVENT_LOG,
        MANIFEST,
    ],
)
def test_what_is_no_endorsement_is_called_by_its_name(
    run: Run, file: str, words: str, advice: str
) -> None:
    result = run("evidence", "verify", FOLDER / REPORT, "--endorsements", FOLDER / file)

    assert result.exit_code == 4
    assert f"{Path(file).name}: endorsements: expected " in result.stderr
    assert f"; it looks like {words}\n" in result.stderr
    assert advice in result.stderr


POLICY = b"version = 1\n[sev-snp]\nmeasurements = ['" + b"ab" * 48 + b"']\n"
KEY = b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("data", "words", "advice"),
    [
        (POLICY, "an appraisal policy", "with --policy"),
        (b"mr_enclave = 'ab'", "a policy of the original BlindAI", "policy convert"),
        (KEY, "a private key", "Keep it to yourself"),
        (b'{"tcbInfo": {}, "signature": ""}', "Intel's TCB information", "--tcb-info"),
        (b"<a:SoftwareIdentity>", "a reference integrity manifest (RIM)", "policy"),
    ],
)
def test_it_is_told_by_its_looks(data: bytes, words: str, advice: str) -> None:
    found = given_for_evidence(data)

    assert found is not None
    assert found.words == words
    assert advice in found.advice
    assert given_for_endorsements(data) == found


@pytest.mark.parametrize(
    "data",
    [b"", b"hello = 1", b"hello", b'{"a": 1}', b"\xff" * 99, b"[" * 99_999, bytes(99)],
)
def test_anything_else_is_not_guessed_at(data: bytes) -> None:
    assert given_for_evidence(data) is None
    assert given_for_endorsements(data) is None


def test_evidence_is_not_called_something_else() -> None:
    assert given_for_evidence(bytes(1184)) is None
    found = given_for_endorsements(bytes(1184).hex().encode())
    assert found is not None
    assert found.words == "an SEV-SNP report of 1184 bytes"
