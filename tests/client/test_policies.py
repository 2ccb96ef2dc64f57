"""Whoever does not say what to trust trusts nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import blindai
from blindai.attester.simulated import SimulatedAttester, SimulatedPlatform
from blindai.client.policies import DebugWarning, SimulationWarning, choose_policy
from blindai.errors import ConfigurationError
from blindai.testing import SimulatedEnclave
from blindai.verifier import Policy, SnpPolicy

RELEASE = f'version = 1\n[sev-snp]\nmeasurements = ["{"01" * 48}"]\n'
SIMULATION = "version = 1\ninsecure_accept_simulation = true\n"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    path = tmp_path / "release.toml"
    path.write_text(RELEASE)
    return path


def test_there_is_no_policy_by_default() -> None:
    with pytest.raises(ConfigurationError, match=r"policy=\.\.\. or BLINDAI_POLICY"):
        choose_policy(None, simulation=False)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_policy_is_read_from_a_path(release: Path, kind: type[str | Path]) -> None:
    assert choose_policy(kind(release), simulation=False) == Policy.parse(RELEASE)


def test_a_policy_is_taken_as_it_is() -> None:
    policy = Policy.parse(RELEASE)
    assert choose_policy(policy, simulation=False) is policy


def test_the_environment_may_name_the_policy(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDAI_POLICY", str(release))
    assert choose_policy(None, simulation=False) == Policy.parse(RELEASE)


def test_simulation_alone_accepts_only_simulations() -> None:
    assert choose_policy(None, simulation=True) == Policy.for_simulation()


def test_a_policy_may_accept_a_simulation_and_pin_it() -> None:
    policy = Policy.parse(SIMULATION)
    assert choose_policy(policy, simulation=True) is policy


def test_a_release_policy_contradicts_simulation(release: Path) -> None:
    with pytest.raises(ConfigurationError, match="leave simulation=True out"):
        blindai.Connection("https://e.test", policy=release, simulation=True)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        (".", "Is a directory"),
        ("absent.toml", "No such file or directory"),
        ("latin.toml", "expected UTF-8"),
    ],
)
def test_a_policy_that_cannot_be_read_is_refused(
    tmp_path: Path, where: str, why: str
) -> None:
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=rf"policy .*: cannot be read: {why}"):
        choose_policy(tmp_path / where, simulation=False)


def test_a_malformed_policy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("version = 2")
    with pytest.raises(ConfigurationError):
        choose_policy(tmp_path / "policy.toml", simulation=False)


def test_an_enclave_in_debug_mode_warns_where_the_policy_lets_it_through() -> None:
    debug = SimulatedPlatform(guest_policy=SimulatedPlatform().guest_policy | 1 << 19)
    policy = Policy(
        insecure_accept_simulation=True, sev_snp=SnpPolicy(insecure_allow_debug=True)
    )

    with (
        SimulatedEnclave(attester=SimulatedAttester(debug)) as enclave,
        pytest.warns(SimulationWarning),
        pytest.warns(DebugWarning, match="DEBUG mode"),
    ):
        blindai.connect(enclave.url, policy=policy).close()


@pytest.mark.parametrize("policy", [{}, b"policy.toml", 1])
def test_what_is_no_policy_is_refused_by_its_type(policy: Any) -> None:  # noqa: ANN401  any object
    with pytest.raises(ConfigurationError, match=f"got {type(policy).__name__}"):
        choose_policy(policy, simulation=False)


def test_a_warning_names_the_line_that_uses_blindai(enclave: SimulatedEnclave) -> None:
    with pytest.warns(SimulationWarning) as told:
        blindai.connect(enclave.url, simulation=True).close()
    assert [each.filename for each in told] == [__file__]
