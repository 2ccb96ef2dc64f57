"""What attestation binds: the keyset, the statement about it, and the digest signed.

The enclave makes one keyset at a time and never writes down its private half. The
hardware signs SHA-256 of a statement that names the keyset, the purpose and the nonce,
and the evidence of the GPUs, where there are any:

    keyset_digest = SHA-256("blindai keyset v1" || 0x00 || keyset)
    gpu_nonce     = SHA-256("blindai gpu nonce v1" || 0x00 || statement, no gpu_digest)
    gpu_digest    = SHA-256("blindai gpu evidence v1" || 0x00 || evidence of all GPUs)
    digest        = SHA-256(statement)

The digest is the first half of the 64 bytes of report data of SGX, TDX and SEV-SNP (the
rest is zero), Nitro's `user_data` and a TPM's `extraData`. GPUs answer first, a nonce
of their own; their evidence counts because the CPU's names it.

Keyset and statement are deterministic CBOR, so each value has one encoding and every
hash is injective. This is the only module that knows how the binding is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from blindai.errors import EvidenceError, ProtocolError
from blindai.protocol import cbor

VERSION = 1
DIGEST_LABEL = b"blindai keyset v1\x00"
CONFIGURATION_LABEL = b"blindai config v1\x00"
GPU_NONCE_LABEL = b"blindai gpu nonce v1\x00"
GPU_EVIDENCE_LABEL = b"blindai gpu evidence v1\x00"
REPORT_DATA_BYTES = 64
NONCE_BYTES = 32
MAX_KEY_CONFIGS_BYTES = 16384
MAX_BUILD_CHARACTERS = 256
_LATEST = 253402300799  # 9999-12-31T23:59:59Z, the last second of a datetime


class Purpose(StrEnum):
    """What evidence is for; evidence for one purpose cannot serve another."""

    ATTESTATION = "blindai.attestation.v1"
    KEY_RELEASE = "blindai.key-release.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """The public keys of one enclave instance, and what it runs.

    Attributes:
        instance: Names this start of the enclave, 16 random bytes.
        ohttp_keys: Key configurations, `application/ohttp-keys` (RFC 9458, 3.2).
        proof_key: Ed25519 public key, 32 bytes.
        config_digest: SHA-256 of the effective configuration, 32 bytes.
        build: Names the release, for people.
        not_before: First second at which the keys may be used.
        not_after: Last second at which a client may seal to them.
        tls_spki: SHA-256 of the outer TLS key's SubjectPublicKeyInfo, or None.
    """

    instance: bytes
    ohttp_keys: bytes
    proof_key: bytes
    config_digest: bytes
    build: str
    not_before: datetime
    not_after: datetime
    tls_spki: bytes | None = None

    def encode(self) -> bytes:
        """The keyset in deterministic CBOR."""
        fields = {
            "v": VERSION,
            "instance": self.instance,
            "ohttp_keys": self.ohttp_keys,
            "proof_key": self.proof_key,
            "config_digest": self.config_digest,
            "build": self.build,
            "not_before": int(self.not_before.timestamp()),
            "not_after": int(self.not_after.timestamp()),
        }
        if self.tls_spki is not None:
            fields["tls_spki"] = self.tls_spki
        return cbor.encode(fields)


def parse_keyset(data: bytes) -> Keyset:
    """Read a keyset.

    Raises:
        EvidenceError: If the bytes are not a keyset of version 1.
    """
    fields = _parse_map(data, "keyset")
    required = {
        "v", "instance", "ohttp_keys", "proof_key", "config_digest", "build",
        "not_before", "not_after",
    }  # fmt: skip
    _require_keys(fields, "keyset", required, optional={"tls_spki"})
    if type(fields["v"]) is not int or fields["v"] != VERSION:
        raise EvidenceError(f"keyset version: expected {VERSION}, got another")
    ohttp_keys = fields["ohttp_keys"]
    if not isinstance(ohttp_keys, bytes) or len(ohttp_keys) > MAX_KEY_CONFIGS_BYTES:
        raise EvidenceError(
            f"keyset ohttp_keys: expected at most {MAX_KEY_CONFIGS_BYTES} bytes"
        )
    build = fields["build"]
    if not isinstance(build, str) or len(build) > MAX_BUILD_CHARACTERS:
        raise EvidenceError(
            f"keyset build: expected at most {MAX_BUILD_CHARACTERS} characters"
        )
    return Keyset(
        instance=_exact_bytes(fields, "instance", 16),
        ohttp_keys=ohttp_keys,
        proof_key=_exact_bytes(fields, "proof_key", 32),
        config_digest=_exact_bytes(fields, "config_digest", 32),
        build=build,
        not_before=_time(fields, "not_before"),
        not_after=_time(fields, "not_after"),
        tls_spki=_exact_bytes(fields, "tls_spki", 32) if "tls_spki" in fields else None,
    )


def digest(keyset: bytes) -> bytes:
    """The keyset's digest, 32 bytes, from its encoding."""
    return hashlib.sha256(DIGEST_LABEL + keyset).digest()


def configuration_digest(configuration: bytes) -> bytes:
    """The digest of an effective configuration, 32 bytes, from its encoding."""
    return hashlib.sha256(CONFIGURATION_LABEL + configuration).digest()


@dataclass(frozen=True, slots=True)
class Statement:
    """What the hardware is asked to sign, before hashing.

    Attributes:
        purpose: What the evidence is for.
        keyset_digest: Names the keyset, 32 bytes.
        nonce: The relying party's challenge, 32 bytes, or None.
        gpu_digest: Names the evidence of the enclave's GPUs, 32 bytes, or None where it
            has none.
    """

    purpose: Purpose
    keyset_digest: bytes
    nonce: bytes | None
    gpu_digest: bytes | None = None

    def encode(self) -> bytes:
        """The statement in deterministic CBOR."""
        fields = {
            "purpose": self.purpose.value,
            "keyset_digest": self.keyset_digest,
            "nonce": self.nonce,
        }
        if self.gpu_digest is not None:
            fields["gpu_digest"] = self.gpu_digest
        return cbor.encode(fields)


def parse_statement(data: bytes) -> Statement:
    """Read a statement.

    Raises:
        EvidenceError: If the bytes are not a statement of a known purpose.
    """
    fields = _parse_map(data, "statement")
    required = {"purpose", "keyset_digest", "nonce"}
    _require_keys(fields, "statement", required, optional={"gpu_digest"})
    try:
        purpose = Purpose(str(fields["purpose"]))
    except ValueError as error:
        expected = ", ".join(Purpose)
        raise EvidenceError(f"statement purpose: expected one of {expected}") from error
    nonce = None
    if fields["nonce"] is not None:
        nonce = _exact_bytes(fields, "nonce", NONCE_BYTES)
    gpu_digest = None
    if "gpu_digest" in fields:
        gpu_digest = _exact_bytes(fields, "gpu_digest", 32)
    keyset_digest = _exact_bytes(fields, "keyset_digest", 32)
    return Statement(purpose, keyset_digest, nonce, gpu_digest)


@dataclass(frozen=True, slots=True)
class Binding:
    """What an attester has the hardware sign.

    Attributes:
        digest: SHA-256 of the statement, 32 bytes.
        nonce: The statement's nonce, 32 bytes, for evidence that has a field of its own
            for it, or None.
    """

    digest: bytes
    nonce: bytes | None

    @property
    def report_data(self) -> bytes:
        """The digest where the hardware signs 64 bytes: the rest is zero."""
        return self.digest.ljust(REPORT_DATA_BYTES, b"\x00")


def bind(statement: Statement) -> Binding:
    """What binds a statement."""
    return Binding(hashlib.sha256(statement.encode()).digest(), statement.nonce)


def gpu_nonce(statement: Statement) -> bytes:
    """The nonce, 32 bytes, that GPUs answer before the statement names their answer."""
    asked = replace(statement, gpu_digest=None)
    return hashlib.sha256(GPU_NONCE_LABEL + asked.encode()).digest()


def gpu_digest(evidence: bytes) -> bytes | None:
    """What a statement names GPUs' evidence by, 32 bytes; None where there is none."""
    if not evidence:
        return None
    return hashlib.sha256(GPU_EVIDENCE_LABEL + evidence).digest()


def _parse_map(data: bytes, what: str) -> Mapping[object, object]:
    try:
        fields = cbor.decode(data)
    except ProtocolError as error:
        raise EvidenceError(f"{what}: {error.message}") from error
    if not isinstance(fields, Mapping):
        raise EvidenceError(f"{what}: expected a CBOR map")
    return fields


def _require_keys(
    fields: Mapping[object, object],
    what: str,
    required: set[str],
    optional: frozenset[str] | set[str] = frozenset(),
) -> None:
    if not required <= fields.keys() <= required | optional:
        raise EvidenceError(f"{what}: expected the keys {', '.join(sorted(required))}")


def _exact_bytes(fields: Mapping[object, object], key: str, size: int) -> bytes:
    value = fields[key]
    if not isinstance(value, bytes) or len(value) != size:
        raise EvidenceError(f"{key}: expected {size} bytes")
    return value


def _time(fields: Mapping[object, object], key: str) -> datetime:
    value = fields[key]
    if type(value) is not int or not 0 <= value <= _LATEST:
        raise EvidenceError(f"{key}: expected seconds since 1970")
    return datetime.fromtimestamp(value, UTC)
