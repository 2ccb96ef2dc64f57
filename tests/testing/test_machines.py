"""Made-up machines, end to end: a real server, a real verifier, one thing changed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import Run, double, run
from typer.testing import Result

from blindai.attester import Attester
from blindai.attester.simulated_report import SimulatedPlatform
from blindai.errors import HardwareAbsentError
from blindai.protocol.attestation import Evidence
from blindai.protocol.keyset import Binding
from blindai.testing import SimulatedEnclave
from blindai.testing.machines import MACHINES
from blindai.testing.machines.machine import changed

__all__ = ["double", "run"]

NOT_AUTHENTIC, NOT_ACCEPTED = 5, 6
OTHER = "aa" * 48
ZEROS = "00" * 64
SHOWN = {"azure": "az-snp", "azure-tdx": "az-tdx", "tdx-1.0": "tdx", "sev-snp-gpu": "sev-snp"}
Change = tuple[str, str, int, str]  # field, value, exit code, line of the transcript
CHANGES: dict[str, list[Change]] = {
    "sev-snp": [
        ("measurement", OTHER, NOT_ACCEPTED, "measurement"),
        ("guest_policy", "0xb001f", NOT_ACCEPTED, "debug mode"),
        ("vmpl", "1", NOT_ACCEPTED, "VMPL"),
        ("signing_key", "another", NOT_AUTHENTIC, "report signature"),
        ("tcb", "0900000000001754", NOT_AUTHENTIC, "reported TCB"),
        ("chip_id", "bb" * 64, NOT_AUTHENTIC, "chip ID"),
        ("leaf_not_after", "2026-01-01T00:00:00+00:00", NOT_AUTHENTIC, "validity"),
        ("leaf_not_before", "2074-01-01T00:00:00+00:00", NOT_AUTHENTIC, "validity"),
    ],
    "sgx": [
        ("mr_enclave", "aa" * 32, NOT_ACCEPTED, "MRENCLAVE"),
        ("flags", "0x7", NOT_ACCEPTED, "debug mode"),
        ("tcb", "3", NOT_ACCEPTED, "TCB status"),
        ("tcb", "1", NOT_AUTHENTIC, "platform TCB level"),
        ("signing_key", "another", NOT_AUTHENTIC, "quote signature"),
        ("revoked", "3", NOT_AUTHENTIC, "revocation"),
        ("age_days", "40", NOT_AUTHENTIC, "TCB info"),
    ],
    "tdx": [
        ("mr_td", OTHER, NOT_ACCEPTED, "MRTD"),
        ("td_attributes", "0x10000001", NOT_ACCEPTED, "debug mode"),
        ("boot", "another kernel", NOT_ACCEPTED, "RTMR1"),
        ("log", "another kernel", NOT_AUTHENTIC, "event log: RTMR1"),
        ("tcb", "3", NOT_ACCEPTED, "TCB status"),
        ("signing_key", "another", NOT_AUTHENTIC, "quote signature"),
        ("revoked", "3", NOT_AUTHENTIC, "revocation"),
        ("age_days", "40", NOT_AUTHENTIC, "TCB info"),
    ],
    "tpm": [
        ("boot", "another kernel", NOT_ACCEPTED, "PCR 11"),
        ("log", "another kernel", NOT_ACCEPTED, "event log"),
        ("secure_boot", "off", NOT_ACCEPTED, "secure boot"),
        ("signing_key", "another", NOT_AUTHENTIC, "signature"),
        ("ak_not_after", "2026-01-01T00:00:00+00:00", NOT_AUTHENTIC, "validity"),
    ],
    "azure": [
        ("measurement", OTHER, NOT_ACCEPTED, "measurement"),
        ("guest_policy", "0xb001f", NOT_ACCEPTED, "debug mode"),
        ("boot", "another kernel", NOT_ACCEPTED, "PCR 11"),
        ("log", "another kernel", NOT_ACCEPTED, "event log"),
        ("secure_boot", "off", NOT_ACCEPTED, "secure boot"),
        ("signing_key", "another", NOT_AUTHENTIC, "signature"),
        ("report_data", "bb" * 64, NOT_AUTHENTIC, "paravisor"),
        ("leaf_not_after", "2026-01-01T00:00:00+00:00", NOT_AUTHENTIC, "validity"),
    ],
    "nitro": [
        ("pcr0", OTHER, NOT_ACCEPTED, "PCR0"),
        ("pcr0", "00" * 48, NOT_ACCEPTED, "debug mode"),
        ("signing_key", "another", NOT_AUTHENTIC, "signature"),
        ("now", "2026-01-01T00:00:00+00:00", NOT_AUTHENTIC, "validity"),
    ],
}
HONEST: list[tuple[str, dict[str, str]]] = [
    *((tee, {}) for tee in CHANGES),
    ("sev-snp", {"product": "Milan"}),
    ("sev-snp", {"product": "Turin"}),
    (
        "sev-snp",
        {"leaf_csp_id": "CN=a.cloud", "flags": "4", "leaf_hwid": "", "chip_id": ZEROS},
    ),
]
CASES = [
    pytest.param(tee, change, id=f"{tee} {change[0]}")
    for tee, changes in CHANGES.items()
    for change in changes
]


@pytest.fixture(autouse=True)
def _tpm_in_software(request: pytest.FixtureRequest) -> None:
    """Skip what needs `swtpm` where that is not installed."""
    named = getattr(request.node, "callspec", None)
    if (
        named
        and named.params.get("tee") in {"tpm", "azure"}
        and shutil.which("swtpm") is None
    ):
        pytest.skip("swtpm is not installed: apt-get install swtpm")


class Replaying:
    """Hardware whose answer is always that to the first question."""

    def __init__(self, attester: Attester) -> None:
        self._attester = attester
        self.tee = attester.tee
        self.sealing = attester.sealing
        self._first: Evidence | None = None

    def attest(self, binding: Binding) -> Evidence:
        self._first = self._first or self._attester.attest(binding)
        return self._first

    def sealing_key(self) -> bytes | None:
        return None


def verify(run: Run, attester: Attester, policy: Path, *, times: int = 1) -> Result:
    """What `blindai verify` says of a server on this hardware, the last time."""
    with SimulatedEnclave(attester=attester) as enclave:
        results = [run("verify", enclave.url, "--policy", policy) for _ in range(times)]
    return results[-1]


@contextmanager
def serving(*words: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on made-up hardware in a process of its own, and its address."""
    command = [sys.executable, "-m", "blindai.testing.serve", *map(str, words)]
    with subprocess.Popen(  # noqa: S603  this very package
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


@pytest.mark.parametrize("tee", list(MACHINES))
def test_a_server_process_is_accepted_and_keeps_what_its_tee_can_seal(
    run: Run, double: Path, tmp_path: Path, tee: str
) -> None:
    policy, data = tmp_path / "policy.toml", tmp_path / "data"
    words = ("--tee", tee, "--policy-out", policy, "--data-dir", data)

    with serving(*words) as (process, url):
        verified = run("verify", url, "--policy", policy)
        uploaded = run("models", "upload", url, double, "--policy", policy)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()

    assert verified.exit_code == 0, verified.stdout + verified.stderr
    assert f"TEE            {SHOWN.get(tee, tee)} (SIMULATED)" in verified.stdout
    assert uploaded.exit_code == 0, uploaded.stderr
    assert "MADE-UP HARDWARE: NOTHING IS PROTECTED" in err
    seals = "sealing key    none" not in out
    assert (data / "models").exists() is seals


def test_models_outlive_a_server_process_under_the_tee_s_key(
    run: Run, double: Path, tmp_path: Path
) -> None:
    policy, data = tmp_path / "policy.toml", tmp_path / "data"
    words = ("--tee", "sev-snp", "--policy-out", policy, "--data-dir", data)
    with serving(*words) as (process, url):
        run("models", "upload", url, double, "--policy", policy)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)

    with serving(*words) as (_, url):
        same = run("models", "list", url, "--policy", policy)
    with serving(*words, "--change", "guest_policy=0x7001f") as (_, url):
        other = run("models", "list", url, "--policy", policy)

    assert "double" in same.stdout
    assert "double" not in other.stdout


@pytest.mark.parametrize(("tee", "change"), HONEST)
def test_an_honest_machine_is_accepted(
    run: Run, tmp_path: Path, tee: str, change: dict[str, str]
) -> None:
    policy = tmp_path / "policy.toml"
    machine = MACHINES[tee](change)
    policy.write_text(machine.policy)

    result = verify(run, machine.attester, policy)

    assert result.exit_code == 0, result.stdout


@pytest.mark.parametrize(("tee", "change"), CASES)
def test_a_machine_with_one_thing_changed_is_refused(
    run: Run, tmp_path: Path, tee: str, change: Change
) -> None:
    policy = tmp_path / "policy.toml"
    field, value, code, line = change
    machine = MACHINES[tee]({field: value})
    policy.write_text(machine.policy)

    result = verify(run, machine.attester, policy)

    assert result.exit_code == code, result.stdout
    assert line in result.stdout.replace("\n", " ")


@pytest.mark.parametrize("tee", list(MACHINES))
def test_evidence_for_another_nonce_is_refused(
    run: Run, tmp_path: Path, tee: str
) -> None:
    policy = tmp_path / "policy.toml"
    machine = MACHINES[tee]({})
    policy.write_text(machine.policy)

    result = verify(run, Replaying(machine.attester), policy, times=2)

    assert result.exit_code == NOT_AUTHENTIC, result.stdout


@pytest.mark.parametrize("tee", list(MACHINES))
def test_a_policy_without_the_made_up_root_refuses(
    run: Run, tmp_path: Path, tee: str
) -> None:
    policy = tmp_path / "policy.toml"
    machine = MACHINES[tee]({})
    policy.write_text(machine.policy.partition("[[insecure_roots]]")[0])

    result = verify(run, machine.attester, policy)

    assert result.exit_code == NOT_AUTHENTIC, result.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "expected known fields, got colour"),
        ({"vmpl": "one"}, "invalid literal"),
        ({"measurement": "xy"}, "non-hexadecimal"),
        ({"leaf_not_after": "never"}, "Invalid isoformat"),
    ],
)
def test_a_change_that_is_none_is_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MACHINES["sev-snp"](change)


def test_a_nitro_enclave_has_a_name_and_nothing_else() -> None:
    MACHINES["nitro"]({"module_id": "i-1-enc1"})

    with pytest.raises(ValueError, match="expected known fields, got pcr16"):
        MACHINES["nitro"]({"pcr16": OTHER})


def test_a_text_is_taken_as_it_is() -> None:
    platform = changed(SimulatedPlatform(), {"leaf_product": "Milan"})

    assert platform.leaf_product == "Milan"


def test_a_tpm_has_no_other_fields() -> None:
    with pytest.raises(ValueError, match="expected known fields, got colour"):
        MACHINES["tpm"]({"colour": "red"})


@pytest.mark.parametrize("tee", ["sgx", "tdx"])
def test_an_endorsed_attester_is_the_attester_but_for_its_endorsements(
    tee: str,
) -> None:
    attester = MACHINES[tee]({}).attester

    assert (attester.sealing is None) is (attester.sealing_key() is None)


def test_without_swtpm_there_is_no_such_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(HardwareAbsentError, match="apt-get install swtpm"):
        MACHINES["tpm"]({})
