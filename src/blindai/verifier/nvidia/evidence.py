"""How GPUs' evidence travels: the JSON array of NVIDIA's attestation SDK.

    [{"arch": "HOPPER", "nonce": "<hex>", "evidence": "<base64 of the SPDM exchange>",
      "certificate": "<base64 of the certificate chain in PEM, the GPU's first>"}, ...]

Only `evidence` and `certificate` are read: they are signed. What else stands there (the
architecture, the nonce, versions) is nobody's word, and the same is in what is signed.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Final

from blindai.errors import EvidenceError
from blindai.protocol.attestation import MAX_GPU_BYTES

MAX_GPUS: Final = 16


@dataclass(frozen=True, slots=True)
class GpuEvidence:
    """The evidence of one GPU, as it was sent.

    Attributes:
        exchange: SPDM request and response.
        certificates: The GPU's chain, in PEM.
    """

    exchange: bytes = field(repr=False)
    certificates: bytes = field(repr=False)


def parse_evidence(data: bytes) -> tuple[GpuEvidence, ...]:
    """Read the array: 1 to 16 GPUs, at most 512 KiB.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    if len(data) > MAX_GPU_BYTES:
        raise EvidenceError(
            f"GPU evidence: expected at most {MAX_GPU_BYTES} bytes, got {len(data)}"
        )
    try:
        array = json.loads(data.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise EvidenceError("GPU evidence: expected JSON in UTF-8") from error
    if not isinstance(array, list) or not 1 <= len(array) <= MAX_GPUS:
        raise EvidenceError(f"GPU evidence: expected an array of 1 to {MAX_GPUS} GPUs")
    return tuple(_gpu(each) for each in array)


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member twice")
    return found


def _gpu(value: object) -> GpuEvidence:
    if not isinstance(value, dict):
        raise EvidenceError("GPU evidence: expected an object for each GPU")
    return GpuEvidence(_base64(value, "evidence"), _base64(value, "certificate"))


def _base64(gpu: dict[str, object], key: str) -> bytes:
    text = gpu.get(key)
    if not isinstance(text, str):
        raise EvidenceError(f"GPU {key}: expected a string")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceError(f"GPU {key}: expected base64") from error
