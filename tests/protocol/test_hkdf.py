"""HKDF with SHA-256: the vectors of RFC 5869, and the labels of RFC 9180."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from blindai.protocol import hkdf


@pytest.mark.parametrize(
    ("secret", "salt", "info", "prk", "okm"),
    [
        pytest.param(
            "0b" * 22,
            bytes(range(13)).hex(),
            bytes(range(0xF0, 0xFA)).hex(),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
            "34007208d5b887185865",
            id="A.1",
        ),
        pytest.param(
            "0b" * 22,
            "",
            "",
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
            "9d201395faa4b61a96c8",
            id="A.3",
        ),
    ],
)
def test_the_vectors_of_rfc_5869_hold(
    secret: str, salt: str, info: str, prk: str, okm: str
) -> None:
    key = hkdf.extract(bytes.fromhex(salt), bytes.fromhex(secret))
    assert key.hex() == prk
    assert hkdf.expand(key, bytes.fromhex(info), 42).hex() == okm


def test_labeled_extract_is_that_of_rfc_9180() -> None:
    data = b"HPKE-v1" + b"suite" + b"label" + b"secret"
    expected = hmac.digest(b"salt", data, hashlib.sha256)
    assert hkdf.labeled_extract(b"suite", b"salt", b"label", b"secret") == expected


def test_labeled_expand_is_that_of_rfc_9180() -> None:
    info = b"\x00\x10" + b"HPKE-v1" + b"suite" + b"label" + b"info" + b"\x01"
    expected = hmac.digest(b"k" * 32, info, hashlib.sha256)[:16]
    assert hkdf.labeled_expand(b"suite", b"k" * 32, b"label", b"info", 16) == expected
