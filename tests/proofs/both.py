"""Both implementations of docs/proofs.md: what each makes of a file.

`docs/proof_verifier.py` was written from the page alone and shares nothing with
`blindai`. What one of them accepts and the other refuses is an error of one of them, or
of the page.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blindai import Proof
from blindai.errors import BlindAIError
from blindai.verifier import Policy

if TYPE_CHECKING:
    from datetime import datetime

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "proof_verifier.py"
FOLDER = ROOT / "tests" / "data" / "proofs"
VECTORS: dict[str, Any] = json.loads((FOLDER / "vectors.json").read_text("utf-8"))
POLICY = Policy.parse((FOLDER / "policy.toml").read_text("utf-8"))
KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex(VECTORS["keyset"]["proof_private_key"])
)
TYPE = "application/vnd.blindai."
SALT = bytes.fromhex(VECTORS["salt"])


def load_second() -> Any:  # noqa: ANN401  a module without types
    spec = importlib.util.spec_from_file_location("proof_verifier", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SECOND = load_second()


def first_accepts(data: bytes, at: datetime | None = None) -> bool:
    try:
        Proof.load_from_bytes(data).verify(policy=POLICY, at=at)
    except BlindAIError:
        return False
    return True


def second_accepts(data: bytes, at: datetime | None = None) -> bool:
    date = None if at is None else int(at.timestamp())
    try:
        SECOND.verify(data, {}, date, simulation=True)
    except SECOND.REFUSALS:
        return False
    return True


def verdicts(data: bytes, at: datetime | None = None) -> dict[str, bool]:
    return {"first": first_accepts(data, at), "second": second_accepts(data, at)}


ACCEPTED = {"first": True, "second": True}
REFUSED = {"first": False, "second": False}


def canonical(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)


def read(name: str) -> dict[Any, Any]:
    value: dict[Any, Any] = cbor2.loads((FOLDER / name).read_bytes())
    return value


def change(value: Any, path: tuple[Any, ...], new: object) -> Any:  # noqa: ANN401  CBOR
    """A copy with something else at a path, or with nothing there."""
    copy = list(value) if isinstance(value, list) else dict(value)
    if len(path) > 1:
        new = change(copy[path[0]], path[1:], new)
    if new is GONE:
        del copy[path[0]]
    else:
        copy[path[0]] = new
    return copy


GONE = object()


def sign(payload: bytes, **others: object) -> bytes:
    """A proof over a payload, by the vectors' key, perhaps with other parts."""
    protected = others.get("protected", bytes.fromhex(VECTORS["predict"]["protected"]))
    signed = canonical(["Signature1", protected, b"", payload])
    parts = [protected, others.get("unprotected", {}), payload, KEY.sign(signed)]
    return canonical(cbor2.CBORTag(18, parts))


def with_proof(proof: bytes, name: str = "predict.proof") -> bytes:
    return canonical(change(read(name), ("proof", 1), proof))


def with_claims(path: tuple[Any, ...], new: object, of: str = "predict") -> bytes:
    claims = cbor2.loads(bytes.fromhex(VECTORS[of]["claims"]))
    return with_proof(sign(canonical(change(claims, path, new))))


def part(name: str, label: str) -> Any:  # noqa: ANN401  CBOR
    return cbor2.loads(read(name)[label][1])


PREDICT, OPENED, DISCLOSED = map(
    read, ("predict.proof", "opened.proof", "disclosed.proof")
)
OPENING, DISCLOSURES = (
    part("opened.proof", "opening"),
    part("disclosed.proof", "disclosures"),
)
CHAIN = PREDICT["attestation"]["endorsements"][0]
