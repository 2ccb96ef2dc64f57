"""`blindai evidence verify` on genuine files: the verdict, its code, what is shown."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from tests.cli.genuine import MILAN, VECTORS, Genuine
from tests.vectors import FOLDER, needs_vectors
from typer.testing import Result

from blindai.cli.tee_names import TeeName

pytestmark = needs_vectors

Run = Callable[..., Result]
FIRST_OF_EACH_TEE = {each.tee: each for each in reversed(VECTORS)}


def test_it_says_that_nothing_was_pinned(run: Run) -> None:
    result = run(*MILAN.words())

    last = result.stdout.splitlines()[-3:]
    assert last[0].startswith("nothing was pinned: ")
    assert last[2] == f"accepted: {FOLDER / MILAN.file}"
    assert "Ends" in result.stdout
    assert "leaf certificate" in result.stdout


def test_reference_values_are_not_evaluated(run: Run) -> None:
    fields = json.loads(run(*MILAN.words(), "--json").stdout)

    left_open = {
        each["name"] for each in fields["checks"] if each["status"] == "not evaluated"
    }
    assert {"measurement", "host data", "ID key digest", "nonce"} <= left_open


def test_a_failure_says_what_to_do(run: Run) -> None:
    result = run(*VECTORS[3].words())

    assert "debug mode" in result.stdout
    assert "do: Whoever runs the machine can read" in " ".join(result.stdout.split())
    assert "error: debug mode: expected off, got on" in result.stderr


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_endorsements_stand_in_any_order(run: Run, order: tuple[int, ...]) -> None:
    shuffled = tuple(MILAN.endorsements[each] for each in order)
    vector = Genuine("snp", MILAN.file, shuffled)

    assert run(*vector.words()).exit_code == 0


@pytest.mark.parametrize(
    "write",
    [bytes.hex, lambda data: base64.encodebytes(data).decode("ascii")],
    ids=["hexadecimal", "base64"],
)
def test_evidence_may_be_text(
    run: Run, tmp_path: Path, write: Callable[[bytes], str]
) -> None:
    path = tmp_path / "report.txt"
    path.write_text(write((FOLDER / MILAN.file).read_bytes()))
    words = [str(path) if word.endswith(".bin") else word for word in MILAN.words()]

    assert run(*words).exit_code == 0


def test_the_tee_need_not_be_named(run: Run) -> None:
    words = [each for each in MILAN.words() if each not in {"--tee", "snp"}]

    assert run(*words).exit_code == 0


REPORT_DATA = "ec6c52d7533cc2c4f45be7849cf112ab82b2009fe7bd43e71ed08c14400ad7e2"


@pytest.mark.parametrize(
    ("nonce", "code"),
    [
        (REPORT_DATA, 0),
        (REPORT_DATA + "00" * 32, 0),
        (REPORT_DATA + "00" * 33, 6),
        (REPORT_DATA[:-2], 6),
        ("00", 6),
    ],
)
def test_a_nonce_is_held_against_the_report_data(
    run: Run, nonce: str, code: int
) -> None:
    assert run(*MILAN.words(), "--nonce", nonce).exit_code == code


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text("version = 1\n[sev-snp]\nmeasurements = ['" + "ab" * 48 + "']\n")
    return path


def test_a_policy_decides(run: Run, policy: Path) -> None:
    shown = run(*MILAN.words(), "--policy", policy, "--json")

    fields = json.loads(shown.stdout)
    assert shown.exit_code == 6
    assert fields["pinned"] is True
    assert len(fields["policy_digest"]) == 64
    failed = [each["name"] for each in fields["checks"] if each["status"] == "fail"]
    assert failed == ["measurement"]


def test_under_its_own_policy_it_is_accepted(run: Run, policy: Path) -> None:
    measurement = json.loads(run(*MILAN.words(), "--json").stdout)["measurement"]
    policy.write_text(policy.read_text().replace("ab" * 48, measurement))

    result = run(*MILAN.words(), "--policy", policy)

    assert result.exit_code == 0
    assert "nothing was pinned" not in result.stdout


def test_without_its_certificates_it_says_what_is_missing(run: Run) -> None:
    result = run(*Genuine("snp", MILAN.file).words())

    assert result.exit_code == 4
    assert "expected one VCEK or VLEK certificate" in result.stderr
    assert "--endorsements" in " ".join(result.stdout.split())


def test_the_least_firmware_shows_tomorrows_refusal(run: Run, tmp_path: Path) -> None:
    newer = tmp_path / "tcb.toml"
    newer.write_text("Milan = { snp = 9 }\n")

    result = run(*MILAN.words(), "--tcb-info", newer)
    fields = json.loads(run(*MILAN.words(), "--tcb-info", newer, "--json").stdout)

    assert result.exit_code == 0
    assert "under the given TCB information:\n  refused" in result.stdout
    assert fields["verdict"] == "accepted"
    assert fields["with_tcb_info"]["verdict"] == "refused"
    assert fields["with_tcb_info"]["error"]["exit_code"] == 6


BAD = {
    "empty": (b"", "got an empty file"),
    "huge": (bytes(5 << 20), "expected at most"),
    "text": (b"hello, world!\n", "got 14 bytes of text"),
    "binary": (bytes(range(256)) * 3, "got 768 bytes of something else"),
    "short": (bytes(1000), "an SEV-SNP report of 1184 bytes"),
    "json": (b'{"a": 1}', "got 8 bytes of JSON"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize(
    "tee", ["sgx", "tdx", "snp", "nitro", "tpm", "az-snp", "az-tdx", "gpu"]
)
def test_a_bad_file_is_malformed_and_says_what_was_expected(
    run: Run, tmp_path: Path, tee: str, content: bytes, message: str
) -> None:
    path = tmp_path / "evidence"
    path.write_bytes(content)

    result = run("evidence", "verify", path, "--tee", tee)

    assert result.exit_code == 4
    assert message in result.stderr or (tee != "snp" and "expected " in result.stderr)
    assert "Traceback" not in result.output


def test_evidence_of_another_tee_says_which(run: Run) -> None:
    result = run("evidence", "verify", FOLDER / MILAN.file, "--tee", "sgx")

    assert result.exit_code == 4
    assert "it looks like --tee snp" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--nonce", "xyz"), "--nonce: expected"),
        (("--nonce", ""), "--nonce: expected"),
        (("--at", "yesterday"), "--at: expected a time"),
        (("--accept-tcb", "Fine"), "--accept-tcb: expected one of"),
        (("--endorsements", "no-such-file"), "no-such-file: cannot be read: No such"),
        (("--policy", "no-such-file"), "cannot be read: No such"),
        (("--ear", "a"), "expected both --ear and --ear-key"),
        (("--ear", "a", "--ear-key", "no-such-file"), "cannot be read: No such"),
    ],
)
def test_wrong_options_end_with_2(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    result = run(*MILAN.words(), *words)

    assert result.exit_code == 2
    assert message in result.stderr


def test_statuses_and_a_policy_contradict_each_other(run: Run, policy: Path) -> None:
    words = ("--policy", policy, "--accept-tcb", "OutOfDate")

    assert run(*MILAN.words(), *words).exit_code == 2


@pytest.mark.parametrize("tee", TeeName)
def test_statuses_are_for_the_tees_that_have_some(run: Run, tee: TeeName) -> None:
    words = FIRST_OF_EACH_TEE[tee].words()

    result = run(*words, "--accept-tcb", "OutOfDate")

    if tee in {"sgx", "tdx", "az-tdx"}:
        assert "--accept-tcb: expected evidence" not in result.stderr
        assert result.exit_code != 2
    else:
        assert "--accept-tcb: expected evidence of sgx, tdx, az-tdx" in result.stderr
        assert f"got {tee}\n" in result.stderr
        assert result.exit_code == 2


def test_a_file_that_is_not_there_ends_with_2(run: Run) -> None:
    result = run("evidence", "verify", "no-such-file", "--tee", "snp")

    assert result.exit_code == 2
    assert "no-such-file: cannot be read" in result.stderr


def test_an_event_log_that_is_empty_is_not_left_out_silently(
    run: Run, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()

    result = run(*MILAN.words(), "--event-log", log)

    assert result.exit_code == 4
    assert "log: expected an event log, got nothing" in result.stderr


@pytest.mark.parametrize("command", ["verify", "show"])
def test_a_file_that_is_something_else_comes_with_advice_about_files(
    run: Run, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")

    result = run("evidence", command, path)

    assert result.exit_code == 4
    assert "next: Give the whole file" in result.stderr


def test_a_refusal_does_not_advise_to_accept_debug_mode(run: Run) -> None:
    result = run(*VECTORS[3].words())

    assert "only if you reviewed" in result.stderr


def test_a_private_key_is_no_endorsement(run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")

    result = run(*MILAN.words(), "--endorsements", key)

    assert result.exit_code == 4
    assert "expected certificates and CRLs only" in result.stderr


@pytest.mark.parametrize("tee", TeeName)
def test_it_loads_nothing_that_it_does_without(tee: TeeName) -> None:
    """What it costs from a cold start is what it imports; `make bench` has the time."""
    program = (
        "import sys\n"
        "from blindai.cli.application import app\n"
        "try:\n"
        "    app(sys.argv[1:])\n"
        "finally:\n"
        "    heavy = {'numpy', 'onnx', 'onnxruntime', 'uvicorn', 'httpx'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    vector = FIRST_OF_EACH_TEE[tee]

    ended = subprocess.run(  # noqa: S603  this very program
        [sys.executable, "-c", program, *vector.words()],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (vector.code, "[]")


def token(path: Path) -> tuple[dict[str, object], bytes, bytes]:
    """What a token says, what is signed of it, and the signature."""
    head, body, signature = path.read_text(encoding="ascii").strip().split(".")
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "==="))
    signed = f"{head}.{body}".encode()
    return claims, signed, base64.urlsafe_b64decode(signature + "===")


@pytest.mark.parametrize(("vector", "status"), [(0, "warning"), (3, "contraindicated")])
def test_the_verdict_may_be_a_signed_token(
    run: Run, tmp_path: Path, vector: int, status: str
) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    ear = tmp_path / "verdict.jwt"

    run(*VECTORS[vector].words(), "--ear", ear, "--ear-key", tmp_path / "key.pem")

    claims, signed, signature = token(ear)
    key.public_key().verify(signature, signed)
    assert claims["ear_status"] == status
    assert isinstance(claims["submods"], dict)
    assert list(claims["submods"]) == ["snp"]


def test_a_key_of_another_kind_signs_nothing(run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")

    result = run(*MILAN.words(), "--ear", tmp_path / "a", "--ear-key", key)

    assert result.exit_code == 2
    assert "expected a private key in PEM" in result.stderr
    assert not (tmp_path / "a").exists()
