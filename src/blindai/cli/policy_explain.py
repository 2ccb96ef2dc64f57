"""`blindai policy explain`: a policy in plain sentences."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: blindai policy explain policy.toml"


def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="FILE is a policy.")],
) -> None:
    """Read a policy aloud: what it accepts, what it pins, and what it leaves open.

    Raises:
        ConfigurationError: If it cannot be read or is malformed.
    """
    from blindai.cli.console import out  # noqa: PLC0415  slow to import
    from blindai.cli.policy_files import read_policy  # noqa: PLC0415  likewise
    from blindai.cli.policy_words import sentences  # noqa: PLC0415  likewise
    from blindai.text import printable  # noqa: PLC0415  likewise

    policy, note = read_policy(file)
    screen = out()
    if note:
        screen.print(note, style="bold yellow")
    for sentence in sentences(policy):
        text = printable(sentence.text)
        line = f"{'  ' * sentence.depth}{text}"
        # In a file or a pipe a digest stays whole, so that it can be searched for.
        screen.print(line, style=sentence.style, soft_wrap=not screen.is_terminal)
