"""All commands under one name, and the one place where errors become exit codes."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from blindai import __version__
from blindai.cli import (
    demo,
    endorsements,
    evidence,
    keys,
    models,
    policy,
    predict,
    proof,
    serve,
    status,
    telemetry,
    verify,
)
from blindai.cli.about import about
from blindai.cli.console import print_error
from blindai.cli.exits import exit_code
from blindai.errors import BlindAIError


class Commands(TyperGroup):
    """Commands whose errors end as two lines and a code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  typer's context is private
        """Run a command.

        Raises:
            Exit: With the error's code, if it fails.
        """
        try:
            return super().invoke(ctx)
        except BlindAIError as error:
            print_error(error)
            raise typer.Exit(exit_code(error)) from error


app = typer.Typer(
    cls=Commands,
    name="blindai",
    help="Confidential AI inference: nothing is sent until the enclave has proved "
    "itself.",
    epilog="Start here: `blindai demo`",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  as typer calls it
    if wanted:
        print(f"blindai {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and end.",
        ),
    ] = False,
) -> None:
    """Options that stand before the command."""


def _add(command: Callable[..., None], example: str) -> None:
    app.command(help=about(command), epilog=example)(command)


_add(demo.demo, demo.EXAMPLE)
_add(serve.serve, serve.EXAMPLE)
_add(verify.verify, verify.EXAMPLE)
_add(status.status, status.EXAMPLE)
_add(predict.predict, predict.EXAMPLE)
app.add_typer(evidence.app, name="evidence")
app.add_typer(policy.app, name="policy")
app.add_typer(proof.app, name="proof")
app.add_typer(models.app, name="models")
app.add_typer(endorsements.app, name="endorsements")
app.add_typer(keys.app, name="keys")
app.add_typer(telemetry.app, name="telemetry")
