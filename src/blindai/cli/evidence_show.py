"""`blindai evidence show`: evidence in words, without believing them."""

from typing import TYPE_CHECKING

from blindai.cli.evidence_options import EndorsementsOption, FileArgument, TeeOption
from blindai.cli.target import JsonOption
from blindai.text import printable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

EXAMPLE = "Example: blindai evidence show quote.bin"
UNBELIEVED = "Nothing below was verified: anybody can write such a file."


def show(
    file: FileArgument,
    *,
    tee: TeeOption = None,
    endorsements: EndorsementsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode evidence into words without believing them.

    Raises:
        BlindAIError: If it cannot be decoded.
    """
    from blindai.cli import evidence_input, words  # noqa: PLC0415  slow to import
    from blindai.cli.console import out, print_json  # noqa: PLC0415  likewise
    from blindai.cli.endorsement_table import read_lines  # noqa: PLC0415  likewise
    from blindai.cli.endorsements import print_lines  # noqa: PLC0415  likewise
    from blindai.cli.evidence_files import tee_of  # noqa: PLC0415  likewise
    from blindai.cli.evidence_words import decode_evidence  # noqa: PLC0415  likewise

    evidence = evidence_input.load_evidence(file, tee, endorsements or ())
    now = evidence_input.choose_time(None)
    kind = str(tee_of(evidence.media_type))
    decoded = decode_evidence(evidence)
    if as_json:
        lines = read_lines(evidence.endorsements)
        print_json(
            {
                "believed": False,
                "file": str(file),
                "kind": kind,
                "evidence": words.to_json(decoded),
                "endorsements": [line.to_json(now) for line in lines],
            }
        )
        return
    out().print(UNBELIEVED, style="bold red")
    _print(f"{file}: {kind}", decoded)
    if evidence.endorsements:
        print_lines(evidence.endorsements, as_json=False)


def _print(title: str, decoded: "DataclassInstance") -> None:
    from rich.table import Table  # noqa: PLC0415  slow to import

    from blindai.cli import words  # noqa: PLC0415  likewise
    from blindai.cli.console import out  # noqa: PLC0415  likewise

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("name", overflow="fold", max_width=28)
    table.add_column("value", overflow="fold", ratio=3)
    table.add_column("meaning", overflow="fold", ratio=2, style="dim")
    for row in words.rows(decoded):
        table.add_row(*map(printable, (row.name, row.value, row.meaning)))
    out().print(printable(title), style="bold", soft_wrap=True)
    out().print(table)
