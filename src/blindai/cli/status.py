"""`blindai status`: attest an enclave, and ask how its server is."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from blindai.cli import console
from blindai.cli.exits import exit_code
from blindai.cli.target import (
    URL_HELP,
    JsonOption,
    Reach,
    Target,
    reaching,
)
from blindai.errors import BlindAIError, ForbiddenError, UnauthenticatedError
from blindai.text import printable

if TYPE_CHECKING:
    from blindai.client.connection import Connection
    from blindai.client.results import ModelInfo

EXAMPLE = "Example: blindai status https://enclave.example --policy policy.toml"


@reaching
def status(
    url: Annotated[str, typer.Argument(metavar="URL", help=URL_HELP)] = "",
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Attest an enclave, and show its release, its keys and what it serves.

    All of it comes from what the enclave proved, or through the sealed door. Models are
    shown to holders of an API key, where the enclave has any.

    Raises:
        BlindAIError: If it is not accepted, or not reached.
        Exit: The same, when JSON was printed.
    """
    from blindai.cli import outcome  # noqa: PLC0415  slow to import

    target = reach(url)
    try:
        with target.connect() as connection:
            _show(target, connection, as_json=as_json)
    except BlindAIError as error:
        if not as_json:
            raise
        ended = outcome.failed(target.url, datetime.now(UTC), error)
        fields = outcome.fields(ended)
        console.print_json({"verdict": ended.verdict, "url": target.url, **fields})
        raise typer.Exit(exit_code(error)) from error


def _show(target: Target, connection: "Connection", *, as_json: bool) -> None:
    from blindai.cli import enclave_verdict, outcome  # noqa: PLC0415  slow to import

    result, server = connection.attestation, connection.server()
    models = _models(connection)
    if as_json:
        console.print_json(
            {
                "verdict": "accepted",
                "url": target.url,
                **enclave_verdict.proved(result),
                "policy_digest": target.policy.digest.hex(),
                "version": server.version,
                "ready": server.ready,
                "models": None if models is None else list(map(_fields, models)),
            }
        )
        return
    outcome.print_facts(
        {
            "server": f"blindai {server.version}",
            "ready": "yes" if server.ready else "no",
            **enclave_verdict.facts(target, result),
            "models": _count(models),
        }
    )
    screen = console.out()
    for model in models or ():
        name = f"{printable(model.name)}, version {model.version}"
        line = f"  {name}  {printable(model.digest)}"
        screen.print(line, soft_wrap=True)


def _models(connection: "Connection") -> "tuple[ModelInfo, ...] | None":
    """The models; None if they are not for whoever asks."""
    try:
        return connection.models()
    except (UnauthenticatedError, ForbiddenError):
        return None


def _count(models: "tuple[ModelInfo, ...] | None") -> str:
    if models is None:
        return "shown to holders of an API key only"
    return str(len(models))


def _fields(model: "ModelInfo") -> dict[str, object]:
    return {
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "size_bytes": model.size_bytes,
    }
