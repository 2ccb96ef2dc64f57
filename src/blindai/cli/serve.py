"""`blindai serve`: run an enclave's server."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

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
    from blindai.attester.simulated import SimulatedAttester
    from blindai.server.serve import Listen
    from blindai.server.settings import Settings
    from blindai.server.stapling import Endorsing

EXAMPLE = "Example: blindai serve --simulation --data-dir ./enclave"
HARDWARE = (
    "/sys/kernel/config/tsm/report",
    "/dev/attestation",
    "/dev/nsm",
    "/dev/tpmrm0",
)
SEALING_KEY_FILE = "insecure-simulation-key"
_BANNER = """\
SIMULATED ENCLAVE: NOTHING IS PROTECTED
Its keys are public. Whoever runs this machine can read what you send.
For development only; never give it real data."""


def serve(  # noqa: PLR0913  one argument an option
    *,
    simulation: Annotated[
        bool,
        typer.Option("--simulation", help="Simulate the TEE, which protects nothing."),
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
    if not simulation:
        refuse_hardware()
    if (tls_cert is None) != (tls_key is None):
        raise CommandError(
            "outer TLS: expected --tls-cert and --tls-key, got one of them",
            "Give both, or neither.",
        )
    _print_banner()
    with needs("server"):
        from blindai.server.serve import Listen, load_settings  # noqa: PLC0415  heavy

    settings = load_settings(config, os.environ)
    listen = Listen(host=host, port=port, tls_certificate=tls_cert, tls_key=tls_key)
    endorsing = choose_endorsing(endorsements, amd, intel, cache, data_dir)
    _run(settings, listen, data_dir, endorsing)


def refuse_hardware() -> NoReturn:
    """Say what was looked for; this release knows no hardware attester.

    Raises:
        CommandError: Always.
    """
    looked = ", ".join(
        f"{path} ({'there' if Path(path).exists() else 'absent'})" for path in HARDWARE
    )
    raise CommandError(
        f"TEE: looked for {looked}; this release has no attester for hardware yet",
        "Support arrives with the hardware attesters. To try blindai without "
        "protection, run: blindai serve --simulation",
    )


def _run(
    settings: "Settings",
    listen: "Listen",
    data_dir: Path | None,
    endorsing: "Endorsing | None",
) -> None:
    from blindai.cli import foreground  # noqa: PLC0415  heavy
    from blindai.server import serve as parts  # noqa: PLC0415  heavy

    certificate = listen.tls_certificate
    tls_spki = None if certificate is None else parts.tls_spki(certificate)
    attester = _simulated_attester(data_dir)
    try:
        app = parts.build_app(
            settings,
            attester,
            data_dir=data_dir,
            tls_spki=tls_spki,
            endorsing=endorsing,
        )
    except OSError as error:
        raise ConfigurationError(f"--data-dir {data_dir}: cannot be used") from error
    measurement, digest = attester.platform.measurement.hex(), settings.digest.hex()

    def announce(url: str) -> None:
        _print_address(url, measurement, digest)

    foreground.run(app, listen, announce)
    console.err().print("stopped")


def _simulated_attester(data_dir: Path | None) -> "SimulatedAttester":
    from blindai.attester.simulated import SimulatedAttester  # noqa: PLC0415  heavy

    if data_dir is None:
        return SimulatedAttester()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--data-dir {data_dir}: cannot be made") from error
    return SimulatedAttester(sealing_key_file=data_dir / SEALING_KEY_FILE)


def _print_banner() -> None:
    from rich.panel import Panel  # noqa: PLC0415  slow to import

    panel = Panel(_BANNER, style="bold red", border_style="red", expand=False)
    console.err().print(panel)


def _print_address(url: str, measurement: str, config_digest: str) -> None:
    screen = console.out()
    facts = {
        "listening on": url,
        "measurement": measurement,
        "configuration": config_digest,
    }
    for label, value in facts.items():
        screen.print(f"{label:14} {value}", soft_wrap=True)
    screen.print("\nTry, in another terminal:")
    screen.print(f"  blindai verify {url} --simulation", soft_wrap=True)
    screen.print(f"  blindai models list {url} --simulation\n", soft_wrap=True)
    sys.stdout.flush()
