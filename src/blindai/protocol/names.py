"""Names on the wire that both ends use."""

from __future__ import annotations

from typing import Final

GATEWAY_PATH: Final = "/.well-known/ohttp-gateway"
"""Key configurations and sealed requests (RFC 9540, section 4)."""
ATTESTATION_PATH: Final = "/.well-known/blindai/attestation"
"""Evidence, outside the seal."""
OWNER_TOKEN_HEADER: Final = "blindai-owner-token"  # noqa: S105  a header's name
"""Shows who owns a model, where the enclave runs without API keys."""
SAVE_MODEL_HEADER: Final = "blindai-save-model"
"""`false` with an upload that is not to outlive the enclave's process."""
CHUNK_BYTES_HEADER: Final = "blindai-chunk-bytes"
"""The most plaintext that a client takes in one chunk of the answer, in bytes."""
STORE_HEADER: Final = "blindai-store"
"""How new the enclave's sealed store is (`store_mark`)."""
PROVE_HEADER: Final = "blindai-prove"
"""Asks for a proof: 32 bytes, the salt of a run or the nonce of an upload."""
PROOF_HEADER: Final = "blindai-proof"
"""The proof (`proof`)."""
PROOF_SALT_HEADER: Final = "blindai-proof-salt"
"""The salt of a proof that the client did not ask for."""
