"""`blindai serve --check`: what would run, and whether it could; nothing is started.

What is looked at is in `LOOKS`: each look says what it found, or raises what the start
would end with.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from blindai import tables
from blindai.cli import console, foreground
from blindai.errors import ConfigurationError
from blindai.inference.blocking import Threads
from blindai.inference.sources import FileSource
from blindai.server import serve as parts
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from blindai.cli.serve_plan import Plan
    from blindai.server.asgi import Receive, Scope, Send

    Facts = Iterator[tuple[str, str]]
    Look = Callable[[Plan], Facts]


def run(plan: Plan) -> None:
    """Print what would be used.

    Raises:
        ConfigurationError: If it could not be.
        HardwareError: If the hardware makes no evidence.
    """
    screen = console.out()
    facts = [fact for look in LOOKS for fact in look(plan)]
    for label, value in facts:
        screen.print(f"{label:14} {printable(value)}", soft_wrap=True)
    screen.print("\nthis can be served; nothing was started")


def _hardware(plan: Plan) -> Facts:
    launched = parts.first_measurement(plan.hardware.attester)
    gpus = ", with GPUs" if plan.hardware.devices else ""
    yield "TEE", plan.tee + gpus
    yield "measurement", launched.hex() if launched else "in the evidence"


def _sandbox(plan: Plan) -> Facts:
    yield "sandbox", parts.sandbox_words(plan.settings)


def _configuration(plan: Plan) -> Facts:
    yield "configuration", plan.settings.digest.hex()
    for key, value in _flat(tables.write(plan.settings)):
        yield "", f"{key} = {value}"


def _storage(plan: Plan) -> Facts:
    yield "models", plan.models
    if plan.data_dir is not None:
        yield "data folder", _permissions(plan.data_dir)


def _preload(plan: Plan) -> Facts:
    for each in parts.service_settings(plan.settings).preload:
        limit = plan.settings.models.max_bytes
        FileSource(each.path, each.digest, limit, Threads()).require()
        yield "preload", f"{each.name}: {each.path} has its digest"


def _outside(plan: Plan) -> Facts:
    foreground.load(parts.build_server(_nothing, plan.listen))
    scheme = "http" if plan.listen.tls_certificate is None else "https"
    yield "listen on", f"{scheme}://{_address(plan.listen)}"
    metrics = plan.metrics
    yield "metrics on", "nowhere" if metrics is None else f"http://{_address(metrics)}"
    yield "log", plan.log_format
    yield "drain", f"{plan.listen.drain_s} s"
    yield "telemetry", plan.telemetry


LOOKS: Final[tuple[Look, ...]] = (
    _hardware,
    _sandbox,
    _configuration,
    _storage,
    _preload,
    _outside,
)


def _permissions(folder: Path) -> str:
    """Whether the server may use a folder, in words.

    Raises:
        ConfigurationError: If it may not.
    """
    wanted = os.R_OK | os.W_OK | os.X_OK
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, wanted):
        word = "used" if there == folder else "made"
        raise ConfigurationError(f"--data-dir {folder}: cannot be {word}")
    if there != folder:
        return "not there yet; it would be made, with mode 700"
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        return f"mode {mode:o}: OTHERS MAY LOOK IN, chmod 700 it"
    return f"mode {mode:o}"


def _flat(
    table: Mapping[str, object], prefix: str = ""
) -> Iterator[tuple[str, object]]:
    """Each key with its value; digests of API keys are left out."""
    for key, value in table.items():
        match value:
            case dict():
                yield from _flat(value, f"{prefix}{key}.")
            case [str(), *_]:
                yield f"{prefix}{key}", ", ".join(map(str, value))
            case list():
                yield from _listed(f"{prefix}{key}", value)
            case _ if key != "sha256":
                yield f"{prefix}{key}", value


def _listed(key: str, entries: list[dict[str, object]]) -> Iterator[tuple[str, object]]:
    """The names of entries, and each one's settings."""
    nobody = "none: anybody may upload" if key == "api_keys" else "none"
    named = {str(each[_name_of(each)]): each for each in entries}
    yield key, ", ".join(named) or nobody
    for name, each in named.items():
        rest = {field: each[field] for field in each if field != _name_of(each)}
        yield from _flat(rest, f"{key}.{name}.")


def _name_of(entry: dict[str, object]) -> str:
    return "name" if "name" in entry else "model"


def _address(listen: parts.Listen) -> str:
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{host}:{listen.port}"


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """No application."""
