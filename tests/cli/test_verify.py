"""`blindai verify` shows what was looked at, and each kind of no has its code."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from typer.testing import Result

from blindai.attester.simulated import SimulatedAttester, SimulatedPlatform
from blindai.errors import UncheckedError
from blindai.protocol.attestation import Evidence
from blindai.protocol.keyset import Binding
from blindai.server.asgi import Receive, Scope, Send
from blindai.testing import SimulatedEnclave
from blindai.transcript import Check, Status, Transcript

Run = Callable[..., Result]
KEYS = {
    "verdict",
    "url",
    "simulated",
    "tee",
    "measurement",
    "config_digest",
    "build",
    "not_before",
    "not_after",
    "policy_digest",
    "checks",
    "expiries",
    "with_tcb_info",
}
OTHER_BUILD = """\
version = 1
insecure_accept_simulation = true
[enclave]
builds = ["another"]
"""


class ForgedAttester(SimulatedAttester):
    """Signs one thing and shows another."""

    def attest(self, binding: Binding) -> Evidence:
        genuine = super().attest(binding)
        changed = bytearray(genuine.evidence)
        changed[0x90] ^= 1  # the measurement's first byte
        return replace(genuine, evidence=bytes(changed))


async def nonsense(scope: Scope, receive: Receive, send: Send) -> None:
    """An application whose evidence is malformed."""
    await receive()
    kind = scope["type"]
    if kind == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"nonsense"})


def test_an_accepted_enclave_is_described(run: Run, enclave: SimulatedEnclave) -> None:
    result = run("verify", enclave.url, "--simulation")

    assert result.exit_code == 0
    with enclave.connect() as connection:
        attestation = connection.attestation
    assert attestation.claims.measurement.hex() in result.stdout
    assert attestation.keyset.config_digest.hex() in result.stdout
    assert attestation.keyset.build in result.stdout
    assert f"{attestation.keyset.not_after:%Y-%m-%d %H:%M}" in result.stdout
    assert "report signature" in result.stdout
    assert "0 refused" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last == f"accepted: {enclave.url}, as a SIMULATION that proves nothing"


def test_json_is_one_object_with_everything(
    run: Run, enclave: SimulatedEnclave
) -> None:
    fields = json.loads(run("verify", enclave.url, "--simulation", "--json").stdout)

    assert fields.keys() == KEYS
    assert fields["verdict"] == "accepted"
    assert fields["simulated"] is True
    assert fields["tee"] == "sev-snp"
    assert len(fields["measurement"]) == 96
    assert len(fields["config_digest"]) == len(fields["policy_digest"]) == 64
    assert fields["checks"][0].keys() == {
        "name",
        "status",
        "expected",
        "actual",
        "source",
    }


@pytest.fixture
def other_build(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(OTHER_BUILD)
    return path


def test_a_policys_refusal_ends_with_6_and_says_why(
    run: Run, enclave: SimulatedEnclave, other_build: Path
) -> None:
    result = run("verify", enclave.url, "--policy", other_build)

    assert result.exit_code == 6
    shown = " ".join(result.stdout.split())
    assert "Refused \u2717 build expected" in shown
    assert result.stdout.splitlines()[-1] == f"refused: {enclave.url}"
    assert "error: build: expected" in result.stderr


def test_a_refusals_json_has_the_same_keys_and_the_error(
    run: Run, enclave: SimulatedEnclave, other_build: Path
) -> None:
    result = run("verify", enclave.url, "--policy", other_build, "--json")

    fields = json.loads(result.stdout)
    assert result.exit_code == 6
    assert fields.keys() == {*KEYS, "error"}
    assert fields["verdict"] == "refused"
    assert fields["measurement"] is None
    assert fields["error"]["type"] == "AppraisalError"
    assert fields["error"]["exit_code"] == 6
    failed = [each["name"] for each in fields["checks"] if each["status"] == "fail"]
    assert failed == ["build"]


def test_a_dead_address_ends_with_3(run: Run) -> None:
    result = run("verify", "http://127.0.0.1:1", "--simulation")

    assert result.exit_code == 3
    assert "error: network: " in result.stderr
    assert not result.stdout


def test_a_dead_address_is_not_reached_in_json(run: Run) -> None:
    result = run("verify", "http://127.0.0.1:1", "--simulation", "--json")

    assert result.exit_code == 3
    assert json.loads(result.stdout)["verdict"] == "not reached"


def test_malformed_evidence_ends_with_4(run: Run) -> None:
    with SimulatedEnclave(app=nonsense) as enclave:
        result = run("verify", enclave.url, "--simulation")

    assert result.exit_code == 4
    assert result.stdout.splitlines()[-1] == f"refused: {enclave.url}"


def test_forged_evidence_ends_with_5(run: Run) -> None:
    with SimulatedEnclave(attester=ForgedAttester()) as enclave:
        result = run("verify", enclave.url, "--simulation")

    assert result.exit_code == 5
    assert "report signature" in result.stdout


def test_a_required_check_left_out_ends_with_7(
    run: Run, enclave: SimulatedEnclave, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Check(
        name="measurement",
        status=Status.NOT_EVALUATED,
        expected="a reference value",
        actual="ab" * 48,
        source="a source",
    )

    def verify(*_: object, **__: object) -> None:
        raise UncheckedError(Transcript((check,)))

    monkeypatch.setattr("blindai.verifier.verify", verify)

    result = run("verify", enclave.url, "--simulation")

    assert result.exit_code == 7
    assert "\u2717  measurement" in result.stdout


def test_evidence_cannot_command_the_terminal(run: Run) -> None:
    platform = SimulatedPlatform(leaf_product="Ge\x1b[31mnoa")

    with SimulatedEnclave(attester=SimulatedAttester(platform)) as enclave:
        result = run("verify", enclave.url, "--simulation")

    assert result.exit_code != 0
    assert "\x1b" not in result.stdout + result.stderr


def test_all_fits_a_terminal_of_80_columns(run: Run, enclave: SimulatedEnclave) -> None:
    result = run("verify", enclave.url, "--simulation", env={"COLUMNS": "80"})

    table = result.stdout.partition("checks passed")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_it_says_when_everything_ends(run: Run, enclave: SimulatedEnclave) -> None:
    shown = run("verify", enclave.url, "--simulation")
    fields = json.loads(run("verify", enclave.url, "--simulation", "--json").stdout)

    soonest, *others = fields["expiries"]
    assert soonest["name"] == "keyset"
    assert soonest["not_after"] == fields["not_after"]
    assert soonest["days_left"] >= 0
    assert {"leaf certificate", "root certificate"} <= {each["name"] for each in others}
    assert "\nEnds" in shown.stdout


def test_a_refusal_says_what_to_do(
    run: Run, enclave: SimulatedEnclave, other_build: Path
) -> None:
    shown = run("verify", enclave.url, "--policy", other_build)
    fields = json.loads(
        run("verify", enclave.url, "--policy", other_build, "--json").stdout
    )

    (failed,) = (each for each in fields["checks"] if each["status"] == "fail")
    assert failed["next"].startswith("Another program, or another release.")
    assert "do: Another program" in " ".join(shown.stdout.split())


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """An Ed25519 key in a file."""
    path = tmp_path / "key.pem"
    made = Ed25519PrivateKey.generate()
    path.write_bytes(
        made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


@pytest.mark.parametrize(
    ("words", "code"), [(("--simulation",), 0), (("--policy", "other"), 6)]
)
def test_the_verdict_may_be_signed(
    run: Run,
    enclave: SimulatedEnclave,
    other_build: Path,
    key: Path,
    words: tuple[str, ...],
    code: int,
) -> None:
    ear = key.with_name("verdict.jwt")
    given = [other_build if each == "other" else each for each in words]

    result = run("verify", enclave.url, *given, "--ear", ear, "--ear-key", key)

    body = ear.read_text(encoding="ascii").split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "==="))
    (submodule,) = claims["submods"].values()
    assert result.exit_code == code
    assert claims["ear_status"] == "contraindicated"
    assert len(base64.urlsafe_b64decode(submodule["eat_nonce"] + "=")) == 32
    assert len(submodule["ear_appraisal_policy_ids"][0]) == 64


def test_a_verdict_that_cannot_be_written_is_told(
    run: Run, enclave: SimulatedEnclave, key: Path
) -> None:
    ear = key.parent / "none" / "verdict.jwt"

    result = run("verify", enclave.url, "--simulation", "--ear", ear, "--ear-key", key)

    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_newer_tcb_information_for_malformed_evidence_is_refused_too(
    run: Run, tmp_path: Path
) -> None:
    newer = tmp_path / "newer.toml"
    newer.write_text("Genoa = { snp = 1 }\n")

    with SimulatedEnclave(app=nonsense) as enclave:
        result = run(
            "verify", enclave.url, "--simulation", "--tcb-info", newer, "--json"
        )

    fields = json.loads(result.stdout)
    assert result.exit_code == 4
    assert fields["with_tcb_info"]["verdict"] == "refused"
