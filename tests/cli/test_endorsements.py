"""`blindai endorsements`, and what other commands do with endorsements."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.client.test_endorsements import Bare
from tests.endorsements.conftest import (
    FMSPC,
    NOW,
    SOON,
    Reply,
    Vendor,
    amd_chain,
    pck,
    pem,
    report,
    revoked,
    sgx,
    vcek,
    vendor,
)
from tests.server.test_stapling import Hardware
from tests.vectors import FOLDER, needs_vectors
from typer.testing import Result

from blindai.cli import endorsements
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
)
from blindai.protocol.endorsements import encode_endorsements, parse_endorsements
from blindai.testing import SimulatedEnclave

Run = Callable[..., Result]
__all__ = ["vendor"]  # a fixture

CHAIN = Endorsement(PEM_CHAIN_TYPE, pem(vcek()) + amd_chain())
CRL = Endorsement(CRL_TYPE, revoked("ARK-Genoa"))


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endorsements, "_now", lambda: NOW)


class Fetch:
    """Runs `endorsements fetch` against a local vendor."""

    def __init__(self, run: Run, vendor: Vendor, out: Path) -> None:
        self.run = run
        self.vendor = vendor
        self.out = out

    def __call__(self, source: object) -> Result:
        url = self.vendor.url
        addresses = ("--endorsements-url-amd", url, "--endorsements-url-intel", url)
        return self.run("endorsements", "fetch", source, "--out", self.out, *addresses)


@pytest.fixture
def fetch(run: Run, vendor: Vendor, tmp_path: Path) -> Fetch:
    return Fetch(run, vendor, tmp_path / "out")


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    file = tmp_path / "evidence"
    file.write_bytes(report())
    return file


# ---------------------------------------------------------------------------- fetching


def test_what_belongs_to_a_report_is_fetched(
    fetch: Fetch, vendor: Vendor, evidence: Path
) -> None:
    vendor.serve_amd()

    result = fetch(evidence)

    assert result.exit_code == 0
    assert parse_endorsements(fetch.out.read_bytes()) == (CHAIN, CRL)
    assert "certificate: SEV-VCEK\n  issuer                  SEV-Genoa" in result.stdout
    assert f"written to {fetch.out}" in result.stderr


def test_what_belongs_to_an_enclave_is_fetched_from_vendors_alone(
    fetch: Fetch, vendor: Vendor
) -> None:
    vendor.serve_amd()
    hardware = Hardware()

    with SimulatedEnclave(attester=hardware) as enclave:
        result = fetch(enclave.url)

    assert result.exit_code == 0
    assert parse_endorsements(fetch.out.read_bytes()) == (CHAIN, CRL)


@pytest.mark.parametrize(
    ("head", "tee"),
    [
        (b"\x03\x00" + bytes(46), "sgx"),
        (b"\x04\x00\x02\x00" + bytes(44), "sgx"),
        (b"\x04\x00\x02\x00\x81\x00\x00\x00" + bytes(40), "tdx"),
        (b"\x05\x00\x02\x00\x81\x00\x00\x00" + bytes(40), "tdx"),
    ],
)
def test_a_quote_says_of_which_tee_it_is(
    fetch: Fetch, vendor: Vendor, evidence: Path, head: bytes, tee: str
) -> None:
    evidence.write_bytes(head + pem(pck()))

    result = fetch(evidence)

    assert result.exit_code == 3
    assert vendor.asked[0] == f"/{tee}/certification/v4/tcb?fmspc={FMSPC}"


def test_collateral_is_fetched_for_a_quote(
    fetch: Fetch, vendor: Vendor, evidence: Path
) -> None:
    vendor.serve_intel()
    for path in ("tcb?fmspc=" + FMSPC, "qe/identity"):
        reply = vendor.replies[f"/sgx/certification/v4/{path}"]
        dated = reply.body.replace(
            b'"nextUpdate"', b'"issueDate":"2026-05-30T00:00:00Z","nextUpdate"'
        )
        reply.body = dated
    evidence.write_bytes(b"\x03\x00" + sgx().evidence)

    result = fetch(evidence)

    assert result.exit_code == 0
    (made,) = parse_endorsements(fetch.out.read_bytes())
    assert made.media_type == INTEL_COLLATERAL_TYPE
    assert f"TCB info: SGX {FMSPC}" in result.stdout


def test_unless_all_of_it_is_there_nothing_is_written(
    fetch: Fetch, vendor: Vendor, evidence: Path
) -> None:
    vendor.serve_amd()
    vendor.replies["/vcek/v1/Genoa/crl"] = Reply(b"no", status=500)

    result = fetch(evidence)

    assert result.exit_code == 3
    assert "not fetched: AMD Genoa CRL" in result.stderr
    assert not fetch.out.exists()


def test_a_simulated_enclave_has_nothing_to_fetch(
    fetch: Fetch, enclave: SimulatedEnclave
) -> None:
    result = fetch(enclave.url)

    assert result.exit_code == 2
    assert "there is nothing to fetch" in result.stderr


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        pytest.param("", 2, "BLINDAI_ADDR", id="nothing"),
        pytest.param("/none", 2, "/none: cannot be read", id="no file"),
        pytest.param("http://127.0.0.1:1", 3, "network: ConnectError", id="nobody"),
        pytest.param("http://a\tb", 2, "address: expected", id="no URL"),
        pytest.param(__file__, 4, "an SEV-SNP report", id="another file"),
    ],
)
def test_without_evidence_it_fails(
    fetch: Fetch, source: str, code: int, message: str
) -> None:
    result = fetch(source)

    assert result.exit_code == code
    assert message in result.stderr


@pytest.mark.parametrize(
    ("reply", "code", "message"),
    [
        (Reply(status=503), 3, "evidence: expected status 200, got 503"),
        (Reply(bytes(1_100_000)), 4, "evidence: expected at most 1048576 bytes"),
    ],
)
def test_what_is_no_enclave_is_an_error(
    fetch: Fetch, vendor: Vendor, reply: Reply, code: int, message: str
) -> None:
    vendor.replies["/.well-known/blindai/attestation"] = reply

    result = fetch(vendor.url)

    assert result.exit_code == code
    assert message in result.stderr


def test_a_chip_that_hides_cannot_be_asked_for(fetch: Fetch, evidence: Path) -> None:
    evidence.write_bytes(report(chip_id=bytes(64)))

    result = fetch(evidence)

    assert result.exit_code == 4
    assert "MASK_CHIP_ID" in result.stderr


def test_a_file_that_cannot_be_written_is_an_error(
    fetch: Fetch, vendor: Vendor, evidence: Path, tmp_path: Path
) -> None:
    vendor.serve_amd()
    fetch.out = tmp_path

    result = fetch(evidence)

    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


# ----------------------------------------------------------------------------- showing


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "endorsements"
    file.write_bytes(encode_endorsements((CHAIN, CRL)))
    return file


def test_it_shows_who_says_what_about_whom_and_for_how_long(
    run: Run, file: Path
) -> None:
    result = run("endorsements", "show", file)

    assert result.exit_code == 0
    assert "CRL: 1 revoked\n  issuer                  ARK-Genoa\n" in result.stdout
    assert "2026-05-31 to 2026-07-01, 30 days left" in result.stdout
    assert "Read, not verified" in result.stdout


def test_it_shows_what_has_expired(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endorsements, "_now", lambda: SOON + timedelta(days=3))

    result = run("endorsements", "show", file)

    assert "2026-05-31 to 2026-07-01, EXPIRED 3 days ago" in result.stdout


def test_for_machines_it_is_json(run: Run, file: Path) -> None:
    result = run("endorsements", "show", file, file, "--json")

    lines = json.loads(result.stdout)
    assert [line["kind"] for line in lines] == [*["certificate"] * 3, "CRL"] * 2
    assert lines[3] == {
        "kind": "CRL",
        "subject": "1 revoked",
        "issuer": "ARK-Genoa",
        "not_before": "2026-05-31T12:00:00+00:00",
        "not_after": "2026-07-01T12:00:00+00:00",
        "days_left": 30,
        "revoked": 1,
    }


def _tcb_info(**fields: object) -> Endorsement:
    """Collateral in which nothing is wrong but these fields of its TCB info."""
    times = dict.fromkeys(("issueDate", "nextUpdate"), NOW.isoformat())
    text = json.dumps({**times, **fields})
    parts = {
        "tcb_info": text,
        "qe_identity": json.dumps(times),
        **dict.fromkeys(("pck_crl", "root_ca_crl"), revoked("CA").hex()),
        **dict.fromkeys(
            (
                "pck_crl_issuer_chain",
                "tcb_info_issuer_chain",
                "qe_identity_issuer_chain",
            ),
            amd_chain().decode(),
        ),
    }
    return Endorsement(INTEL_COLLATERAL_TYPE, json.dumps(parts).encode())


@pytest.mark.parametrize(
    ("endorsement", "message"),
    [
        (Endorsement("text/html", b"x"), "expected a known kind"),
        (Endorsement(INTEL_COLLATERAL_TYPE, b"[]"), "expected Intel's collateral"),
        (
            Endorsement(
                INTEL_COLLATERAL_TYPE,
                json.dumps(
                    {
                        "tcb_info": json.dumps(
                            {"issueDate": "2026-01-01", "nextUpdate": "2026-01-01"}
                        )
                    }
                ).encode(),
            ),
            "expected Intel's collateral",
        ),
        (Endorsement(PEM_CHAIN_TYPE, b"x"), "expected PEM certificates"),
        (Endorsement(CRL_TYPE, b"x"), "CRL"),
        (_tcb_info(tcbEvaluationDataNumber=math.nan), "expected Intel's collateral"),
        (_tcb_info(fmspc=math.inf), "expected Intel's collateral"),
    ],
)
@pytest.mark.parametrize("words", [(), ("--json",)], ids=["people", "machines"])
def test_what_is_malformed_ends_with_4(
    run: Run,
    tmp_path: Path,
    endorsement: Endorsement,
    message: str,
    words: tuple[str, ...],
) -> None:
    file = tmp_path / "file"
    file.write_bytes(encode_endorsements([endorsement]))

    result = run("endorsements", "show", file, *words)

    assert result.exit_code == 4
    assert message in result.stderr


def test_a_file_that_is_something_else_ends_with_2(run: Run, tmp_path: Path) -> None:
    assert run("endorsements", "show", tmp_path).exit_code == 2


@needs_vectors
def test_genuine_collateral_is_shown(run: Run) -> None:
    file = FOLDER / "tdx" / "phala_tdx_v4_collateral.json"

    result = run("endorsements", "show", file, "--json")

    lines = {line["kind"]: line for line in json.loads(result.stdout)}
    assert lines["TCB info"]["fmspc"] == "B0C06F000000"
    assert lines["TCB info"]["not_after"] == "2025-07-19T10:16:03+00:00"
    assert lines["TCB info"]["evaluation_data_number"] == 17
    assert lines["QE identity"]["subject"] == "TD_QE"


@needs_vectors
def test_genuine_certificates_are_shown(run: Run) -> None:
    files = [FOLDER / "snp" / f"{name}_milan.pem" for name in ("ask", "ark")]
    leaf = FOLDER / "snp" / "trustee_milan_vcek.der"

    result = run("endorsements", "show", leaf, *files)

    assert "certificate: SEV-VCEK\n  issuer                  SEV-Milan" in result.stdout


# ----------------------------------------------------------------------- other commands


@pytest.mark.parametrize(
    "words",
    [("verify", "URL"), ("models", "list", "URL"), ("predict", "URL", "m", "INPUT")],
)
def test_a_command_takes_endorsements_of_ones_own(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    hardware = Bare()
    file, given = tmp_path / "endorsements", tmp_path / "input.npy"
    file.write_bytes(encode_endorsements(hardware.stapled))
    np.save(given, np.zeros(1))

    with SimulatedEnclave(attester=hardware) as enclave:
        places = {"URL": enclave.url, "INPUT": given}
        options = (*(places.get(word, word) for word in words), "--simulation")
        without = run(*options)
        with_them = run(*options, "--endorsements", file)

    assert "expected one VCEK or VLEK" in without.output
    assert "expected one VCEK or VLEK" not in with_them.output
