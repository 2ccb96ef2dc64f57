"""Write the test vectors of docs/proofs.md; with `--check`, compare.

Run from the repository root: `python tools/make_proof_vectors.py [--check]`. All is
made from fixed bytes, but for the simulated hardware's evidence, whose signatures are
random: it was made once (`--new-evidence`), and is read from `attestation.bin`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proof_vectors import (
    INPUTS,
    KEY,
    KEYSET,
    NONCE,
    OUTPUTS,
    PREDICTION,
    RUN,
    SALT,
    UPLOAD,
    UPLOAD_NONCE,
    Files,
    disclosure,
    signed,
)

from blindai.protocol import cbor, commitments, cose, proof
from blindai.protocol.attestation import encode_attestation
from blindai.protocol.commitments import Side
from blindai.protocol.keyset import digest, parse_statement
from blindai.protocol.tensor_data import encode_binary
from blindai.testing import SimulatedEvidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.protocol.tensor import Tensor

FOLDER = Path("tests/data/proofs")
ATTESTATION = "attestation.bin"
POLICY = "policy.toml"
POLICY_TEXT = """\
version = 1
insecure_accept_simulation = true
"""


def new_evidence() -> bytes:
    """Evidence for the keyset; no two are the same."""
    return SimulatedEvidence(keyset=KEYSET).attestation(NONCE)


def leaves(side: Side, tensors: Sequence[Tensor]) -> list[dict[str, object]]:
    """How the commitment to one side comes about."""
    found = []
    for index, tensor in enumerate(commitments.in_order(tensors)):
        salt = commitments.leaf_salt(SALT, side, index)
        shape = list(tensor.shape)
        header = cbor.encode([int(side), tensor.name, tensor.datatype.value, shape])
        found.append(
            {
                "name": tensor.name,
                "datatype": tensor.datatype.value,
                "shape": shape,
                "leaf_salt": salt.hex(),
                "header": header.hex(),
                "elements": bytes(encode_binary(tensor.array, tensor.datatype)).hex(),
                "leaf_hash": commitments.leaf_hash(salt, side, tensor).hex(),
            }
        )
    return found


def steps(claims: proof.Claims) -> dict[str, object]:
    """How a proof comes about."""
    message = cose.parse(signed(claims), proof.KIND)
    structure = cbor.encode(["Signature1", message.protected, b"", message.payload])
    return {
        "claims": message.payload.hex(),
        "protected": message.protected.hex(),
        "to_be_signed": structure.hex(),
        "signature": message.signature.hex(),
        "proof": signed(claims).hex(),
        "digest": proof.digest(signed(claims)).hex(),
    }


def vectors(files: Files) -> dict[str, object]:
    """Each value on the way, and what to make of each file."""
    statement = files.attestation.statement
    label = disclosure("label")
    return {
        "keyset": {
            "encoding": KEYSET.encode().hex(),
            "digest": digest(KEYSET.encode()).hex(),
            "proof_key": KEYSET.proof_key.hex(),
            "proof_private_key": KEY.private_bytes_raw().hex(),
        },
        "statement": {
            "encoding": statement.hex(),
            "digest": hashlib.sha256(statement).hexdigest(),
        },
        "nonce": NONCE.hex(),
        "salt": SALT.hex(),
        "inputs": {"leaves": leaves(Side.INPUT, INPUTS), "root": RUN.inputs.root.hex()},
        "outputs": {
            "leaves": leaves(Side.OUTPUT, OUTPUTS),
            "root": RUN.outputs.root.hex(),
        },
        "disclosure": {
            "name": "label",
            "index": label.index,
            "leaf_salt": label.salt.hex(),
            "path": [each.hex() for each in label.path],
        },
        "upload": {"nonce": UPLOAD_NONCE.hex(), **steps(UPLOAD)},
        "predict": steps(PREDICTION),
        "accepted": {f"{name}.proof": "" for name, _ in files.accepted()},
        "refused": {f"refused/{name}.proof": why for name, why, _ in files.refused()},
    }


def contents(attestation: bytes) -> dict[str, bytes]:
    """All files, by path below the folder.

    Raises:
        SystemExit: If the evidence is of another keyset.
    """
    files = Files(attestation)
    statement = parse_statement(files.attestation.statement)
    if statement.keyset_digest != digest(KEYSET.encode()):
        raise SystemExit("evidence: of another keyset; make it anew: --new-evidence")
    text = json.dumps(vectors(files), indent=2) + "\n"
    return {
        ATTESTATION: encode_attestation(files.attestation),
        POLICY: POLICY_TEXT.encode(),
        "vectors.json": text.encode(),
        **{f"{name}.proof": data for name, data in files.accepted()},
        **{f"refused/{name}.proof": data for name, _, data in files.refused()},
    }


def main() -> None:
    """Write, or compare."""
    if "--new-evidence" in sys.argv:
        attestation = new_evidence()
    else:
        attestation = (FOLDER / ATTESTATION).read_bytes()
    made = contents(attestation)
    there = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in FOLDER.rglob("*")
        if path.is_file()
    }
    if "--check" in sys.argv:
        if made != there:
            sys.exit("tests/data/proofs: run `python tools/make_proof_vectors.py`")
        return
    for name in there.keys() - made.keys():
        (FOLDER / name).unlink()
    for name, data in made.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
