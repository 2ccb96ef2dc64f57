"""`blindai serve`: run an enclave's server."""

import os
import sys
from dataclasses import dataclass
from functools import partial
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
from blindai.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.attester import Attester, DeviceAttester
    from blindai.server.serve import Listen
    from blindai.server.settings import Settings
    from blindai.server.stapling import Endorsing

EXAMPLE = "Example: blindai serve --simulation --data-dir ./enclave"
SEALING_KEY_FILE = "insecure-simulation-key"
_BANNER = """\
SIMULATED ENCLAVE: NOTHING IS PROTECTED
Its keys are public. Whoever runs this machine can read what you send.
For development only; never give it real data."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What attests: the TEE, and GPUs beside it if there are any."""

    attester: "Attester"
    devices: "DeviceAttester | None"


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
) -> None:
    """Run an enclave's server until Ctrl-C.

    Raises:
        CommandError: If it cannot run as it was asked to.
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
    if simulation:
        _print_banner()
    with needs("server"):
        from blindai.server.serve import Listen, load_settings  # noqa: PLC0415  heavy

    _make(data_dir)
    find = _simulated_attester if simulation else partial(_find_attester, tee)
    attester = find(data_dir)
    settings = load_settings(config, os.environ)
    listen = Listen(host=host, port=port, tls_certificate=tls_cert, tls_key=tls_key)
    endorsing = choose_endorsing(endorsements, amd, intel, cache, data_dir)
    devices = _find_gpus() if gpu else None
    _run(settings, listen, data_dir, Hardware(attester, devices), endorsing)


def _make(data_dir: Path | None) -> None:
    if data_dir is None:
        return
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--data-dir {data_dir}: cannot be made") from error


def _find_attester(tee: str | None, data_dir: Path | None) -> "Attester":
    """The TEE that was named, or the one that is there; never a simulation."""
    from blindai.attester import detection  # noqa: PLC0415  heavy

    return detection.named(tee, data_dir) if tee else detection.detect(data_dir)


def _find_gpus() -> "DeviceAttester":
    """The GPUs, once they have shown that they can attest."""
    from blindai.attester.nvidia import NvidiaAttester  # noqa: PLC0415  heavy

    gpus = NvidiaAttester()
    gpus.attest(bytes(32))  # for no statement, and given to nobody
    return gpus


def _run(
    settings: "Settings",
    listen: "Listen",
    data_dir: Path | None,
    hardware: Hardware,
    endorsing: "Endorsing | None",
) -> None:
    from blindai.cli import foreground  # noqa: PLC0415  heavy
    from blindai.server import serve as parts  # noqa: PLC0415  heavy

    certificate = listen.tls_certificate
    tls_spki = None if certificate is None else parts.tls_spki(certificate)
    attester = hardware.attester
    launched = parts.first_measurement(attester)
    try:
        app = parts.build_app(
            settings,
            attester,
            data_dir=data_dir,
            tls_spki=tls_spki,
            endorsing=endorsing,
            devices=hardware.devices,
        )
    except OSError as error:
        raise ConfigurationError(f"--data-dir {data_dir}: cannot be used") from error
    facts = {
        "TEE": _tee(attester) + (", with GPUs" if hardware.devices else ""),
        "measurement": launched.hex() if launched else "in the evidence",
        "configuration": settings.digest.hex(),
        "models": _models(attester, data_dir),
    }

    def announce(url: str) -> None:
        _print_facts({"listening on": url} | facts, _next_steps(url, attester))

    foreground.run(app, listen, announce)
    console.err().print("stopped")


def _simulated_attester(data_dir: Path | None) -> "Attester":
    from blindai.attester.simulated import SimulatedAttester  # noqa: PLC0415  heavy

    if data_dir is None:
        return SimulatedAttester()
    return SimulatedAttester(sealing_key_file=data_dir / SEALING_KEY_FILE)


def _tee(attester: "Attester") -> str:
    """The TEE, as its evidence's media type names it."""
    return attester.tee.removeprefix("application/vnd.blindai.")


def _models(attester: "Attester", data_dir: Path | None) -> str:
    """Whether models are kept, and under which key."""
    if data_dir is None:
        return "end with the server (no --data-dir)"
    if attester.sealing is None:
        return "end with the server: this TEE derives no sealing key"
    return f"kept in {data_dir}, sealed; the key is {attester.sealing}"


def _next_steps(url: str, attester: "Attester") -> tuple[str, ...]:
    from blindai.protocol.attestation import (  # noqa: PLC0415  heavy
        SIMULATED_SEV_SNP_REPORT_TYPE,
    )

    simulated = attester.tee == SIMULATED_SEV_SNP_REPORT_TYPE
    option = "--simulation" if simulated else "--policy policy.toml"
    return f"blindai verify {url} {option}", f"blindai models list {url} {option}"


def _print_banner() -> None:
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
