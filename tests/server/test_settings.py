"""The measured configuration."""

from __future__ import annotations

from datetime import timedelta

import pytest

from blindai.errors import ConfigurationError
from blindai.protocol import cbor, keyset
from blindai.server.gateway import GatewayLimits
from blindai.server.settings import (
    ApiKey,
    GatewaySettings,
    InferenceSettings,
    ModelSettings,
    Settings,
)

DIGEST = "0" * 64
TELLING = '[telemetry]\nurl = "https://telemetry.example/"\n'

PRELOAD = f'[[preload]]\nname = "m"\ndigest = "{"0" * 64}"\npath = "m.onnx"\n'


def test_nothing_is_the_defaults() -> None:
    assert Settings.parse("") == Settings()


def test_a_file_is_read_table_by_table() -> None:
    settings = Settings.parse(
        f"""
        [models]
        max_count = 3

        [inference]
        default_timeout_s = 2

        [gateway]
        replay_window_s = 60

        [[api_keys]]
        name = "team"
        sha256 = "{DIGEST}"
        scopes = ["infer", "upload"]
        """
    )

    assert settings.models == ModelSettings(max_count=3)
    assert settings.inference == InferenceSettings(default_timeout_s=2.0)
    assert settings.gateway == GatewaySettings(replay_window_s=60)
    key = ApiKey(name="team", sha256=DIGEST, scopes=("infer", "upload"))
    assert settings.api_keys == (key,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models", "configuration: expected TOML"),
        ("[modells]", "unknown key 'modells'; did you mean 'models'"),
        ("[models]\nmax_conut = 1", "did you mean 'max_count'"),
        ("[models]\nmax_count = '1'", "models: max_count: expected a whole number"),
        ("models = 1", "configuration: models: expected a table"),
        ("api_keys = 1", "api_keys: expected a list"),
        ("[models]\nmax_bytes = 0", "max_bytes: expected more than 0"),
        ("[models]\nmax_total_bytes = 0", "max_total_bytes: expected more than 0"),
        ("[models]\nmax_count = 0", "max_count: expected more than 0"),
        ("[models]\nmax_uploads = 0", "max_uploads: expected more than 0"),
        ("[inference]\nmax_request_bytes = 0", "max_request_bytes: expected more"),
        ("[inference]\nmax_queue = 0", "max_queue: expected more than 0"),
        ("[models]\nmax_loaded_bytes = 0", "max_loaded_bytes: expected more"),
        ("[inference]\nmax_response_bytes = 0", "max_response_bytes: expected more"),
        ("[inference]\nworkers = -1", "workers: expected 0 or more"),
        ("[inference]\nisolation = 'vm'", "isolation: expected one of process, thread"),
        ("[inference]\nsandbox = 'no'", "sandbox: expected one of full, seccomp, none"),
        ("[inference]\nmemory_bytes = 0", "memory_bytes: expected more than 0"),
        ("[inference]\ninstances = 0", "instances: expected 1 to 32"),
        ("[inference]\ninstances = 33", "instances: expected 1 to 32"),
        ("[[batching]]\nmodel = 'm'\nmax_batch_size = 1", "max_batch_size"),
        (
            "[[batching]]\nmodel = 'm'\nmax_batch_size = 2\nmax_queue_delay_s = 11",
            "max_queue_delay_s: expected 0 to 10",
        ),
        ("[[batching]]\nmodel = 'm'\nmax_batch_size = 2\n" * 2, "same model twice"),
        ("[models]\nmax_versions = 0", "max_versions: expected more than 0"),
        ("[models]\nretention_days = -1", "retention_days: expected 0 to 36500"),
        ("[quota]\nmax_models = -1", "max_models: expected 0 or more"),
        ("[quota]\nrequests_per_second = inf", "requests_per_second: expected 0"),
        (
            '[[preload]]\nname = "m"\ndigest = "0"\npath = "m"',
            "64 lower-case hex digits",
        ),
        (2 * PRELOAD, "preload: same name twice"),
        (PRELOAD.replace('"m"', '"../m"'), "name: expected a model's name"),
        ("[[batching]]\nmodel = ''\nmax_batch_size = 2", "model: expected a model's"),
        ("[inference]\nthreads = -1", "threads: expected 0 or more"),
        ("[inference]\nload_timeout_s = 0", "load_timeout_s: expected more than 0"),
        ("[inference]\ndefault_timeout_s = 0", "default_timeout_s: expected more"),
        ("[inference]\ndefault_timeout_s = 601", "and at most max_timeout_s"),
        ("[inference]\nmax_timeout_s = nan", "and at most max_timeout_s"),
        ("[gateway]\nreplay_window_s = 0", "replay_window_s: expected 1 to 86400"),
        ("[gateway]\nreplay_window_s = 86401", "replay_window_s: expected 1 to 86400"),
        ("[gateway]\nreplay_entries = 0", "replay_entries: expected more than 0"),
        ("[gateway]\nidle_timeout_s = 0", "idle_timeout_s: expected more than 0"),
        ("[gateway]\nidle_timeout_s = nan", "idle_timeout_s: expected more than 0"),
        ("[gateway]\nkey_lifetime_s = 59", "key_lifetime_s: expected 60 to 31622400"),
        (
            "[gateway]\nkey_lifetime_s = 31622401",
            "key_lifetime_s: expected 60 to 31622400",
        ),
        ("[gateway]\nkey_grace_s = -1", "key_grace_s: expected 0 to 864000"),
        ("[gateway]\nkey_grace_s = 864001", "key_grace_s: expected 0 to 864000"),
        ("[gateway]\nquotes_per_second = 0", "quotes_per_second: expected more than 0"),
        ("[telemetry]\ninterval_s = 60", "telemetry: expected the key 'url'"),
        (f"{TELLING}interval_s = 0", "interval_s: expected 1 or more"),
        (f"{TELLING}interval_s = 31622401", "interval_s: expected 1 or more"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.parse(text)

    assert message in refused.value.message


@pytest.mark.parametrize(
    ("name", "sha256", "scopes", "message"),
    [
        ("", DIGEST, '["infer"]', "name: expected 1-64 of A-Za-z0-9._-"),
        ("a" * 65, DIGEST, '["infer"]', "name: expected 1-64"),
        ("a b", DIGEST, '["infer"]', "name: expected 1-64"),
        ("a", "0" * 63, '["infer"]', "sha256: expected 64 lower-case hex digits"),
        ("a", "A" * 64, '["infer"]', "sha256: expected 64 lower-case hex digits"),
        ("a", DIGEST, "[]", "scopes: expected some of infer, upload, admin"),
        ("a", DIGEST, '["write"]', "scopes: expected some of infer, upload, admin"),
    ],
)
def test_refuses_a_key(name: str, sha256: str, scopes: str, message: str) -> None:
    table = f'[[api_keys]]\nname = "{name}"\nsha256 = "{sha256}"\nscopes = {scopes}'

    with pytest.raises(ConfigurationError) as refused:
        Settings.parse(table)

    assert message in refused.value.message


@pytest.mark.parametrize(
    ("names", "digests", "message"),
    [
        pytest.param("aa", "01", "api_keys: same name twice", id="name"),
        pytest.param("ab", "00", "api_keys: same sha256 twice", id="digest"),
    ],
)
def test_refuses_a_key_twice(names: str, digests: str, message: str) -> None:
    keys = tuple(
        ApiKey(name=name, sha256=digit * 64, scopes=("infer",))
        for name, digit in zip(names, digests, strict=True)
    )

    with pytest.raises(ValueError, match=message):
        Settings(api_keys=keys)


def test_the_encoding_holds_every_setting_with_defaults_filled_in() -> None:
    encoded = cbor.decode(Settings.parse("[models]\nmax_count = 3").encode())

    assert encoded == {
        "models": {
            "max_bytes": 2 << 30,
            "max_total_bytes": 8 << 30,
            "max_loaded_bytes": 8 << 30,
            "max_count": 3,
            "max_uploads": 4,
            "max_versions": 2,
            "retention_days": 0.0,
        },
        "inference": {
            "max_request_bytes": 256 << 20,
            "max_response_bytes": 256 << 20,
            "max_queue": 64,
            "isolation": "process",
            "sandbox": "full",
            "memory_bytes": 4 << 30,
            "load_timeout_s": 60.0,
            "workers": 0,
            "instances": 2,
            "threads": 0,
            "extensions": False,
            "default_timeout_s": 30.0,
            "max_timeout_s": 600.0,
        },
        "gateway": {
            "replay_window_s": 300,
            "replay_entries": 1_000_000,
            "idle_timeout_s": 30.0,
            "key_lifetime_s": 86400,
            "key_grace_s": 600,
            "quotes_per_second": 20,
        },
        "proofs": {"always": False},
        "batching": [],
        "preload": [],
        "quota": {
            "max_models": 0,
            "max_bytes": 0,
            "requests_per_second": 0.0,
            "max_concurrent": 0,
        },
        "api_keys": [],
    }


def test_the_digest_is_of_the_encoding_and_names_keys_too() -> None:
    key = ApiKey(name="a", sha256=DIGEST, scopes=("infer",))
    settings = Settings(api_keys=(key,))

    assert settings.digest == keyset.configuration_digest(settings.encode())
    assert settings.digest != Settings().digest


def test_keys_overlap_for_a_part_of_their_life() -> None:
    settings = Settings.parse("[gateway]\nkey_lifetime_s = 240\nkey_grace_s = 7")

    assert settings.lifetimes.keys == timedelta(seconds=240)
    assert settings.lifetimes.overlap == timedelta(seconds=10)
    assert settings.lifetimes.grace == timedelta(seconds=7)


@pytest.mark.parametrize(("model", "request_"), [(5, 9), (9, 5)])
def test_the_gateway_lets_the_larger_of_models_and_requests_through(
    model: int, request_: int
) -> None:
    settings = Settings(
        models=ModelSettings(max_bytes=model),
        inference=InferenceSettings(max_request_bytes=request_),
        gateway=GatewaySettings(
            replay_window_s=7, replay_entries=8, idle_timeout_s=0.5
        ),
    )

    assert settings.gateway_limits == GatewayLimits(
        max_content_bytes=9,
        replay_window=timedelta(seconds=7),
        replay_entries=8,
        idle_timeout_s=0.5,
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "telemetry.example",
        "ftp://telemetry.example/",
        "https:///usage",
        "https://user:word@telemetry.example/",
        "https://telemetry.example/#usage",
        "https://telemetry.example/a b",
        "https://telemetry.example:0/",
        "https://telemetry.example:x/",
        "https://[::1/",
    ],
)
def test_refuses_an_address_for_telemetry(url: str) -> None:
    with pytest.raises(ConfigurationError, match="telemetry: url: expected https://"):
        Settings.parse(f'[telemetry]\nurl = "{url}"')


def test_an_address_for_telemetry_is_in_the_digest() -> None:
    settings = Settings.parse(TELLING)

    assert settings.telemetry is not None
    assert settings.telemetry.interval_s == 3600
    assert settings.digest != Settings().digest
    encoded = cbor.decode(settings.encode())
    assert isinstance(encoded, dict)
    assert encoded["telemetry"]["url"] == "https://telemetry.example/"


def test_the_digest_says_whether_models_have_extensions() -> None:
    settings = Settings.parse("[inference]\nextensions = true")

    assert settings.inference.extensions
    assert settings.digest != Settings().digest
