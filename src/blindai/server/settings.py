"""The enclave's configuration: one measured TOML file, one dataclass.

What an operator may choose of what the enclave does to a request is here, and its
digest is in the keyset, so a client can read it, hash it again and pin it. Everything
else is a constant of the build. What only concerns the
untrusted host (address, port, paths) is not here: nothing may depend on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from blindai import tables
from blindai.inference.model import NAME
from blindai.protocol import cbor
from blindai.protocol.keyset import configuration_digest
from blindai.server.enclave import Lifetimes
from blindai.server.gateway import GatewayLimits
from blindai.server.storage_settings import PreloadSettings, QuotaSettings, require
from blindai.tables import between, one_of

SCOPES = ("infer", "upload", "admin")
_MIB = 1 << 20
_MAX_INSTANCES = 32  # ends of connections fit in one message to a worker
_DAY_S = 86400
_MAX_DAYS = 36500
_KEY_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL_CHARACTERS = re.compile(r"[!-~]{1,2000}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What models may be.

    Attributes:
        max_bytes: Of one model file.
        max_total_bytes: Of all models together.
        max_loaded_bytes: Of the models that are in memory at the same time; who was
            asked for least recently makes way.
        max_count: How many models.
        max_uploads: How many uploads arrive at the same time.
        max_versions: How many versions of one model; the oldest make way.
        retention_days: How long a version is kept, in days, by the host's clock; 0 for
            as long as its owner likes.
    """

    max_bytes: int = 2048 * _MIB
    max_total_bytes: int = 8192 * _MIB
    max_loaded_bytes: int = 8192 * _MIB
    max_count: int = 64
    max_uploads: int = 4
    max_versions: int = 2
    retention_days: float = 0.0

    def __post_init__(self) -> None:
        """Require positive limits.

        Raises:
            ValueError: If one is not.
        """
        require(self.max_bytes > 0, "max_bytes: expected more than 0")
        require(self.max_total_bytes > 0, "max_total_bytes: expected more than 0")
        require(self.max_loaded_bytes > 0, "max_loaded_bytes: expected more than 0")
        require(self.max_count > 0, "max_count: expected more than 0")
        require(self.max_uploads > 0, "max_uploads: expected more than 0")
        require(self.max_versions > 0, "max_versions: expected more than 0")
        require(
            0 <= self.retention_days <= _MAX_DAYS,
            f"retention_days: expected 0 to {_MAX_DAYS}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSettings:
    """How models run.

    Attributes:
        max_request_bytes: Of one request's tensors.
        max_response_bytes: Of what a model gives in one run.
        max_queue: How many requests wait for one model; one more is refused.
        isolation: "process" runs each model in a sandboxed process of its own,
            "thread" in the server's, which a hostile model can then take over.
        sandbox: What the kernel has to offer for processes: "full" (seccomp and
            Landlock), "seccomp", or "none".
        memory_bytes: Of one model's process, beside three times its file's size; also
            of any one tensor that a model declares.
        load_timeout_s: How long loading one model may take, in seconds, where it has a
            process.
        workers: How many runs there are at once; 0 for one a core.
        instances: How many of them one model may have.
        threads: How many threads one run uses; 0 shares the cores among `workers`.
        extensions: Whether workers load onnxruntime-extensions, and models may use its
            operators for images, sound and text.
        default_timeout_s: Time for a request that names none, in seconds.
        max_timeout_s: Longest time a request may ask for, in seconds.
    """

    max_request_bytes: int = 256 * _MIB
    max_response_bytes: int = 256 * _MIB
    max_queue: int = 64
    isolation: Annotated[str, one_of("process", "thread")] = "process"
    sandbox: Annotated[str, one_of("full", "seccomp", "none")] = "full"
    memory_bytes: int = 4096 * _MIB
    load_timeout_s: float = 60.0
    workers: int = 0
    instances: int = 2
    threads: int = 0
    extensions: bool = False
    default_timeout_s: float = 30.0
    max_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        """Require sensible limits.

        Raises:
            ValueError: If one is not.
        """
        require(self.max_request_bytes > 0, "max_request_bytes: expected more than 0")
        require(self.max_response_bytes > 0, "max_response_bytes: expected more than 0")
        require(self.max_queue > 0, "max_queue: expected more than 0")
        require(self.memory_bytes > 0, "memory_bytes: expected more than 0")
        require(self.load_timeout_s > 0, "load_timeout_s: expected more than 0")
        require(self.workers >= 0, "workers: expected 0 or more")
        require(
            0 < self.instances <= _MAX_INSTANCES,
            f"instances: expected 1 to {_MAX_INSTANCES}",
        )
        require(self.threads >= 0, "threads: expected 0 or more")
        require(
            0 < self.default_timeout_s <= self.max_timeout_s,
            "default_timeout_s: expected more than 0 and at most max_timeout_s",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How requests for one model go together, along its first dimension.

    Attributes:
        model: Its name.
        max_batch_size: Rows in a batch.
        max_queue_delay_s: How long the first request waits for others, in seconds.
        across_tenants: Whether requests of different API keys may go together. Only
            for models of which you know that no row of theirs sees another.
    """

    model: str
    max_batch_size: Annotated[int, between(2, 65536)]
    max_queue_delay_s: float = 0.0
    across_tenants: bool = False

    def __post_init__(self) -> None:
        """Require a name and a delay that are such.

        Raises:
            ValueError: If one is not.
        """
        require(NAME.fullmatch(self.model), "model: expected a model's name")
        delay = self.max_queue_delay_s
        require(0 <= delay <= 10, "max_queue_delay_s: expected 0 to 10")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How the sealed door is kept.

    Attributes:
        replay_window_s: How far a sealed date may be from the enclave's clock.
        replay_entries: How many requests are remembered within the window.
        idle_timeout_s: How long a client may send nothing within a request, or take
            in nothing of its answer.
        key_lifetime_s: How long clients seal to one keyset.
        key_grace_s: How much longer its keys open requests.
        quotes_per_second: How often evidence for a nonce is made.
    """

    replay_window_s: int = 300
    replay_entries: int = 1_000_000
    idle_timeout_s: float = 30.0
    key_lifetime_s: int = 86400
    key_grace_s: int = 600
    quotes_per_second: int = 20

    def __post_init__(self) -> None:
        """Require sensible limits.

        Raises:
            ValueError: If one is not.
        """
        for name in ("replay_entries", "idle_timeout_s"):
            require(getattr(self, name) > 0, f"{name}: expected more than 0")
        for name, low, high in (
            ("replay_window_s", 1, _DAY_S),
            ("key_lifetime_s", 60, 366 * _DAY_S),
            ("key_grace_s", 0, 10 * self.key_lifetime_s),
        ):
            value = getattr(self, name)
            require(low <= value <= high, f"{name}: expected {low} to {high}")
        require(self.quotes_per_second > 0, "quotes_per_second: expected more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSettings:
    """What is signed.

    Attributes:
        always: Whether each run and each upload is, whoever asks for it; otherwise
            those whose client asks.
    """

    always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One API key, of which only the digest is known here.

    Attributes:
        name: Names the key's owner.
        sha256: Of the key, 64 lower-case hex digits.
        scopes: What it allows: infer, upload, admin.
        weight: Its share of time where others wait as well.
        quota: What it may use, in place of all of `[quota]`; that if None.
    """

    name: str
    sha256: str
    scopes: tuple[str, ...]
    weight: float = 1.0
    quota: QuotaSettings | None = None

    def __post_init__(self) -> None:
        """Require a name, a digest and known scopes.

        Raises:
            ValueError: If one is missing or malformed.
        """
        require(_KEY_NAME.fullmatch(self.name), "name: expected 1-64 of A-Za-z0-9._-")
        require(
            _SHA256.fullmatch(self.sha256),
            "sha256: expected 64 lower-case hex digits (see `blindai keys create`)",
        )
        require(0.01 <= self.weight <= 100, "weight: expected 0.01 to 100")
        known = f"scopes: expected some of {', '.join(SCOPES)}"
        require(self.scopes and set(self.scopes) <= set(SCOPES), known)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Whom to tell how much the server is used; docs/telemetry.md says what is told.

    Attributes:
        url: Where to send it: an address of HTTP.
        interval_s: How often, in seconds.
    """

    url: str
    interval_s: int = 3600

    def __post_init__(self) -> None:
        """Require an address without a name and password, and a sensible interval.

        Raises:
            ValueError: If one is not.
        """
        require(_is_url(self.url), "url: expected https://host/path")
        require(1 <= self.interval_s <= 366 * _DAY_S, "interval_s: expected 1 or more")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return bool(
        _URL_CHARACTERS.fullmatch(text)
        and parts.scheme in {"http", "https"}
        and parts.hostname
        and port != 0
        and "@" not in parts.netloc
        and not parts.fragment
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration.

    Attributes:
        models: What models may be.
        inference: How they run.
        batching: Which models run requests together.
        gateway: How the sealed door is kept.
        proofs: What is signed.
        preload: Which models are served from the start.
        quota: What one API key may use, where it says nothing else.
        api_keys: Who may do what; with none, everybody may infer and upload.
        telemetry: Whom to tell how much the server is used; nobody if None.
    """

    models: ModelSettings = field(default_factory=ModelSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    batching: tuple[BatchSettings, ...] = ()
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    proofs: ProofSettings = field(default_factory=ProofSettings)
    preload: tuple[PreloadSettings, ...] = ()
    quota: QuotaSettings = field(default_factory=QuotaSettings)
    api_keys: tuple[ApiKey, ...] = ()
    telemetry: TelemetrySettings | None = None

    def __post_init__(self) -> None:
        """Require each key once.

        Raises:
            ValueError: If a name or a digest stands twice.
        """
        for name in ("name", "sha256"):
            values = [getattr(key, name) for key in self.api_keys]
            require(len(set(values)) == len(values), f"api_keys: same {name} twice")
        models = [batching.model for batching in self.batching]
        require(len(set(models)) == len(models), "batching: same model twice")
        names = [preload.name for preload in self.preload]
        require(len(set(names)) == len(names), "preload: same name twice")

    @classmethod
    def parse(cls, text: str) -> Settings:
        """Read a configuration file's text.

        Raises:
            ConfigurationError: If it is malformed or a key is unknown.
        """
        return tables.parse(text, cls, "configuration")

    def encode(self) -> bytes:
        """The effective configuration, defaults filled in, in deterministic CBOR."""
        return cbor.encode(tables.write(self))

    @property
    def digest(self) -> bytes:
        """The digest of `encode()`, 32 bytes; it is in the keyset."""
        return configuration_digest(self.encode())

    @property
    def lifetimes(self) -> Lifetimes:
        """How long keysets serve."""
        lifetime = timedelta(seconds=self.gateway.key_lifetime_s)
        return Lifetimes(
            keys=lifetime,
            overlap=lifetime / 24,
            grace=timedelta(seconds=self.gateway.key_grace_s),
        )

    @property
    def gateway_limits(self) -> GatewayLimits:
        """What the gateway accepts."""
        return GatewayLimits(
            max_content_bytes=max(
                self.models.max_bytes, self.inference.max_request_bytes
            ),
            replay_window=timedelta(seconds=self.gateway.replay_window_s),
            replay_entries=self.gateway.replay_entries,
            idle_timeout_s=self.gateway.idle_timeout_s,
        )
