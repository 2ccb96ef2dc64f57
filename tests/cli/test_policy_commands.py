"""`blindai policy`: what is written is read, explained, compared and converted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.genuine import VECTORS, Genuine, identify
from tests.vectors import FOLDER, needs_vectors
from typer.testing import Result

from blindai.attester.simulated import SimulatedAttester, SimulatedPlatform
from blindai.cli.policy_words import sentences
from blindai.testing import SimulatedEnclave, SimulatedEvidence
from blindai.verifier import Policy

Run = Callable[..., Result]
ACCEPTED = [each for each in VECTORS if each.code == 0]
MEASUREMENT = "ab" * 48
SNP = f"version = 1\n[sev-snp]\nmeasurements = ['{MEASUREMENT}']\n"
LEGACY = """\
mr_enclave = "56964b3ed1e5533db08200a9fc8085e1baa60d5d9baa27b793792bc74b4c760f"
misc_select_hex = "0x0"
misc_mask_hex = "0xffffffff"
attributes_flags_hex = "0x4"
attributes_xfrm_hex = "0x3"
attributes_mask_flags_hex = "0xfffffffffffffffd"
attributes_mask_xfrm_hex = "0xffffffffffffff1b"
allow_debug = false
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a file with this text."""

    def write(text: str) -> Path:
        path = tmp_path / f"policy-{len(list(tmp_path.iterdir()))}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# ------------------------------------------------------------------------------- new


def sources(vector: Genuine) -> list[object]:
    words: list[object] = ["--from", FOLDER / vector.file, "--tee", vector.tee]
    for each in vector.endorsements:
        words += ["--endorsements", FOLDER / each]
    return [*words, "--at", vector.at]


@needs_vectors
@pytest.mark.parametrize("vector", ACCEPTED, ids=identify)
def test_a_new_policy_accepts_what_it_was_made_from(
    run: Run, tmp_path: Path, vector: Genuine
) -> None:
    path = tmp_path / "policy.toml"
    made = run("policy", "new", *sources(vector), "--out", path)
    assert made.exit_code == 0, made.output
    text = path.read_text(encoding="utf-8")
    if vector.tee == "gpu":  # nothing by themselves; beside an enclave they count
        text += f"[sev-snp]\nmeasurements = ['{MEASUREMENT}']\n"
        path.write_text(text, encoding="utf-8")

    words = [each for each in vector.words() if each not in vector.options]
    result = run(*words, "--policy", path)

    assert result.exit_code == 0, result.output
    assert "NOBODY HAS REVIEWED THIS" in text
    assert "nothing was pinned" not in result.stdout


@needs_vectors
def test_evidence_that_is_not_authentic_makes_no_policy(
    run: Run, tmp_path: Path
) -> None:
    words = sources(VECTORS[0])
    words[-1] = "2050-01-01"

    result = run("policy", "new", *words, "--out", tmp_path / "policy.toml")

    assert result.exit_code == 5
    assert not (tmp_path / "policy.toml").exists()


@needs_vectors
def test_debug_mode_that_measures_nothing_makes_no_policy(run: Run) -> None:
    debug = next(each for each in VECTORS if "debug_2023" in each.file)

    result = run("policy", "new", *sources(debug))

    assert result.exit_code == 2
    assert "evidence: cannot be pinned" in result.stderr


@needs_vectors
def test_debug_mode_is_told_and_refused(run: Run) -> None:
    debug = next(each for each in VECTORS if "gosev" in each.file)

    result = run("policy", "new", *sources(debug))

    assert result.exit_code == 0
    assert "This enclave is in debug mode" in result.stdout
    assert "insecure" not in result.stdout.replace("insecure_", "insecure")


def test_an_enclave_can_be_asked(
    run: Run, enclave: SimulatedEnclave, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"

    made = run("policy", "new", "--from", enclave.url, "--simulation", "--out", path)
    accepted = run("verify", enclave.url, "--policy", path)

    policy = Policy.parse(path.read_text(encoding="utf-8"))
    assert made.exit_code == accepted.exit_code == 0
    assert policy.insecure_accept_simulation
    assert policy.sev_snp is not None
    assert policy.enclave.config_digests
    assert policy.enclave.builds
    assert "THIS ENCLAVE IS SIMULATED" in path.read_text(encoding="utf-8")


def test_another_enclave_is_refused_by_it(
    run: Run, enclave: SimulatedEnclave, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    run("policy", "new", "--from", enclave.url, "--simulation", "--out", path)
    other = SimulatedAttester(SimulatedPlatform(measurement=b"x" * 48))

    with SimulatedEnclave(attester=other) as another:
        result = run("verify", another.url, "--policy", path)

    assert result.exit_code == 6
    assert "measurement: expected" in result.stderr


def test_a_simulation_has_to_be_asked_for(run: Run, enclave: SimulatedEnclave) -> None:
    result = run("policy", "new", "--from", enclave.url)

    assert result.exit_code == 2
    assert "got a simulation" in result.stderr


def test_an_attestation_in_a_file_is_read_whole(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "attestation.cmw"
    path.write_bytes(SimulatedEvidence().attestation(bytes(32)))

    result = run("policy", "new", "--from", path, "--simulation")

    assert result.exit_code == 0
    assert "config_digests" in result.stdout


def test_a_file_that_is_there_is_not_written_over(
    run: Run, enclave: SimulatedEnclave, file: Callable[[str], Path]
) -> None:
    path = file("mine")

    result = run("policy", "new", "--from", enclave.url, "--simulation", "--out", path)

    assert result.exit_code == 2
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    old = tmp_path / "old.toml"
    old.write_text(LEGACY)

    result = run("policy", "convert", old, "--out", tmp_path / "none" / "new.toml")

    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


# --------------------------------------------------------------------------- explain


def test_a_policy_is_read_aloud(run: Run, file: Callable[[str], Path]) -> None:
    result = run("policy", "explain", file(SNP))

    shown = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert shown.startswith("Accepts: sev-snp.")
    assert "Launch measurements, 48 bytes each: abab" in shown
    assert "not pinned: host_data. What the host may have said at launch" in shown
    assert "no: the host may read the enclave's memory. (insecure_allow_debug)" in shown
    assert "neither accepted nor asked: " in shown


def test_a_digest_stays_whole_in_a_file(
    run: Run, file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    assert MEASUREMENT in run("policy", "explain", file(SNP)).stdout


def test_danger_is_red() -> None:
    policy = Policy.parse(
        SNP + "insecure_allow_debug = true\n"
        "[[insecure_roots]]\nvendor = 'AMD'\nsha256 = '" + "cd" * 32 + "'\n"
    )

    red = [each.text for each in sentences(policy) if each.style == "bold red"]

    assert any("insecure_allow_debug" in text for text in red)
    assert "[insecure_roots]" in red


def test_the_simulation_is_read_aloud_too(
    run: Run, file: Callable[[str], Path]
) -> None:
    path = file("version = 1\ninsecure_accept_simulation = true\n")

    result = run("policy", "explain", path)

    assert "Accepts: the simulation, which proves nothing." in result.stdout


# ------------------------------------------------------------------------------ diff


def test_two_policies_are_compared(run: Run, file: Callable[[str], Path]) -> None:
    second = SNP.replace(f"['{MEASUREMENT}']", f"['{MEASUREMENT}', '{'cd' * 48}']")
    paths = file(SNP), file(second + "insecure_allow_debug = true\n")

    shown = run("policy", "diff", *paths)
    fields = json.loads(run("policy", "diff", *paths, "--json").stdout)

    assert shown.exit_code == 0
    assert f"+ {'cd' * 48}" in shown.stdout
    assert "2 keys differ" in shown.stdout
    assert fields["differences"] == [
        {"key": "sev-snp.measurements", "removed": [], "added": ["cd" * 48]},
        {
            "key": "sev-snp.insecure_allow_debug",
            "removed": ["false"],
            "added": ["true"],
        },
    ]


def test_the_same_policy_differs_in_nothing(
    run: Run, file: Callable[[str], Path]
) -> None:
    result = run("policy", "diff", file(SNP), file(f"# a comment\n{SNP}"))

    assert "both accept the same" in result.stdout


@pytest.mark.parametrize("verb", ["explain", "diff", "convert"])
def test_a_policy_that_cannot_be_read_ends_with_2(run: Run, verb: str) -> None:
    words = ("none.toml", "none.toml") if verb == "diff" else ("none.toml",)

    result = run("policy", verb, *words)

    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


# --------------------------------------------------------------------------- convert


def test_a_policy_of_old_is_converted(run: Run, file: Callable[[str], Path]) -> None:
    result = run("policy", "convert", file(LEGACY))

    policy = Policy.parse(result.stdout)
    assert policy.sgx is not None
    assert policy.sgx.mr_enclave[0].hex().startswith("56964b3e")
    assert policy.sgx.attributes == bytes.fromhex("05000000000000000300000000000000")
    assert policy.sgx.attributes_mask == bytes.fromhex(
        "fdffffffffffffff1bffffffffffffff"
    )
    assert policy.sgx.misc_select == bytes(4)
    assert policy.sgx.insecure_allow_debug is False


@needs_vectors
def test_the_originals_proof_is_accepted_by_the_originals_policy(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    run("policy", "convert", FOLDER / "sgx" / "blindai_policy.toml", "--out", path)
    proof = next(each for each in VECTORS if "blindai_sgx" in each.file)

    assert run(*proof.words(), "--policy", path).exit_code == 0


def test_a_policy_of_old_is_explained_with_a_note(
    run: Run, file: Callable[[str], Path]
) -> None:
    result = run("policy", "explain", file(LEGACY))

    assert result.stdout.startswith("a policy of the original BlindAI")


def test_a_policy_of_old_says_how_to_use_it(
    run: Run, file: Callable[[str], Path], enclave: SimulatedEnclave
) -> None:
    result = run("verify", enclave.url, "--policy", file(LEGACY))

    assert result.exit_code == 2
    assert "blindai policy convert" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('mr_enclave = "5696', 'mr_enclave = "zz96', "64 hexadecimal digits"),
        ('misc_mask_hex = "0xffffffff"', 'misc_mask_hex = "0x1"', "misc_mask_hex"),
        ("allow_debug = false", "allow_debug = 1", "allow_debug"),
        ('attributes_mask_xfrm_hex = "0xffffffffffffff1b"\n', "", "expected both"),
        ('attributes_flags_hex = "0x4"\n', "", "attributes_mask_flags_hex is for"),
        ('misc_select_hex = "0x0"\n', "", "misc_select_hex: expected the bits that"),
        ('"0x4"', '"four"', "attributes_flags_hex: expected a number"),
        ('"0x4"', '"0x1ffffffffffffffff"', "attributes_flags_hex: expected a number"),
        ("allow_debug", "allow_bugs", "expected one of the original"),
    ],
)
def test_what_cannot_be_converted_is_told(
    run: Run, file: Callable[[str], Path], old: str, new: str, message: str
) -> None:
    result = run("policy", "convert", file(LEGACY.replace(old, new)))

    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("text", ["", "]", "x" * 300_000])
def test_any_other_file_is_none_of_old(
    run: Run, file: Callable[[str], Path], text: str
) -> None:
    result = run("policy", "convert", file(text))

    assert result.exit_code == 2
    assert "expected one of the original BlindAI" in result.stderr


def test_a_mask_of_nothing_pins_nothing(run: Run, file: Callable[[str], Path]) -> None:
    lines = [each for each in LEGACY.splitlines() if "attributes" not in each]
    text = "\n".join(lines).replace("0xffffffff", "0x0")

    policy = Policy.parse(run("policy", "convert", file(text)).stdout)

    assert policy.sgx is not None
    assert policy.sgx.attributes is None
    assert policy.sgx.misc_select is None
