"""HPKE: the vectors of RFC 9180, and messages that must not open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import SealingError
from blindai.protocol import hpke, kem
from blindai.protocol.hpke import Aead, Cipher, Context, Kdf
from blindai.protocol.kem import Kem, X25519KemPrivateKey, X25519KemPublicKey

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "protocol"
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the published protocol vectors are not beside us"
)
KDF = Kdf.HKDF_SHA256
KEYS = {kind: kem.generate(kind) for kind in Kem}
MESSAGE = b"attack at dawn"


@dataclass(frozen=True)
class GivenEphemeral:
    """A public key whose ephemeral key is given, as a vector has it."""

    public: X25519KemPublicKey
    ephemeral: X25519PrivateKey
    kem: Kem = Kem.X25519

    @property
    def raw(self) -> bytes:
        return self.public.raw

    def encapsulate(self) -> tuple[bytes, bytes]:
        return self.public.encapsulate_with(self.ephemeral)


def vector(number: int) -> dict[str, Any]:
    path = VECTORS / "hpke_base_x25519.json"
    content: list[dict[str, Any]] = json.loads(path.read_text())
    return content[number]


def x25519(raw: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(raw))


def ends(number: int) -> tuple[dict[str, Any], hpke.Sender, Context]:
    """A vector, and both ends of it."""
    given = vector(number)
    aead, info = Aead(int(given["aead_id"])), bytes.fromhex(given["info"])
    private = X25519KemPrivateKey(x25519(given["skRm"]))
    public = GivenEphemeral(private.public, x25519(given["skEm"]))
    sender = hpke.setup_sender(public, KDF, aead, info)
    return given, sender, hpke.setup_receiver(sender.enc, private, KDF, aead, info)


def pair(kind: Kem, aead: Aead, info: bytes = b"info") -> tuple[Cipher, Cipher]:
    sender = hpke.setup_sender(KEYS[kind].public, KDF, aead, info)
    receiver = hpke.setup_receiver(sender.enc, KEYS[kind], KDF, aead, info)
    return sender.context.cipher, receiver.cipher


# The vectors of RFC 9180, appendix A.


@needs_vectors
@pytest.mark.parametrize("number", range(2))
def test_the_vectors_of_rfc_9180_seal_and_open(number: int) -> None:
    given, sender, receiver = ends(number)
    assert sender.enc.hex() == given["enc"]
    plaintext = bytes.fromhex(given["encryptions"][0]["pt"])
    aads = [b"Count-%d" % sequence for sequence in range(257)]
    sealed = [sender.context.cipher.seal(plaintext, aad) for aad in aads]
    for known in given["encryptions"]:
        assert sealed[int(known["sequence_number"])].hex() == known["ct"]
        assert aads[int(known["sequence_number"])].hex() == known["aad"]
    opened = {receiver.cipher.open(*each) for each in zip(sealed, aads, strict=True)}
    assert opened == {plaintext}


@needs_vectors
@pytest.mark.parametrize("number", range(2))
def test_the_vectors_of_rfc_9180_export(number: int) -> None:
    given, sender, receiver = ends(number)
    for known in given["exports"]:
        label, size = bytes.fromhex(known["exporter_context"]), int(known["L"])
        assert sender.context.export(label, size).hex() == known["exported_value"]
        assert receiver.export(label, size).hex() == known["exported_value"]


# Every suite.


@pytest.mark.parametrize("kind", Kem)
@pytest.mark.parametrize("aead", Aead)
def test_pieces_open_in_their_order(kind: Kem, aead: Aead) -> None:
    sender, receiver = pair(kind, aead)
    pieces = [(b"one", b""), (b"", b"aad"), (bytes(1000), b"final")]
    sealed = [sender.seal(*piece) for piece in pieces]
    assert [len(each) for each in sealed] == [19, 16, 1016]
    opened = [
        receiver.open(each, aad) for each, (_, aad) in zip(sealed, pieces, strict=True)
    ]
    assert opened == [plaintext for plaintext, _ in pieces]


@pytest.mark.parametrize("view", [bytes, bytearray, memoryview])
def test_any_form_of_bytes_is_taken(view: type[bytes | bytearray]) -> None:
    sender, receiver = pair(Kem.X25519, Aead.AES_256_GCM)
    assert receiver.open(view(sender.seal(view(MESSAGE)))) == MESSAGE


@pytest.mark.parametrize("kind", Kem)
@pytest.mark.parametrize("aead", Aead)
def test_every_changed_byte_is_noticed(kind: Kem, aead: Aead) -> None:
    sender = hpke.setup_sender(KEYS[kind].public, KDF, aead, b"")
    message = sender.enc + sender.context.cipher.seal(MESSAGE)
    for at in range(len(message)):
        changed = bytearray(message)
        changed[at] ^= 0x01
        enc, sealed = bytes(changed[: kind.enc_bytes]), changed[kind.enc_bytes :]
        receiver = hpke.setup_receiver(enc, KEYS[kind], KDF, aead, b"")
        with pytest.raises(SealingError, match="do not open with this key"):
            receiver.cipher.open(sealed)


@pytest.mark.parametrize("aead", Aead)
def test_a_piece_cut_short_does_not_open(aead: Aead) -> None:
    sender, receiver = pair(Kem.X25519, aead)
    sealed = sender.seal(MESSAGE)
    for size in range(len(sealed)):
        with pytest.raises(SealingError, match="do not open with this key"):
            receiver.open(sealed[:size])
    assert receiver.open(sealed) == MESSAGE


def test_a_piece_does_not_open_twice() -> None:
    sender, receiver = pair(Kem.X25519, Aead.AES_256_GCM)
    sealed = sender.seal(MESSAGE)
    receiver.open(sealed)
    with pytest.raises(SealingError, match="do not open with this key"):
        receiver.open(sealed)


def test_a_piece_does_not_open_before_its_turn() -> None:
    sender, receiver = pair(Kem.X25519, Aead.AES_256_GCM)
    sender.seal(MESSAGE)
    with pytest.raises(SealingError, match="do not open with this key"):
        receiver.open(sender.seal(MESSAGE))


def test_a_piece_does_not_open_with_other_associated_data() -> None:
    sender, receiver = pair(Kem.X25519, Aead.AES_256_GCM)
    sealed = sender.seal(MESSAGE, b"final")
    with pytest.raises(SealingError, match="do not open with this key"):
        receiver.open(sealed)


@pytest.mark.parametrize("kind", Kem)
def test_a_message_to_another_key_does_not_open(kind: Kem) -> None:
    aead = Aead.AES_256_GCM
    sender = hpke.setup_sender(kem.generate(kind).public, KDF, aead, b"")
    receiver = hpke.setup_receiver(sender.enc, KEYS[kind], KDF, aead, b"")
    with pytest.raises(SealingError, match="do not open with this key"):
        receiver.cipher.open(sender.context.cipher.seal(MESSAGE))


@pytest.mark.parametrize("kind", Kem)
def test_other_info_makes_other_keys(kind: Kem) -> None:
    aead = Aead.AES_256_GCM
    sender = hpke.setup_sender(KEYS[kind].public, KDF, aead, b"one")
    receiver = hpke.setup_receiver(sender.enc, KEYS[kind], KDF, aead, b"other")
    assert sender.context.export(b"", 32) != receiver.export(b"", 32)
    with pytest.raises(SealingError, match="do not open with this key"):
        receiver.cipher.open(sender.context.cipher.seal(MESSAGE))


def test_another_aead_of_the_same_key_size_makes_other_keys() -> None:
    sender = hpke.setup_sender(KEYS[Kem.X25519].public, KDF, Aead.AES_256_GCM, b"")
    other = Aead.CHACHA20_POLY1305
    receiver = hpke.setup_receiver(sender.enc, KEYS[Kem.X25519], KDF, other, b"")
    assert sender.context.export(b"", 32) != receiver.export(b"", 32)


def test_exports_differ_by_label_and_length() -> None:
    context = hpke.setup_sender(KEYS[Kem.X25519].public, KDF, Aead(1), b"").context
    assert context.export(b"a", 32) != context.export(b"b", 32)
    assert context.export(b"a", 16) != context.export(b"a", 32)[:16]


def test_the_suite_id_is_that_of_rfc_9180() -> None:
    suite = hpke.suite(Kem.X_WING, KDF, Aead.CHACHA20_POLY1305)
    assert suite.id == b"HPKE\x64\x7a\x00\x01\x00\x03"


def test_the_last_sequence_number_is_never_used() -> None:
    sender, receiver = pair(Kem.X25519, Aead.AES_256_GCM)
    last = (1 << 96) - 2
    sender._sequence = receiver._sequence = last
    assert receiver.open(sender.seal(MESSAGE)) == MESSAGE
    with pytest.raises(SealingError, match=r"fewer than 2\^96 - 1 pieces"):
        sender.seal(MESSAGE)
    with pytest.raises(SealingError, match=r"fewer than 2\^96 - 1 pieces"):
        receiver.open(bytes(32))


def test_contexts_and_senders_show_no_secret() -> None:
    sender = hpke.setup_sender(KEYS[Kem.X25519].public, KDF, Aead.AES_256_GCM, b"")
    assert "context" not in repr(sender)
    assert "secret" not in repr(sender.context)


@given(st.binary(max_size=64))
def test_no_bytes_open_but_the_sealed_ones(data: bytes) -> None:
    _, receiver = pair(Kem.X25519, Aead.AES_256_GCM)
    with pytest.raises(SealingError, match="do not open with this key"):
        receiver.open(data)
