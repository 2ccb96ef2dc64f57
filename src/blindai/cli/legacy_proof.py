"""Proof files of the original BlindAI (client 0.6 and before): told, not read.

1 attestation {1 SGX quote, version 3; 2 collateral; 3 enclave_held_data},
2 payload, 3 signature                                      protobuf
"""

from __future__ import annotations

import re
from typing import Final

# Tag and length, twice; then version 3 and key type 2 (ECDSA P-256), little-endian
# (Intel SGX ECDSA Quote Library Reference for DCAP, table 3).
_HEAD: Final = re.compile(
    rb"\x0a[\x80-\xff]{0,3}[\x00-\x7f]\x0a[\x80-\xff]{0,3}[\x00-\x7f]\x03\x00\x02\x00"
)


def is_proof(data: bytes) -> bool:
    """Whether bytes look like a proof: its first field is an attestation."""
    return _HEAD.match(data) is not None
