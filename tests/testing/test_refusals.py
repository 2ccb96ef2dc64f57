"""Real server processes on made-up hardware, verified, and refused by one change.

The hardware's changes are in `refusals.REFUSALS`; those of an operator who stands
between are in `front`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.conftest import Run, double, run
from tests.testing import front
from tests.testing.front import Answer, Front
from tests.testing.processes import Server, Servers, serving
from tests.testing.refusals import (
    ABOUT,
    DEMANDS,
    NOT_THERE,
    REFUSALS,
    Demand,
    Row,
)
from typer.testing import Result

from blindai.cli.exits import Exit
from blindai.testing import SimulatedEnclave
from blindai.testing.machines import MACHINES

__all__ = ["double", "run"]

pytestmark = pytest.mark.slow  # a process for each change

TEES = list(MACHINES)
SHOWN = {  # what a client calls it, where that is another name
    "azure": "az-snp",
    "azure-tdx": "az-tdx",
    "sev-snp-gpu": "sev-snp",
    "tdx-1.0": "tdx",
}
CHANGES = [
    pytest.param(tee, row, id=f"{tee}: {row.about}")
    for tee, rows in REFUSALS.items()
    for row in rows
]
ANSWERS: dict[Answer, tuple[Exit, list[str]]] = {
    front.honest: (Exit.OK, []),
    front.nothing: (Exit.NETWORK, []),
    front.cut_short: (Exit.MALFORMED, ["format"]),
    front.replayed: (Exit.NOT_ACCEPTED, ["nonce"]),
    front.replayed_for_this_nonce: (Exit.NOT_AUTHENTIC, ["report data"]),
    front.other_keys: (Exit.NOT_AUTHENTIC, ["keyset digest"]),
    front.other_keys_stated: (Exit.NOT_AUTHENTIC, ["report data"]),
}
GPU_ANSWERS: dict[Answer, tuple[Exit, list[str]]] = {
    front.gpus_left_out: (Exit.NOT_AUTHENTIC, ["GPU evidence digest"]),
    front.gpus_replayed: (Exit.NOT_AUTHENTIC, ["GPU evidence digest"]),
}
BETWEEN = [
    pytest.param(tee, answer, ended, id=f"{tee}: {answer.__name__}")
    for tee in TEES
    for answer, ended in ANSWERS.items()
] + [
    pytest.param("sev-snp-gpu", answer, ended, id=f"sev-snp-gpu: {answer.__name__}")
    for answer, ended in GPU_ANSWERS.items()
]
ROOTS = {
    "sgx": "PCK root certificate: validity",
    "tdx": "PCK root certificate: validity",
    "tdx-1.0": "PCK root certificate: validity",
    "azure-tdx": "PCK root certificate: validity",
}


@dataclass(frozen=True)
class Honest:
    """An unchanged machine and its server process.

    Attributes:
        server: The process.
        policy: The file of the policy that accepts it.
        data: The folder in which it keeps models.
    """

    server: Server
    policy: Path
    data: Path


@pytest.fixture(autouse=True)
def _tpm_in_software(request: pytest.FixtureRequest) -> None:
    """Skip what needs `swtpm` where that is not installed."""
    named = getattr(request.node, "callspec", None)
    values = named.params.values() if named else ()
    demanded = {each.tee for each in values if isinstance(each, Demand)}
    tees = demanded | {each for each in values if isinstance(each, str)}
    if tees & {"tpm", "azure", "azure-tdx"} and shutil.which("swtpm") is None:
        pytest.skip("swtpm is not installed: apt-get install swtpm")


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers() as starting:
        yield starting


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Honest]]:
    """The honest server of a TEE: one process for all tests that ask it."""
    found: dict[str, Honest] = {}
    running: list[ExitStack] = []

    def start(tee: str) -> Honest:
        if tee not in found:
            folder = tmp_path_factory.mktemp(tee)
            policy, data = folder / "policy.toml", folder / "data"
            words = ("--tee", tee, "--policy-out", policy, "--data-dir", data)
            running.append(ExitStack())
            server = running[-1].enter_context(serving(*words))
            found[tee] = Honest(server, policy, data)
        return found[tee]

    try:
        yield start
    finally:
        with ThreadPoolExecutor() as ending:
            list(ending.map(ExitStack.close, running))


@pytest.fixture(scope="module")
def between() -> Iterator[tuple[Front, str]]:
    """An operator's front, and its address."""
    standing = Front()
    with SimulatedEnclave(app=standing) as listening:
        yield standing, listening.url


def ended(result: Result) -> tuple[int, list[str]]:
    """The exit code, and the names of all checks that stand in the way."""
    checks = json.loads(result.stdout)["checks"]
    return result.exit_code, [each["name"] for each in checks if "next" in each]


@pytest.mark.parametrize("tee", TEES)
def test_an_honest_server_is_accepted_and_keeps_what_its_tee_can_seal(
    run: Run, double: Path, honest: Callable[[str], Honest], tee: str
) -> None:
    machine = honest(tee)
    url, policy = machine.server.url, machine.policy

    verified = run("verify", url, "--policy", policy)
    uploaded = run("models", "upload", url, double, "--policy", policy)

    assert verified.exit_code == 0, verified.stdout + verified.stderr
    assert f"TEE            {SHOWN.get(tee, tee)} (SIMULATED)" in verified.stdout
    assert uploaded.exit_code == 0, uploaded.stderr
    assert "MADE-UP HARDWARE: NOTHING IS PROTECTED" in machine.server.printed
    seals = machine.server.facts["sealing key"] != "none"
    assert (machine.data / "models").exists() is seals


@pytest.mark.parametrize(("tee", "row"), CHANGES)
def test_a_machine_with_one_thing_changed_is_refused(
    run: Run, servers: Servers, tmp_path: Path, tee: str, row: Row
) -> None:
    policy = tmp_path / "policy.toml"

    with servers.serving("--tee", tee, "--policy-out", policy, *row.words) as server:
        result = run("verify", server.url, "--policy", policy, "--json")

    assert ended(result) == (row.code, list(row.checks))


@pytest.mark.parametrize(("tee", "answer", "expected"), BETWEEN)
def test_who_stands_between_can_pass_on_or_be_refused(
    run: Run,
    honest: Callable[[str], Honest],
    between: tuple[Front, str],
    tee: str,
    answer: Answer,
    expected: tuple[Exit, list[str]],
) -> None:
    machine, (standing, url) = honest(tee), between
    standing.enclave, standing.answer = machine.server.url, answer

    result = run("verify", url, "--policy", machine.policy, "--json")

    assert ended(result) == expected


@pytest.mark.parametrize("tee", TEES)
def test_evidence_in_a_file_is_held_against_its_nonce_and_the_date(
    run: Run, honest: Callable[[str], Honest], tmp_path: Path, tee: str
) -> None:
    machine, file = honest(tee), tmp_path / "attestation.cmw"
    file.write_bytes(front.honest(machine.server.url, front.OLD_NONCE))
    words = ("evidence", "verify", file, "--policy", machine.policy, "--json")

    today = run(*words)
    other = run(*words, "--nonce", "aa" * 32)
    later, before = (run(*words, "--at", date) for date in ("2090-01-01", "2020-01-01"))

    assert ended(today) == (Exit.OK, [])
    assert ended(other) == (Exit.NOT_ACCEPTED, ["nonce"])
    outside = ROOTS.get(tee, "root certificate: validity")
    assert ended(later) == (Exit.NOT_AUTHENTIC, [outside])
    assert ended(before) == (Exit.NOT_AUTHENTIC, [outside])


@pytest.mark.parametrize("tee", TEES)
def test_a_policy_without_the_made_up_root_refuses(
    run: Run, honest: Callable[[str], Honest], tmp_path: Path, tee: str
) -> None:
    machine, policy = honest(tee), tmp_path / "policy.toml"
    policy.write_text(machine.policy.read_text().partition("[[insecure_roots]]")[0])

    result = run("verify", machine.server.url, "--policy", policy, "--json")

    assert ended(result)[0] == Exit.NOT_AUTHENTIC


@pytest.mark.parametrize("demand", DEMANDS, ids=lambda demand: demand.about)
def test_a_policy_that_asks_more_refuses(
    run: Run, honest: Callable[[str], Honest], tmp_path: Path, demand: Demand
) -> None:
    machine, policy = honest(demand.tee), tmp_path / "policy.toml"
    policy.write_text(demand.of(machine.policy.read_text()))
    file = tmp_path / "attestation.cmw"
    file.write_bytes(front.honest(machine.server.url, front.OLD_NONCE))

    result = run("verify", machine.server.url, "--policy", policy, "--json")
    from_file = run("evidence", "verify", file, "--policy", policy, "--json")

    assert ended(result) == (demand.code, list(demand.checks))
    assert ended(from_file) == (demand.code, list(demand.checks))


@pytest.mark.parametrize("tee", TEES)
def test_each_tee_has_a_row_about_each_thing_or_a_reason_why_not(tee: str) -> None:
    missing = {about for named, about in NOT_THERE if named == tee}

    assert {row.about for row in REFUSALS[tee]} & set(ABOUT) == set(ABOUT) - missing
