"""Two implementations of docs/proofs.md agree: about vectors, bits and hostile CBOR."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.proofs.both import (
    ACCEPTED,
    DISCLOSED,
    FOLDER,
    OPENED,
    OPENING,
    POLICY,
    REFUSED,
    SALT,
    SCRIPT,
    SECOND,
    VECTORS,
    canonical,
    change,
    sign,
    verdicts,
    with_proof,
)

from blindai import Proof
from blindai.errors import BlindAIError
from blindai.proofs import Expected
from blindai.protocol.commitments import Side, commit
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor
from blindai.protocol.tensor_data import encode_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning",
    "ignore:Attribute's length:UserWarning",  # cryptography, of a flipped certificate
)


@pytest.mark.parametrize("name", VECTORS["accepted"])
def test_both_accept(name: str) -> None:
    assert verdicts((FOLDER / name).read_bytes()) == ACCEPTED


@pytest.mark.parametrize("name", VECTORS["refused"])
def test_both_refuse(name: str) -> None:
    assert verdicts((FOLDER / name).read_bytes()) == REFUSED


# CBOR that nobody should have to read, in each place that holds CBOR.

HOSTILE = {
    "nothing": b"",
    "indefinite bytes": b"\x5f\x41a\xff",
    "indefinite array": b"\x9f\xff",
    "indefinite map": b"\xbf\xff",
    "break": b"\xff",
    "reserved length": b"\x1c",
    "long integer": b"\x18\x17",
    "undefined": b"\xf7",
    "simple value": b"\xf8\x20",
    "float": b"\xf9\x3c\x00",
    "bignum": b"\xc2\x49\x01" + bytes(8),
    "shared reference": b"\xd8\x1c\x80",
    "regular expression": b"\xd8\x23\x61(",
    "key twice": b"\xa2\x61a\x01\x61a\x01",
    "true as a key": b"\xa1\xf5\x01",
    "float as a key": b"\xa1\xf9\x3c\x00\x01",
    "array as a key": b"\xa1\x80\x01",
    "24 as a key": b"\xa1\x18\x18\x01",
    "deep": b"\x81" * 5000 + b"\x80",
    "long array": b"\x9b" + b"\xff" * 8,
    "long map": b"\xbb" + b"\xff" * 8,
    "long bytes": b"\x5b\x7f" + b"\xff" * 7,
    "no UTF-8": b"\x61\xff",
    "surrogate": b"\x63\xed\xa0\x80",
}


def everywhere(fragment: bytes) -> Iterator[bytes]:
    """Files that have a fragment instead of something."""
    yield fragment
    good = canonical(OPENED)
    for record in ("proof", "opening", "nonce"):
        yield canonical(change(OPENED, (record, 1), fragment))
        yield good.replace(canonical(OPENED[record]), fragment, 1)
    yield good.replace(canonical(OPENED["attestation"]["endorsements"]), fragment, 1)
    yield canonical(change(DISCLOSED, ("disclosures", 1), fragment))
    for record in ("keyset", "statement"):
        yield canonical(change(OPENED, ("attestation", record, 1), fragment))
    opening = canonical(OPENING).replace(canonical(SALT), fragment, 1)
    yield canonical(change(OPENED, ("opening", 1), opening))
    claims = bytes.fromhex(VECTORS["predict"]["claims"])
    yield with_proof(sign(fragment))
    yield with_proof(sign(claims.replace(b"\x1a\x6a\x1d\x74\x40", fragment, 1)))
    yield with_proof(sign(claims, protected=fragment))


@pytest.mark.parametrize("fragment", HOSTILE.values(), ids=HOSTILE)
def test_both_refuse_hostile_cbor_everywhere(fragment: bytes) -> None:
    files = list(everywhere(fragment))

    assert [verdicts(data) for data in files] == [REFUSED] * len(files)


@pytest.mark.parametrize("name", ["upload.proof", "opened.proof", "disclosed.proof"])
@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_both_refuse_a_file_with_a_bit_flipped(name: str, mask: int) -> None:
    """Every 37th byte, others for each mask; all of them hold (measured once)."""
    data = (FOLDER / name).read_bytes()
    accepted = []

    for place in range(mask % 37, len(data), 37):
        flipped = bytearray(data)
        flipped[place] ^= mask
        accepted += [place] if verdicts(bytes(flipped)) != REFUSED else []

    assert accepted == []


# What the reader brings, for each datatype.

EVERY = [
    Tensor.of(f"{kind.lower()} é", np.ones((2, 3), kind.lower()))
    for kind in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")
] + [
    Tensor.of("\U00010000", np.array([[1.5]], "<f8")),
    Tensor.of("\uffff", np.zeros((0, 3), "<f2")),
    Tensor("", Datatype.BF16, (), np.array(0x3F80, "<u2")),
    Tensor("b", Datatype.BYTES, (1, 1), np.array([["é".encode()]], object)),
    Tensor.of("t", np.array([True])),
]


@pytest.mark.parametrize("count", range(len(EVERY) + 1))
def test_both_make_the_same_commitment(count: int) -> None:
    tensors = EVERY[:count]
    plain = [
        [each.name, each.datatype.value, list(each.shape), elements(each)]
        for each in tensors
    ]

    for side in Side:
        ours = commit(SALT, side, tensors)

        assert SECOND.commit(SALT, int(side), plain) == {
            "count": ours.count,
            "root": ours.root,
        }


def elements(tensor: Tensor) -> bytes:
    return bytes(encode_binary(tensor.array, tensor.datatype))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own script
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


INPUTS = [
    [each["name"], each["datatype"], each["shape"], each["elements"]]
    for each in VECTORS["inputs"]["leaves"]
]


def test_the_command_says_what_holds_and_what_it_did_not_look_at(
    tmp_path: Path,
) -> None:
    inputs = tmp_path / "inputs.json"
    inputs.write_text(json.dumps(INPUTS))
    options = ("--insecure-simulation", "--inputs", inputs)

    done = run(FOLDER / "response.proof", *options)

    assert done.returncode == 0, done.stderr
    assert VECTORS["inputs"]["root"] in done.stdout
    assert "VERIFIED. Not checked:\n- all else in the report" in done.stdout


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        pytest.param("predict.proof", [], "proves nothing", id="a simulation"),
        pytest.param(
            "predict.proof", ["--insecure-simulation", "--inputs"], "no salt", id="salt"
        ),
        pytest.param(
            "refused/flipped.proof", ["--insecure-simulation"], "not signed", id="key"
        ),
        pytest.param("none.proof", [], "No such file", id="no file"),
    ],
)
def test_the_command_says_what_does_not_hold(
    name: str, options: list[str], words: str, tmp_path: Path
) -> None:
    inputs = tmp_path / "inputs.json"
    inputs.write_text(json.dumps(INPUTS))
    brought = [inputs] if "--inputs" in options else []

    done = run(FOLDER / name, *options, *brought)

    assert done.returncode == 1
    assert done.stderr.startswith("refused: ")
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["response.proof", "opened.proof"])
@pytest.mark.parametrize("last", ["0100", "0101"])
def test_both_hold_what_the_reader_brings_against_the_proof(
    name: str, last: str
) -> None:
    """The mask that went in is 0100."""
    text = Tensor("text", Datatype.BYTES, (2,), np.array([b"good", b""], object))
    mask = Tensor.of("mask", np.frombuffer(bytes.fromhex(last), bool).reshape(1, 2))
    brought = [
        ["text", "BYTES", [2], elements(text)],
        ["mask", "BOOL", [1, 2], elements(mask)],
    ]
    data = (FOLDER / name).read_bytes()
    expected = Expected(inputs=[text, mask])
    found = set()

    try:
        Proof.load_from_bytes(data).verify(policy=POLICY, expected=expected)
        found.add("first")
    except BlindAIError:
        pass
    try:
        SECOND.verify(data, {0: brought}, None, simulation=True)
        found.add("second")
    except SECOND.REFUSALS:
        pass

    assert found == ({"first", "second"} if last == "0100" else set())
