"""Keys that a TPM makes from its own seeds: the same template, the same key.

TPMT_PUBLIC (TPM 2.0 Library 1.59, part 2, 12.2.4), on P-256 with SHA-256:

    type u16, nameAlg u16, objectAttributes u32 (8.3), authPolicy TPM2B,
    symmetric, scheme, curveID, kdf, unique x TPM2B, unique y TPM2B
"""

from __future__ import annotations

import struct
from typing import Final

_ECC: Final = 0x0023
_KEYEDHASH: Final = 0x0008
_SHA256: Final = 0x000B
_AES: Final = 0x0006
_CFB: Final = 0x0043
_ECDSA: Final = 0x0018
_NULL: Final = 0x0010
_P256: Final = 0x0003

_FIXED_TPM: Final = 1 << 1
_FIXED_PARENT: Final = 1 << 4
_SENSITIVE_DATA_ORIGIN: Final = 1 << 5
_USER_WITH_AUTH: Final = 1 << 6
_ADMIN_WITH_POLICY: Final = 1 << 7
_NO_DA: Final = 1 << 10
_RESTRICTED: Final = 1 << 16
_DECRYPT: Final = 1 << 17
_SIGN: Final = 1 << 18
_OWN: Final = _FIXED_TPM | _FIXED_PARENT | _SENSITIVE_DATA_ORIGIN | _USER_WITH_AUTH

_NO_POLICY: Final = b"\x00\x00"
_NO_POINT: Final = b"\x00\x00" * 2

ATTESTATION_KEY: Final = (
    struct.pack(">HHI", _ECC, _SHA256, _OWN | _RESTRICTED | _SIGN)
    + _NO_POLICY
    + struct.pack(">HHHHH", _NULL, _ECDSA, _SHA256, _P256, _NULL)
    + _NO_POINT
)
"""Signs what the TPM made, and nothing else (part 1, 23, restricted)."""

STORAGE_KEY: Final = (
    struct.pack(">HHI", _ECC, _SHA256, _OWN | _NO_DA | _RESTRICTED | _DECRYPT)
    + _NO_POLICY
    + struct.pack(">HHHHHH", _AES, 128, _CFB, _NULL, _P256, _NULL)
    + _NO_POINT
)
"""Encrypts what lies outside the TPM."""


def sealed_object(policy: bytes) -> bytes:
    """A secret that opens to a policy, and to no password."""
    attributes = _FIXED_TPM | _FIXED_PARENT | _ADMIN_WITH_POLICY | _NO_DA
    return (
        struct.pack(">HHIH", _KEYEDHASH, _SHA256, attributes, len(policy))
        + policy
        + struct.pack(">HH", _NULL, 0)
    )
