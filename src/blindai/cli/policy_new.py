"""`blindai policy new`: a strict policy from what an enclave shows now, to review."""

from typing import Annotated

import typer

from blindai.cli.evidence_options import (
    AtOption,
    EndorsementsOption,
    EventLogOption,
    TeeOption,
)
from blindai.cli.policy_convert import OutOption
from blindai.cli.target import SimulationOption

EXAMPLE = "Example: blindai policy new --from https://enclave.example --out policy.toml"


def new(  # noqa: PLR0913  the options that users know
    *,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="URL|FILE",
            help="An enclave's address, or a file with evidence.",
        ),
    ],
    tee: TeeOption = None,
    endorsements: EndorsementsOption = None,
    event_log: EventLogOption = None,
    at: AtOption = None,
    simulation: SimulationOption = False,
    out: OutOption = None,
) -> None:
    """Write a strict policy from what an enclave shows now, to review.

    The evidence is verified up to its vendor's pinned root; nobody can say yet whether
    what it shows should be accepted. The policy goes to stdout, or to a new file.

    Raises:
        AttestationError: If the evidence is not authentic.
        CommandError: If it is simulated and --simulation is not there, or the file is.
    """
    from blindai.cli import policy_draft  # noqa: PLC0415  slow to import

    policy_draft.run(
        policy_draft.Request(
            source=source,
            tee=tee,
            endorsements=tuple(endorsements or ()),
            event_log=event_log,
            at=at,
            simulation=simulation,
            out=out,
        )
    )
