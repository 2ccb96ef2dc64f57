"""HKDF with SHA-256 (RFC 5869), plain and labelled as HPKE wants it."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

_SHA256 = SHA256()


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract, 32 bytes (RFC 5869, section 2.2)."""
    return HKDF.extract(_SHA256, salt, secret)


def expand(key: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand, `size` bytes (RFC 5869, section 2.3)."""
    return HKDFExpand(_SHA256, size, info).derive(key)


def labeled_extract(suite_id: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    """LabeledExtract, 32 bytes (RFC 9180, section 4)."""
    return HKDF.extract(_SHA256, salt, b"HPKE-v1" + suite_id + label + secret)


def labeled_expand(
    suite_id: bytes, key: bytes, label: bytes, info: bytes, size: int
) -> bytes:
    """LabeledExpand, `size` bytes (RFC 9180, section 4)."""
    labeled = size.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info
    return HKDFExpand(_SHA256, size, labeled).derive(key)
