"""The vectors of docs/proofs.md: made by their script, and held to by the verifier."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from blindai import proofs
from blindai.errors import AttestationError
from blindai.protocol.keyset import parse_keyset
from blindai.protocol.proof_file import encode_proof_file, parse_proof_file
from blindai.verifier import Policy

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "data" / "proofs"
VECTORS: dict[str, Any] = json.loads((FOLDER / "vectors.json").read_text("utf-8"))
POLICY = Policy.parse((FOLDER / "policy.toml").read_text("utf-8"))


def test_the_script_writes_what_is_there() -> None:
    script = ROOT / "tools" / "make_proof_vectors.py"

    subprocess.run([sys.executable, script, "--check"], check=True, cwd=ROOT)  # noqa: S603  our own script


@pytest.mark.parametrize("name", VECTORS["accepted"])
def test_a_good_file_is_accepted_as_of_its_own_date(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    file = parse_proof_file(data)

    result = proofs.verify(file, policy=POLICY)

    assert result.as_of.isoformat() == "2026-06-01T12:00:00+00:00"
    assert result.simulated
    assert encode_proof_file(file) == data


@pytest.mark.parametrize("name", VECTORS["refused"])
def test_a_file_with_one_thing_wrong_is_refused(name: str) -> None:
    with pytest.raises(AttestationError):
        proofs.verify(parse_proof_file((FOLDER / name).read_bytes()), policy=POLICY)


@pytest.mark.parametrize("name", VECTORS["accepted"])
def test_after_its_keyset_it_is_refused(name: str) -> None:
    file = parse_proof_file((FOLDER / name).read_bytes())
    after = parse_keyset(file.attestation.keyset).not_after + timedelta(seconds=1)

    with pytest.raises(AttestationError, match="keyset validity"):
        proofs.verify(file, policy=POLICY, at=after)


def texts(value: object) -> list[str]:
    match value:
        case dict():
            return [text for each in value.values() for text in texts(each)]
        case list():
            return [text for each in value for text in texts(each)]
        case str():
            return [value]
        case _:
            return []


def test_the_bytes_of_the_worked_example_are_the_vectors() -> None:
    page = (ROOT / "docs" / "proofs.md").read_text(encoding="utf-8")
    example = page.partition("## A worked example")[2].partition("\n## ")[0]
    shown = re.sub(r"\n {15}(?=[0-9a-f]{5})", "", example)
    known = texts(VECTORS)

    found = re.findall(r"\b[0-9a-f]{8,}\b", shown)

    assert len(found) > 20
    assert [each for each in found if not any(each in text for text in known)] == []
