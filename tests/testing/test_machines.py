"""Made-up machines: variants that are accepted, and changes that are none.

What is refused, and in which words, is in `test_refusals.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Run, double, run
from tests.testing.processes import serving

from blindai.attester.simulated_report import SimulatedPlatform
from blindai.errors import HardwareAbsentError
from blindai.testing import SimulatedEnclave, serve
from blindai.testing.machines import MACHINES
from blindai.testing.machines.machine import changed

__all__ = ["double", "run"]

OTHER = "aa" * 48
ZEROS = "00" * 64


def test_models_outlive_a_server_process_under_the_tee_s_key(
    run: Run, double: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, data = tmp_path / "policy.toml", tmp_path / "data"
    words = ("--tee", "sev-snp", "--policy-out", policy, "--data-dir", data)
    with serving(*words) as first:
        run("models", "upload", first.url, double, "--policy", policy)

    with serving(*words) as again:
        same = run("models", "list", again.url, "--policy", policy)
    other = serve.main([*map(str, words), "--change", "guest_policy=0x7001f"])

    assert "double" in same.stdout
    assert other == 1
    assert "its index does not open" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"product": "Milan"},
        {"product": "Turin"},
        {"leaf_csp_id": "CN=a.cloud", "flags": "4", "leaf_hwid": "", "chip_id": ZEROS},
    ],
)
def test_an_honest_machine_of_another_kind_is_accepted(
    run: Run, tmp_path: Path, change: dict[str, str]
) -> None:
    policy = tmp_path / "policy.toml"
    machine = MACHINES["sev-snp"](change)
    policy.write_text(machine.policy)

    with SimulatedEnclave(attester=machine.attester) as enclave:
        result = run("verify", enclave.url, "--policy", policy)

    assert result.exit_code == 0, result.stdout


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


def test_a_gpu_s_mode_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="gpu_mode: expected one of mpt, spt, ppcie"):
        MACHINES["sev-snp-gpu"]({"gpu_mode": "fast"})


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
