"""`blindai policy convert`: policies of the original BlindAI, in today's words."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: blindai policy convert old-policy.toml --out policy.toml"
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write it to this new file."),
]
_HEAD = (
    "Converted from a policy of the original BlindAI, which also accepted machines that"
    " need software hardening. Add SWHardeningNeeded to tcb_statuses of [sgx.platform]"
    " if you accept them."
)


def convert(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="FILE is a policy.toml or manifest.toml of old."
        ),
    ],
    *,
    out: OutOption = None,
) -> None:
    """Convert a policy of the original BlindAI.

    Raises:
        CommandError: If the new file is there already.
        ConfigurationError: If the old one cannot be converted.
    """
    from blindai.cli.legacy_policy import convert as converted  # noqa: PLC0415  slow
    from blindai.cli.policy_files import write_new  # noqa: PLC0415  slow to import
    from blindai.client.policies import read_policy_file  # noqa: PLC0415  likewise
    from blindai.table_writer import compose, remark  # noqa: PLC0415  likewise

    policy = converted(read_policy_file(file))
    text = f"{remark(_HEAD)}\n\n{compose(policy)}"
    if out is None:
        print(text, end="")
    else:
        write_new(out, text)
