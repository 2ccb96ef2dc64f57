"""HPKE against other implementations, in both directions."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hpke as pyca
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

from blindai.protocol import hpke
from blindai.protocol.hpke import Aead, Kdf
from blindai.protocol.kem import Kem, PrivateKey, X25519KemPrivateKey, XWingPrivateKey

KDF = Kdf.HKDF_SHA256
MLKEM_KEY = MLKEM768PrivateKey.from_seed_bytes(b"m" * 64)
X25519_KEY = X25519PrivateKey.from_private_bytes(b"x" * 32)
OURS: dict[Kem, PrivateKey] = {
    Kem.X25519: X25519KemPrivateKey(X25519_KEY),
    Kem.X_WING: XWingPrivateKey(MLKEM_KEY, X25519_KEY),
}
PYCA_KEYS: dict[Kem, X25519PrivateKey | pyca.MLKEM768X25519PrivateKey] = {
    Kem.X25519: X25519_KEY,
    Kem.X_WING: pyca.MLKEM768X25519PrivateKey(MLKEM_KEY, X25519_KEY),
}
PYCA_KEMS = {
    Kem.X25519: pyca.KEM.X25519,
    Kem.X_WING: pyca.KEM.MLKEM768_X25519,
}
PYCA_AEADS = {
    Aead.AES_128_GCM: pyca.AEAD.AES_128_GCM,
    Aead.AES_256_GCM: pyca.AEAD.AES_256_GCM,
    Aead.CHACHA20_POLY1305: pyca.AEAD.CHACHA20_POLY1305,
}
PYHPKE_AEADS = {
    Aead.AES_128_GCM: AEADId.AES128_GCM,
    Aead.AES_256_GCM: AEADId.AES256_GCM,
    Aead.CHACHA20_POLY1305: AEADId.CHACHA20_POLY1305,
}
INFOS = st.binary(max_size=40)
MESSAGES = st.binary(max_size=100)


def pyca_suite(kind: Kem, aead: Aead) -> pyca.Suite:
    return pyca.Suite(PYCA_KEMS[kind], pyca.KDF.HKDF_SHA256, PYCA_AEADS[aead])


def pyhpke_suite(aead: Aead) -> CipherSuite:
    return CipherSuite.new(
        KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, PYHPKE_AEADS[aead]
    )


@pytest.mark.parametrize("kind", Kem)
@pytest.mark.parametrize("aead", Aead)
@given(info=INFOS, message=MESSAGES)
def test_cryptography_opens_what_we_seal(
    kind: Kem, aead: Aead, info: bytes, message: bytes
) -> None:
    sender = hpke.setup_sender(OURS[kind].public, KDF, aead, info)
    sealed = sender.enc + sender.context.cipher.seal(message)
    suite = pyca_suite(kind, aead)
    assert suite.decrypt(sealed, PYCA_KEYS[kind], info) == message


@pytest.mark.parametrize("kind", Kem)
@pytest.mark.parametrize("aead", Aead)
@given(info=INFOS, message=MESSAGES)
def test_we_open_what_cryptography_seals(
    kind: Kem, aead: Aead, info: bytes, message: bytes
) -> None:
    suite = pyca_suite(kind, aead)
    sealed = suite.encrypt(message, PYCA_KEYS[kind].public_key(), info)
    enc, ciphertext = sealed[: kind.enc_bytes], sealed[kind.enc_bytes :]
    receiver = hpke.setup_receiver(enc, OURS[kind], KDF, aead, info)
    assert receiver.cipher.open(ciphertext) == message


@pytest.mark.parametrize("aead", Aead)
def test_pyhpke_opens_what_we_seal(aead: Aead) -> None:
    sender = hpke.setup_sender(OURS[Kem.X25519].public, KDF, aead, b"info")
    suite = pyhpke_suite(aead)
    key = suite.kem.deserialize_private_key(X25519_KEY.private_bytes_raw())
    peer = suite.create_recipient_context(sender.enc, key, b"info")
    for message in (b"one", b"", b"three"):
        assert peer.open(sender.context.cipher.seal(message, b"aad"), b"aad") == message
    assert peer.export(b"label", 48) == sender.context.export(b"label", 48)


@pytest.mark.parametrize("aead", Aead)
def test_we_open_what_pyhpke_seals(aead: Aead) -> None:
    suite = pyhpke_suite(aead)
    key = suite.kem.deserialize_public_key(OURS[Kem.X25519].public.raw)
    enc, peer = suite.create_sender_context(key, b"info")
    receiver = hpke.setup_receiver(enc, OURS[Kem.X25519], KDF, aead, b"info")
    for message in (b"one", b"", b"three"):
        assert receiver.cipher.open(peer.seal(message, b"aad"), b"aad") == message
    assert peer.export(b"label", 48) == receiver.export(b"label", 48)
