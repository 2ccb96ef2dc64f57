"""`blindai keys`: API keys, of which the enclave knows the digests only."""

from enum import StrEnum
from typing import Annotated

import typer

from blindai.cli.about import about
from blindai.cli.console import out, print_json
from blindai.cli.exits import CommandError
from blindai.cli.target import JsonOption

EXAMPLE = "Example: blindai keys create --name ward-7 --scope infer"

app = typer.Typer(help="Make API keys.", no_args_is_help=True)


class Scope(StrEnum):
    """What an API key allows, as the configuration has it."""

    INFER = "infer"
    UPLOAD = "upload"
    ADMIN = "admin"


@app.callback()
def keys() -> None:
    """Make API keys."""


def create(
    *,
    name: Annotated[str, typer.Option(help="Names the key's holder.")],
    scope: Annotated[
        list[Scope],
        typer.Option(
            metavar="SCOPE",
            help="What the key allows: infer, upload or admin. Give it several times "
            "for several.",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Make an API key, and the block of configuration that lets it in.

    The key is printed once and kept nowhere: the configuration has its digest.
    """
    from blindai.server.auth import generate_key  # noqa: PLC0415  as all imports here

    key = generate_key()
    scopes = tuple(dict.fromkeys(each.value for each in scope))
    block = toml_block(name, key, scopes)
    if as_json:
        from blindai.server.auth import digest  # noqa: PLC0415  likewise

        fields = {"name": name, "scopes": scopes, "sha256": digest(key), "toml": block}
        print_json({"key": key, **fields})
        return
    console = out()
    console.print("API key, shown this once; give it to its holder:\n", style="bold")
    console.print(f"  {key}\n", soft_wrap=True)
    console.print("Append to the file that `blindai serve --config` reads:\n")
    console.print(block, soft_wrap=True)


app.command(help=about(create), epilog=EXAMPLE)(create)


def toml_block(name: str, key: str, scopes: tuple[str, ...]) -> str:
    """The block of configuration that lets a key in.

    Raises:
        CommandError: If the name is not one.
    """
    from blindai.server.auth import digest  # noqa: PLC0415  slow to import
    from blindai.server.settings import ApiKey  # noqa: PLC0415  slow to import

    try:
        known = ApiKey(name=name, sha256=digest(key), scopes=scopes)
    except ValueError as error:
        raise CommandError(f"--{error}", "Choose another name.") from error
    listed = ", ".join(f'"{scope}"' for scope in known.scopes)
    return (
        "[[api_keys]]\n"
        f'name = "{known.name}"\nsha256 = "{known.sha256}"\nscopes = [{listed}]'
    )
