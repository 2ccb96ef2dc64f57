"""`blindai evidence verify`: evidence in a file, up to its vendor's root, offline."""

from pathlib import Path
from typing import Annotated

import typer

from blindai.cli.ear_option import EarKeyOption, EarOption
from blindai.cli.evidence_options import (
    AtOption,
    EndorsementsOption,
    EventLogOption,
    FileArgument,
    NonceOption,
    TeeOption,
)
from blindai.cli.target import JsonOption, TcbInfoOption

EXAMPLE = (
    "Example: blindai evidence verify report.bin --tee snp --endorsements vcek.der "
    "--endorsements ask.pem --endorsements ark.pem"
)


def verify(  # noqa: PLR0913  the options that users know
    file: FileArgument,
    *,
    tee: TeeOption = None,
    endorsements: EndorsementsOption = None,
    event_log: EventLogOption = None,
    nonce: NonceOption = None,
    at: AtOption = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="Appraisal policy. Without one a baseline is held against: no debug "
            "mode, nothing out of date; nothing is pinned.",
        ),
    ] = None,
    accept_tcb: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-tcb",
            metavar="STATUS",
            help="Without a policy, accept this status of an SGX or TDX machine beside "
            "UpToDate, as Intel spells it: SWHardeningNeeded, OutOfDate, ... Give it "
            "several times for several.",
        ),
    ] = None,
    tcb_info: TcbInfoOption = None,
    ear: EarOption = None,
    ear_key: EarKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify evidence in a file, and print each check. Nothing is sent anywhere.

    The evidence is verified up to its vendor's pinned root and held against a policy,
    or, without one, against a baseline that says what the hardware is but not what
    runs on it. With --json there is one object on stdout, whatever the verdict is.

    Raises:
        BlindAIError: If it is not accepted.
        Exit: The same, when JSON was printed.
    """
    from blindai.cli import evidence_verdict as verdict  # noqa: PLC0415  slow to import

    verdict.run(
        verdict.Request(
            file=file,
            tee=tee,
            endorsements=tuple(endorsements or ()),
            event_log=event_log,
            nonce=nonce,
            at=at,
            policy=policy,
            accept_tcb=tuple(accept_tcb or ()),
            tcb_info=tcb_info,
            ear=ear,
            ear_key=ear_key,
            as_json=as_json,
        )
    )
