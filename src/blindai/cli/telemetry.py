"""`blindai telemetry`: what a server would tell of its use, to the last byte."""

import os
from pathlib import Path
from typing import Annotated

import typer

from blindai.cli import console, serve
from blindai.cli.extras import needs
from blindai.cli.serve_plan import Hardware, Plan

EXAMPLE = "Example: blindai telemetry show --config server.toml --simulation"

app = typer.Typer(help="What a server tells of its use.", no_args_is_help=True)


@app.command("show", epilog=EXAMPLE)
def show(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The measured configuration. BLINDAI_CONFIG, or the defaults, if not "
            "given.",
        ),
    ] = None,
    simulation: Annotated[
        bool, typer.Option("--simulation", help="As for `blindai serve`.")
    ] = False,
    tee: Annotated[
        str | None, typer.Option(metavar="NAME", help="As for `blindai serve`.")
    ] = None,
) -> None:
    """Print what `blindai serve` would send at its start, byte for byte, and to whom.

    Nothing is sent. Without an address in the configuration there is only the body, and
    it never goes. Later messages differ in the counts and the hours; the instance is
    drawn anew at each start.
    """
    with needs("server"):
        from blindai.server.observability import (  # noqa: PLC0415  heavy
            telemetry,
            telemetry_sending,
        )
        from blindai.server.serve import Listen, load_settings  # noqa: PLC0415  heavy

    attester = serve.find_attester(tee, None, simulation=simulation)
    plan = Plan(
        settings=load_settings(config, os.environ),
        listen=Listen(),
        hardware=Hardware(attester, None),
        muted_by=telemetry.refused_by(os.environ),
    )
    report = telemetry.Telemetry(plan.tee).report().encode()
    console.err().print(f"telemetry: {plan.telemetry}", soft_wrap=True)
    if plan.settings.telemetry is not None:
        request = telemetry_sending.build_request(plan.settings.telemetry.url, report)
        print(f"POST {request.url.raw_path.decode('ascii')} HTTP/1.1")
        for name, value in request.headers.items():
            print(f"{name}: {value}")
        print()
    print(report.decode())
