"""From a configuration and an attester to a server that listens.

The outer HTTP is uvicorn's, and untrusted: address, port and TLS are the operator's
affair. What is measured is in `Settings`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from blindai import __version__
from blindai.attester.evidence_fields import measurement
from blindai.errors import ConfigurationError, reason
from blindai.inference import TELEMETRY_SWITCH, extensions, sandbox
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.arrivals import Preload
from blindai.inference.engine import EngineLimits
from blindai.inference.folder import SealedFolder
from blindai.inference.queueing import Batching
from blindai.inference.room import StoreLimits
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.inference.worker.processes import ProcessLimits
from blindai.protocol.keyset import Binding
from blindai.server.app import create_app
from blindai.server.draining import DrainingServer
from blindai.server.enclave import Enclave, Measured
from blindai.server.gateway import Gateway
from blindai.server.settings import Settings
from blindai.server.stapling import Stapling, needs_endorsements
from blindai.server.writes import HttpProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from blindai.attester import Attester, DeviceAttester
    from blindai.inference.observer import Observer
    from blindai.server.asgi import App
    from blindai.server.observability.operations import Operations
    from blindai.server.settings import InferenceSettings
    from blindai.server.stapling import Endorsing

BUILD: Final = f"blindai {__version__}"
KNOWN_VARIABLES: Final = frozenset(
    {
        "BLINDAI_ADDR",
        "BLINDAI_API_KEY",
        "BLINDAI_CONFIG",
        "BLINDAI_DISABLE_TELEMETRY",
        "BLINDAI_POLICY",
        "BLINDAI_STATE_DIR",
    }
)
# ONNX Runtime takes settings from the environment, which is the operator's.
_MEASURED_PREFIXES: Final = ("BLINDAI_", "ORT_")
_WRITES_FIGURES: Final = "PROMETHEUS_MULTIPROC_DIR"  # to files, whose bytes nobody saw
_MAX_CONNECTIONS: Final = 1024  # one more is answered 503
_log = logging.getLogger("blindai.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the operator wants the server; none of it is trusted.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        tls_certificate: PEM file for outer TLS, or None.
        tls_key: PEM file for outer TLS, or None.
        drain_s: How long requests that are under way when the server is told to stop
            have to end, in whole seconds.
    """

    host: str = "127.0.0.1"
    port: int = 9923
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    drain_s: int = 25  # Kubernetes kills after 30


def load_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the configuration, and refuse an environment that means to change it.

    Args:
        path: The configuration file; BLINDAI_CONFIG, or the defaults, if None.
        environment: The process's variables.

    Raises:
        ConfigurationError: If the file, a BLINDAI_ or an ORT_ variable is not known, or
            a variable has figures written to files.
    """
    unknown = sorted(
        name
        for name in environment
        if (
            name.startswith(_MEASURED_PREFIXES)
            and name not in {*KNOWN_VARIABLES, TELEMETRY_SWITCH}
        )
        or name.upper() == _WRITES_FIGURES
    )
    if unknown:
        raise ConfigurationError(
            f"environment: expected only {', '.join(sorted(KNOWN_VARIABLES))}, "
            f"got {', '.join(unknown)}"
        )
    if path is None and "BLINDAI_CONFIG" in environment:
        path = Path(environment["BLINDAI_CONFIG"])
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"configuration {path}: cannot be read: {reason(error)}"
        ) from error
    return Settings.parse(text)


def build_service(
    settings: Settings,
    data_dir: Path | None,
    key: bytes | None,
    observer: Observer | None = None,
) -> InferenceService:
    """The service of a configuration.

    Args:
        settings: The measured configuration.
        data_dir: Where sealed models are kept, if they are.
        key: The TEE's sealing key, 32 bytes, if it has one.
        observer: Told what happens; nobody if None.

    Raises:
        ConfigurationError: If the folder cannot be used.
        SealingError: If it does not open.
        RollbackError: If it shows that an older index was put back.
    """
    folder = None
    if data_dir is not None and key is not None:
        folder = SealedFolder(data_dir / "models", key)
        folder.open()  # what is wrong with it is said before the server listens
    elif data_dir is not None:
        _log.warning("models are not kept: this TEE offers no sealing key")
    return InferenceService(service_settings(settings), folder, observer)


def service_settings(settings: Settings) -> ServiceSettings:
    """What a configuration says about models."""
    models, inference = settings.models, settings.inference
    cores = os.cpu_count() or 1
    slots = inference.workers or cores
    return ServiceSettings(
        isolation=inference.isolation,
        slots=slots,
        process=_process_limits(inference, inference.threads or max(1, cores // slots)),
        admission=AdmissionLimits(
            max_tensor_bytes=inference.memory_bytes, extensions=inference.extensions
        ),
        engine=EngineLimits(
            max_loaded_bytes=models.max_loaded_bytes,
            max_queue=inference.max_queue,
            lanes=inference.instances,
            batching={
                each.model: Batching(
                    max_rows=each.max_batch_size,
                    max_delay_s=each.max_queue_delay_s,
                    across_tenants=each.across_tenants,
                )
                for each in settings.batching
            },
        ),
        weights={key.name: key.weight for key in settings.api_keys},
        store=StoreLimits(
            max_models=models.max_count,
            max_model_bytes=models.max_bytes,
            max_total_bytes=models.max_total_bytes,
            max_uploads=models.max_uploads,
            max_versions=models.max_versions,
        ),
        preload=tuple(
            Preload(name=each.name, digest=each.digest, path=Path(each.path))
            for each in settings.preload
        ),
    )


def _process_limits(inference: InferenceSettings, threads: int) -> ProcessLimits:
    return ProcessLimits(
        sandbox=inference.sandbox,
        threads=threads,
        memory_bytes=inference.memory_bytes,
        max_output_bytes=inference.max_response_bytes,
        load_s=inference.load_timeout_s,
        run_s=inference.default_timeout_s,
        extensions=inference.extensions,
    )


def sandbox_words(settings: Settings) -> str:
    """What holds a model back on this machine.

    Raises:
        ConfigurationError: If the kernel offers less than the configuration accepts, or
            there is not the library of extensions that it asks for.
    """
    if settings.inference.extensions:
        extensions.library()
    if settings.inference.isolation == "thread":
        return "none: models run in threads of this process"
    offered = sandbox.offered()
    offered.require(sandbox.Minimum(settings.inference.sandbox))
    return ", ".join(offered.words)


def build_app(  # noqa: PLR0913  one argument a part
    settings: Settings,
    attester: Attester,
    *,
    data_dir: Path | None = None,
    tls_spki: bytes | None = None,
    endorsing: Endorsing | None = None,
    devices: DeviceAttester | None = None,
    operations: Operations | None = None,
) -> Gateway:
    """The whole server as one ASGI application.

    Args:
        settings: The measured configuration.
        attester: Asks the hardware for evidence and for the sealing key.
        data_dir: Where sealed models are kept; nowhere if None.
        tls_spki: SHA-256 of the outer TLS key, 32 bytes, if there is one.
        endorsing: How to come by what vendors say about this platform; if None, only
            what the attester brings is stapled.
        devices: Asks GPUs for evidence; None where there are none.
        operations: What the operator is shown; nothing if None.
    """
    key = attester.sealing_key() if data_dir is not None else None
    measured = Measured(config_digest=settings.digest, build=BUILD, tls_spki=tls_spki)
    observer = None if operations is None else operations.observer
    service = build_service(settings, data_dir, key, observer)
    make_enclave = partial(
        Enclave,
        attester,
        measured,
        now,
        lifetimes=settings.lifetimes,
        quotes_per_second=settings.gateway.quotes_per_second,
        devices=devices,
    )
    if endorsing is None or not needs_endorsements(attester.tee):
        enclave, app = make_enclave(), create_app(service, settings, now)
    else:
        stapling = Stapling(endorsing, now)
        enclave = make_enclave(endorse=stapling.endorse)
        beside = partial(stapling.running, enclave)
        app = create_app(service, settings, now, beside)
    if operations is not None:
        operations.watch(service, enclave, now)
    return Gateway(app, enclave, settings.gateway_limits)


def first_measurement(attester: Attester) -> bytes | None:
    """What the TEE says was launched, or None where only a verifier can tell.

    Hardware that makes no evidence stops the server here, before it listens. What this
    binds is the statement of no keyset, and it is not given out.

    Raises:
        HardwareError: If the hardware makes none.
    """
    return measurement(attester.attest(Binding(bytes(32), None)))


def build_server(
    app: App, listen: Listen, drain: Callable[[], None] = lambda: None
) -> DrainingServer:
    """An outer HTTP server for the application, not yet running.

    Args:
        app: The application.
        listen: Where, and how long to drain.
        drain: Called when the server is told to stop.
    """
    return DrainingServer(
        uvicorn.Config(
            app,
            host=listen.host,
            port=listen.port,
            loop="uvloop",
            http=HttpProtocol,
            ws="none",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=listen.drain_s,
            limit_concurrency=_MAX_CONNECTIONS,
            ssl_certfile=listen.tls_certificate,
            ssl_keyfile=listen.tls_key,
        ),
        drain,
    )


def bind(listen: Listen) -> socket.socket:
    """The socket to listen on.

    Raises:
        ConfigurationError: If the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((listen.host, listen.port))
        sock.listen()
    except (OSError, OverflowError) as error:
        sock.close()
        raise ConfigurationError(
            f"address {listen.host}:{listen.port}: {error}"
        ) from error
    return sock


def tls_spki(certificate: Path) -> bytes:
    """SHA-256 of a certificate's SubjectPublicKeyInfo, 32 bytes.

    Raises:
        ConfigurationError: If the file is not a certificate in PEM.
    """
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"TLS certificate {certificate}: cannot be read: {reason(error)}"
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"TLS certificate {certificate}: cannot be read: expected PEM"
        ) from error
    spki = loaded.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()


def now() -> datetime:
    """The host's clock: believed for freshness only."""
    return datetime.now(UTC)  # noqa: TID251  the edge: here the server reads its clock
