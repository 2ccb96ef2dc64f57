"""API keys from the command line let their holder in."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from blindai.cli.keys import Scope
from blindai.server.auth import Authenticator
from blindai.server.settings import SCOPES, Settings

Run = Callable[..., Result]


def test_scopes_are_the_configurations() -> None:
    assert tuple(Scope) == SCOPES


def test_the_printed_block_lets_the_printed_key_in(run: Run) -> None:
    words = ("--name", "ward-7", "--scope", "infer", "--scope", "upload")
    printed = run("keys", "create", *words).stdout

    settings = Settings.parse(printed[printed.index("[[api_keys]]") :])
    key = next(word for word in printed.split() if word.startswith("bai_"))
    principal = Authenticator(settings.api_keys).authenticate(
        {"authorization": f"Bearer {key}"}
    )
    assert principal.owner == "key:ward-7"
    assert principal.scopes == {"infer", "upload"}


def test_json_has_key_digest_and_block(run: Run) -> None:
    words = ("--name", "a", "--scope", "admin", "--scope", "admin", "--json")
    fields = json.loads(run("keys", "create", *words).stdout)

    (key,) = Settings.parse(fields["toml"]).api_keys
    assert fields["sha256"] == key.sha256
    assert fields["scopes"] == ["admin"]
    assert fields["name"] == "a"
    assert fields["key"].startswith("bai_")


def test_keys_differ(run: Run) -> None:
    words = ("keys", "create", "--name", "a", "--scope", "infer")

    assert run(*words).stdout != run(*words).stdout


def test_a_key_is_nowhere_but_in_its_line(run: Run) -> None:
    printed = run("keys", "create", "--name", "a", "--scope", "infer").stdout

    assert printed.count("bai_") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "a b", "--scope", "infer"), "--name: expected 1-64"),
        (("--name", "a", "--scope", "everything"), "everything"),
        (("--name", "a"), "--scope"),
    ],
)
def test_a_wrong_name_or_scope_is_refused(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    result = run("keys", "create", *words)

    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout
