"""The verdict under newer TCB information, beside the verdict of today."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from blindai.cli.tcb_info import renew
from blindai.errors import ConfigurationError, EvidenceError
from blindai.protocol.attestation import (
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
    SGX_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.testing import SimulatedEnclave
from blindai.testing.vendors.intel import ISSUED, Intel
from blindai.testing.vendors.intel_parts import SGX, Enclave
from blindai.verifier import (
    Baseline,
    InsecureRoot,
    NitroPolicy,
    Policy,
    SgxPolicy,
    SnpPolicy,
)

Run = Callable[..., Result]
ENCLAVE = Enclave()
TODAY = Intel()


def out_of_date(statement: dict[str, Any]) -> dict[str, Any]:
    levels = [{**level, "tcbStatus": "OutOfDate"} for level in statement["tcbLevels"]]
    return {**statement, "tcbLevels": levels}


TOMORROW = replace(TODAY, change_tcb_info=out_of_date).collateral(SGX)
ANSWER = (
    '{"tcbInfo":'
    + TOMORROW["tcb_info"]
    + ',"signature":"'
    + TOMORROW["tcb_info_signature"]
    + '"}'
)


@pytest.fixture
def words(tmp_path: Path) -> list[object]:
    """Verify evidence by a made-up Intel, under a policy that knows it."""
    evidence = TODAY.evidence(ENCLAVE)
    (tmp_path / "quote.bin").write_bytes(evidence.evidence)
    collateral = evidence.endorsements[0].content
    (tmp_path / "collateral.json").write_bytes(collateral)
    measurement = ENCLAVE.encode(bytes(64))[64:96].hex()
    (tmp_path / "policy.toml").write_text(
        f"version = 1\n[sgx]\nmr_enclave = ['{measurement}']\n"
        "[[insecure_roots]]\nvendor = 'Intel'\n"
        f"sha256 = '{TODAY.root_digest.hex()}'\n"
    )
    return [
        "evidence", "verify", tmp_path / "quote.bin", "--tee", "sgx",
        "--endorsements", tmp_path / "collateral.json",
        "--policy", tmp_path / "policy.toml", "--at", ISSUED.isoformat(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content", [json.dumps(TOMORROW), ANSWER], ids=["a PCCS's", "Intel's own"]
)
def test_tomorrows_refusal_shows_today(
    run: Run, tmp_path: Path, words: list[object], content: str
) -> None:
    newer = tmp_path / "newer.json"
    newer.write_text(content)

    shown = run(*words, "--tcb-info", newer)
    fields = json.loads(run(*words, "--tcb-info", newer, "--json").stdout)

    assert shown.exit_code == 0, shown.output
    assert "under the given TCB information:\n  refused" in shown.stdout
    assert "made-up hardware: this proves nothing" in shown.stdout
    later = fields["with_tcb_info"]
    failed = [each["name"] for each in later["checks"] if each["status"] == "fail"]
    assert failed == ["TCB status"]
    assert later["error"]["exit_code"] == 6


def test_what_intel_did_not_sign_is_not_authentic(
    run: Run, tmp_path: Path, words: list[object]
) -> None:
    newer = tmp_path / "newer.json"
    newer.write_text(json.dumps({**TOMORROW, "tcb_info_signature": "00" * 64}))

    fields = json.loads(run(*words, "--tcb-info", newer, "--json").stdout)

    assert fields["verdict"] == "accepted"
    assert fields["with_tcb_info"]["error"]["exit_code"] == 5


def test_an_enclaves_minimum_is_asked_of_a_live_one(
    run: Run, enclave: SimulatedEnclave, tmp_path: Path
) -> None:
    policy, newer = tmp_path / "policy.toml", tmp_path / "newer.toml"
    policy.write_text("version = 1\ninsecure_accept_simulation = true\n[sev-snp]\n")
    newer.write_text("Genoa = { snp = 255 }\n")

    result = run(
        "verify", enclave.url, "--policy", policy, "--tcb-info", newer, "--json"
    )

    fields = json.loads(result.stdout)
    assert result.exit_code == 0
    assert fields["verdict"] == "accepted"
    assert fields["with_tcb_info"]["verdict"] == "refused"


def test_it_is_shown_for_people_too(
    run: Run, enclave: SimulatedEnclave, tmp_path: Path
) -> None:
    policy, newer = tmp_path / "policy.toml", tmp_path / "newer.toml"
    policy.write_text("version = 1\ninsecure_accept_simulation = true\n[sev-snp]\n")
    newer.write_text("Genoa = { snp = 0 }\n")

    result = run("verify", enclave.url, "--policy", policy, "--tcb-info", newer)

    assert "under the given TCB information:\n  accepted" in result.stdout


EVIDENCE = TODAY.evidence(ENCLAVE)
PINNED = Policy(
    sgx=SgxPolicy(mr_enclave=(bytes(32),)),
    insecure_roots=(InsecureRoot(vendor="Intel", sha256=TODAY.root_digest),),
)


@pytest.mark.parametrize(
    ("policy", "file", "message"),
    [
        (PINNED, b"\xff\xfe", "got 2 bytes of something else"),
        (PINNED, b"{}", "got 2 bytes of JSON"),
        (PINNED, b"[]", "got 2 bytes of JSON"),
        (PINNED, bytes(1 << 20), "expected at most"),
        (PINNED, b"Genoa = { snp = 1 }", r"expected a policy with \[sev-snp\]"),
        (Baseline(), b"", "the least firmware of Milan or Genoa"),
        (Baseline(), b"snp = 1", "unknown key 'snp'"),
    ],
)
def test_any_other_file_is_refused(
    policy: Policy | Baseline, file: bytes, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        renew(EVIDENCE, policy, file)


def test_intels_is_for_evidence_with_intels() -> None:
    pem = Endorsement(PEM_CHAIN_TYPE, b"")
    bare = replace(EVIDENCE, endorsements=(pem,))

    with pytest.raises(ConfigurationError, match="for SGX and TDX"):
        renew(bare, PINNED, ANSWER.encode())


def test_only_intels_part_is_replaced() -> None:
    pem = Endorsement(PEM_CHAIN_TYPE, b"a chain")
    whole = replace(EVIDENCE, endorsements=(pem, *EVIDENCE.endorsements))

    renewed, policy = renew(whole, PINNED, json.dumps(TOMORROW).encode())

    assert policy == PINNED
    assert renewed.endorsements[0] == pem
    stapled = json.loads(renewed.endorsements[1].content)
    assert stapled["tcb_info"] == TOMORROW["tcb_info"]
    before = json.loads(EVIDENCE.endorsements[0].content)
    assert stapled["pck_crl"] == before["pck_crl"]


def test_a_collateral_that_is_none_is_malformed() -> None:
    broken = Evidence(
        media_type=SGX_QUOTE_TYPE,
        evidence=b"",
        endorsements=(Endorsement(INTEL_COLLATERAL_TYPE, b"]"),),
    )

    with pytest.raises(EvidenceError, match="expected a JSON object"):
        renew(broken, PINNED, ANSWER.encode())


def test_the_other_tables_of_a_policy_stay() -> None:
    policy = Policy(
        sev_snp=SnpPolicy(measurements=(b"x" * 48,)),
        nitro=NitroPolicy(pcr0=(b"y" * 48,)),
    )

    _, renewed = renew(EVIDENCE, policy, b"Milan = { snp = 9 }")

    assert renewed.nitro == policy.nitro
    assert renewed.sev_snp is not None
    assert renewed.sev_snp.measurements == (b"x" * 48,)
    assert renewed.sev_snp.products == ("Milan",)
