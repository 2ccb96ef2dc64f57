"""What the enclave signs, and when; the order of its proofs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request

from blindai.errors import InvalidRequestError
from blindai.inference.model import ModelInfo, ModelSpec
from blindai.inference.service import InferResult
from blindai.protocol import byte_field, cose, proof
from blindai.protocol.commitments import Side, commit
from blindai.protocol.datatypes import Datatype
from blindai.protocol.names import PROOF_HEADER, PROOF_SALT_HEADER, PROVE_HEADER
from blindai.protocol.proof import Batch, Claims, Runtime
from blindai.protocol.tensor import Tensor
from blindai.server.proving import Prover, Signer, Wanted

NOW = datetime(2026, 6, 1, 12, 30, 15, 250_000, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SIGNER = Signer(b"\x01" * 32, b"\x02" * 32, KEY)
SALT = bytes(range(32))
RUNTIME = Runtime(
    engine="e",
    version="1",
    optimisation="all",
    provider="p",
    architecture="a",
    cpu=(),
    threads=3,
)
MODEL = ModelInfo(
    name="m",
    version=4,
    digest="05" * 32,
    size_bytes=1,
    spec=ModelSpec((), ()),
    owner="",
    created_at=NOW,
)
X = Tensor.of("x", np.array([1.0], "<f4"))
Y = Tensor.of("y", np.array([2.0], "<f4"))
BATCH = Batch(requests=2, rows=5)


def request(value: str | None = None, *, sealed: bool = True) -> Request:
    fields = [] if value is None else [(PROVE_HEADER.encode(), value.encode())]
    around = {"request_id": "0011223344556677"}
    if sealed:
        around["signer"] = SIGNER  # type: ignore[assignment]  # as the gateway puts it
    return Request(
        {"type": "http", "headers": fields, "extensions": {"blindai": around}}
    )


def prover(*, always: bool = False) -> Prover:
    return Prover(RUNTIME, lambda: NOW, always=always)


def wanted(salt: bytes = SALT, *, drawn: bool = False) -> Wanted:
    return Wanted(salt, drawn, SIGNER, "0011223344556677")


def predict(
    prover: Prover,
    asked: Wanted | None = None,
    inputs: Sequence[Tensor] = (X,),
    outputs: Sequence[Tensor] = (Y,),
) -> dict[str, str]:
    result = InferResult(tuple(outputs), MODEL, 0.1, BATCH)
    return asyncio.run(prover.predict(asked or wanted(), inputs, result))


def claims_in(fields: dict[str, str]) -> Claims:
    """The claims of a proof, once its signature held."""
    signed = cose.parse(
        byte_field.parse(fields[PROOF_HEADER], PROOF_HEADER), proof.KIND
    )
    signed.verify(KEY.public_key().public_bytes_raw())
    return proof.parse_claims(signed.payload)


def test_who_does_not_ask_gets_none() -> None:
    assert prover().wanted(request()) is None


def test_who_asks_has_a_salt() -> None:
    found = prover().wanted(request(byte_field.encode(SALT)))

    assert found == wanted()


def test_where_all_is_signed_the_enclave_draws_the_salt() -> None:
    first, second = (prover(always=True).wanted(request()) for _ in range(2))

    assert first is not None
    assert second is not None
    assert first.drawn
    assert len(first.salt) == 32
    assert first.salt != second.salt


def test_where_all_is_signed_a_clients_salt_counts() -> None:
    found = prover(always=True).wanted(request(byte_field.encode(SALT)))

    assert found == wanted()


@pytest.mark.parametrize("value", ["", "?1", ":AAAA:", byte_field.encode(bytes(33))])
def test_a_malformed_salt_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequestError, match=PROVE_HEADER):
        prover().wanted(request(value))


@pytest.mark.parametrize("always", [False, True])
def test_two_salts_are_refused(*, always: bool) -> None:
    asked = request(byte_field.encode(SALT))
    asked.scope["headers"] *= 2

    with pytest.raises(InvalidRequestError, match=PROVE_HEADER):
        prover(always=always).wanted(asked)


@pytest.mark.parametrize("always", [False, True])
def test_without_the_seal_nothing_is_signed(*, always: bool) -> None:
    value = None if always else byte_field.encode(SALT)

    with pytest.raises(InvalidRequestError, match="sealed door"):
        prover(always=always).wanted(request(value, sealed=False))


def test_a_run_is_signed_with_all_that_was() -> None:
    claims = claims_in(predict(prover()))

    assert claims == Claims(
        keyset_digest=b"\x01" * 32,
        config_digest=b"\x02" * 32,
        model=proof.Model(digest=b"\x05" * 32, name="m", version=4),
        issued_at=NOW.replace(microsecond=0),
        request_id=bytes.fromhex("0011223344556677"),
        sequence=0,
        previous=None,
        run=proof.Run(
            runtime=RUNTIME,
            batch=BATCH,
            inputs=commit(SALT, Side.INPUT, [X]),
            outputs=commit(SALT, Side.OUTPUT, [Y]),
        ),
    )


def test_large_tensors_are_committed_to_likewise() -> None:
    large = Tensor.of("x", np.arange(1 << 17, dtype="<f4"))
    claims = claims_in(predict(prover(), inputs=[large]))

    assert claims.run is not None
    assert claims.run.inputs == commit(SALT, Side.INPUT, [large])


def strings(count: int, size: int) -> Tensor:
    array = np.array([b"x" * size] * count, object)
    return Tensor("x", Datatype.BYTES, (count,), array)


@pytest.mark.parametrize(
    ("tensor", "others_wait"),
    [
        pytest.param(Tensor.of("x", np.zeros(1 << 15, "<f4")), True, id="few numbers"),
        pytest.param(Tensor.of("x", np.zeros(1 << 17, "<f4")), False, id="many"),
        pytest.param(strings(16, 16), True, id="short strings"),
        pytest.param(strings(1, 1 << 19), False, id="a long string"),
        pytest.param(strings(1 << 14, 0), False, id="many strings"),
    ],
)
def test_other_requests_wait_for_little_to_be_hashed(
    tensor: Tensor, *, others_wait: bool
) -> None:
    async def run() -> bool:
        others: list[int] = []
        asyncio.get_running_loop().call_soon(others.append, 1)
        await prover().predict(wanted(), [tensor], InferResult((Y,), MODEL, 0.1, BATCH))
        return not others

    assert asyncio.run(run()) is others_wait


def test_an_upload_is_signed_with_its_nonce() -> None:
    fields = dict(prover().upload(wanted(), MODEL))
    claims = claims_in(fields)

    assert claims.nonce == SALT
    assert claims.run is None
    assert fields.keys() == {PROOF_HEADER}


def test_a_salt_is_told_only_to_who_sent_none() -> None:
    assert predict(prover()).keys() == {PROOF_HEADER}

    told = predict(prover(), wanted(drawn=True))
    assert told[PROOF_SALT_HEADER] == byte_field.encode(SALT)


def test_each_proof_names_the_one_before_it() -> None:
    """Runs and uploads alike; however many are under way."""
    signing = prover()
    result = InferResult((Y,), MODEL, 0.1, BATCH)
    large = Tensor.of("x", np.zeros(1 << 17, "<f4"))

    async def run() -> list[dict[str, str]]:
        runs = [
            signing.predict(wanted(), [large if index % 2 else X], result)
            for index in range(8)
        ]
        return list(await asyncio.gather(*runs))

    fields = [*asyncio.run(run()), dict(signing.upload(wanted(), MODEL))]
    found = sorted(fields, key=lambda each: claims_in(each).sequence)

    previous = None
    for number, each in enumerate(found):
        claims = claims_in(each)
        assert (claims.sequence, claims.previous) == (number, previous)
        previous = proof.digest(byte_field.parse(each[PROOF_HEADER], PROOF_HEADER))


def test_a_signer_shows_no_key() -> None:
    assert "_key" not in repr(SIGNER)
    assert SALT.hex() not in repr(wanted())
    assert "salt" not in repr(wanted())
    assert replace(wanted(), drawn=True).drawn
