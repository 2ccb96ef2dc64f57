"""Claims of proofs: what is encoded is read again, and nothing else is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import proof
from blindai.protocol.commitments import Commitment
from blindai.protocol.proof import (
    Batch,
    Claims,
    Model,
    Purpose,
    Run,
    Runtime,
    parse_claims,
)

RUN = Run(
    runtime=Runtime(
        engine="onnxruntime",
        version="1.22.0",
        optimisation="all",
        provider="CPUExecutionProvider",
        architecture="x86_64",
        cpu=("avx", "avx2"),
        threads=2,
    ),
    batch=Batch(requests=3, rows=12),
    inputs=Commitment(b"\x01" * 32, 1),
    outputs=Commitment(b"\x02" * 32, 2),
)
PREDICTION = Claims(
    keyset_digest=b"\x03" * 32,
    config_digest=b"\x04" * 32,
    model=Model(digest=b"\x05" * 32, name="resnet18", version=2),
    issued_at=datetime(2026, 6, 1, 12, tzinfo=UTC),
    request_id=b"\x06" * 8,
    sequence=7,
    previous=b"\x08" * 32,
    run=RUN,
)
UPLOAD = replace(PREDICTION, run=None, nonce=b"\x09" * 32, previous=None)


@pytest.mark.parametrize("claims", [PREDICTION, UPLOAD])
def test_what_is_encoded_is_read_again(claims: Claims) -> None:
    assert parse_claims(claims.encode()) == claims


def test_a_prediction_and_an_upload_have_purposes_of_their_own() -> None:
    assert PREDICTION.purpose is Purpose.PREDICT
    assert UPLOAD.purpose is Purpose.UPLOAD


def test_a_digest_is_labelled() -> None:
    expected = hashlib.sha256(b"blindai proof v1\x00" + b"proof").digest()

    assert proof.digest(b"proof") == expected


def changed(claims: Claims, change: Callable[[dict[Any, Any]], object]) -> bytes:
    fields = cbor2.loads(claims.encode())
    change(fields)
    return cbor2.dumps(fields, canonical=True)


def put(*path: object, value: object) -> Callable[[dict[Any, Any]], object]:
    def change(fields: dict[Any, Any]) -> None:
        *parents, last = path
        for key in parents:
            fields = fields[key]
        fields[last] = value

    return change


def drop(key: object) -> Callable[[dict[Any, Any]], object]:
    return lambda fields: fields.pop(key)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "well-formed"),
        (cbor2.dumps([1]), "expected a map"),
        (PREDICTION.encode() + b"\x00", "after it"),
        (changed(PREDICTION, put("blindai.purpose", value="x")), "purpose"),
        (changed(PREDICTION, put("blindai.purpose", value=1)), "purpose"),
        (changed(PREDICTION, drop("blindai.purpose")), "purpose"),
        (changed(PREDICTION, drop("blindai.inputs")), "nothing else"),
        (changed(PREDICTION, put("more", value=1)), "nothing else"),
        (changed(PREDICTION, put(10, value=bytes(32))), "nothing else"),
        (changed(UPLOAD, drop(10)), "nothing else"),
        (changed(UPLOAD, put(10, value=b"")), "10: expected 32 bytes"),
        (
            changed(UPLOAD, put("blindai.purpose", value="blindai.proof.predict.v1")),
            "nothing else",
        ),
        (
            changed(
                PREDICTION, put("blindai.purpose", value="blindai.proof.upload.v1")
            ),
            "nothing else",
        ),
        (changed(PREDICTION, put("blindai.keyset", value=bytes(31))), "32 bytes"),
        (changed(PREDICTION, put("blindai.config", value="x" * 32)), "32 bytes"),
        (changed(PREDICTION, put("blindai.previous", value=b"")), "32 bytes"),
        (changed(PREDICTION, put(7, value=bytes(9))), "8 bytes"),
        (changed(PREDICTION, put(6, value=-1)), "whole number"),
        (changed(PREDICTION, put(6, value=253402300800)), "whole number"),
        (changed(PREDICTION, put(6, value=True)), "whole number"),
        (changed(PREDICTION, put(6, value=1.0)), "whole number"),
        (changed(PREDICTION, put("blindai.sequence", value=2**63)), "whole number"),
        (changed(PREDICTION, put("blindai.model", value=1)), "expected a map"),
        (changed(PREDICTION, put("blindai.model", "more", value=1)), "nothing else"),
        (
            changed(PREDICTION, put("blindai.model", "name", value="x" * 1025)),
            "1024 characters",
        ),
        (changed(PREDICTION, put("blindai.runtime", "more", value=1)), "nothing else"),
        (changed(PREDICTION, put("blindai.runtime", "cpu", value="a")), "a list"),
        (
            changed(PREDICTION, put("blindai.runtime", "cpu", value=["a"] * 65)),
            "a list",
        ),
        (changed(PREDICTION, put("blindai.runtime", "cpu", value=["b", "a"])), "once"),
        (changed(PREDICTION, put("blindai.runtime", "cpu", value=["a", "a"])), "once"),
        (
            changed(PREDICTION, put("blindai.runtime", "cpu", value=[1])),
            "1024 characters",
        ),
        (changed(PREDICTION, put("blindai.batch", "more", value=1)), "nothing else"),
        (changed(PREDICTION, put("blindai.inputs", "count", value=65)), "up to 64"),
        (changed(PREDICTION, put("blindai.inputs", "more", value=1)), "nothing else"),
    ],
)
def test_anything_else_is_refused(payload: bytes, words: str) -> None:
    with pytest.raises(EvidenceError, match=words):
        parse_claims(payload)


@given(st.binary(max_size=400))
def test_any_bytes_give_claims_or_the_one_error(payload: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_claims(payload)
