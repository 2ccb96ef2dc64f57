"""`blindai.Proof`: with or without salt and tensors, or with one tensor disclosed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import blindai
from blindai.client.policies import SimulationWarning
from blindai.client.proof import Proof
from blindai.client.results import PredictResponse, UploadResponse
from blindai.errors import (
    ConfigurationError,
    ProofError,
)
from blindai.protocol.proof_file import parse_proof_file
from blindai.verifier import Policy

X = np.array([1, 2], np.float32)
PAIR = {"a": np.array([3], np.float32), "b": np.array([1], np.float32)}
SIMULATION = Policy.for_simulation()
QUIET = pytest.mark.filterwarnings(
    f"ignore::{SimulationWarning.__module__}.SimulationWarning"
)


@pytest.fixture
def signed(client: blindai.Connection, model: str) -> PredictResponse:
    return client.predict(model, X, sign=True)


def proof_of(response: PredictResponse | UploadResponse) -> Proof:
    assert response.proof is not None
    return response.proof


@QUIET
def test_a_proof_is_saved_without_salt_and_tensors(
    signed: PredictResponse, tmp_path: Path
) -> None:
    proof = proof_of(signed)
    proof.save_to_file(tmp_path / "p")
    loaded = blindai.Proof.load_from_file(tmp_path / "p")

    loaded.verify(policy=SIMULATION)

    assert loaded.file.opening is None
    assert loaded.claims == proof.claims
    assert loaded.digest == proof.digest


def test_salt_and_tensors_are_there_if_one_asks(signed: PredictResponse) -> None:
    salted = parse_proof_file(proof_of(signed).as_bytes(salts=True)).opening
    whole = parse_proof_file(proof_of(signed).as_bytes(tensors=True)).opening

    assert salted is not None
    assert whole is not None
    assert salted.salt == whole.salt
    assert [each.tensor for each in (*salted.inputs, *salted.outputs)] == [None, None]
    assert None not in [each.tensor for each in (*whole.inputs, *whole.outputs)]


def test_a_proof_without_salt_has_none_to_give(signed: PredictResponse) -> None:
    bare = Proof.load_from_bytes(proof_of(signed).as_bytes())

    with pytest.raises(ConfigurationError, match="salt"):
        bare.as_bytes(salts=True)


@QUIET
def test_one_tensor_is_disclosed_and_nothing_else(
    client: blindai.Connection, pair: str
) -> None:
    proof = proof_of(client.predict(pair, PAIR, sign=True))
    disclosed = proof.disclose(outputs=["sum"], inputs=["a"])

    loaded = Proof.load_from_bytes(disclosed.as_bytes())
    loaded.verify(policy=SIMULATION)

    assert loaded.file.opening is None
    assert [each.tensor.name for each in loaded.file.disclosures] == ["a", "sum"]
    assert proof.file.opening is not None
    assert proof.file.opening.salt not in disclosed.as_bytes()


def test_a_tensor_that_was_changed_since_is_not_disclosed(
    client: blindai.Connection, model: str
) -> None:
    mine = X.copy()
    proof = proof_of(client.predict(model, mine, sign=True))
    mine[0] = 9

    with pytest.raises(ProofError, match="disclosed input"):
        proof.disclose(inputs=["x"])


def test_a_file_that_is_not_there_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Proof.load_from_file(tmp_path / "nothing")


def test_a_file_that_cannot_be_written_is_an_error(
    signed: PredictResponse, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        signed.save_to_file(tmp_path / "no folder" / "p")
