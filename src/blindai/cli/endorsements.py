"""`blindai endorsements`: what vendors say about a platform, to keep and to look at."""

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
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blindai.cli.endorsement_table import Line
    from blindai.endorsements.sources import Addresses
    from blindai.protocol.attestation import Endorsement, Evidence

FETCH_EXAMPLE = (
    "Example: blindai endorsements fetch https://enclave.example --out platform.cmw"
)
SHOW_EXAMPLE = "Example: blindai endorsements show platform.cmw"
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
    import asyncio  # noqa: PLC0415  slow to import

    from blindai.endorsements.sources import Addresses  # noqa: PLC0415  likewise
    from blindai.protocol.endorsements import encode_endorsements  # noqa: PLC0415  same

    addresses = Addresses(amd=amd, intel=intel)
    evidence = _find_evidence(source)
    fetched = asyncio.run(_fetch(evidence, addresses))
    try:
        out.write_bytes(encode_endorsements(fetched))
    except OSError as error:
        raise ConfigurationError(f"--out {out}: cannot be written") from error
    print_lines(fetched, as_json=False)
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

    print_lines(choose_endorsements(files), as_json=as_json)


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
            f"{printable(evidence.media_type)}",
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
    """Evidence of an enclave, which nobody here believes, or in a file.

    Raises:
        CommandError: If neither is named.
        EvidenceError: If what is there is no evidence.
        TransportError: If the enclave does not answer.
    """
    from blindai.cli.evidence_input import load_evidence  # noqa: PLC0415  slow to import
    from blindai.client.answer import fetch_answer  # noqa: PLC0415  likewise
    from blindai.client.dialogue import address  # noqa: PLC0415  likewise
    from blindai.protocol.attestation import parse_attestation  # noqa: PLC0415  likewise

    if source and "://" not in source:
        return load_evidence(Path(source), None, ())
    answer = fetch_answer(address(source or None), challenge=False)
    return parse_attestation(answer.collection).evidence


def print_lines(found: "Iterable[Endorsement]", *, as_json: bool) -> None:
    """Print who says what about whom, and for how long."""
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
    screen.print(printable(title), style="bold", soft_wrap=True)
    days = line.days_left(now)
    left = f"{days} days left" if days >= 0 else f"EXPIRED {-days} days ago"
    facts = {
        "issuer": line.issuer,
        "valid": f"{line.first:%Y-%m-%d} to {line.last:%Y-%m-%d}, {left}",
        **{name.replace("_", " "): value for name, value in line.facts.items()},
    }
    for label, value in facts.items():
        style = "bold red" if label == "valid" and days < 0 else None
        text = f"  {label:23} {printable(str(value))}"
        screen.print(text, style=style, soft_wrap=True)


def _now() -> datetime:
    return datetime.now(UTC)
