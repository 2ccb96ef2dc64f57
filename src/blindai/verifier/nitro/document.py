"""A Nitro attestation document, cut out of its signature and into its fields.

AWS Nitro Enclaves NSM API, "Nitro Enclaves Attestation Process", 2.2 (fields), 3.1
(signature) and 3.2.2 (limits); RFC 9052, 4.2 and 4.4 (COSE_Sign1). In CBOR:

    COSE_Sign1 = [protected bstr, unprotected map, payload bstr, signature bstr], which
                 may stand below tag 18
    protected  = the encoding of {1 (alg): -35 (ES384)}; unprotected is empty
    payload    = the encoding of a map, 1 to 16384 bytes

    module_id   text, not empty         certificate bytes, 1 to 1024
    timestamp   milliseconds, UTC       cabundle    certificates, at least one: the root
    digest      "SHA384"                            first, the leaf's issuer last
    pcrs        1 to 32 registers by    public_key  1 to 1024 bytes, or null
                number, 0 to 31, each   user_data   0 to 512 bytes, or null
                32, 48 or 64 bytes      nonce       0 to 512 bytes, or null

The text says that no field may be null; the hypervisor writes null for a field that was
not asked for, so here that means the same as a field that is not there. As the digest
is SHA-384, only registers of 48 bytes can be. Keys that are not named are refused:
NitroTPM documents have the same root, but other registers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError, ProtocolError
from blindai.protocol import cbor

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DOCUMENT_BYTES: Final = 20 * 1024  # of which the payload may be 16 KiB
MAX_PAYLOAD_BYTES: Final = 16384
MAX_MODULE_ID_CHARACTERS: Final = 256
MAX_CERTIFICATE_BYTES: Final = 1024
MAX_CABUNDLE: Final = 16
MAX_PUBLIC_KEY_BYTES: Final = 1024
MAX_USER_DATA_BYTES: Final = 512
PCR_COUNT: Final = 32
PCR_BYTES: Final = 48
SIGNATURE_BYTES: Final = 96
PROTECTED_ES384: Final = bytes.fromhex("a1013822")
DIGEST: Final = "SHA384"

_TAG_18: Final = b"\xd2"
_LATEST_MS: Final = 253402300799999  # the last millisecond of a datetime
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REQUIRED: Final = frozenset(
    {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"}
)
_OPTIONAL: Final = frozenset({"public_key", "user_data", "nonce"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The fields of a document, cut but not believed.

    Attributes:
        module_id: Names the enclave.
        timestamp: When it was made.
        pcrs: What was measured, 48 bytes each, by register; 0 is among them.
        certificate: Of the key that signed, in DER.
        cabundle: Its issuers in DER, the root first.
        public_key: What the enclave asked to have signed as a key, or None.
        user_data: What it asked to have signed, or None.
        nonce: What it asked to have signed as a nonce, or None.
    """

    module_id: str
    timestamp: datetime
    pcrs: Mapping[int, bytes]
    certificate: bytes = field(repr=False)
    cabundle: tuple[bytes, ...] = field(repr=False)
    public_key: bytes | None = field(repr=False)
    user_data: bytes | None = field(repr=False)
    nonce: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A document with its signature.

    Attributes:
        document: What is signed, cut.
        protected: The protected header, encoded.
        payload: The document, encoded.
        signature: R and S, big-endian, 48 bytes each.
    """

    document: Document
    protected: bytes
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def signed(self) -> bytes:
        """The bytes under the signature: Sig_structure (RFC 9052, 4.4)."""
        return cbor.encode(["Signature1", self.protected, b"", self.payload])


def parse_document(data: bytes) -> SignedDocument:
    """Cut a signed document.

    Raises:
        EvidenceError: If the bytes are not one, or pass a limit.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise EvidenceError(
            f"document: expected at most {MAX_DOCUMENT_BYTES} bytes, got {len(data)}"
        )
    parts = _decode(data.removeprefix(_TAG_18), "COSE_Sign1")
    if not isinstance(parts, list) or len(parts) != 4:
        raise EvidenceError("COSE_Sign1: expected an array of 4")
    protected, unprotected, payload, signature = parts
    if unprotected != {}:
        raise EvidenceError("COSE_Sign1 unprotected header: expected an empty map")
    payload = _octets(payload, "COSE_Sign1 payload", 1, MAX_PAYLOAD_BYTES)
    return SignedDocument(
        document=_document(payload),
        protected=_octets(protected, "COSE_Sign1 protected header", 0, 64),
        payload=payload,
        signature=_octets(
            signature, "COSE_Sign1 signature", SIGNATURE_BYTES, SIGNATURE_BYTES
        ),
    )


def _document(payload: bytes) -> Document:
    fields = _decode(payload, "document")
    if not isinstance(fields, dict):
        raise EvidenceError("document: expected a CBOR map")
    if not _REQUIRED <= fields.keys() <= _REQUIRED | _OPTIONAL:
        raise EvidenceError(
            f"document: expected the keys {', '.join(sorted(_REQUIRED))}"
            f" and perhaps {', '.join(sorted(_OPTIONAL))}"
        )
    if fields["digest"] != DIGEST:
        raise EvidenceError(f"document digest: expected {DIGEST}, got another")
    return Document(
        module_id=_module_id(fields["module_id"]),
        timestamp=_timestamp(fields["timestamp"]),
        pcrs=_pcrs(fields["pcrs"]),
        certificate=_certificate(fields["certificate"]),
        cabundle=_cabundle(fields["cabundle"]),
        public_key=_optional(fields, "public_key", 1, MAX_PUBLIC_KEY_BYTES),
        user_data=_optional(fields, "user_data", 0, MAX_USER_DATA_BYTES),
        nonce=_optional(fields, "nonce", 0, MAX_USER_DATA_BYTES),
    )


def _decode(data: bytes, what: str) -> object:
    try:
        return cbor.decode_preferred(data)
    except ProtocolError as error:
        raise EvidenceError(f"{what}: {error.message}") from error


def _module_id(value: object) -> str:
    """The enclave's name, which people read.

    Raises:
        EvidenceError: If it is not of 1 to 256 printable characters in ASCII.
    """
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= MAX_MODULE_ID_CHARACTERS
        or not (value.isascii() and value.isprintable())
    ):
        raise EvidenceError(
            "document module_id: expected 1 to"
            f" {MAX_MODULE_ID_CHARACTERS} printable characters"
        )
    return value


def _timestamp(value: object) -> datetime:
    if type(value) is not int or not 1 <= value <= _LATEST_MS:
        raise EvidenceError("document timestamp: expected milliseconds since 1970")
    return _EPOCH + timedelta(milliseconds=value)


def _pcrs(value: object) -> Mapping[int, bytes]:
    """The registers, of which 0 has to be there: it says whether debug mode is on.

    Raises:
        EvidenceError: If it is missing, or one is malformed.
    """
    if not isinstance(value, dict) or len(value) > PCR_COUNT:
        raise EvidenceError(f"document pcrs: expected at most {PCR_COUNT} registers")
    for number, content in value.items():
        if type(number) is not int or not 0 <= number < PCR_COUNT:
            raise EvidenceError("document pcrs: expected registers 0 to 31")
        _octets(content, f"document PCR {number}", PCR_BYTES, PCR_BYTES)
    if 0 not in value:
        raise EvidenceError("document pcrs: expected register 0, got none")
    return MappingProxyType(value)


def _cabundle(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CABUNDLE:
        raise EvidenceError(
            f"document cabundle: expected 1 to {MAX_CABUNDLE} certificates"
        )
    return tuple(_certificate(each) for each in value)


def _certificate(value: object) -> bytes:
    return _octets(value, "document certificate", 1, MAX_CERTIFICATE_BYTES)


def _optional(
    fields: Mapping[object, object], key: str, least: int, most: int
) -> bytes | None:
    value = fields.get(key)
    if value is None:
        return None
    return _octets(value, f"document {key}", least, most)


def _octets(value: object, what: str, least: int, most: int) -> bytes:
    if not isinstance(value, bytes) or not least <= len(value) <= most:
        size = str(most) if least == most else f"{least} to {most}"
        raise EvidenceError(f"{what}: expected {size} bytes")
    return value
