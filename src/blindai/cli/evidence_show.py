"""`blindai evidence show`: evidence in words, without believing them."""

from typing import TYPE_CHECKING

from blindai.cli.evidence_options import EndorsementsOption, FileArgument, TeeOption
from blindai.cli.target import JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """Decode evidence, or an endorsement, into words without believing them.

    Raises:
        BlindAIError: If it cannot be decoded.
    """
    from blindai.cli import evidence_input, words  # noqa: PLC0415  slow to import
    from blindai.cli.console import print_json  # noqa: PLC0415  likewise
    from blindai.cli.evidence_files import tee_of  # noqa: PLC0415  likewise
    from blindai.cli.evidence_words import (  # noqa: PLC0415  likewise
        decode_endorsement,
        decode_evidence,
    )

    evidence, said = evidence_input.load_anything(file, tee, endorsements or ())
    kind = "endorsement" if evidence is None else str(tee_of(evidence.media_type))
    decoded = None if evidence is None else decode_evidence(evidence)
    endorsed = [each for one in said for each in decode_endorsement(one)]
    if as_json:
        print_json(
            {
                "believed": False,
                "file": str(file),
                "kind": kind,
                "evidence": words.to_json(decoded),
                "endorsements": [words.to_json(each) for _, each in endorsed],
            }
        )
        return
    _print(str(file), kind, decoded, endorsed)


def _print(
    file: str,
    kind: str,
    decoded: "DataclassInstance | None",
    endorsed: "Sequence[tuple[str, DataclassInstance]]",
) -> None:
    from rich.table import Table  # noqa: PLC0415  slow to import
    from rich.text import Text  # noqa: PLC0415  likewise

    from blindai.cli import words  # noqa: PLC0415  likewise
    from blindai.cli.console import out, printable  # noqa: PLC0415  likewise

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("name", overflow="fold", max_width=28)
    table.add_column("value", overflow="fold", ratio=3)
    table.add_column("meaning", overflow="fold", ratio=2, style="dim")
    shown = [*([] if decoded is None else [(kind, decoded)]), *endorsed]
    for title, instance in shown:
        table.add_row("", "")
        table.add_row(Text(title, style="bold"), "")
        for row in words.rows(instance):
            table.add_row(row.name, printable(row.value), printable(row.meaning))
    screen = out()
    screen.print(UNBELIEVED, style="bold red")
    screen.print(f"{file}: {kind}", soft_wrap=True)
    screen.print(table)
