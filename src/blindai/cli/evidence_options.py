"""Which evidence a command means: its options."""

from pathlib import Path
from typing import Annotated

import typer

from blindai.cli.tee_names import TeeName

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="FILE is the evidence: raw, in hexadecimal or base64, or a document of "
        "trustee, go-tpm-tools or NVIDIA.",
    ),
]
TeeOption = Annotated[
    TeeName | None,
    typer.Option(
        "--tee",
        metavar="TEE",
        help=f"What it is evidence of: {', '.join(TeeName)}. Whatever it looks like, "
        "if not given.",
    ),
]
EndorsementsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--endorsements",
        metavar="FILE",
        help="Certificates, a CRL or Intel's collateral. Give it several times, in any "
        "order.",
    ),
]
EventLogOption = Annotated[
    Path | None,
    typer.Option(
        "--event-log", metavar="FILE", help="The event log, where it lies by itself."
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Verify for this time, such as 2025-06-24 or 2022-10-13T09:00:00Z. The "
        "current time, if not given.",
    ),
]
NonceOption = Annotated[
    str | None,
    typer.Option(
        "--nonce",
        metavar="HEX",
        help="What the evidence has to have been made for.",
    ),
]
