"""Signed answers: saved, loaded and validated as the original client did."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blindai
from blindai.client.policies import DebugWarning, SimulationWarning
from blindai.client.proof import Proof
from blindai.client.results import PredictResponse, UploadResponse
from blindai.errors import (
    AttestationError,
    ConfigurationError,
    EvidenceError,
    ProofError,
    TensorError,
)
from blindai.protocol.tensor import Tensor
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
def test_a_response_is_saved_loaded_and_validated(
    signed: PredictResponse, model: str, tmp_path: Path
) -> None:
    signed.save_to_file(tmp_path / "run.proof")
    loaded = PredictResponse.load_from_file(tmp_path / "run.proof")

    result = loaded.validate(model, X, policy=SIMULATION)

    assert result.claims == proof_of(signed).claims
    assert loaded.output[0].as_flat() == [1, 2]
    assert (loaded.model_name, loaded.model_version) == (model, 1)
    assert loaded.model_digest == signed.model_digest
    assert math.isnan(loaded.inference_time)
    assert loaded.as_bytes() == signed.as_bytes()


@QUIET
def test_it_is_validated_before_it_is_saved_too(
    signed: PredictResponse, model: str
) -> None:
    digest = signed.model_digest

    signed.validate(model, [1, 2], policy=SIMULATION, model_digest=digest)
    signed.validate(model, [1.0, 2.0], "FP32", (2,), simulation=True)


@QUIET
def test_several_inputs_are_validated_as_they_were_sent(
    client: blindai.Connection, pair: str
) -> None:
    backwards = dict(reversed(PAIR.items()))
    response = client.predict(pair, backwards, sign=True)

    response.validate(pair, PAIR, policy=SIMULATION)
    response.validate(pair, list(PAIR.values()), policy=SIMULATION)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        pytest.param(("m", X), {}, "proof model name", id="another name"),
        pytest.param((None, X + 1), {}, "proof inputs", id="other inputs"),
        pytest.param((None, X), {"model_digest": "00" * 32}, "digest", id="digest"),
        pytest.param((None, X), {"model_digest": "x"}, "hexadecimal", id="no digest"),
    ],
)
def test_what_is_about_something_else_is_refused(
    signed: PredictResponse,
    model: str,
    arguments: tuple[str | None, object],
    options: dict[str, Any],
    words: str,
) -> None:
    name, tensors = arguments

    with pytest.raises(ProofError, match=words):
        signed.validate(name or model, tensors, policy=SIMULATION, **options)


def test_inputs_of_another_shape_are_no_inputs_of_it(
    signed: PredictResponse, model: str
) -> None:
    with pytest.raises((ProofError, TensorError)):
        signed.validate(model, {"z": X}, policy=SIMULATION)


def test_outputs_that_were_changed_since_are_refused(
    signed: PredictResponse, model: str
) -> None:
    changed = replace(signed, output=client_tensors(Tensor.of("y", X + 1)))

    with pytest.raises(ProofError, match="proof outputs"):
        changed.validate(model, X, policy=SIMULATION)


def client_tensors(*tensors: Tensor) -> tuple[Any, ...]:
    from blindai.client.output import Tensor as Output  # noqa: PLC0415  two of a name

    return tuple(map(Output, tensors))


def test_a_release_policy_refuses_a_simulated_response(
    signed: PredictResponse, model: str, pinned: Policy
) -> None:
    release = replace(pinned, insecure_accept_simulation=False)

    with pytest.raises(AttestationError, match="simulated TEE"):
        signed.validate(model, X, policy=release)


def test_a_simulated_proof_is_warned_of_each_time(
    signed: PredictResponse, model: str
) -> None:
    for _ in range(2):
        with pytest.warns(SimulationWarning, match="anybody can"):
            signed.validate(model, X, simulation=True)
        with pytest.warns(SimulationWarning, match="anybody can"):
            proof_of(signed).verify(simulation=True)


def test_one_of_debug_mode_is_warned_of_too(signed: PredictResponse) -> None:
    from blindai.client.policies import warn_of_worthless  # noqa: PLC0415  alone here

    with pytest.warns(SimulationWarning):
        result = proof_of(signed).verify(policy=SIMULATION)
    attestation = result.attestation
    assert attestation is not None
    object.__setattr__(attestation, "claims", replace(attestation.claims, debug=True))

    with pytest.warns(DebugWarning), pytest.warns(SimulationWarning):
        warn_of_worthless(result)


def test_without_a_policy_nothing_is_validated(
    signed: PredictResponse, model: str
) -> None:
    with pytest.raises(ConfigurationError, match="policy"):
        signed.validate(model, X)


def test_a_key_can_stand_in_for_the_evidence(
    signed: PredictResponse, client: blindai.Connection, model: str
) -> None:
    key = client.attestation.keyset.proof_key
    options: dict[str, Any] = {"validate_quote": False, "enclave_signing_key": key}

    assert signed.validate(model, X, **options).attestation is None
    with pytest.raises(ProofError, match="proof signature"):
        signed.validate(model, X, validate_quote=False, enclave_signing_key=key[::-1])


@pytest.mark.parametrize(
    "options",
    [{"validate_quote": False}, {"enclave_signing_key": bytes(32)}],
)
def test_a_key_and_evidence_are_one_or_the_other(
    signed: PredictResponse, model: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        signed.validate(model, X, policy=SIMULATION, **options)


def test_a_response_that_was_not_signed_can_neither_be_saved_nor_validated(
    client: blindai.Connection, model: str
) -> None:
    response = client.predict(model, X)

    with pytest.raises(ConfigurationError, match="sign=True"):
        response.as_bytes()
    with pytest.raises(ConfigurationError, match="sign=True"):
        response.is_simulation_mode()
    with pytest.raises(ProofError, match="no proof"):
        response.validate(model, X, policy=SIMULATION)


def test_a_simulation_says_so_loaded_or_not(
    signed: PredictResponse,
) -> None:
    assert signed.is_simulation_mode()
    assert PredictResponse.load_from_bytes(signed.as_bytes()).is_simulation_mode()


@QUIET
def test_an_upload_is_saved_loaded_and_validated(
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
    tmp_path: Path,
) -> None:
    uploaded = client.upload_model(identity(), name, sign=True)
    uploaded.save_to_file(tmp_path / "upload.proof")
    loaded = UploadResponse.load_from_file(tmp_path / "upload.proof")

    loaded.validate(uploaded.digest, policy=SIMULATION)

    assert (loaded.model_name, loaded.digest) == (name, uploaded.digest)
    assert loaded.owner_token is None
    with pytest.raises(ProofError, match="digest"):
        loaded.validate("00" * 32, policy=SIMULATION)
    with pytest.raises(ProofError, match="no proof"):
        replace(uploaded, proof=None).validate(uploaded.digest, policy=SIMULATION)


def test_one_kind_of_response_is_not_read_as_the_other(
    signed: PredictResponse,
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
) -> None:
    uploaded = client.upload_model(identity(), name, sign=True)

    with pytest.raises(EvidenceError, match=r"upload\.v1"):
        UploadResponse.load_from_bytes(signed.as_bytes())
    with pytest.raises(EvidenceError, match=r"predict\.v1"):
        PredictResponse.load_from_bytes(uploaded.as_bytes())


def test_a_proof_alone_is_no_response(signed: PredictResponse) -> None:
    with pytest.raises(EvidenceError, match=r"blindai\.Proof"):
        PredictResponse.load_from_bytes(proof_of(signed).as_bytes())
