"""Commitments to tensors that tell nothing about them, and one of them opened.

The client draws a salt of 32 random bytes for each request, and sends it inside the
seal. Inputs and outputs are committed to by themselves. Tensors stand in the order of
their names' UTF-8 bytes; `index` is a tensor's place in it, from 0, one byte:

    leaf salt  = HMAC-SHA-256(salt, "blindai leaf salt v1" || 0x00 || side || index)
    side       = 0x00 for inputs, 0x01 for outputs
    header     = CBOR [side as a number, name, datatype, [dimension, ...]]
    leaf hash  = SHA-256(0x00 || "blindai tensor v1" || 0x00 || leaf salt || header
                         || elements)
    root       = of the Merkle tree over the leaf hashes (`merkle`)

The header is deterministic CBOR, which says itself where it ends; the elements are the
rest, as Open Inference Protocol's binary data has them. So two tensors that differ in
anything have different leaves. Who learns a tensor with its leaf salt learns nothing
about the others: their salts cannot be told from it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from blindai.errors import VerificationError
from blindai.protocol import cbor, merkle
from blindai.protocol.tensor_data import encode_binary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from blindai.protocol.tensor import Tensor

SALT_BYTES: Final = 32
MAX_TENSORS: Final = 64  # as `tensor.Limits` has it
_SALT_LABEL: Final = b"blindai leaf salt v1\x00"
_LEAF_LABEL: Final = b"blindai tensor v1\x00"


class Side(IntEnum):
    """Whether tensors went in or came out."""

    INPUT = 0
    OUTPUT = 1


@dataclass(frozen=True, slots=True)
class Commitment:
    """What stands for the tensors of one side.

    Attributes:
        root: Of their Merkle tree, 32 bytes.
        count: How many they are.
    """

    root: bytes
    count: int


def commit(salt: bytes, side: Side, tensors: Iterable[Tensor]) -> Commitment:
    """Commit to the tensors of one side. Hashes all of them: 0.5 to 2 GB a second.

    Args:
        salt: Of the request, 32 bytes.
        side: Whether they are inputs or outputs.
        tensors: All of them, in any order; their names differ.
    """
    hashes = leaf_hashes(salt, side, in_order(tensors))
    return Commitment(merkle.root(hashes), len(hashes))


def in_order(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The tensors in the order of their leaves."""
    return sorted(tensors, key=lambda each: each.name.encode())


def leaf_hashes(salt: bytes, side: Side, tensors: Sequence[Tensor]) -> list[bytes]:
    """The leaves' hashes of tensors that are in order."""
    return [
        leaf_hash(leaf_salt(salt, side, index), side, tensor)
        for index, tensor in enumerate(tensors)
    ]


def leaf_salt(salt: bytes, side: Side, index: int) -> bytes:
    """The salt of one leaf, 32 bytes.

    Args:
        salt: Of the request, 32 bytes.
        side: The tensor's.
        index: Its place among those of its side, below 256.
    """
    return hmac.digest(salt, _SALT_LABEL + bytes((side, index)), "sha256")


def leaf_hash(salt: bytes, side: Side, tensor: Tensor) -> bytes:
    """The hash of one leaf, 32 bytes.

    Args:
        salt: Of the leaf, 32 bytes.
        side: The tensor's.
        tensor: What is committed to.
    """
    described = [int(side), tensor.name, tensor.datatype.value, list(tensor.shape)]
    digest = hashlib.sha256(merkle.LEAF_PREFIX + _LEAF_LABEL + salt)
    digest.update(cbor.encode(described))
    digest.update(encode_binary(tensor.array, tensor.datatype))  # without the GIL
    return digest.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """One tensor opened: what shows that a commitment is to it.

    Attributes:
        side: Whether it is an input or an output.
        index: Its place among those of its side, from 0.
        salt: Of its leaf, 32 bytes.
        tensor: The tensor.
        path: The hashes beside the way from its leaf to the root.
    """

    side: Side
    index: int
    salt: bytes = field(repr=False)
    tensor: Tensor = field(repr=False)
    path: tuple[bytes, ...] = field(repr=False)

    def verify(self, commitment: Commitment) -> None:
        """Verify that the commitment of its side is to this tensor, at this place.

        Raises:
            VerificationError: If it is not.
        """
        leaf = leaf_hash(self.salt, self.side, self.tensor)
        found = merkle.root_of(leaf, self.index, commitment.count, self.path)
        if not hmac.compare_digest(found, commitment.root):
            raise VerificationError(
                "disclosed tensor: expected one of those committed to, got another"
            )


def disclose(
    salt: bytes, side: Side, tensors: Sequence[Tensor], name: str
) -> Disclosure | None:
    """Open one of the tensors of a side; None if there is none of this name.

    Args:
        salt: Of the request, 32 bytes.
        side: Theirs.
        tensors: All of them, in any order.
        name: Which one.
    """
    ordered = in_order(tensors)
    names = [each.name for each in ordered]
    if name not in names:
        return None
    index = names.index(name)
    return Disclosure(
        side=side,
        index=index,
        salt=leaf_salt(salt, side, index),
        tensor=ordered[index],
        path=merkle.path(leaf_hashes(salt, side, ordered), index),
    )
