"""Commitments: each tensor and place has its own, and one opened tells of no other."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import numpy as np
import pytest

from blindai.errors import VerificationError
from blindai.protocol import cbor
from blindai.protocol.commitments import (
    Disclosure,
    Side,
    commit,
    disclose,
    leaf_hash,
    leaf_salt,
)
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

SALT = bytes(range(32))
X = Tensor.of("x", np.array([[1, 2], [3, 4]], "<f4"))


def opened(tensors: list[Tensor], name: str) -> Disclosure:
    disclosure = disclose(SALT, Side.OUTPUT, tensors, name)
    assert disclosure is not None
    return disclosure


def named(*names: str) -> list[Tensor]:
    return [
        Tensor.of(name, np.array([number], "<i8")) for number, name in enumerate(names)
    ]


def test_a_leaf_is_what_the_specification_says() -> None:
    salt = hmac.digest(SALT, b"blindai leaf salt v1\x00" + b"\x00\x00", "sha256")
    header = bytes.fromhex("84 00 6178 64 46503332 82 02 02")
    data = np.array([1, 2, 3, 4], "<f4").tobytes()
    leaf = b"\x00" + b"blindai tensor v1\x00" + salt + header + data

    assert commit(SALT, Side.INPUT, [X]).root == hashlib.sha256(leaf).digest()


def test_two_leaves_make_a_node() -> None:
    a, b = named("a", "b")
    left, right = (
        leaf_hash(leaf_salt(SALT, Side.INPUT, index), Side.INPUT, each)
        for index, each in enumerate((a, b))
    )

    found = commit(SALT, Side.INPUT, [a, b])

    assert found.root == hashlib.sha256(b"\x01" + left + right).digest()
    assert found.count == 2


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(replace(X, name="y"), id="name"),
        pytest.param(
            replace(X, datatype=Datatype.INT32, array=X.array.view("<i4")), id="dtype"
        ),
        pytest.param(replace(X, shape=(4,), array=X.array.reshape(4)), id="shape"),
        pytest.param(
            replace(X, shape=(1, 4), array=X.array.reshape(1, 4)), id="other shape"
        ),
        pytest.param(replace(X, array=X.array + 1), id="elements"),
    ],
)
def test_what_differs_in_anything_has_another_commitment(tensor: Tensor) -> None:
    assert commit(SALT, Side.INPUT, [tensor]) != commit(SALT, Side.INPUT, [X])


def test_bfloat16_and_integers_of_the_same_bits_differ() -> None:
    bits = np.array([1, 2], "<u2")
    as_integers = Tensor("x", Datatype.UINT16, (2,), bits)
    as_numbers = Tensor("x", Datatype.BF16, (2,), bits)

    assert commit(SALT, Side.INPUT, [as_integers]) != commit(
        SALT, Side.INPUT, [as_numbers]
    )


def test_text_is_committed_to_with_where_each_element_ends() -> None:
    split, joined = (
        Tensor("t", Datatype.BYTES, (2,), np.array(parts, dtype=object))
        for parts in ([b"ab", b"c"], [b"a", b"bc"])
    )

    assert commit(SALT, Side.INPUT, [split]) != commit(SALT, Side.INPUT, [joined])


def test_the_other_side_or_another_salt_is_another_commitment() -> None:
    roots = {
        commit(salt, side, [X]).root
        for salt in (SALT, bytes(32))
        for side in (Side.INPUT, Side.OUTPUT)
    }

    assert len(roots) == 4


def test_the_order_of_tensors_does_not_count() -> None:
    tensors = named("b", "a", "é", "B")

    assert commit(SALT, Side.INPUT, tensors) == commit(SALT, Side.INPUT, tensors[::-1])


def test_byte_order_and_layout_in_memory_do_not_count() -> None:
    big = Tensor.of("x", np.asfortranarray(X.array.astype(">f4")))

    assert commit(SALT, Side.INPUT, [big]) == commit(SALT, Side.INPUT, [X])


@pytest.mark.parametrize("name", ["a", "b", "c", "d", "e"])
def test_a_disclosure_opens_its_commitment(name: str) -> None:
    tensors = named("e", "d", "c", "b", "a")

    opened(tensors, name).verify(commit(SALT, Side.OUTPUT, tensors))


def test_nothing_is_disclosed_that_is_not_there() -> None:
    assert disclose(SALT, Side.OUTPUT, named("a"), "b") is None


TENSORS = named("a", "b", "c")
HONEST = opened(TENSORS, "b")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(replace(HONEST, tensor=TENSORS[0]), id="tensor"),
        pytest.param(replace(HONEST, salt=bytes(32)), id="salt"),
        pytest.param(replace(HONEST, index=0), id="place"),
        pytest.param(replace(HONEST, side=Side.INPUT), id="side"),
        pytest.param(replace(HONEST, path=HONEST.path[:1]), id="shorter path"),
        pytest.param(replace(HONEST, path=(*HONEST.path, bytes(32))), id="longer path"),
        pytest.param(replace(HONEST, index=7), id="beyond the end"),
    ],
)
def test_a_disclosure_with_one_thing_changed_opens_nothing(changed: Disclosure) -> None:
    with pytest.raises(VerificationError):
        changed.verify(commit(SALT, Side.OUTPUT, TENSORS))


def test_the_salt_of_one_leaf_is_of_no_use_for_another() -> None:
    told = leaf_salt(SALT, Side.OUTPUT, 1)

    assert told not in {SALT, leaf_salt(SALT, Side.OUTPUT, 0)}
    assert leaf_salt(told, Side.OUTPUT, 0) != leaf_salt(SALT, Side.OUTPUT, 0)


def test_a_header_says_itself_where_it_ends() -> None:
    """So no other tensor's header and elements are the same bytes in one row."""
    header = cbor.encode([0, "x", "FP32", [2, 2]])

    assert cbor.decode(header) == [0, "x", "FP32", [2, 2]]
    for end in range(len(header)):
        with pytest.raises(Exception, match="CBOR"):
            cbor.decode(header[:end])
