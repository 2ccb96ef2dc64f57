"""Proofs as they come with answers: asked for, and verified at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from tests.client.conftest import To, Wire

import blindai
from blindai.client.policies import SimulationWarning
from blindai.client.proof import Proof
from blindai.client.proving import prediction_proof, upload_proof
from blindai.client.results import PredictResponse, UploadResponse
from blindai.errors import (
    EvidenceError,
    ProofError,
)
from blindai.protocol import byte_field
from blindai.protocol.commitments import SALT_BYTES
from blindai.protocol.names import PROOF_HEADER, PROOF_SALT_HEADER
from blindai.protocol.proof import Purpose
from blindai.protocol.tensor import Tensor
from blindai.server.settings import ProofSettings, Settings
from blindai.testing import SimulatedEnclave
from blindai.verifier import Policy

X = np.array([1, 2], np.float32)
PAIR = {"a": np.array([3], np.float32), "b": np.array([1], np.float32)}
SIMULATION = Policy.for_simulation()
QUIET = pytest.mark.filterwarnings(
    f"ignore::{SimulationWarning.__module__}.SimulationWarning"
)


def proof_of(response: PredictResponse | UploadResponse) -> Proof:
    assert response.proof is not None
    return response.proof


# ------------------------------------------------------------------------- being asked


def test_a_proof_comes_only_if_it_is_asked_for(
    client: blindai.Connection, model: str
) -> None:
    assert client.predict(model, X).proof is None
    assert not client.predict(model, X).is_signed()
    assert client.predict(model, X, sign=True).is_signed()


def test_a_connection_can_ask_for_all(enclave: SimulatedEnclave, model: str) -> None:
    with enclave.connect(prove_by_default=True) as client:
        assert client.predict(model, X).is_signed()
        assert not client.predict(model, X, sign=False).is_signed()
        client.prove_by_default = False
        assert not client.predict(model, X).is_signed()


def test_a_proof_says_what_ran(client: blindai.Connection, pair: str) -> None:
    response = client.predict(pair, PAIR, sign=True)
    claims = proof_of(response).claims

    assert claims.purpose is Purpose.PREDICT
    assert claims.model.name == pair
    assert claims.model.version == 1
    assert claims.model.digest.hex() == response.model_digest
    assert claims.config_digest == client.attestation.keyset.config_digest
    assert claims.run is not None
    assert (claims.run.inputs.count, claims.run.outputs.count) == (2, 2)
    assert claims.run.runtime.engine == "onnxruntime"


def test_an_upload_is_signed_too(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    response = client.upload_model(identity(), name, sign=True)
    claims = proof_of(response).claims

    assert claims.purpose is Purpose.UPLOAD
    assert (claims.model.name, claims.model.digest.hex()) == (name, response.digest)


def test_proofs_of_an_enclave_follow_each_other(
    client: blindai.Connection, model: str
) -> None:
    first, second = (proof_of(client.predict(model, X, sign=True)) for _ in range(2))

    assert second.claims.sequence == first.claims.sequence + 1
    assert second.claims.previous == first.digest


def test_each_request_has_a_salt_of_its_own(
    client: blindai.Connection, model: str
) -> None:
    first, second = (proof_of(client.predict(model, X, sign=True)) for _ in range(2))

    assert first.claims.run is not None
    assert second.claims.run is not None
    assert first.claims.run.inputs != second.claims.run.inputs


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (TensorProto.STRING, np.array(["a", "bc", ""])),
        (TensorProto.BFLOAT16, [1.0, -2.0]),
        (TensorProto.BOOL, np.array([True, False])),
        (TensorProto.FLOAT, np.arange(6, dtype=">f4")),
        (TensorProto.DOUBLE, np.array([np.nan, np.inf])),
        (TensorProto.FLOAT, np.zeros(200_000, np.float32)),
    ],
)
def test_tensors_of_any_type_and_size_are_proved(
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
    kind: int,
    value: object,
) -> None:
    client.upload_model(identity(kind), name)

    assert client.predict(name, value, sign=True).is_signed()


def test_only_outputs_that_were_asked_for_are_proved(
    client: blindai.Connection, pair: str
) -> None:
    response = client.predict(pair, PAIR, outputs=("difference",), sign=True)
    claims = proof_of(response).claims

    assert claims.run is not None
    assert claims.run.outputs.count == 1


@pytest.mark.anyio
async def test_an_asynchronous_connection_asks_likewise(
    enclave: SimulatedEnclave, model: str, identity: Callable[..., bytes], name: str
) -> None:
    connection = blindai.AsyncConnection(
        enclave.url, policy=SIMULATION, remember_stores=False, prove_by_default=True
    )
    with pytest.warns(SimulationWarning):
        await connection.attest()
    async with connection as client:
        assert (await client.predict(model, X)).is_signed()
        assert not (await client.predict(model, X, sign=False)).is_signed()
        assert (await client.upload_model(identity(), name + "b")).is_signed()


# -------------------------------------------------------- an enclave that signs it all


@pytest.fixture(scope="module")
def signing() -> Any:  # noqa: ANN401  an iterator of enclaves
    with SimulatedEnclave(Settings(proofs=ProofSettings(always=True))) as running:
        yield running


def test_an_enclave_can_sign_all_whoever_asks(
    signing: SimulatedEnclave, identity: Callable[..., bytes], name: str
) -> None:
    with signing.connect() as client:
        uploaded = client.upload_model(identity(), name)
        response = client.predict(name, X)
        asked = client.predict(name, X, sign=True)

    assert uploaded.is_signed()
    assert asked.is_signed()
    opening = proof_of(response).file.opening
    assert opening is not None
    assert len(opening.salt) == SALT_BYTES


# --------------------------------------------------------------- a proof that is not it


class Recorded:
    """What one exchange needs to be held against a proof again."""

    def __init__(self, client: blindai.Connection, model: str) -> None:
        session = client._transport._door.session
        response = client.predict(model, X, sign=True)
        opening = proof_of(response).file.opening
        assert opening is not None
        self.arguments: dict[str, Any] = {
            "headers": {PROOF_HEADER: byte_field.encode(proof_of(response).file.proof)},
            "session": session,
            "salt": opening.salt,
            "inputs": [Tensor.of("x", X)],
            "outputs": [each.wire for each in response.output],
            "model_digest": response.model_digest,
        }

    def check(self, **changes: object) -> Proof | None:
        return prediction_proof(**{**self.arguments, **changes})


@pytest.fixture
def recorded(client: blindai.Connection, model: str) -> Recorded:
    return Recorded(client, model)


def test_what_was_recorded_holds(recorded: Recorded) -> None:
    assert recorded.check() is not None


SAME_BYTES = [
    pytest.param(Tensor.of("x", X + 1), id="other values"),
    pytest.param(Tensor.of("x", X.view(np.int32)), id="another type"),
    pytest.param(Tensor.of("x", X.reshape(2, 1)), id="another shape"),
    pytest.param(Tensor.of("z", X), id="another name"),
]


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize("tensor", SAME_BYTES)
def test_a_proof_of_other_tensors_is_refused(
    recorded: Recorded, side: str, tensor: Tensor
) -> None:
    with pytest.raises(ProofError, match=f"proof {side}"):
        recorded.check(**{side: [tensor]})


def test_a_proof_of_another_request_is_refused(recorded: Recorded) -> None:
    """The same inputs even: each request has its own salt."""
    with pytest.raises(ProofError, match="proof inputs"):
        recorded.check(salt=bytes(32))


def test_a_proof_of_another_model_under_the_same_name_is_refused(
    recorded: Recorded,
) -> None:
    with pytest.raises(ProofError, match="proof model digest"):
        recorded.check(model_digest="00" * 32)


def test_a_proof_of_another_enclave_is_refused(
    recorded: Recorded, other_enclave: SimulatedEnclave
) -> None:
    with other_enclave.connect() as client:
        session = client._transport._door.session

    with pytest.raises(ProofError, match="proof signature"):
        recorded.check(session=session)


def test_an_upload_does_not_prove_a_run(
    recorded: Recorded,
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
) -> None:
    upload = proof_of(client.upload_model(identity(), name, sign=True)).file.proof
    headers = {PROOF_HEADER: byte_field.encode(upload)}

    with pytest.raises(ProofError, match="proof purpose"):
        recorded.check(headers=headers)


def test_a_run_does_not_prove_an_upload(recorded: Recorded) -> None:
    headers, session = recorded.arguments["headers"], recorded.arguments["session"]

    with pytest.raises(ProofError, match="proof purpose"):
        upload_proof(
            headers, session, bytes(32), model_name="n", model_digest="00" * 32
        )


def test_an_upload_of_before_does_not_prove_another(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    uploaded = client.upload_model(identity(), name, sign=True)
    headers = {PROOF_HEADER: byte_field.encode(proof_of(uploaded).file.proof)}
    session = client._transport._door.session
    digest = uploaded.digest

    with pytest.raises(ProofError, match="proof nonce"):
        upload_proof(headers, session, bytes(32), model_name=name, model_digest=digest)


def test_a_proof_that_is_asked_for_and_missing_is_an_error(recorded: Recorded) -> None:
    with pytest.raises(ProofError, match="got none"):
        recorded.check(headers={})


def test_one_that_is_not_asked_for_and_missing_is_not(recorded: Recorded) -> None:
    assert recorded.check(headers={}, salt=None) is None


def test_one_that_is_not_asked_for_comes_with_its_salt(recorded: Recorded) -> None:
    salt = {PROOF_SALT_HEADER: byte_field.encode(recorded.arguments["salt"])}
    headers = {**recorded.arguments["headers"], **salt}

    assert recorded.check(headers=headers, salt=None) is not None


def test_a_malformed_proof_is_evidence_that_is_none(recorded: Recorded) -> None:
    with pytest.raises(EvidenceError):
        recorded.check(headers={PROOF_HEADER: ":AAAA:"})


@QUIET
def test_a_proof_after_the_keys_were_renewed_is_of_the_new_ones(
    to: To,
    enclave: SimulatedEnclave,
    other_enclave: SimulatedEnclave,
    identity: Callable[..., bytes],
    name: str,
) -> None:
    """The enclave restarts between two requests: each proof has its own evidence."""
    wire = Wire(to(enclave))
    with wire.connect() as client:
        first = client.upload_model(identity(), name, sign=True)
        wire.answer = to(other_enclave)
        second = client.upload_model(identity(), name, sign=True)

    for each in (first, second):
        proof_of(each).verify(policy=SIMULATION)
    files = [proof_of(each).file.attestation.keyset for each in (first, second)]
    assert files[0] != files[1]


def test_what_the_client_brings_is_in_the_file(
    enclave: SimulatedEnclave, model: str
) -> None:
    from blindai.protocol.attestation import Endorsement  # noqa: PLC0415  alone here
    from blindai.testing.vendors.pki import Authority, p256  # noqa: PLC0415  likewise

    mine = Endorsement("application/pkix-crl", Authority.root("Mine", p256()).crl())
    with enclave.connect(endorsements=[mine]) as client:
        proof = proof_of(client.predict(model, X, sign=True))

    assert mine in proof.file.attestation.evidence.endorsements


def test_json_is_proved_as_binary_is(client: blindai.Connection, model: str) -> None:
    """A plain V2 client, through the sealed transport."""
    import httpx  # noqa: PLC0415  alone here

    salt = bytes(range(32))
    content = json.dumps(
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}
    )
    with httpx.Client(transport=client._transport) as plain:
        answer = plain.post(
            f"https://enclave/v2/models/{model}/infer",
            content=content,
            headers={"blindai-prove": byte_field.encode(salt)},
        )
        session = client._transport._door.session
        assert prediction_proof(
            answer.headers,
            session,
            salt,
            inputs=[Tensor.of("x", X)],
            outputs=[Tensor.of("y", X)],
            model_digest=answer.json()["parameters"]["model_digest"],
        )
