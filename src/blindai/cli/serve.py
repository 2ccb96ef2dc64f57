"""`blindai serve`: run an enclave's server."""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindai.cli import console
from blindai.cli.endorsing import (
    AMD_ADDRESS,
    INTEL_ADDRESS,
    AmdOption,
    CacheOption,
    IntelOption,
    Mode,
    ModeOption,
    choose_endorsing,
)
from blindai.cli.exits import CommandError
from blindai.cli.extras import needs
from blindai.cli.serve_plan import Hardware, Plan, parse_address
from blindai.errors import ConfigurationError
from blindai.server.observability.logs import LogFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.attester import Attester, DeviceAttester
    from blindai.server.asgi import App
    from blindai.server.observability.operations import Operations
    from blindai.server.serve import Listen

EXAMPLE = "Example: blindai serve --simulation --data-dir ./enclave"
SEALING_KEY_FILE = "insecure-simulation-key"
_BANNER = """\
SIMULATED ENCLAVE: NOTHING IS PROTECTED
Its keys are public. Whoever runs this machine can read what you send.
For development only; never give it real data."""


_log = logging.getLogger("blindai.server")


def serve(  # noqa: PLR0913  one argument an option
    *,
    simulation: Annotated[
        bool,
        typer.Option("--simulation", help="Simulate the TEE, which protects nothing."),
    ] = False,
    tee: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The TEE to use: sgx, sev-snp, tdx, nitro, azure or tpm. The one that "
            "is there, if not given; a TPM alone is taken only if it is named.",
        ),
    ] = None,
    gpu: Annotated[
        bool,
        typer.Option(
            "--gpu", help="Have NVIDIA GPUs in confidential mode attest beside the TEE."
        ),
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")
    ] = 9923,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep models here, sealed. Without it they end with the server.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The measured configuration. BLINDAI_CONFIG, or the defaults, if not "
            "given.",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Outer TLS: certificate, PEM.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Outer TLS: private key, PEM.")
    ] = None,
    endorsements: ModeOption = Mode.FETCH,
    amd: AmdOption = AMD_ADDRESS,
    intel: IntelOption = INTEL_ADDRESS,
    cache: CacheOption = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve /metrics (for Prometheus), /health/live and /health/ready "
            "there, in plaintext. Nowhere, if not given.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat,
        typer.Option(
            help="Lines in the log as text, or as one JSON object each, then with one "
            "about each request."
        ),
    ] = LogFormat.TEXT,
    drain: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long requests that run may go on after SIGTERM or Ctrl-C. A "
            "second signal ends the server at once.",
        ),
    ] = 25,
    check: Annotated[
        bool,
        typer.Option("--check", help="Say what would run, and start nothing."),
    ] = False,
) -> None:
    """Run an enclave's server until Ctrl-C.

    Raises:
        CommandError: If it cannot run as it was asked to.
    """
    _require_choice(simulation, tee, tls_cert, tls_key)
    with needs("server"):
        from blindai.server import serve as parts  # noqa: PLC0415  heavy
        from blindai.server.observability import (  # noqa: PLC0415  heavy
            logs,
            telemetry,
        )

    logs.set_up(log_format)
    if simulation:
        _warn(log_format)
    if not check:
        _make(data_dir)
    attester = find_attester(tee, data_dir, simulation=simulation)
    plan = Plan(
        settings=parts.load_settings(config, os.environ),
        listen=parts.Listen(
            host=host,
            port=port,
            tls_certificate=tls_cert,
            tls_key=tls_key,
            drain_s=drain,
        ),
        hardware=Hardware(attester, _find_gpus() if gpu else None),
        data_dir=data_dir,
        endorsing=choose_endorsing(endorsements, amd, intel, cache, data_dir),
        metrics=_listen_on(metrics),
        log_format=log_format,
        muted_by=telemetry.refused_by(os.environ),
    )
    if check:
        from blindai.cli import serve_check  # noqa: PLC0415  heavy

        serve_check.run(plan)
    else:
        _run(plan)


def _require_choice(
    simulation: bool,  # noqa: FBT001  as the options are
    tee: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Require options that go together.

    Raises:
        CommandError: If they do not.
    """
    if simulation and tee is not None:
        raise CommandError(
            "TEE: expected --simulation or --tee, got both",
            "Leave out --simulation where there is a TEE.",
        )
    if (tls_cert is None) != (tls_key is None):
        raise CommandError(
            "outer TLS: expected --tls-cert and --tls-key, got one of them",
            "Give both, or neither.",
        )


def _listen_on(address: str | None) -> "Listen | None":
    from blindai.server.serve import Listen  # noqa: PLC0415  heavy

    if address is None:
        return None
    host, port = parse_address(address, "--metrics")
    return Listen(host=host, port=port)


def _make(data_dir: Path | None) -> None:
    if data_dir is None:
        return
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--data-dir {data_dir}: cannot be made") from error


def find_attester(
    tee: str | None, data_dir: Path | None, *, simulation: bool
) -> "Attester":
    """The TEE that was named, or is there; a simulation where one was asked for."""
    if simulation:
        return _simulated_attester(data_dir)
    from blindai.attester import detection  # noqa: PLC0415  heavy

    return detection.named(tee, data_dir) if tee else detection.detect(data_dir)


def _find_gpus() -> "DeviceAttester":
    """The GPUs, once they have shown that they can attest."""
    from blindai.attester.nvidia import NvidiaAttester  # noqa: PLC0415  heavy

    gpus = NvidiaAttester()
    gpus.attest(bytes(32))  # for no statement, and given to nobody
    return gpus


def _run(plan: Plan) -> None:
    from blindai.cli import foreground  # noqa: PLC0415  heavy
    from blindai.server import serve as parts  # noqa: PLC0415  heavy

    with needs("server"):
        from blindai.server.observability.operations import (  # noqa: PLC0415  heavy
            Operations,
            Shown,
        )
    from blindai.server import process  # noqa: PLC0415  heavy

    process.forbid_core_dumps()
    certificate = plan.listen.tls_certificate
    tls_spki = None if certificate is None else parts.tls_spki(certificate)
    launched = parts.first_measurement(plan.hardware.attester)
    with contextlib.ExitStack() as stack:
        facts = _facts(plan, launched)
        listener = None
        if plan.metrics is not None:
            listener = stack.enter_context(parts.bind(plan.metrics))
            facts["metrics on"] = foreground.address(listener, plan.metrics)
        telemetry = None if plan.muted_by else plan.settings.telemetry
        shown = Shown(listener=listener, log_format=plan.log_format)
        operations = Operations(shown, telemetry, plan.tee)
        app = operations.around(_build(plan, tls_spki, operations))

        def announce(url: str) -> None:
            next_steps = _next_steps(url, plan.hardware.attester)
            _print_facts({"listening on": url} | facts, next_steps)

        foreground.run(
            app,
            plan.listen,
            announce,
            drain=operations.readiness.drain,
            log_format=plan.log_format,
        )
    _say_stopped(plan.log_format)


def _build(plan: Plan, tls_spki: bytes | None, operations: "Operations") -> "App":
    from blindai.server.serve import build_app  # noqa: PLC0415  heavy

    try:
        return build_app(
            plan.settings,
            plan.hardware.attester,
            data_dir=plan.data_dir,
            tls_spki=tls_spki,
            endorsing=plan.endorsing,
            devices=plan.hardware.devices,
            operations=operations,
        )
    except OSError as error:
        raise ConfigurationError(
            f"--data-dir {plan.data_dir}: cannot be used"
        ) from error


def _facts(plan: Plan, launched: bytes | None) -> dict[str, str]:
    from blindai.server.serve import sandbox_words  # noqa: PLC0415  heavy

    gpus = ", with GPUs" if plan.hardware.devices else ""
    facts = {
        "TEE": plan.tee + gpus,
        "measurement": launched.hex() if launched else "in the evidence",
        "configuration": plan.settings.digest.hex(),
        "models": plan.models,
        "sandbox": sandbox_words(plan.settings),
    }
    if plan.settings.telemetry is not None:
        facts["telemetry"] = plan.telemetry
    return facts


def _say_stopped(log_format: LogFormat) -> None:
    if log_format is LogFormat.JSON:
        _log.info("stopped")
    else:
        console.err().print("stopped")


def _simulated_attester(data_dir: Path | None) -> "Attester":
    from blindai.attester.simulated import SimulatedAttester  # noqa: PLC0415  heavy

    if data_dir is None:
        return SimulatedAttester()
    return SimulatedAttester(sealing_key_file=data_dir / SEALING_KEY_FILE)


def _next_steps(url: str, attester: "Attester") -> tuple[str, ...]:
    from blindai.protocol.attestation import (  # noqa: PLC0415  heavy
        SIMULATED_SEV_SNP_REPORT_TYPE,
    )

    simulated = attester.tee == SIMULATED_SEV_SNP_REPORT_TYPE
    option = "--simulation" if simulated else "--policy policy.toml"
    return f"blindai verify {url} {option}", f"blindai models list {url} {option}"


def _warn(log_format: LogFormat) -> None:
    """Say that a simulation protects nothing."""
    if log_format is LogFormat.JSON:
        _log.warning(_BANNER.replace("\n", " "))
        return
    from rich.panel import Panel  # noqa: PLC0415  slow to import

    panel = Panel(_BANNER, style="bold red", border_style="red", expand=False)
    console.err().print(panel)


def _print_facts(facts: "Mapping[str, str]", next_steps: tuple[str, ...]) -> None:
    screen = console.out()
    for label, value in facts.items():
        screen.print(f"{label:14} {value}", soft_wrap=True)
    screen.print("\nTry, in another terminal:")
    for step in next_steps:
        screen.print(f"  {step}", soft_wrap=True)
    screen.print()
    sys.stdout.flush()
