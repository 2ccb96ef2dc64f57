"""TOML tables into dataclasses: what fits, and what the message says of the rest."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ConfigurationError
from blindai.tables import MAX_CHARACTERS, parse, read


@dataclass(frozen=True, kw_only=True)
class Limits:
    """An inner table."""

    max_bytes: int
    timeout_s: float = 1.0

    def __post_init__(self) -> None:
        if self.max_bytes <= 0:
            raise ValueError(f"max_bytes: expected above 0, got {self.max_bytes}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A table with a field of each kind."""

    name: str
    enabled: bool = False
    workers: int = 1
    ratio: float = 0.5
    tags: tuple[str, ...] = ()
    ports: tuple[int, ...] = (1, 2)
    limits: Limits = field(default_factory=lambda: Limits(max_bytes=1))
    backups: tuple[Limits, ...] = ()
    digest: str | None = None
    fallback: Limits | None = None


WHOLE = """
name = "a"
enabled = true
workers = 2
ratio = 0.25
tags = ["x", "y"]
ports = []
digest = "d1"
limits = { max_bytes = 10, timeout_s = 2 }
fallback = { max_bytes = 20 }

[[backups]]
max_bytes = 30

[[backups]]
max_bytes = 40
"""


def test_a_table_of_all_kinds_is_read() -> None:
    assert parse(WHOLE, Settings, "settings") == Settings(
        name="a",
        enabled=True,
        workers=2,
        ratio=0.25,
        tags=("x", "y"),
        ports=(),
        digest="d1",
        limits=Limits(max_bytes=10, timeout_s=2.0),
        fallback=Limits(max_bytes=20),
        backups=(Limits(max_bytes=30), Limits(max_bytes=40)),
    )


def test_keys_with_a_default_may_be_left_out() -> None:
    settings = parse('name = "a"', Settings, "settings")
    assert settings == Settings(name="a")
    assert settings.ports == (1, 2)


def test_a_whole_number_serves_as_a_number() -> None:
    settings = parse('name = "a"\nratio = 1', Settings, "settings")
    assert type(settings.ratio) is float


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("enabled = 1", "settings: enabled: expected true or false"),
        ('enabled = "true"', "settings: enabled: expected true or false"),
        ("workers = true", "settings: workers: expected a whole number"),
        ("workers = 1.0", "settings: workers: expected a whole number"),
        ("ratio = true", "settings: ratio: expected a number"),
        ('ratio = "1"', "settings: ratio: expected a number"),
        ("digest = 1", "settings: digest: expected text"),
        ('tags = "x"', "settings: tags: expected a list"),
        ("tags = {}", "settings: tags: expected a list"),
        ("tags = [1]", "settings: tags: expected text"),
        ("ports = [1, true]", "settings: ports: expected a whole number"),
        ("limits = 1", "settings: limits: expected a table"),
        ("limits = []", "settings: limits: expected a table"),
        ("fallback = 1", "settings: fallback: expected a table"),
        ("backups = [1]", "settings: backups: expected a table"),
        ("limits = {}", "settings: limits: expected the key 'max_bytes'"),
        ("backups = [{}]", "settings: backups: expected the key 'max_bytes'"),
        (
            "limits = {max_bytes = 0}",
            "settings: limits: max_bytes: expected above 0, got 0",
        ),
        ("worker = 1", "settings: unknown key 'worker'; did you mean 'workers'?"),
        (
            "limits = {max_byte = 1}",
            "settings: limits: unknown key 'max_byte'; did you mean 'max_bytes'?",
        ),
        (
            "limits = {zzz = 1}",
            "settings: limits: unknown key 'zzz'; known: max_bytes, timeout_s",
        ),
    ],
)
def test_what_does_not_fit_is_named(line: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse('name = "a"\n' + line, Settings, "settings")
    assert caught.value.message == message


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^settings: expected the key 'name'"):
        parse("", Settings, "settings")


@pytest.mark.parametrize("table", [None, [], "text", 1])
def test_what_is_no_table_is_refused(table: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^settings: expected a table"):
        read(table, Settings, "settings")


def test_a_key_that_is_no_text_is_unknown() -> None:
    with pytest.raises(ConfigurationError, match="unknown key '1'; known: max_bytes"):
        read({1: 1, "max_bytes": 1}, Limits, "limits")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("name", id="half a line"),
        pytest.param('name = "a"\nname = "b"', id="a key twice"),
        pytest.param("workers = " + "9" * 5000, id="a number too long"),
        pytest.param("ports = " + "[" * 10000, id="nested too deeply"),
    ],
)
def test_what_is_not_toml_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^settings: expected TOML, got "):
        parse(text, Settings, "settings")


VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["max_bytes", "timeout_s"]), inner)
    ),
    max_leaves=5,
)
KEYS = st.sampled_from([*Settings.__dataclass_fields__, "another"])


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_table_gives_settings_or_the_error(table: dict[str, object]) -> None:
    try:
        settings = read(table, Settings, "settings")
    except ConfigurationError:
        return
    assert settings.name == table["name"]


@given(st.text(max_size=60))
def test_any_text_gives_settings_or_the_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(text, Settings, "settings")


def test_a_file_is_limited_in_length() -> None:
    longest = 'name = "a"'.ljust(MAX_CHARACTERS)
    assert len(longest) == 262144
    assert parse(longest, Settings, "settings") == Settings(name="a")
    with pytest.raises(
        ConfigurationError, match="at most 262144 characters, got 26214"
    ):
        parse(longest + " ", Settings, "settings")
