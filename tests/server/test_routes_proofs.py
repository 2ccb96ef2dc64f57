"""Proofs through the sealed door, for any client of Open Inference Protocol V2."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.server.conftest import seal

from blindai.proofs import Link, judge_chain
from blindai.protocol import byte_field, cose, keyset, proof, tensors
from blindai.protocol.attestation import parse_attestation
from blindai.protocol.commitments import Side, commit
from blindai.protocol.tensor import Tensor
from blindai.server.settings import InferenceSettings, ProofSettings, Settings

if TYPE_CHECKING:
    from tests.server.conftest import V2, Clock, MakeV2, Opened

    from blindai.protocol.keyset import Keyset
    from blindai.protocol.proof import Claims

pytestmark = pytest.mark.anyio

SALT = bytes(range(32))
PROVE = ((b"blindai-prove", byte_field.encode(SALT).encode()),)
OWNER = (b"blindai-owner-token", b"the owner")
X = np.array([[1, 2]], np.float32)
BODY = json.dumps(
    {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
).encode()
SIGNS_ALL = Settings(
    inference=InferenceSettings(isolation="thread"), proofs=ProofSettings(always=True)
)


async def infer(v2: V2, fields: tuple[tuple[bytes, bytes], ...] = PROVE) -> Opened:
    return await v2.ask("POST", "/v2/models/add/infer", BODY, fields)


async def attested(v2: V2) -> Keyset:
    attestation = parse_attestation(await v2.enclave.attestation(None))
    return keyset.parse_keyset(attestation.keyset)


def proved(answer: Opened, by: Keyset) -> Claims:
    """The claims of an answer's proof, once the keyset's signature held."""
    data = byte_field.parse(answer.fields[b"blindai-proof"].decode(), "proof")
    signed = cose.parse(data, proof.KIND)
    signed.verify(by.proof_key)
    return proof.parse_claims(signed.payload)


async def test_a_run_is_proved_to_who_asks(v2: V2) -> None:
    answer = await infer(v2)
    claims = proved(answer, await attested(v2))

    assert claims.run is not None
    assert claims.run.inputs == commit(SALT, Side.INPUT, [Tensor.of("x", X)])
    assert claims.run.outputs == commit(SALT, Side.OUTPUT, [Tensor.of("y", X * 2)])
    assert claims.model.digest.hex() == answer.json["parameters"]["model_digest"]
    assert b"blindai-proof-salt" not in answer.fields


async def test_nobody_else_gets_one(v2: V2) -> None:
    assert b"blindai-proof" not in (await infer(v2, ())).fields


async def test_an_upload_is_proved_to_who_asks(v2: V2, add: bytes) -> None:
    answer = await v2.ask("PUT", "/v2/models/other", add, (*PROVE, OWNER))
    claims = proved(answer, await attested(v2))

    assert answer.status == 201
    assert claims.nonce == SALT
    assert claims.model.name == "other"


async def test_a_malformed_salt_is_refused_before_anything_runs(v2: V2) -> None:
    answer = await infer(v2, ((b"blindai-prove", b"?1"),))

    assert answer.status == 400
    assert answer.json["type"].endswith("invalid-request")


async def test_a_refusal_is_not_signed(v2: V2) -> None:
    answer = await v2.ask("POST", "/v2/models/add/infer", b"{}", PROVE)

    assert answer.status == 400
    assert b"blindai-proof" not in answer.fields


async def test_what_cannot_be_answered_takes_no_number(v2: V2) -> None:
    """JSON has no form for what infinity gives: nobody would have the proof."""
    request = tensors.encode_request(
        tensors.InferRequest(inputs=(Tensor.of("x", X * np.inf),))
    )
    length = (
        tensors.HEADER_LENGTH.lower().encode(),
        str(request.header_length).encode(),
    )
    content = b"".join(request.buffers)
    refused = await v2.ask("POST", "/v2/models/add/infer", content, (*PROVE, length))
    claims = proved(await infer(v2), await attested(v2))

    assert (refused.status, claims.sequence, claims.previous) == (400, 0, None)


async def test_proofs_of_many_at_once_are_one_whole_chain(v2: V2, add: bytes) -> None:
    """Runs, uploads of new versions, refusals and deadlines, all at the same time."""
    late = BODY.replace(b'{"inputs"', b'{"parameters": {"timeout": 1}, "inputs"')
    path = "/v2/models/add/infer"
    asked = [
        call
        for number in range(16)
        for call in (
            infer(v2),
            infer(v2),
            v2.ask("POST", path, b"{}", PROVE),
            v2.ask("POST", path, late, PROVE),
            v2.ask("PUT", f"/v2/models/m{number % 5}", add, (*PROVE, OWNER)),
        )
    ]

    answers = await asyncio.gather(*asked)

    instance = (await attested(v2)).instance
    signed = [each for each in answers if each.status in {200, 201}]
    (chain,) = judge_chain(link(each, instance) for each in signed)
    assert chain.whole
    assert len(chain.links) == len(signed) >= 32
    assert {each.status for each in answers} >= {200, 201, 400, 504}


def link(answer: Opened, instance: bytes) -> Link:
    data = byte_field.parse(answer.fields[b"blindai-proof"].decode(), "proof")
    claims = proof.parse_claims(cose.parse(data, proof.KIND).payload)
    return Link(
        label="",
        instance=instance,
        sequence=claims.sequence,
        digest=proof.digest(data),
        previous=claims.previous,
    )


async def test_where_all_is_signed_the_salt_comes_along(
    make_v2: MakeV2, add: bytes
) -> None:
    v2 = await make_v2(SIGNS_ALL)
    uploaded = await v2.ask("PUT", "/v2/models/add", add, (OWNER,))
    answer = await infer(v2, ())
    by = await attested(v2)

    assert proved(uploaded, by).sequence == 0
    claims = proved(answer, by)
    salt = byte_field.parse(answer.fields[b"blindai-proof-salt"].decode(), "salt", 32)
    assert claims.run is not None
    assert claims.run.inputs == commit(salt, Side.INPUT, [Tensor.of("x", X)])
    assert claims.config_digest == by.config_digest


async def test_a_request_to_old_keys_is_signed_by_their_keyset(
    v2: V2, clock: Clock
) -> None:
    """Who sealed to a keyset holds its evidence, and not its successor's."""
    old = await attested(v2)
    config = v2.configs()[0]
    clock.now += v2.enclave._lifetimes.keys - timedelta(minutes=1)
    v2.date = clock.now
    new = await attested(v2)
    assert new.proof_key != old.proof_key

    message = v2.message("POST", "/v2/models/add/infer", BODY, PROVE)
    answer = await v2.send(seal(config, message))

    assert proved(answer, old).keyset_digest == keyset.digest(old.encode())
