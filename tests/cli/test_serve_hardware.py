"""`blindai serve` on hardware: which TEE, what it says of itself, and what it lacks."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.attester.conftest import snp_report, tdx_quote
from typer.testing import Result

from blindai.attester import Attester, detection, nvidia
from blindai.attester.configfs_tsm import SEV_GUEST, TDX_GUEST, ConfigfsTsm
from blindai.attester.sev_guest import read_derived_key
from blindai.attester.sev_snp import SevSnpAttester
from blindai.attester.simulated_report import default_measurement
from blindai.attester.tdx import TdxAttester
from blindai.cli import serve
from blindai.inference import sandbox
from blindai.testing.devices import FakeConfigfs, FakeFiles, FakeSevGuest, Fault
from blindai.testing.devices.nvml import MadeUpNvml
from blindai.testing.vendors.nvidia import Nvidia

Run = Callable[..., Result]
OFFLINE = ("--port", "0", "--endorsements", "off")


def sev_snp(*faults: Fault) -> SevSnpAttester:
    device = FakeSevGuest()
    tree = FakeConfigfs(SEV_GUEST, lambda bound, _: (snp_report(bound), b""))

    def read_key(vmpl: int) -> bytes:
        return read_derived_key(vmpl, files=FakeFiles(device, faults), calls=device)

    return SevSnpAttester(
        reports=ConfigfsTsm(files=FakeFiles(tree, faults)), read_key=read_key
    )


def tdx() -> TdxAttester:
    tree = FakeConfigfs(TDX_GUEST, lambda bound, _: (tdx_quote(bound), b""))
    return TdxAttester(ConfigfsTsm(files=FakeFiles(tree)))


@pytest.fixture(autouse=True)
def _ends_when_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """End each server once it is ready."""
    printing = serve._print_facts

    def announce(facts: Mapping[str, str], next_steps: tuple[str, ...]) -> None:
        printing(facts, next_steps)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(serve, "_print_facts", announce)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Attester], None]:
    """A machine with this TEE."""

    def on(attester: Attester) -> None:
        monkeypatch.setattr(detection, "detect", lambda _: attester)
        monkeypatch.setattr(detection, "named", lambda tee, _: {"this": attester}[tee])

    return on


@pytest.mark.parametrize("named", [(), ("--tee", "this")], ids=["found", "named"])
def test_it_says_which_tee_it_is_and_nothing_of_simulation(
    run: Run, on: Callable[[Attester], None], named: tuple[str, ...]
) -> None:
    on(sev_snp())

    result = run("serve", *OFFLINE, *named)

    assert result.exit_code == 0, result.stderr
    assert "\nTEE            sev-snp-report\n" in result.stdout
    assert f"\nmeasurement    {default_measurement().hex()}\n" in result.stdout
    assert "\nmodels         end with the server (no --data-dir)\n" in result.stdout
    assert "--policy policy.toml" in result.stdout
    assert "simulat" not in (result.stdout + result.stderr).lower()


def test_it_says_what_holds_models_back(
    run: Run, on: Callable[[Attester], None], tmp_path: Path
) -> None:
    on(sev_snp())
    threads = tmp_path / "server.toml"
    threads.write_text('[inference]\nisolation = "thread"\n', encoding="utf-8")

    processes = run("serve", *OFFLINE)
    thread = run("serve", *OFFLINE, "--config", threads)

    assert processes.exit_code == thread.exit_code == 0
    words = ", ".join(sandbox.offered().words)
    assert f"\nsandbox        {words}\n" in processes.stdout
    assert "\nsandbox        none: models run in threads of this" in thread.stdout


def test_a_kernel_that_offers_less_than_is_accepted_stops_the_start(
    run: Run,
    on: Callable[[Attester], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    on(sev_snp())
    less = sandbox.Offered(no_new_privs=True, seccomp=True, landlock_abi=0)
    monkeypatch.setattr(sandbox, "offered", lambda: less)
    accepting = tmp_path / "server.toml"
    accepting.write_text('[inference]\nsandbox = "seccomp"\n', encoding="utf-8")

    refused = run("serve", *OFFLINE)
    accepted = run("serve", *OFFLINE, "--config", accepting)

    assert refused.exit_code == 2
    assert "expected a kernel that offers 'full', got" in refused.stderr
    assert "listening" not in refused.stdout
    assert accepted.exit_code == 0, accepted.stderr
    assert "seccomp: offered, Landlock: not offered\n" in accepted.stdout


def test_it_says_under_which_key_models_are_kept(
    run: Run, on: Callable[[Attester], None], tmp_path: Path
) -> None:
    on(sev_snp())

    result = run(
        "serve", "--endorsements", "off", "--port", "0", "--data-dir", tmp_path / "data"
    )

    assert result.exit_code == 0, result.stderr
    assert f"models         kept in {tmp_path / 'data'}, sealed; the key is" in (
        result.stdout
    )
    assert "derived by AMD's secure processor" in result.stdout


def test_it_says_that_a_tee_without_a_sealing_key_keeps_nothing(
    run: Run, on: Callable[[Attester], None], tmp_path: Path
) -> None:
    on(tdx())

    result = run(
        "serve", "--endorsements", "off", "--port", "0", "--data-dir", tmp_path / "data"
    )

    assert result.exit_code == 0, result.stderr
    assert "models         end with the server: this TEE derives no" in result.stdout
    assert not (tmp_path / "data" / "models").exists()


def test_hardware_that_makes_no_evidence_stops_the_start(
    run: Run, on: Callable[[Attester], None]
) -> None:
    on(sev_snp(Fault("read", "outblob", errno.EIO)))

    result = run("serve", *OFFLINE)

    assert result.exit_code == 1
    assert "outblob: cannot be read, EIO" in result.stderr
    assert "listening on" not in result.stdout


def test_a_sealing_key_that_cannot_be_derived_stops_the_start(
    run: Run, on: Callable[[Attester], None], tmp_path: Path
) -> None:
    on(sev_snp(Fault("open", "sev-guest", errno.ENOENT)))

    result = run(
        "serve", "--endorsements", "off", "--port", "0", "--data-dir", tmp_path
    )

    assert result.exit_code == 1
    assert "modprobe sev-guest" in result.stderr


def test_evidence_of_which_only_a_verifier_knows_the_measurement(
    run: Run, on: Callable[[Attester], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindai.server.serve.measurement", lambda _: None)
    on(sev_snp())

    assert "\nmeasurement    in the evidence\n" in run("serve", *OFFLINE).stdout


@pytest.mark.parametrize("tee", list(detection.PROBES))
def test_a_tee_that_is_named_and_absent_is_an_error_that_says_what_it_needs(
    run: Run, tee: str
) -> None:
    result = run("serve", "--tee", tee)

    assert result.exit_code == 1
    assert "error: " in result.stderr
    assert "docs/deploy.md" in result.stderr


def test_gpus_attest_beside_the_tee_where_they_are_asked_for(
    run: Run, on: Callable[[Attester], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml = MadeUpNvml([Nvidia().gpu()])
    monkeypatch.setattr(nvidia, "_load", lambda: nvml)
    on(sev_snp())

    result = run("serve", *OFFLINE, "--gpu")

    assert result.exit_code == 0, result.stderr
    assert "TEE            sev-snp-report, with GPUs\n" in result.stdout


def test_gpus_that_are_asked_for_and_cannot_attest_stop_the_start(
    run: Run, on: Callable[[Attester], None]
) -> None:
    on(sev_snp())

    result = run("serve", *OFFLINE, "--gpu")

    assert result.exit_code == 1
    assert "install NVIDIA's driver" in result.stderr
