"""COSE_Sign1 with Ed25519 (RFC 9052, section 4.2): bytes that somebody signed.

    message    = 0xd2 || [protected, {}, payload, signature]     CBOR tag 18
    protected  = bytes of {1: -8, 3: content type, 16: typ}      EdDSA; RFC 9596 for 16
    to be signed = ["Signature1", protected, h'', payload]

All of it is deterministic CBOR, so one signed payload has one encoding. No other header
is known here: one that may be left out (and one that may not, `crit`) is refused alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from blindai.errors import EvidenceError, ProtocolError, VerificationError
from blindai.protocol import cbor

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_TAG: Final = b"\xd2"  # 18, RFC 9052, table 1
_ALG, _CRIT, _CONTENT_TYPE, _TYP = 1, 2, 3, 16
_EDDSA: Final = -8  # RFC 9053, section 2.2
_CONTEXT: Final = "Signature1"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a message is, by its protected header.

    Attributes:
        typ: Media type of the whole message.
        content_type: Media type of what is signed.
    """

    typ: str
    content_type: str

    @property
    def protected(self) -> bytes:
        """The protected header."""
        return cbor.encode(
            {_ALG: _EDDSA, _CONTENT_TYPE: self.content_type, _TYP: self.typ}
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """A message that was read; the signature is not verified yet.

    Attributes:
        protected: The protected header's encoding.
        payload: What was signed.
        signature: 64 bytes.
    """

    protected: bytes
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def verify(self, public_key: bytes) -> None:
        """Verify the signature.

        Args:
            public_key: Ed25519, 32 bytes.

        Raises:
            VerificationError: If it is not this key's.
        """
        key = Ed25519PublicKey.from_public_bytes(public_key)
        try:
            key.verify(self.signature, _to_be_signed(self.protected, self.payload))
        except InvalidSignature as error:
            raise VerificationError(
                "signature: expected one of the given key, got another"
            ) from error


def sign(kind: Kind, payload: bytes, sign_bytes: Callable[[bytes], bytes]) -> bytes:
    """Make a message.

    Args:
        kind: What it is.
        payload: What to sign.
        sign_bytes: Gives the Ed25519 signature, 64 bytes, of some bytes.
    """
    protected = kind.protected
    signature = sign_bytes(_to_be_signed(protected, payload))
    return _TAG + cbor.encode([protected, {}, payload, signature])


def parse(data: bytes, kind: Kind) -> Signed:
    """Read a message; nothing in it is believed for that.

    Raises:
        EvidenceError: If it is not exactly one message of this kind.
    """
    if data[:1] != _TAG:
        raise EvidenceError("COSE_Sign1: expected tag 18")
    match _decode(data[1:], "COSE_Sign1"):
        case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)]:
            pass
        case _:
            raise EvidenceError("COSE_Sign1: expected its four parts")
    if unprotected:
        raise EvidenceError("COSE_Sign1: expected no unprotected headers")
    if len(signature) != SIGNATURE_BYTES:
        raise EvidenceError(f"COSE_Sign1: expected {SIGNATURE_BYTES} signature bytes")
    if protected != kind.protected:
        _refuse_header(_decode(protected, "COSE_Sign1 header"), kind)
    return Signed(protected, payload, signature)


def _refuse_header(header: object, kind: Kind) -> Never:
    """Say what is wrong with a protected header that is not the one there is.

    Raises:
        EvidenceError: Always.
    """
    if not isinstance(header, Mapping):
        raise EvidenceError("COSE_Sign1 header: expected a map")
    if _CRIT in header:
        raise EvidenceError("COSE_Sign1 header: expected no critical ones, got some")
    expected = {_ALG: _EDDSA, _CONTENT_TYPE: kind.content_type, _TYP: kind.typ}
    if header.keys() != expected.keys():
        raise EvidenceError("COSE_Sign1 header: expected 1, 3 and 16 only")
    others = (label for label in expected if header[label] != expected[label])
    label = next(others, _ALG)  # -8.0 equals -8 in Python
    raise EvidenceError(f"COSE_Sign1 header {label}: expected {expected[label]}")


def _decode(data: bytes, what: str) -> object:
    try:
        return cbor.decode_claims(data)
    except ProtocolError as error:
        raise EvidenceError(f"{what}: {error.message}") from error


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Sig_structure (RFC 9052, section 4.4), with no external data."""
    return cbor.encode([_CONTEXT, protected, b"", payload])
