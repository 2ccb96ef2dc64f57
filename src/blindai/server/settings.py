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

from blindai import tables
from blindai.protocol import cbor
from blindai.protocol.keyset import configuration_digest
from blindai.server.enclave import Lifetimes
from blindai.server.gateway import GatewayLimits

SCOPES = ("infer", "upload", "admin")
_MIB = 1 << 20
_DAY_S = 86400
_KEY_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _require(holds: object, message: str) -> None:
    if not holds:
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What models may be.

    Attributes:
        max_bytes: Of one model file.
        max_total_bytes: Of all models together.
        max_count: How many models.
        max_uploads: How many uploads arrive at the same time.
    """

    max_bytes: int = 2048 * _MIB
    max_total_bytes: int = 8192 * _MIB
    max_count: int = 64
    max_uploads: int = 4

    def __post_init__(self) -> None:
        """Require positive limits.

        Raises:
            ValueError: If one is not.
        """
        _require(self.max_bytes > 0, "max_bytes: expected more than 0")
        _require(self.max_total_bytes > 0, "max_total_bytes: expected more than 0")
        _require(self.max_count > 0, "max_count: expected more than 0")
        _require(self.max_uploads > 0, "max_uploads: expected more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSettings:
    """How models run.

    Attributes:
        max_request_bytes: Of one request's tensors.
        max_queue: How many requests wait for one model; one more is refused.
        workers: How many models run at once.
        threads: How many threads one run uses; 0 leaves it to the number of cores.
        default_timeout_s: Time for a request that names none, in seconds.
        max_timeout_s: Longest time a request may ask for, in seconds.
    """

    max_request_bytes: int = 256 * _MIB
    max_queue: int = 64
    workers: int = 2
    threads: int = 0
    default_timeout_s: float = 30.0
    max_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        """Require sensible limits.

        Raises:
            ValueError: If one is not.
        """
        _require(self.max_request_bytes > 0, "max_request_bytes: expected more than 0")
        _require(self.max_queue > 0, "max_queue: expected more than 0")
        _require(self.workers > 0, "workers: expected more than 0")
        _require(self.threads >= 0, "threads: expected 0 or more")
        _require(
            0 < self.default_timeout_s <= self.max_timeout_s,
            "default_timeout_s: expected more than 0 and at most max_timeout_s",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How the sealed door is kept.

    Attributes:
        replay_window_s: How far a sealed date may be from the enclave's clock.
        replay_entries: How many requests are remembered within the window.
        idle_timeout_s: How long a client may send nothing within a request.
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
            _require(getattr(self, name) > 0, f"{name}: expected more than 0")
        for name, low, high in (
            ("replay_window_s", 1, _DAY_S),
            ("key_lifetime_s", 60, 366 * _DAY_S),
            ("key_grace_s", 0, 10 * self.key_lifetime_s),
        ):
            value = getattr(self, name)
            _require(low <= value <= high, f"{name}: expected {low} to {high}")
        _require(self.quotes_per_second > 0, "quotes_per_second: expected more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One API key, of which only the digest is known here.

    Attributes:
        name: Names the key's owner.
        sha256: Of the key, 64 lower-case hex digits.
        scopes: What it allows: infer, upload, admin.
    """

    name: str
    sha256: str
    scopes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Require a name, a digest and known scopes.

        Raises:
            ValueError: If one is missing or malformed.
        """
        _require(_KEY_NAME.fullmatch(self.name), "name: expected 1-64 of A-Za-z0-9._-")
        _require(
            _SHA256.fullmatch(self.sha256),
            "sha256: expected 64 lower-case hex digits (see `blindai keys create`)",
        )
        known = f"scopes: expected some of {', '.join(SCOPES)}"
        _require(self.scopes and set(self.scopes) <= set(SCOPES), known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration.

    Attributes:
        models: What models may be.
        inference: How they run.
        gateway: How the sealed door is kept.
        api_keys: Who may do what; with none, everybody may infer and upload.
    """

    models: ModelSettings = field(default_factory=ModelSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    api_keys: tuple[ApiKey, ...] = ()

    def __post_init__(self) -> None:
        """Require each key once.

        Raises:
            ValueError: If a name or a digest stands twice.
        """
        for name in ("name", "sha256"):
            values = [getattr(key, name) for key in self.api_keys]
            _require(len(set(values)) == len(values), f"api_keys: same {name} twice")

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
