"""A verdict as an EAT Attestation Result, signed, for whoever trusts this verifier.

    token = sign(claims_set(appraisal, now=now, build="blindai 0.1.0"), key)

draft-ietf-rats-ear-04 (EAR: the claims, their names in JSON, section 3);
draft-ietf-rats-ar4si (the trustworthiness vector, 3.1, and its tiers, 3.2); RFC 7515
(JWS, compact); RFC 7518, 3.4 (ES256); RFC 8037, 3.1 (EdDSA). Pure: key and time are
arguments.

What this verifier did not look at is not in the vector. A simulated TEE is hardware
that nobody recognises; where nothing was pinned, what runs there is not recognised.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from blindai.errors import EvidenceError, VerificationError
from blindai.transcript import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from blindai.errors import AttestationError
    from blindai.transcript import Check, Transcript
    from blindai.verifier.claims import Claims

PROFILE: Final = "tag:ietf.org,2026:rats/ear#04"
DEVELOPER: Final = "blindai"

# AR4SI 3.1: one claim a subject, and the value that affirms it.
_AFFIRMED: Final = {
    "instance-identity": 2,
    "configuration": 2,
    "executables": 3,
    "hardware": 2,
    "runtime-opaque": 2,
}
_CONTRAINDICATED: Final = 96
_UNRECOGNISED_HARDWARE: Final = 97
_FORGED: Final = 99
_UNRECOGNISED_EXECUTABLES: Final = 33
_UNEXPECTED: Final = 1
# Which claim a line speaks for, by its name; the first that fits counts.
_SUBJECTS: Final = {
    "*debug mode": "runtime-opaque",
    "*measurement": "executables",
    "*key digest": "executables",
    "MR*": "executables",
    "RTMR*": "executables",
    "PCR digest": "instance-identity",
    "PCR*": "executables",
    "secure boot": "configuration",
    "build": "executables",
    "root certificate": "hardware",
    "product": "hardware",
    "*TCB*": "hardware",
    "*advisories": "hardware",
    "configuration digest": "configuration",
    "VMPL": "configuration",
    "migration agent": "configuration",
    "simultaneous multithreading": "configuration",
    "*attributes*": "configuration",
}
_TIERS: Final = ((96, "contraindicated"), (32, "warning"), (2, "affirming"))
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """What was found about one enclave.

    Attributes:
        tee: What to call it among others: its kind of TEE.
        transcript: Each check, in order.
        error: Why it was refused; None if it was accepted.
        claims: What it says, where that was believed and accepted.
        policy: Names the policy; empty where nothing was pinned.
        simulated: Whether its root says nothing about hardware.
        nonce: What it was asked with, or None.
    """

    tee: str
    transcript: Transcript
    error: AttestationError | None = None
    claims: Claims | None = None
    policy: str = ""
    simulated: bool = False
    nonce: bytes | None = field(default=None, repr=False)


def claims_set(appraisal: Appraisal, *, now: datetime, build: str) -> dict[str, object]:
    """What is signed.

    Args:
        appraisal: What was found.
        now: When.
        build: Names this verifier's release.
    """
    vector = _vector(appraisal)
    status = "contraindicated" if appraisal.error else _tier(max(vector.values()))
    submodule: dict[str, object] = {
        "ear_status": status,
        "ear_trustworthiness_vector": vector,
        "ear_verifier_claims": {
            "checks": [check.to_json() for check in appraisal.transcript.checks]
        },
    }
    if appraisal.policy:
        submodule["ear_appraisal_policy_ids"] = [appraisal.policy]
    if appraisal.nonce is not None and 8 <= len(appraisal.nonce) <= 64:
        submodule["eat_nonce"] = _base64url(appraisal.nonce)
    if appraisal.claims is not None:
        submodule["ear_attester_claims"] = {
            "tee": appraisal.claims.tee,
            "measurement": appraisal.claims.measurement.hex(),
            "report_data": appraisal.claims.report_data.hex(),
            "debug": appraisal.claims.debug,
        }
    return {
        "eat_profile": PROFILE,
        "iat": int(now.timestamp()),
        "ear_verifier_id": {"developer": DEVELOPER, "build": build},
        "ear_status": status,
        "submods": {appraisal.tee: submodule},
    }


def parse_key(pem: bytes) -> PrivateKey:
    """The key to sign with, from PEM.

    Raises:
        ValueError: If it is anything but a private key, not encrypted, on P-256 or
            Ed25519.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, ValueError) as error:
        raise ValueError("expected a private key in PEM, not encrypted") from error
    match key:
        case ed25519.Ed25519PrivateKey():
            return key
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            return key
        case _:
            raise ValueError("expected a key on P-256 or Ed25519")


def sign(claims: Mapping[str, object], key: PrivateKey) -> str:
    """The claims as a JWT: ES256 for a key on P-256, EdDSA for Ed25519.

    Args:
        claims: What to sign.
        key: As `parse_key` gives it.
    """
    edwards = isinstance(key, ed25519.Ed25519PrivateKey)
    header = {"alg": "EdDSA" if edwards else "ES256", "typ": "JWT"}
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    return f"{signed}.{_base64url(_signature(key, signed.encode('ascii')))}"


def _signature(key: PrivateKey, signed: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _vector(appraisal: Appraisal) -> dict[str, int]:
    """AR4SI's vector: the worst of the lines that speak for each claim."""
    if isinstance(appraisal.error, EvidenceError | VerificationError):
        malformed = isinstance(appraisal.error, EvidenceError)
        return {"instance-identity": _UNEXPECTED if malformed else _FORGED}
    lines: dict[str, list[Check]] = {claim: [] for claim in _AFFIRMED}
    for check in appraisal.transcript.checks:
        if claim := _subject(check.name):
            lines[claim].append(check)
    vector = {"instance-identity": _AFFIRMED["instance-identity"]}
    for claim, checks in lines.items():
        if any(not check.holds for check in checks):
            vector[claim] = _CONTRAINDICATED
        elif any(check.status is Status.PASSED for check in checks):
            vector[claim] = _AFFIRMED[claim]
    vector.setdefault("executables", _UNRECOGNISED_EXECUTABLES)
    if appraisal.simulated:
        vector["hardware"] = _UNRECOGNISED_HARDWARE
    return vector


def _subject(name: str) -> str:
    found = (
        claim for pattern, claim in _SUBJECTS.items() if fnmatchcase(name, pattern)
    )
    return next(found, "")


def _tier(value: int) -> str:
    """The tier of a value (AR4SI 3.2)."""
    return next((tier for least, tier in _TIERS if value >= least), "none")


def _encoded(value: Mapping[str, object]) -> str:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return _base64url(text.encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
