"""`blindai endorsements`: what vendors say about a platform, to keep and to look at."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindai.cli import console
from blindai.cli.about import about
from blindai.cli.endorsing import AMD_ADDRESS, INTEL_ADDRESS, AmdOption, IntelOption
from blindai.cli.exits import CommandError
from blindai.cli.target import JsonOption
from blindai.errors import ConfigurationError, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blindai.cli.endorsement_table import Line
    from blindai.endorsements.sources import Addresses
    from blindai.protocol.attestation import Endorsement, Evidence

FETCH_EXAMPLE = (
    "Example: blindai endorsements fetch https://enclave.example --out platform.cmw"
)
SHOW_EXAMPLE = "Example: blindai endorsements show platform.cmw"
_TIMEOUT_S = 30.0
_SNP_REPORT_BYTES = 0x4A0
_UNBELIEVED = "Read, not verified: that is what `blindai verify --endorsements` does."

app = typer.Typer(
    help="Fetch endorsements, and show what is in them.", no_args_is_help=True
)


@app.callback()
def endorsements() -> None:
    """Fetch endorsements, and show what is in them."""


def fetch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="URL|FILE",
            help="The enclave's address, or a file with its evidence (an attestation "
            "as blindai serves it, an SEV-SNP report, an SGX or TDX quote); "
            "BLINDAI_ADDR if it is left out.",
        ),
    ] = "",
    *,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Write the endorsements to this file.")
    ],
    amd: AmdOption = AMD_ADDRESS,
    intel: IntelOption = INTEL_ADDRESS,
) -> None:
    """Fetch from AMD or Intel what they say about a platform, for --endorsements.

    The evidence only tells what to ask for and is not believed. Nothing is written
    unless all of it was there.

    Raises:
        ConfigurationError: If a file cannot be read or written, or an address be used.
        TransportError: If something could not be fetched.
    """
    from blindai.endorsements.sources import Addresses  # noqa: PLC0415  slow to import
    from blindai.protocol.endorsements import encode_endorsements  # noqa: PLC0415  same

    addresses = Addresses(amd=amd, intel=intel)
    evidence = _find_evidence(source)
    fetched = asyncio.run(_fetch(evidence, addresses))
    try:
        out.write_bytes(encode_endorsements(fetched))
    except OSError as error:
        raise ConfigurationError(f"--out {out}: cannot be written") from error
    _print_lines(fetched, as_json=False)
    console.err().print(f"written to {out}", soft_wrap=True)


def show(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="What `endorsements fetch` wrote, certificates or CRLs (PEM, DER), or "
            "Intel's collateral (JSON).",
        ),
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show who says what about whom in endorsements, and for how many days it counts.

    Nothing is verified.
    """
    from blindai.client.endorsements import choose_endorsements  # noqa: PLC0415  slow

    _print_lines(choose_endorsements(files), as_json=as_json)


app.command(help=about(fetch), epilog=FETCH_EXAMPLE)(fetch)
app.command(help=about(show), epilog=SHOW_EXAMPLE)(show)


async def _fetch(
    evidence: "Evidence", addresses: "Addresses"
) -> "tuple[Endorsement, ...]":
    """All that belongs to evidence, from the vendors alone.

    Raises:
        CommandError: If there is nothing to fetch.
        EvidenceError: If the evidence does not say what it needs.
        TransportError: If something could not be fetched.
    """
    from blindai.endorsements import refresh, sources  # noqa: PLC0415  slow to import
    from blindai.endorsements.fetch import HttpFetch  # noqa: PLC0415  likewise

    bare = replace(evidence, endorsements=())
    if not sources.plan(bare, addresses):
        raise CommandError(
            "endorsements: expected evidence that needs some, got "
            f"{console.printable(evidence.media_type)}",
            "What belongs to it comes with the evidence; there is nothing to fetch.",
        )
    async with HttpFetch(_now) as fetching:
        refresher = refresh.Refresher(fetching, addresses, refresh.Timing(clock=_now))
        refresher.endorse(bare)  # so it knows what to fetch
        await refresher.refresh()
    if missing := refresher.missing():
        raise TransportError(f"endorsements: not fetched: {', '.join(missing)}")
    return refresher.endorse(bare).endorsements


def _find_evidence(source: str) -> "Evidence":
    """Evidence of an enclave or in a file.

    Raises:
        CommandError: If neither is named.
        ConfigurationError: If the file cannot be read.
    """
    from blindai.client.dialogue import address  # noqa: PLC0415  slow to import
    from blindai.protocol.attestation import MAX_ATTESTATION_BYTES  # noqa: PLC0415  same

    if not source or "://" in source:
        return _ask_enclave(address(source or None))
    try:
        with Path(source).open("rb") as file:
            return _read_evidence(file.read(MAX_ATTESTATION_BYTES + 1))
    except OSError as error:
        raise CommandError(
            f"evidence {source}: cannot be read",
            "Name a file, or an enclave as https://enclave.example.",
        ) from error


def _ask_enclave(url: str) -> "Evidence":
    """What an enclave sends, which nobody here believes.

    Raises:
        TransportError: If it does not answer with it.
    """
    import httpx  # noqa: PLC0415  slow to import

    from blindai.protocol.attestation import (  # noqa: PLC0415  likewise
        MAX_ATTESTATION_BYTES,
    )
    from blindai.protocol.names import ATTESTATION_PATH  # noqa: PLC0415  likewise

    content = b""
    try:
        asked = f"{url.rstrip('/')}{ATTESTATION_PATH}"
        with httpx.stream("GET", asked, timeout=_TIMEOUT_S) as response:
            if response.status_code != 200:
                raise TransportError(
                    f"evidence: expected status 200, got {response.status_code}"
                )
            for piece in response.iter_raw():
                content += piece
                if len(content) > MAX_ATTESTATION_BYTES:
                    break
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransportError(f"evidence: {type(error).__name__}") from error
    return _read_evidence(content)


def _read_evidence(data: bytes) -> "Evidence":
    """Evidence as blindai serves it, or as the hardware made it.

    Raises:
        EvidenceError: If it is neither.
    """
    from blindai.protocol import attestation  # noqa: PLC0415  slow to import

    if len(data) == _SNP_REPORT_BYTES:
        kind = attestation.SEV_SNP_REPORT_TYPE
        return attestation.Evidence(media_type=kind, evidence=data)
    # Version and, from version 4 on, TEE type (Intel TDX DCAP, A.3.1, Quote Header).
    match data[:2], data[4:8]:
        case (b"\x03\0", _) | (b"\x04\0" | b"\x05\0", b"\0\0\0\0"):
            kind = attestation.SGX_QUOTE_TYPE
        case b"\x04\0" | b"\x05\0", b"\x81\0\0\0":
            kind = attestation.TDX_QUOTE_TYPE
        case _:
            return attestation.parse_attestation(data).evidence
    return attestation.Evidence(media_type=kind, evidence=data)


def _print_lines(found: "Iterable[Endorsement]", *, as_json: bool) -> None:
    from blindai.cli.endorsement_table import read_lines  # noqa: PLC0415  slow to import

    now, lines = _now(), tuple(read_lines(found))
    if as_json:
        console.print_json([line.to_json(now) for line in lines])
        return
    for line in lines:
        _print_line(line, now)
    console.out().print(f"\n{_UNBELIEVED}")


def _print_line(line: "Line", now: datetime) -> None:
    screen = console.out()
    title = f"{line.kind}: {line.subject}"
    screen.print(console.printable(title), style="bold", soft_wrap=True)
    days = line.days_left(now)
    left = f"{days} days left" if days >= 0 else f"EXPIRED {-days} days ago"
    facts = {
        "issuer": line.issuer,
        "valid": f"{line.first:%Y-%m-%d} to {line.last:%Y-%m-%d}, {left}",
        **{name.replace("_", " "): value for name, value in line.facts.items()},
    }
    for label, value in facts.items():
        style = "bold red" if label == "valid" and days < 0 else None
        text = f"  {label:23} {console.printable(str(value))}"
        screen.print(text, style=style, soft_wrap=True)


def _now() -> datetime:
    return datetime.now(UTC)
