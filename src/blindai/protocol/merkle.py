"""Merkle trees over hashed leaves (RFC 9162, section 2.1), with SHA-256.

    leaf hash  = SHA-256(0x00 || leaf)
    node hash  = SHA-256(0x01 || left || right)

A tree of n > 1 leaves splits after the largest power of two below n. What a leaf is,
its maker says; here is how hashes become a root.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from blindai.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAF_PREFIX: Final = b"\x00"
_NODE_PREFIX: Final = b"\x01"
HASH_BYTES: Final = 32


def root(hashes: Sequence[bytes]) -> bytes:
    """The tree's root, 32 bytes (section 2.1.1); of no leaves the hash of nothing."""
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    split = _split(len(hashes))
    return _node(root(hashes[:split]), root(hashes[split:]))


def path(hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes beside the way from a leaf up to the root (section 2.1.3.1).

    Args:
        hashes: Of all leaves.
        index: Which leaf, from 0.
    """
    if len(hashes) == 1:
        return ()
    split = _split(len(hashes))
    left, right = hashes[:split], hashes[split:]
    if index < split:
        return (*path(left, index), root(right))
    return (*path(right, index - split), root(left))


def root_of(leaf_hash: bytes, index: int, count: int, beside: Sequence[bytes]) -> bytes:
    """The root that a leaf and its path lead to.

    Args:
        leaf_hash: Of the leaf.
        index: Its place, from 0.
        count: How many leaves the tree has.
        beside: The path, from the leaf up.

    Raises:
        VerificationError: If there is no such place, or the path has another length.
    """
    if not 0 <= index < count or (count == 1) != (not beside):
        raise VerificationError("path: expected one of this place, got another")
    if count == 1:
        return leaf_hash
    split = _split(count)
    *rest, last = beside
    if index < split:
        return _node(root_of(leaf_hash, index, split, rest), last)
    return _node(last, root_of(leaf_hash, index - split, count - split, rest))


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


def _split(count: int) -> int:
    """The largest power of two below a count of two or more."""
    return 1 << (count - 1).bit_length() - 1
