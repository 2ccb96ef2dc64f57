"""Who asks, and what they may do."""

from __future__ import annotations

import hashlib

import pytest

from blindai.errors import ForbiddenError, UnauthenticatedError
from blindai.protocol.names import OWNER_TOKEN_HEADER
from blindai.server.auth import (
    Authenticator,
    Principal,
    digest,
    generate_key,
)
from blindai.server.settings import ApiKey

KEY = "bai_" + "k" * 43


@pytest.fixture
def authenticator() -> Authenticator:
    reader = ApiKey(name="reader", sha256=digest(KEY), scopes=("infer",))
    other = ApiKey(name="other", sha256=digest("another"), scopes=("upload",))
    return Authenticator((reader, other))


def test_a_new_key_has_a_prefix_and_256_bits() -> None:
    key = generate_key()

    assert key.startswith("bai_")
    assert len(key) == 4 + 43
    assert generate_key() != key


def test_a_digest_is_sha256_in_hexadecimal_digits() -> None:
    assert digest("secret") == hashlib.sha256(b"secret").hexdigest()


def test_a_key_names_its_principal(authenticator: Authenticator) -> None:
    principal = authenticator.authenticate({"authorization": f"Bearer {KEY}"})

    assert principal == Principal("key:reader", frozenset({"infer"}), "reader")


@pytest.mark.parametrize("spelling", ["bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(
    authenticator: Authenticator, spelling: str
) -> None:
    principal = authenticator.authenticate({"authorization": f"{spelling}  {KEY} "})

    assert principal.owner == "key:reader"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        pytest.param({}, "expected a bearer token, got none", id="none"),
        pytest.param(
            {"authorization": f"Basic {KEY}"}, "expected a bearer token", id="basic"
        ),
        pytest.param(
            {"authorization": "Bearer"}, "expected a bearer token", id="no token"
        ),
        pytest.param(
            {"authorization": "Bearer "}, "expected a bearer token", id="empty token"
        ),
        pytest.param(
            {"authorization": "Bearer   "}, "a known one, got another", id="blanks"
        ),
        pytest.param({"authorization": KEY}, "expected a bearer token", id="bare key"),
        pytest.param(
            {"authorization": f"Bearer {KEY}x"}, "a known one, got another", id="wrong"
        ),
        pytest.param(
            {"authorization": f"Bearer {digest(KEY)}"},
            "a known one, got another",
            id="the digest of a key",
        ),
        pytest.param(
            {OWNER_TOKEN_HEADER: "token"}, "expected a bearer token", id="owner token"
        ),
    ],
)
def test_refuses(
    authenticator: Authenticator, headers: dict[str, str], message: str
) -> None:
    with pytest.raises(UnauthenticatedError, match=message) as refused:
        authenticator.authenticate(headers)

    assert KEY not in str(refused.value)


def test_a_scope_that_is_missing_is_named() -> None:
    principal = Principal("key:reader", frozenset({"infer"}))

    with pytest.raises(ForbiddenError, match="scope: expected upload, got infer"):
        principal.require("upload")


@pytest.mark.parametrize("scope", ["infer", "upload", "admin"])
def test_admin_has_every_scope(scope: str) -> None:
    Principal("key:root", frozenset({"admin"})).require(scope)


def test_without_keys_everybody_gets_an_owner_token_of_their_own() -> None:
    authenticator = Authenticator(())

    first, second = (authenticator.authenticate({}).with_token() for _ in range(2))

    assert first.scopes == second.scopes == {"infer", "upload"}
    assert first.owner != second.owner
    assert first.new_owner_token is not None
    assert first.owner == f"token:{digest(first.new_owner_token)}"
    assert len(first.new_owner_token) == 43


def test_who_has_neither_key_nor_token_owns_nothing_yet() -> None:
    principal = Authenticator(()).authenticate({})

    assert (principal.owner, principal.new_owner_token) == ("token:", None)


def test_without_keys_an_owner_token_says_who_asks() -> None:
    authenticator = Authenticator(())

    principal = authenticator.authenticate({OWNER_TOKEN_HEADER: "token"})

    assert principal.owner == f"token:{digest('token')}"
    assert principal.with_token() is principal
    assert principal.new_owner_token is None


def test_an_empty_owner_token_is_none_at_all() -> None:
    principal = Authenticator(()).authenticate({OWNER_TOKEN_HEADER: ""})

    assert principal.owner != f"token:{digest('')}"
    assert principal.with_token().new_owner_token


def test_a_token_does_not_show() -> None:
    principal = Authenticator(()).authenticate({}).with_token()

    assert str(principal.new_owner_token) not in repr(principal)
