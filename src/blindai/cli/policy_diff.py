"""`blindai policy diff`: what one policy accepts and another does not."""

from pathlib import Path
from typing import Annotated

import typer

from blindai.cli.target import JsonOption
from blindai.text import printable

EXAMPLE = "Example: blindai policy diff policy.toml next-policy.toml"


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A and B are policies.")],
    after: Annotated[Path, typer.Argument(metavar="B")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Compare two policies, key by key.

    Raises:
        ConfigurationError: If one cannot be read or is malformed.
    """
    from blindai.cli import console  # noqa: PLC0415  slow to import
    from blindai.cli.policy_files import read_policy  # noqa: PLC0415  likewise
    from blindai.cli.policy_words import differences  # noqa: PLC0415  likewise

    first, second = read_policy(before)[0], read_policy(after)[0]
    found = list(differences(first, second))
    if as_json:
        console.print_json(
            {
                "before": first.digest.hex(),
                "after": second.digest.hex(),
                "differences": [each.to_json() for each in found],
            }
        )
        return
    screen = console.out()
    for each in found:
        screen.print(printable(each.key), style="bold red" if each.danger else "bold")
        for mark, colour, values in (
            ("-", "red", each.removed),
            ("+", "green", each.added),
        ):
            for value in values:
                line = f"  {mark} {printable(value)}"
                screen.print(line, style=colour, soft_wrap=True)
    screen.print(
        f"{len(found)} keys differ"
        if found
        else "both accept the same, in the same words"
    )
