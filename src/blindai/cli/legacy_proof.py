"""Proof files of the original BlindAI (client 0.5): read, and verified by their quote.

    ResponseProof        1 attestation, 2 payload, 3 signature            (protobuf)
    attestation          1 SGX quote, version 3; 2 collateral; 3 enclave_held_data
    collateral           2 issuers of 4; 3 root's CRL; 4 PCK's CRL; 5 issuers of 6;
                         6 TCB info, signed; 7 issuers of 8; 8 QE identity, signed
    payload              1 header {1 issued_at {1 seconds}}; 2 upload; or 3 run
    upload               1 model hash; 4 model id
    run                  1 input hash; 2 model id; 3 output {1 info {4 name}, 2 bytes}

What the enclave held is its certificate: its SHA-256 is the quote's report data, and
its extension 1.3.6.1.3.2 is the Ed25519 key that signed the payload.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from blindai.cli.protobuf import messages
from blindai.errors import AttestationError, EvidenceError, ProofError
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    SGX_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.cose import KEY_BYTES
from blindai.protocol.endorsements import parse_endorsements
from blindai.verifier.alone import verify_evidence
from blindai.verifier.certificates import parse_certificate
from blindai.verifier.procedure import Procedure, judge

if TYPE_CHECKING:
    from blindai.transcript import Transcript
    from blindai.verifier.alone import EvidenceResult
    from blindai.verifier.policy import Policy

# Tag and length, twice; then version 3 and key type 2 (ECDSA P-256), little-endian
# (Intel SGX ECDSA Quote Library Reference for DCAP, table 3).
_HEAD: Final = re.compile(
    rb"\x0a[\x80-\xff]{0,3}[\x00-\x7f]\x0a[\x80-\xff]{0,3}[\x00-\x7f]\x03\x00\x02\x00"
)
_SIGNED: Final = re.compile(
    rb'\{"\w+":(.*),"signature":"([0-9a-fA-F]{128})"\}\s*', re.DOTALL
)
_KEY_EXTENSION: Final = bytes.fromhex("2b06010302")  # 1.3.6.1.3.2, in DER
_SOURCE: Final = "BlindAI 0.5, proof_files.proto"
_MAX_SECONDS: Final = 253402300799  # 9999-12-31T23:59:59Z, the last of a datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyProof:
    """What an enclave of the original BlindAI signed.

    Attributes:
        kind: A run or an upload.
        model_id: The label of the model; which model that was, is not said.
        hashed: SHA-256 of the model's file, or of the inputs' bytes, unsalted.
        issued_at: When, by the host's clock.
        outputs: Names of the outputs.
        evidence: The SGX quote, with Intel's endorsements of then.
        held: The enclave's certificate.
        payload: What was signed.
        signature: Ed25519, 64 bytes.
    """

    kind: str
    model_id: str
    hashed: bytes
    issued_at: datetime
    outputs: tuple[str, ...]
    evidence: Evidence = field(repr=False)
    held: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LegacyResult:
    """Such a proof that holds, as far as it goes.

    Attributes:
        evidence: What the quote says.
        transcript: Each check, in order.
    """

    evidence: EvidenceResult
    transcript: Transcript = field(repr=False)


def is_proof(data: bytes) -> bool:
    """Whether bytes look like a proof: its first field is an attestation."""
    return _HEAD.match(data) is not None


def parse_legacy_proof(data: bytes) -> LegacyProof:
    """Read a proof; nothing in it is believed for that.

    Raises:
        EvidenceError: If it is none.
    """
    fields = dict(messages(data))
    attestation = dict(messages(fields.get(1, b"")))
    payload = fields.get(2, b"")
    signed = dict(messages(payload))
    kind, number = ("run", 3) if 3 in signed else ("upload", 2)
    body = list(messages(signed.get(number, b"")))
    parts = dict(body)
    names = [_output_name(value) for key, value in body if (kind, key) == ("run", 3)]
    return LegacyProof(
        kind=kind,
        model_id=_text(parts.get(2 if kind == "run" else 4, b"")),
        hashed=parts.get(1, b""),
        issued_at=_time(signed.get(1, b"")),
        outputs=tuple(names),
        evidence=Evidence(
            media_type=SGX_QUOTE_TYPE,
            evidence=attestation.get(1, b""),
            endorsements=(_collateral(attestation.get(2, b"")),),
        ),
        held=attestation.get(3, b""),
        payload=payload,
        signature=fields.get(3, b""),
    )


def verify_legacy_proof(
    proof: LegacyProof, *, policy: Policy, at: datetime
) -> LegacyResult:
    """Verify a proof: the payload by the enclave's key, and the key by the quote.

    Args:
        proof: What was read.
        policy: Which enclaves are accepted.
        at: For when, with a time zone.

    Raises:
        EvidenceError: If something is malformed.
        ProofError: If the enclave's key did not sign the payload.
        AttestationError: If the quote is not authentic, binds another certificate, or
            is not accepted.
    """
    procedure = Procedure()
    key = _signing_key(proof.held)
    line = judge(
        "payload signature",
        holds=_is_signed(proof, key),
        expected=f"Ed25519, by the key in the enclave's certificate, {key.hex()}",
        actual="its signature",
        source=_SOURCE,
    )
    procedure.note(line)
    if not line.holds:
        raise ProofError(str(line), transcript=procedure.transcript)
    try:
        found = verify_evidence(
            proof.evidence,
            policy=policy,
            nonce=hashlib.sha256(proof.held).digest(),
            now=at,
        )
    except AttestationError as error:
        checks = error.transcript.checks if error.transcript else ()
        error.transcript = procedure.transcript + checks
        raise
    return LegacyResult(found, procedure.transcript + found.transcript.checks)


def _is_signed(proof: LegacyProof, key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(proof.signature, proof.payload)
    except InvalidSignature:
        return False
    return True


def _signing_key(held: bytes) -> bytes:
    """The Ed25519 key in the enclave's certificate, 32 bytes.

    Raises:
        EvidenceError: If there is none.
    """
    extension = parse_certificate(held).extensions.get(_KEY_EXTENSION)
    if extension is None or len(extension.value) != KEY_BYTES:
        raise EvidenceError(
            f"enclave_held_data: expected a certificate with a key of {KEY_BYTES} bytes"
        )
    return extension.value


def _collateral(data: bytes) -> Endorsement:
    """Intel's endorsements, in the JSON of its caches."""
    fields = dict(messages(data))
    tcb_info, tcb_signature = _signed(fields.get(6, b""), "TCB info")
    identity, identity_signature = _signed(fields.get(8, b""), "QE identity")
    names = {
        "pck_crl_issuer_chain": _text(fields.get(2, b"")),
        "root_ca_crl": _crl(fields.get(3, b"")),
        "pck_crl": _crl(fields.get(4, b"")),
        "tcb_info_issuer_chain": _text(fields.get(5, b"")),
        "tcb_info": tcb_info,
        "tcb_info_signature": tcb_signature,
        "qe_identity_issuer_chain": _text(fields.get(7, b"")),
        "qe_identity": identity,
        "qe_identity_signature": identity_signature,
    }
    return Endorsement(INTEL_COLLATERAL_TYPE, json.dumps(names).encode())


def _signed(data: bytes, what: str) -> tuple[str, str]:
    """A signed statement of Intel's: its exact text, and the signature.

    Raises:
        EvidenceError: If it is none.
    """
    match = _SIGNED.fullmatch(data.rstrip(b"\0"))
    if match is None:
        raise EvidenceError(f"{what}: expected Intel's signed JSON")
    return _text(match[1]), _text(match[2])


def _crl(pem: bytes) -> str:
    found = parse_endorsements(pem.rstrip(b"\0"))
    lists = [each.content for each in found if each.media_type == CRL_TYPE]
    if len(lists) != 1:
        raise EvidenceError("collateral: expected a list of revoked certificates")
    return lists[0].hex()


def _output_name(data: bytes) -> str:
    info = dict(messages(data)).get(1, b"")
    return _text(dict(messages(info)).get(4, b""))


def _time(header: bytes) -> datetime:
    issued = dict(messages(header)).get(1, b"")
    seconds = int.from_bytes(dict(messages(issued, numbers=True)).get(1, b""), "big")
    if seconds > _MAX_SECONDS:
        raise EvidenceError("issued_at: expected seconds since 1970")
    return datetime.fromtimestamp(seconds, UTC)


def _text(data: bytes) -> str:
    try:
        return data.rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise EvidenceError("proof: expected text in UTF-8") from error
