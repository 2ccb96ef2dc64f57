"""From a configuration to a server that listens."""

from __future__ import annotations

import hashlib
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blindai.attester.simulated import SimulatedAttester
from blindai.errors import ConfigurationError
from blindai.inference.folder import SealedFolder
from blindai.inference.worker.processes import ProcessIsolation
from blindai.protocol import keyset
from blindai.protocol.attestation import parse_attestation
from blindai.server.app import Application
from blindai.server.serve import (
    BUILD,
    Listen,
    bind,
    build_app,
    build_server,
    build_service,
    load_settings,
    now,
    service_settings,
    tls_spki,
)
from blindai.server.settings import (
    GatewaySettings,
    InferenceSettings,
    ModelSettings,
    Settings,
)

if TYPE_CHECKING:
    from tests.server.conftest import Door

    from blindai.inference.store import Store
    from blindai.server.gateway import Gateway


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "blindai.toml"
    file.write_text("[models]\nmax_count = 3\n")
    return file


THREE = Settings(models=ModelSettings(max_count=3))


def test_without_a_file_the_defaults_hold() -> None:
    assert load_settings(None, {"PATH": "/bin", "BLINDAI_ADDR": "a"}) == Settings()


def test_a_file_is_read(file: Path) -> None:
    assert load_settings(file, {}) == THREE


def test_a_variable_names_the_file(file: Path) -> None:
    assert load_settings(None, {"BLINDAI_CONFIG": str(file)}) == THREE


def test_an_argument_goes_before_the_variable(file: Path) -> None:
    assert load_settings(file, {"BLINDAI_CONFIG": "/none"}) == THREE


@pytest.mark.parametrize(
    "name", ["BLINDAI_MODELS_MAX_COUNT", "ORT_LOGGING", "BLINDAI_"]
)
def test_a_variable_nobody_knows_stops_the_start(file: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"BLINDAI_STATE_DIR, got {name}\n"):
        load_settings(file, {name: "secret"})


def test_the_value_of_an_unknown_variable_does_not_show() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings(None, {"BLINDAI_KEY": "secret"})

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [(None, "Is a directory"), (b"\xff\xfe", "expected UTF-8")],
)
def test_a_file_that_cannot_be_read_stops_the_start(
    tmp_path: Path, contents: bytes | None, reason: str
) -> None:
    file = tmp_path if contents is None else tmp_path / "file"
    tmp_path.joinpath("file").write_bytes(contents or b"")

    with pytest.raises(ConfigurationError, match=f"cannot be read: {reason}"):
        load_settings(file, {})


def test_the_service_has_the_limits_of_the_configuration() -> None:
    settings = Settings(
        models=ModelSettings(
            max_bytes=1, max_total_bytes=2, max_count=3, max_uploads=4
        ),
        inference=InferenceSettings(max_queue=5, workers=6, threads=7),
    )

    service = build_service(settings, None, None)

    limits, isolation = service._store._limits, service._engine._isolation
    assert (limits.max_model_bytes, limits.max_total_bytes) == (1, 2)
    assert (limits.max_models, limits.max_uploads) == (3, 4)
    assert service._engine._limits.max_queue == 5
    assert service._scheduler._free == 6
    assert isinstance(isolation, ProcessIsolation)
    assert isolation._limits.threads == 7
    assert service._store._folder is None


def test_models_are_kept_where_there_is_a_folder_and_a_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = build_service(Settings(), tmp_path, bytes(32))

    assert isinstance(service._store._folder, SealedFolder)
    assert caplog.messages == []


def test_without_a_sealing_key_nothing_is_kept_and_the_server_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = build_app(Settings(), SimulatedAttester(), data_dir=tmp_path)

    assert _store(app)._folder is None
    assert caplog.messages == ["models are not kept: this TEE offers no sealing key"]


def test_the_sealing_key_is_the_attesters(tmp_path: Path) -> None:
    attester = SimulatedAttester(sealing_key_file=tmp_path / "key")

    folder = _store(build_app(Settings(), attester, data_dir=tmp_path))._folder

    assert folder is not None
    assert folder._key == attester.sealing_key()
    assert folder._path == tmp_path / "models"


def test_without_a_folder_no_sealing_key_is_made(tmp_path: Path) -> None:
    build_app(Settings(), SimulatedAttester(sealing_key_file=tmp_path / "key"))

    assert list(tmp_path.iterdir()) == []


def _store(app: Gateway) -> Store:
    application = app._app
    assert isinstance(application, Application)
    store: Store = application._service._store
    return store


@pytest.mark.anyio
async def test_the_keyset_names_configuration_build_and_tls_key(
    attester: SimulatedAttester,
) -> None:
    settings = Settings(
        gateway=GatewaySettings(
            key_lifetime_s=120, quotes_per_second=1, replay_window_s=7
        )
    )
    app = build_app(settings, attester, tls_spki=bytes(range(32)))

    attestation = parse_attestation(await app._enclave.attestation(None))

    claimed = keyset.parse_keyset(attestation.keyset)
    assert claimed.config_digest == settings.digest
    assert claimed.build == BUILD
    assert claimed.tls_spki == bytes(range(32))
    lifetime = settings.lifetimes.backdate + timedelta(seconds=120)
    assert claimed.not_after - claimed.not_before == lifetime
    assert app._enclave._limit._per_second == 1
    assert app._limits == settings.gateway_limits


def test_the_outer_server_keeps_no_log_of_requests_and_does_not_name_itself(
    door: Door,
) -> None:
    config = build_server(door.gateway, Listen()).config

    assert not config.proxy_headers
    assert not config.access_log
    assert not config.server_header
    assert config.ws == "none"
    assert config.log_level == "warning"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_free_port_is_found(host: str) -> None:
    with bind(Listen(host=host, port=0)) as sock:
        assert sock.getsockname()[1] > 0


def test_a_bound_socket_takes_connections_before_the_server_runs() -> None:
    with bind(Listen(port=0)) as sock, socket.create_connection(sock.getsockname()):
        pass


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("192.0.2.1", 0, "Cannot assign requested address"),
        ("127.0.0.1", 65536, "port must be 0-65535"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_refused(
    host: str, port: int, reason: str
) -> None:
    with pytest.raises(
        ConfigurationError, match=f"address {host}:{port}: .*({reason})"
    ):
        bind(Listen(host=host, port=port))


def test_a_port_in_use_is_refused() -> None:
    with bind(Listen(port=0)) as sock:
        port = sock.getsockname()[1]

        with pytest.raises(ConfigurationError, match="Address already in use"):
            bind(Listen(port=port))


def certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2025, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2075, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_a_tls_key_is_named_by_the_digest_of_its_public_half(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "certificate.pem"
    file.write_bytes(certificate(key))

    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert tls_spki(file) == hashlib.sha256(spki).digest()


@pytest.mark.parametrize(
    ("name", "reason"), [("none", "No such file"), ("text", "expected PEM")]
)
def test_a_certificate_that_cannot_be_read_is_refused(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "text").write_text("no certificate")

    with pytest.raises(ConfigurationError, match=f"TLS.*: cannot be read: {reason}"):
        tls_spki(tmp_path / name)


def test_now_is_aware_and_in_utc() -> None:
    assert now().tzinfo is UTC


def test_a_run_that_everybody_gives_up_on_has_the_time_of_one_that_names_none() -> None:
    settings = Settings(inference=InferenceSettings(default_timeout_s=7))

    assert service_settings(settings).process.run_s == 7
