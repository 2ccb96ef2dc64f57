"""COSE_Sign1: one message has one encoding, and nothing unknown in it."""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blindai.errors import EvidenceError, VerificationError
from blindai.protocol import cose
from blindai.protocol.cose import Kind

KIND = Kind(typ="application/a+cose", content_type="application/b+cbor")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
MESSAGE = cose.sign(KIND, b"payload", KEY.sign)
HEADER = {1: -8, 3: KIND.content_type, 16: KIND.typ}


def message(
    header: object = HEADER,
    *,
    protected: bytes | None = None,
    unprotected: object = None,
    payload: object = b"payload",
    signature: bytes = bytes(64),
    tag: int = 18,
) -> bytes:
    if protected is None:
        protected = cbor2.dumps(header, canonical=True)
    parts = [protected, unprotected or {}, payload, signature]
    return cbor2.dumps(cbor2.CBORTag(tag, parts), canonical=True)


def test_what_was_signed_is_read_and_verified() -> None:
    signed = cose.parse(MESSAGE, KIND)

    signed.verify(PUBLIC)
    assert signed.payload == b"payload"
    assert cbor2.loads(signed.protected) == HEADER


def test_the_signature_is_over_rfc_9052s_structure() -> None:
    signed = cose.parse(MESSAGE, KIND)
    structure = ["Signature1", signed.protected, b"", b"payload"]

    KEY.public_key().verify(signed.signature, cbor2.dumps(structure))


@pytest.mark.parametrize("at", range(len(MESSAGE)))
def test_no_byte_can_change(at: int) -> None:
    changed = bytearray(MESSAGE)
    changed[at] ^= 1

    with pytest.raises((EvidenceError, VerificationError)):
        cose.parse(bytes(changed), KIND).verify(PUBLIC)


@pytest.mark.parametrize("size", range(len(MESSAGE)))
def test_what_was_cut_short_is_refused(size: int) -> None:
    with pytest.raises(EvidenceError):
        cose.parse(MESSAGE[:size], KIND)


def test_another_key_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key()

    with pytest.raises(VerificationError, match="signature"):
        cose.parse(MESSAGE, KIND).verify(other.public_bytes_raw())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(MESSAGE + b"\x00", "after it", id="trailing bytes"),
        pytest.param(message(tag=17), "tag 18", id="another tag"),
        pytest.param(MESSAGE[1:], "tag 18", id="no tag"),
        pytest.param(message({**HEADER, 2: [16]}), "critical", id="critical header"),
        pytest.param(message({**HEADER, 4: b"k"}), "1, 3 and 16", id="another header"),
        pytest.param(message({1: -8, 3: HEADER[3]}), "1, 3 and 16", id="no typ"),
        pytest.param(message({**HEADER, 1: -7}), "header 1", id="another algorithm"),
        pytest.param(message({**HEADER, 1: -8.0}), "header 1", id="a fraction"),
        pytest.param(message({**HEADER, 3: "text/plain"}), "header 3", id="content"),
        pytest.param(message({**HEADER, 16: "text/plain"}), "header 16", id="typ"),
        pytest.param(message([1]), "expected a map", id="header that is no map"),
        pytest.param(
            message({True: -8, 3: HEADER[3], 16: HEADER[16]}),
            "keys",
            id="true, which Python takes for 1",
        ),
        pytest.param(message(unprotected={4: b"k"}), "unprotected", id="unprotected"),
        pytest.param(message(payload=None), "four parts", id="detached payload"),
        pytest.param(message(signature=bytes(63)), "64", id="short signature"),
        pytest.param(
            message(protected=bytes.fromhex("a20127 0127")),
            "well-formed",
            id="a header twice",
        ),
        pytest.param(
            message(protected=bytes.fromhex("a1 1801 27")),
            "deterministic",
            id="a long integer",
        ),
        pytest.param(
            b"\xd2\x9f" + MESSAGE[2:] + b"\xff", "well-formed", id="indefinite length"
        ),
    ],
)
def test_anything_else_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(EvidenceError, match=words):
        cose.parse(data, KIND)
