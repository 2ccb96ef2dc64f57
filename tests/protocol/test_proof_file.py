"""Proof files: one encoding, known labels, tensors within limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import cmw, proof_file
from blindai.protocol.attestation import (
    NVIDIA_GPU_TYPE,
    Attestation,
    Endorsement,
    Evidence,
)
from blindai.protocol.commitments import Side, disclose
from blindai.protocol.datatypes import Datatype
from blindai.protocol.proof import MEDIA_TYPE
from blindai.protocol.proof_file import (
    Described,
    Opening,
    ProofFile,
    encode_proof_file,
    is_proof_file,
    parse_proof_file,
)
from blindai.protocol.tensor import Tensor

X = Tensor.of("x", np.array([[1, 2]], "<f4"))
TEXT = Tensor("t", Datatype.BYTES, (2,), np.array([b"a", b"bc"], dtype=object))
DISCLOSED = disclose(bytes(32), Side.OUTPUT, [X, TEXT], "x")
assert DISCLOSED is not None
BARE = ProofFile(
    proof=b"proof",
    attestation=Attestation(
        keyset=b"k",
        statement=b"s",
        evidence=Evidence(
            media_type="application/vnd.blindai.sev-snp-report",
            evidence=b"e",
            endorsements=(Endorsement("application/pkix-crl", b"crl"),),
        ),
    ),
)
WHOLE = replace(
    BARE,
    nonce=bytes(32),
    opening=Opening(
        salt=bytes(32),
        inputs=(Described.of(X, whole=True), Described.of(TEXT, whole=True)),
        outputs=(Described.of(X, whole=False),),
    ),
    disclosures=(DISCLOSED,),
)


def test_a_bare_file_is_read_again() -> None:
    assert parse_proof_file(encode_proof_file(BARE)) == BARE


def test_a_whole_file_is_read_again() -> None:
    data = encode_proof_file(WHOLE)
    found = parse_proof_file(data)

    assert encode_proof_file(found) == data
    assert found.opening is not None
    x, text = found.opening.inputs
    assert x.tensor is not None
    assert x.tensor.array.tolist() == [[1, 2]]
    assert text.tensor is not None
    assert text.tensor.array.tolist() == [b"a", b"bc"]
    assert found.opening.outputs == (Described("x", Datatype.FP32, (1, 2)),)
    assert DISCLOSED is not None
    assert found.disclosures[0].path == DISCLOSED.path


def test_a_proof_file_is_known_by_its_beginning() -> None:
    assert is_proof_file(encode_proof_file(WHOLE))
    assert not is_proof_file(b"")
    assert not is_proof_file(cbor2.dumps({"a": 1}))


def changed(change: Callable[[dict[Any, Any]], object]) -> bytes:
    fields = cbor2.loads(encode_proof_file(WHOLE))
    change(fields)
    return cbor2.dumps(fields, canonical=True)


def put(label: str, value: object) -> bytes:
    return changed(lambda fields: fields.update({label: value}))


def opening(**changes: object) -> bytes:
    fields: dict[str, object] = {"salt": bytes(32), "inputs": [], "outputs": []}
    content = cbor2.dumps({**fields, **changes}, canonical=True)
    return put("opening", [proof_file.OPENING_TYPE, content])


def tensor(*parts: object) -> bytes:
    return opening(inputs=[list(parts)])


def disclosure(**changes: object) -> bytes:
    fields = {
        "side": 1,
        "index": 0,
        "salt": bytes(32),
        "tensor": ["x", "BOOL", [1], b"\x01"],
        "path": [],
    }
    content = cbor2.dumps([{**fields, **changes}], canonical=True)
    return put("disclosures", [proof_file.DISCLOSURES_TYPE, content])


def disclosures(value: object) -> bytes:
    content = cbor2.dumps(value, canonical=True)
    return put("disclosures", [proof_file.DISCLOSURES_TYPE, content])


def indicated(label: str) -> bytes:
    return changed(lambda fields: fields[label].append(4))


def attestation(change: Callable[[dict[Any, Any]], object]) -> bytes:
    return changed(lambda fields: change(fields["attestation"]))


NOT_SORTED = dict(reversed(cbor2.loads(encode_proof_file(WHOLE)).items()))


def test_what_is_changed_below_is_read_unchanged() -> None:
    for data in (opening(), disclosure(), tensor("x", "BOOL", [1], b"\x01")):
        parse_proof_file(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "CMW", id="nothing"),
        pytest.param(cbor2.dumps(["a/b", b""]), "got a record", id="a record"),
        pytest.param(encode_proof_file(WHOLE) + b"\x00", "after it", id="trailing"),
        pytest.param(encode_proof_file(WHOLE)[:-1], "CMW", id="cut short"),
        pytest.param(cbor2.dumps(NOT_SORTED), "deterministic", id="unsorted"),
        pytest.param(
            put(cmw.COLLECTION_TYPE, "tag:blindai,2026:attestation/v1"),
            "the type",
            id="another type",
        ),
        pytest.param(put("more", ["a/b", b""]), "the labels", id="another label"),
        pytest.param(
            changed(lambda fields: fields.pop("proof")), "the labels", id="no proof"
        ),
        pytest.param(
            changed(lambda fields: fields.pop("attestation")),
            "the labels",
            id="no attestation",
        ),
        pytest.param(put("proof", ["a/b", b""]), "expected application", id="type"),
        pytest.param(put("proof", [MEDIA_TYPE, bytes(16385)]), "16384", id="long"),
        pytest.param(put("attestation", ["a/b", b""]), "attestation", id="evidence"),
        pytest.param(
            put("nonce", [proof_file.NONCE_TYPE, bytes(31)]), "nonce", id="nonce"
        ),
        *(
            pytest.param(indicated(label), "no indicator", id=f"{label} with one")
            for label in ("proof", "nonce", "opening", "disclosures")
        ),
        pytest.param(
            attestation(lambda parts: parts["keyset"].append(4)),
            "nothing but its parts",
            id="keyset with an indicator",
        ),
        pytest.param(
            attestation(lambda parts: parts.update(gpu=[NVIDIA_GPU_TYPE, b"", 4])),
            "nothing but its parts",
            id="empty evidence of GPUs",
        ),
        pytest.param(opening(salt=bytes(31)), "32 bytes", id="short salt"),
        pytest.param(opening(more=1), "salt", id="more in the opening"),
        pytest.param(opening(inputs=1), "salt", id="inputs that are no list"),
        pytest.param(
            opening(inputs=[["x", "BOOL", [1], None]] * 2), "once", id="twice"
        ),
        pytest.param(
            opening(inputs=[["x", "BOOL", [1], None], ["y", "BOOL", [1], b"\x01"]]),
            "or none",
            id="elements of one only",
        ),
        pytest.param(
            opening(inputs=[["x", "BOOL", [1], None]] * 65), "at most 64", id="many"
        ),
        pytest.param(
            put("opening", [proof_file.OPENING_TYPE, b"\xff"]), "opening", id="no CBOR"
        ),
        pytest.param(tensor("x", "BOOL", [1]), "tensor", id="a part too few"),
        pytest.param(tensor("x", "FP8", [1], None), "tensor", id="datatype"),
        pytest.param(tensor("x", "BOOL", [-1], None), "tensor", id="negative size"),
        pytest.param(tensor("x", "BOOL", [True], None), "tensor", id="true as a size"),
        pytest.param(tensor("x", "BOOL", [1] * 17, None), "tensor", id="dimensions"),
        pytest.param(tensor("x", "BOOL", [0, 2**40], b""), "tensor", id="huge, empty"),
        pytest.param(tensor("x", "BOOL", [2], b"\x01"), "bytes", id="elements missing"),
        pytest.param(tensor("x", "BOOL", [1], b"\x02"), "BOOL", id="no boolean"),
        pytest.param(disclosures([]), "1 to 128", id="no disclosures"),
        pytest.param(disclosures({}), "1 to 128", id="disclosures in a map"),
        pytest.param(disclosures([1]), "side, index", id="no disclosure"),
        pytest.param(disclosure(side=2), "side, index", id="side"),
        pytest.param(disclosure(side=True), "side, index", id="true as a side"),
        pytest.param(disclosure(index=64), "side, index", id="index"),
        pytest.param(disclosure(index=True), "side, index", id="true as an index"),
        pytest.param(disclosure(salt=b""), "side, index", id="salt"),
        pytest.param(disclosure(path=[b""]), "side, index", id="path"),
        pytest.param(disclosure(path=[1]), "side, index", id="path of numbers"),
        pytest.param(disclosure(more=1), "side, index", id="more in a disclosure"),
        pytest.param(
            disclosure(tensor=["x", "BOOL", [1], None]), "elements", id="no elements"
        ),
    ],
)
def test_anything_else_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(EvidenceError, match=words):
        parse_proof_file(data)


def test_a_label_that_is_there_twice_is_refused() -> None:
    data = encode_proof_file(BARE)
    record = cbor2.dumps("proof") + cbor2.dumps([MEDIA_TYPE, b"other"])
    twice = bytes([data[0] + 1]) + data[1:] + record

    with pytest.raises(EvidenceError, match="well-formed"):
        parse_proof_file(twice)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_file_or_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_proof_file(data)
