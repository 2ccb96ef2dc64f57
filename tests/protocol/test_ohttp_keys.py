"""Key configurations of Oblivious HTTP: what is read, left out and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ProtocolError
from blindai.protocol.hpke import Aead, Kdf
from blindai.protocol.kem import X25519KemPrivateKey, XWingPrivateKey
from blindai.protocol.ohttp import (
    ALL_SUITES,
    MAX_KEY_CONFIGS,
    GatewayKey,
    encode_key_configs,
    parse_key_config,
    parse_key_configs,
)

X_WING = GatewayKey(1, XWingPrivateKey.from_seed(b"x" * 32))
X25519 = GatewayKey(
    2, X25519KemPrivateKey(X25519PrivateKey.from_private_bytes(b"y" * 32))
)
CONFIGS = (X_WING.config, X25519.config)


def unknown(key_id: int = 9) -> bytes:
    """A configuration of a KEM of which nothing is known here."""
    return bytes([key_id]) + b"\x00\x10" + b"?" * 70


def listed(*configs: bytes) -> bytes:
    return b"".join(len(each).to_bytes(2, "big") + each for each in configs)


def x25519_config(pairs: bytes, key_id: int = 7) -> bytes:
    start = bytes([key_id]) + b"\x00\x20" + X25519.private.public.raw
    return start + len(pairs).to_bytes(2, "big") + pairs


def test_what_is_published_is_parsed_again() -> None:
    assert parse_key_configs(encode_key_configs(CONFIGS)) == CONFIGS
    assert [config.suites for config in CONFIGS] == [ALL_SUITES, ALL_SUITES]
    assert parse_key_configs(b"") == ()


def test_configurations_of_unknown_kems_are_left_out() -> None:
    data = listed(unknown(), X_WING.config.encode(), unknown(1))
    assert parse_key_configs(data) == (X_WING.config,)
    assert parse_key_configs(listed(b"\x01\x00\x10")) == ()


@pytest.mark.parametrize(
    "pair", ["00010004", "00010103", "01010003", "00020001", "ffffffff"]
)
def test_unknown_algorithms_are_left_out(pair: str) -> None:
    known = b"\x00\x01\x00\x03"
    config = parse_key_config(x25519_config(bytes.fromhex(pair) + known))
    assert config is not None
    assert config.suites == ((Kdf.HKDF_SHA256, Aead.CHACHA20_POLY1305),)


def test_a_configuration_of_unknown_algorithms_is_left_out() -> None:
    data = listed(x25519_config(b"\x00\x02\x00\x02"), X_WING.config.encode())
    assert parse_key_configs(data) == (X_WING.config,)


def test_the_order_of_algorithms_is_kept() -> None:
    suites = ALL_SUITES[::-1]
    config = replace(X25519.config, suites=suites)
    assert parse_key_config(config.encode()) == config


@pytest.mark.parametrize("size", range(len(X25519.config.encode())))
def test_a_configuration_cut_short_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError):
        parse_key_config(X25519.config.encode()[:size])


LIST = encode_key_configs((X25519.config, replace(X25519.config, key_id=3)))


@pytest.mark.parametrize("size", {*range(1, len(LIST))} - {len(LIST) // 2})
def test_a_list_cut_short_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError, match="expected at most 32, whole"):
        parse_key_configs(LIST[:size])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "expected a key id and a KEM", id="empty"),
        pytest.param(b"\x01\x20", "expected a key id and a KEM", id="no KEM"),
        pytest.param(x25519_config(b""), "expected whole pairs", id="no pairs"),
        pytest.param(
            x25519_config(b"\0\1\0"), "expected whole pairs", id="half a pair"
        ),
        pytest.param(
            x25519_config(b"\0\1\0\2") + b"\0", "expected whole pairs", id="a byte more"
        ),
        pytest.param(
            b"\1\0\x20" + X25519.private.public.raw + b"\0\x08\0\1\0\2",
            "expected whole pairs",
            id="a pair less",
        ),
        pytest.param(
            b"\1\x64\x7a" + b"\xff" * 1216 + b"\0\4\0\1\0\2",
            "expected an ML-KEM-768 key",
            id="no key",
        ),
    ],
)
def test_a_malformed_configuration_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        parse_key_config(data)
    with pytest.raises(ProtocolError, match=message):
        parse_key_configs(listed(data))


def test_a_key_id_is_named_once() -> None:
    with pytest.raises(ProtocolError, match="expected each key id once"):
        parse_key_configs(listed(X25519.config.encode(), X25519.config.encode()))


def test_configurations_are_limited_in_number() -> None:
    most = listed(*[unknown()] * (MAX_KEY_CONFIGS - 1), X25519.config.encode())
    assert parse_key_configs(most) == (X25519.config,)
    with pytest.raises(ProtocolError, match="expected at most 32, whole"):
        parse_key_configs(most + listed(unknown()))


@given(st.binary(max_size=200))
def test_any_bytes_give_configurations_or_the_error(data: bytes) -> None:
    try:
        configs = parse_key_configs(data)
    except ProtocolError:
        return
    assert parse_key_configs(encode_key_configs(configs)) == configs


@given(st.data())
def test_changed_bytes_give_configurations_or_the_error(data: st.DataObject) -> None:
    changed = bytearray(LIST)
    changed[data.draw(st.integers(0, len(LIST) - 1))] = data.draw(st.integers(0, 255))
    try:
        configs = parse_key_configs(bytes(changed))
    except ProtocolError:
        return
    assert len(configs) <= 2
