"""Key encapsulation: both mechanisms, their vectors, and keys that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ProtocolError, SealingError
from blindai.protocol import kem
from blindai.protocol.kem import (
    Kem,
    PrivateKey,
    X25519KemPrivateKey,
    XWingPrivateKey,
    parse_public_key,
)

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "protocol"
needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the published protocol vectors are not beside us"
)

P = 2**255 - 19
SMALL_ORDER = [
    number.to_bytes(32, "little")
    for number in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        P - 1,
        P,
        P + 1,
    )
]
KEYS: dict[Kem, PrivateKey] = {
    Kem.X25519: X25519KemPrivateKey(X25519PrivateKey.from_private_bytes(b"k" * 32)),
    Kem.X_WING: XWingPrivateKey.from_seed(b"k" * 32),
}


def vectors(name: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())
    return content


@pytest.mark.parametrize(
    ("kind", "number", "public_bytes", "enc_bytes"),
    [(Kem.X25519, 0x0020, 32, 32), (Kem.X_WING, 0x647A, 1216, 1120)],
)
def test_a_mechanism_has_its_registered_number_and_sizes(
    kind: Kem, number: int, public_bytes: int, enc_bytes: int
) -> None:
    assert (kind, kind.public_bytes, kind.enc_bytes) == (
        number,
        public_bytes,
        enc_bytes,
    )
    private = kem.generate(kind)
    secret, enc = private.public.encapsulate()
    assert (private.kem, private.public.kem) == (kind, kind)
    assert (len(private.public.raw), len(enc), len(secret)) == (
        public_bytes,
        enc_bytes,
        32,
    )


@pytest.mark.parametrize("kind", Kem)
def test_both_ends_get_the_same_secret(kind: Kem) -> None:
    private = kem.generate(kind)
    public = parse_public_key(kind, private.public.raw)
    secret, enc = public.encapsulate()
    assert private.decapsulate(enc) == secret


@pytest.mark.parametrize("kind", Kem)
def test_another_key_gets_another_secret(kind: Kem) -> None:
    secret, enc = kem.generate(kind).public.encapsulate()
    assert kem.generate(kind).decapsulate(enc) != secret


@pytest.mark.parametrize("kind", Kem)
def test_every_key_and_every_encapsulation_is_fresh(kind: Kem) -> None:
    one, other = kem.generate(kind), kem.generate(kind)
    assert one.public.raw != other.public.raw
    first, second = one.public.encapsulate(), one.public.encapsulate()
    assert first[0] != second[0]
    assert first[1] != second[1]


@given(kind=st.sampled_from(Kem), data=st.data())
def test_a_changed_encapsulation_gives_another_secret(
    kind: Kem, data: st.DataObject
) -> None:
    secret, enc = KEYS[kind].public.encapsulate()
    changed = bytearray(enc)
    changed[data.draw(st.integers(0, len(enc) - 1))] ^= data.draw(st.integers(1, 255))
    assert KEYS[kind].decapsulate(bytes(changed)) != secret


@pytest.mark.parametrize("kind", Kem)
@pytest.mark.parametrize("more", [-1, 1])
def test_an_encapsulation_has_an_exact_length(kind: Kem, more: int) -> None:
    size = kind.enc_bytes
    message = f"{kind.name} encapsulated key: expected {size} bytes, got {size + more}"
    with pytest.raises(SealingError, match=message):
        KEYS[kind].decapsulate(b"\x09" * (size + more))


@pytest.mark.parametrize("kind", Kem)
@pytest.mark.parametrize("more", [-1, 1])
def test_a_public_key_has_an_exact_length(kind: Kem, more: int) -> None:
    size = kind.public_bytes
    message = f"{kind.name} public key: expected {size} bytes, got {size + more}"
    with pytest.raises(ProtocolError, match=message):
        parse_public_key(kind, bytes(size + more))


def test_a_public_key_that_is_no_ml_kem_key_is_refused() -> None:
    with pytest.raises(ProtocolError, match="X_WING public key: expected an ML-KEM"):
        parse_public_key(Kem.X_WING, b"\xff" * 1216)


@given(kind=st.sampled_from(Kem), data=st.data())
def test_any_bytes_of_the_right_length_give_a_key_or_the_error(
    kind: Kem, data: st.DataObject
) -> None:
    raw = data.draw(st.binary(min_size=32, max_size=32)) * (kind.public_bytes // 32)
    try:
        public = parse_public_key(kind, raw)
    except ProtocolError:
        return
    assert public.raw == raw


@given(kind=st.sampled_from(Kem), data=st.data())
def test_any_encapsulation_gives_a_secret_or_the_error(
    kind: Kem, data: st.DataObject
) -> None:
    enc = data.draw(st.binary(min_size=32, max_size=32)) * (kind.enc_bytes // 32)
    try:
        secret = KEYS[kind].decapsulate(enc)
    except SealingError:
        return
    assert len(secret) == 32


# Points of small order (RFC 9180, section 7.1.4).


@pytest.mark.parametrize("point", SMALL_ORDER, ids=range(len(SMALL_ORDER)))
def test_a_point_of_small_order_is_refused(point: bytes) -> None:
    public = parse_public_key(Kem.X25519, point)
    with pytest.raises(SealingError, match="expected a point of large order"):
        public.encapsulate()
    with pytest.raises(SealingError, match="expected a point of large order"):
        KEYS[Kem.X25519].decapsulate(point)


@pytest.mark.parametrize("point", SMALL_ORDER, ids=range(len(SMALL_ORDER)))
def test_a_point_of_small_order_is_refused_in_x_wing(point: bytes) -> None:
    private = KEYS[Kem.X_WING]
    public = parse_public_key(Kem.X_WING, private.public.raw[:1184] + point)
    with pytest.raises(SealingError, match="expected a point of large order"):
        public.encapsulate()
    _, enc = private.public.encapsulate()
    with pytest.raises(SealingError, match="expected a point of large order"):
        private.decapsulate(enc[:1088] + point)


# Vectors.


@needs_vectors
@pytest.mark.parametrize("number", range(3))
def test_the_x_wing_vectors_hold(number: int) -> None:
    vector = vectors("xwing.json")[number]
    private = XWingPrivateKey.from_seed(bytes.fromhex(vector["seed"]))
    assert private.public.raw.hex() == vector["pk"]
    assert private.decapsulate(bytes.fromhex(vector["ct"])).hex() == vector["ss"]


@needs_vectors
@pytest.mark.parametrize("number", range(2))
def test_the_x25519_vectors_hold(number: int) -> None:
    vector = vectors("hpke_base_x25519.json")[number]
    keys = (bytes.fromhex(vector[name]) for name in ("skRm", "skEm"))
    receiver, ephemeral = map(X25519PrivateKey.from_private_bytes, keys)
    private = X25519KemPrivateKey(receiver)
    secret, enc = private.public.encapsulate_with(ephemeral)
    assert private.public.raw.hex() == vector["pkRm"]
    assert (secret.hex(), enc.hex()) == (vector["shared_secret"], vector["enc"])
    assert private.decapsulate(enc) == secret


@pytest.mark.parametrize("size", [0, 31, 33, 96])
def test_a_seed_has_an_exact_length(size: int) -> None:
    with pytest.raises(ValueError, match=f"seed: expected 32 bytes, got {size}"):
        XWingPrivateKey.from_seed(bytes(size))


@pytest.mark.parametrize("kind", Kem)
def test_a_private_key_shows_nothing(kind: Kem) -> None:
    assert "=" not in repr(KEYS[kind])
