"""What the test vectors of docs/proofs.md are made of: an enclave, a run, files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import cbor2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blindai.protocol import cbor, commitments, cose, proof
from blindai.protocol.attestation import parse_attestation
from blindai.protocol.commitments import Side
from blindai.protocol.datatypes import Datatype
from blindai.protocol.keyset import Keyset, digest
from blindai.protocol.proof_file import (
    Described,
    Opening,
    ProofFile,
    encode_proof_file,
)
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

SALT = bytes(range(32))
UPLOAD_NONCE = bytes(range(32, 64))
NONCE = bytes(range(64, 96))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(96, 128)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(128, 160)))
ISSUED_AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEYSET = Keyset(
    instance=bytes(range(160, 176)),
    ohttp_keys=b"",
    proof_key=KEY.public_key().public_bytes_raw(),
    config_digest=hashlib.sha256(b"a configuration").digest(),
    build="blindai test vectors",
    not_before=datetime(2026, 6, 1, tzinfo=UTC),
    not_after=datetime(2026, 6, 2, tzinfo=UTC),
)
MODEL = proof.Model(
    digest=hashlib.sha256(b"a model").digest(), name="sentiment", version=3
)
INPUTS = (
    Tensor("text", Datatype.BYTES, (2,), np.array([b"good", b""], dtype=object)),
    Tensor.of("mask", np.array([[True, False]])),
)
OUTPUTS = (
    Tensor.of("scores", np.array([[0.25, 0.75], [0.5, 0.5]], "<f4")),
    Tensor.of("label", np.array([1, 0], "<i8")),
    Tensor("embedding", Datatype.BF16, (2,), np.array([0x3F80, 0xC000], "<u2")),
)
RUN = proof.Run(
    runtime=proof.Runtime(
        engine="onnxruntime",
        version="1.22.0",
        optimisation="all",
        provider="CPUExecutionProvider",
        architecture="x86_64",
        cpu=("avx", "avx2", "f16c", "fma", "sse4_1"),
        threads=1,
    ),
    batch=proof.ALONE,
    inputs=commitments.commit(SALT, Side.INPUT, INPUTS),
    outputs=commitments.commit(SALT, Side.OUTPUT, OUTPUTS),
)
UPLOAD = proof.Claims(
    keyset_digest=digest(KEYSET.encode()),
    config_digest=KEYSET.config_digest,
    model=MODEL,
    issued_at=ISSUED_AT,
    request_id=bytes.fromhex("0011223344556677"),
    sequence=0,
    previous=None,
    nonce=UPLOAD_NONCE,
)
PREDICTION = replace(
    UPLOAD,
    request_id=bytes.fromhex("8899aabbccddeeff"),
    sequence=1,
    previous=proof.digest(cose.sign(proof.KIND, UPLOAD.encode(), KEY.sign)),
    run=RUN,
    nonce=None,
)
OPENING = Opening(
    SALT,
    tuple(Described.of(each, whole=True) for each in INPUTS),
    tuple(Described.of(each, whole=True) for each in OUTPUTS),
)


def signed(claims: proof.Claims | bytes, key: Ed25519PrivateKey = KEY) -> bytes:
    """A proof over claims, or over other bytes."""
    payload = claims if isinstance(claims, bytes) else claims.encode()
    return cose.sign(proof.KIND, payload, key.sign)


def disclosure(name: str) -> commitments.Disclosure:
    """One output opened.

    Raises:
        SystemExit: If there is none of this name.
    """
    found = commitments.disclose(SALT, Side.OUTPUT, OUTPUTS, name)
    if found is None:
        raise SystemExit(f"no output {name}")
    return found


class Files:
    """The proof files, good and bad, over one attestation."""

    def __init__(self, attestation: bytes) -> None:
        self.attestation = parse_attestation(attestation)
        self.predict = ProofFile(
            proof=signed(PREDICTION), attestation=self.attestation, nonce=NONCE
        )

    def accepted(self) -> Iterator[tuple[str, bytes]]:
        """Files that a verifier accepts as of their own date."""
        predict = self.predict
        yield "predict", encode_proof_file(predict)
        yield "upload", encode_proof_file(replace(predict, proof=signed(UPLOAD)))
        yield "opened", encode_proof_file(replace(predict, opening=OPENING))
        bare = Opening(
            SALT,
            tuple(Described.of(each, whole=False) for each in INPUTS),
            OPENING.outputs,
        )
        yield "response", encode_proof_file(replace(predict, opening=bare))
        yield (
            "disclosed",
            encode_proof_file(replace(predict, disclosures=(disclosure("label"),))),
        )

    def refused(self) -> Iterator[tuple[str, str, bytes]]:
        """Files that it refuses: name, why, contents."""
        yield from self._malformed()
        yield from self._forged()

    def _malformed(self) -> Iterator[tuple[str, str, bytes]]:
        good = encode_proof_file(self.predict)
        yield "trailing", "a byte follows the collection", good + b"\x00"
        yield "truncated", "the last byte is missing", good[:-1]
        fields = cbor2.loads(good)
        backwards = dict(reversed(fields.items()))
        yield "unsorted", "labels are not in order", cbor2.dumps(backwards)
        fields["more"] = ["text/plain", b""]
        extra = cbor2.dumps(fields, canonical=True)
        yield "unknown-label", "a label is not one of the five", extra
        message = cbor2.loads(self.predict.proof).value
        header = cbor2.loads(message[0])
        for name, why, protected in (
            ("critical-header", "a critical header is there", {**header, 2: [16]}),
            (
                "unknown-header",
                "a header is there that is not known",
                {**header, 4: b""},
            ),
            ("other-algorithm", "the algorithm is ES256", {**header, 1: -7}),
            ("other-type", "typ is another", {**header, 16: "application/cwt"}),
        ):
            yield name, why, self._sealed(cbor2.dumps(protected, canonical=True))
        twice = bytes([0xA4]) + message[0][1:] + cbor2.dumps(1) + cbor2.dumps(-8)
        yield "header-twice", "a header is there twice", self._sealed(twice)
        claims = cbor2.loads(PREDICTION.encode())
        long = PREDICTION.encode().replace(b"\x06\x1a", b"\x18\x06\x1a", 1)
        yield "long-integer", "a key has two bytes where one would do", self._with(long)
        del claims["blindai.batch"]
        missing = cbor2.dumps(claims, canonical=True)
        yield "claim-missing", "a claim is missing", self._with(missing)
        claims = cbor2.loads(PREDICTION.encode()) | {"more": 1}
        more = cbor2.dumps(claims, canonical=True)
        yield "claim-unknown", "a claim is there that is not known", self._with(more)

    def _forged(self) -> Iterator[tuple[str, str, bytes]]:
        yield from self._forged_signatures()
        yield from self._forged_claims()
        yield from self._forged_openings()
        yield from self._forged_disclosures()
        keyset = replace(KEYSET, instance=bytes(16)).encode()
        claims = replace(PREDICTION, keyset_digest=digest(keyset))
        attestation = replace(self.attestation, keyset=keyset)
        other = self._bytes(proof=signed(claims), attestation=attestation)
        yield "keyset-not-attested", "the statement names another keyset", other

    def _forged_signatures(self) -> Iterator[tuple[str, str, bytes]]:
        other = self._bytes(proof=signed(PREDICTION, OTHER_KEY))
        yield "other-key", "another key signed", other
        flipped = bytearray(self.predict.proof)
        flipped[-1] ^= 1
        changed = self._bytes(proof=bytes(flipped))
        yield "flipped", "a bit of the signature is another", changed
        other = self._bytes(nonce=bytes(32))
        yield "other-nonce", "the nonce is not the statement's", other
        without = self._bytes(nonce=None)
        yield "no-nonce", "there is no nonce, and the policy wants one", without

    def _forged_claims(self) -> Iterator[tuple[str, str, bytes]]:
        early = datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC)
        keyset = replace(PREDICTION, keyset_digest=bytes(32))
        config = replace(PREDICTION, config_digest=bytes(32))
        before = replace(PREDICTION, issued_at=early)
        for name, why, claims in (
            ("other-keyset", "another keyset is named", keyset),
            ("other-config", "another configuration is named", config),
            ("too-early", "it is older than its keyset", before),
        ):
            yield name, why, self._bytes(proof=signed(claims))

    def _forged_openings(self) -> Iterator[tuple[str, str, bytes]]:
        scores = Tensor.of("scores", np.array([[0.25, 0.75], [0.5, 0.25]], "<f4"))
        outputs = (Described.of(scores, whole=True), *OPENING.outputs[1:])
        opening = replace(OPENING, outputs=outputs)
        yield "other-output", "an output is another", self._bytes(opening=opening)
        opening = replace(OPENING, salt=bytes(32))
        yield "other-salt", "the salt is another", self._bytes(opening=opening)
        beside = self._bytes(proof=signed(UPLOAD), opening=OPENING)
        yield "opened-upload", "an upload has no tensors", beside

    def _forged_disclosures(self) -> Iterator[tuple[str, str, bytes]]:
        label = disclosure("label")
        elsewhere = Tensor.of("label", np.array([0, 0], "<i8"))
        for name, why, changed in (
            (
                "elsewhere",
                "the tensor is not the one",
                replace(label, tensor=elsewhere),
            ),
            ("place", "the tensor is at another place", replace(label, index=0)),
            ("side", "an output is an input", replace(label, side=Side.INPUT)),
        ):
            yield f"disclosed-{name}", why, self._bytes(disclosures=(changed,))
        beside = self._bytes(proof=signed(UPLOAD), disclosures=(label,))
        yield "disclosed-upload", "an upload has no tensors", beside

    def _bytes(self, **changes: object) -> bytes:
        return encode_proof_file(replace(self.predict, **changes))  # type: ignore[arg-type]  # by name

    def _with(self, payload: bytes) -> bytes:
        return self._bytes(proof=signed(payload))

    def _sealed(self, protected: bytes) -> bytes:
        """The prediction under another protected header, well signed."""
        payload = PREDICTION.encode()
        structure = cbor.encode(["Signature1", protected, b"", payload])
        parts = [protected, {}, payload, KEY.sign(structure)]
        return self._bytes(proof=b"\xd2" + cbor.encode(parts))
