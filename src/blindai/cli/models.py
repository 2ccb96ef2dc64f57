"""`blindai models`: what an enclave serves; upload and delete."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindai.cli import console
from blindai.cli.target import (
    URL_HELP,
    JsonOption,
    ModelVersionOption,
    ProofOption,
    Reach,
    choose_secret,
    reaching,
    split_words,
)
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.client.model_file import Progress
    from blindai.client.results import ModelInfo, TensorSpec, UploadResponse

LIST_EXAMPLE = (
    "Example: blindai models list https://enclave.example --policy policy.toml"
)
UPLOAD_EXAMPLE = (
    "Example: blindai models upload https://enclave.example resnet18.onnx "
    "--policy policy.toml"
)
DELETE_EXAMPLE = (
    "Example: blindai models delete https://enclave.example resnet18 "
    "--policy policy.toml --owner-token-file token.txt"
)

OwnerTokenOption = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        help="What the first upload printed, where the enclave runs without API keys. "
        "Others on this machine can see it in the list of processes: prefer "
        "--owner-token-file.",
    ),
]
OwnerTokenFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File that holds the owner token."),
]

app = typer.Typer(help="List, upload and delete models.", no_args_is_help=True)


@app.command("list", epilog=LIST_EXAMPLE)
@reaching
def list_models(
    url: Annotated[str, typer.Argument(metavar="URL", help=URL_HELP)] = "",
    *,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """List the models that an enclave serves, in all versions that it keeps."""
    with reach(url).connect() as connection:
        models = connection.models()
    if as_json:
        console.print_json([_fields(model) for model in models])
    elif models:
        for model in models:
            _print_model(model)
    else:
        console.out().print("no models")


@app.command("upload", epilog=UPLOAD_EXAMPLE)
@reaching
def upload(  # noqa: PLR0913  one argument an option
    words: Annotated[
        list[str],
        typer.Argument(metavar="[URL] FILE", help=f"FILE is an ONNX file. {URL_HELP}"),
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(
            help="What requests call the model; the file's name if not given."
        ),
    ] = None,
    no_save: Annotated[
        bool,
        typer.Option(
            "--no-save", help="Keep it in the enclave's memory only, not on its disk."
        ),
    ] = False,
    proof: ProofOption = None,
    owner_token: OwnerTokenOption = None,
    owner_token_file: OwnerTokenFileOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Upload an ONNX model, with the files of weights beside it."""
    url, file = split_words(words, ["FILE"])
    token = choose_secret("owner-token", owner_token, owner_token_file)
    with reach(url).connect() as connection, _progress() as progress:
        uploaded = connection.upload_model(
            Path(file),
            name,
            owner_token=token,
            save_model=not no_save,
            progress=progress,
            sign=proof is not None,
        )
    if proof is not None:
        uploaded.save_to_file(proof)
    if as_json:
        issued = {"owner_token": uploaded.owner_token}
        console.print_json({**_fields(uploaded.model), **issued})
    else:
        _print_upload(uploaded)


@app.command("delete", epilog=DELETE_EXAMPLE)
@reaching
def delete(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[URL] NAME", help=f"NAME is the model's. {URL_HELP}"),
    ],
    *,
    version: ModelVersionOption = None,
    owner_token: OwnerTokenOption = None,
    owner_token_file: OwnerTokenFileOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Delete a model in all versions, or in one."""
    url, name = split_words(words, ["NAME"])
    token = choose_secret("owner-token", owner_token, owner_token_file)
    with reach(url).connect() as connection:
        connection.delete_model(name, model_version=version, owner_token=token)
    if as_json:
        console.print_json({"name": name, "version": version, "deleted": True})
    else:
        which = "" if version is None else f", version {version}"
        deleted = f"deleted {printable(name)}{which}"
        console.out().print(deleted, soft_wrap=True)


@contextlib.contextmanager
def _progress() -> "Iterator[Progress | None]":
    """A progress bar on a terminal, nothing elsewhere."""
    terminal = console.err()
    if not terminal.is_terminal:
        yield None
        return
    from rich import progress as rich_progress  # noqa: PLC0415  slow to import

    columns = (
        rich_progress.TextColumn("sealing and sending"),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
    )
    with rich_progress.Progress(*columns, console=terminal, transient=True) as bar:
        task = bar.add_task("upload", total=None)
        yield lambda sent, total: bar.update(task, completed=sent, total=total)


def _print_upload(uploaded: "UploadResponse") -> None:
    screen = console.out()
    _print_model(uploaded.model)
    if uploaded.owner_token is not None:
        token = printable(uploaded.owner_token)
        screen.print(f"  owner token  {token}", soft_wrap=True)
        screen.print("  Keep it: only its holder can replace or delete the model.")


def _print_model(model: "ModelInfo") -> None:
    screen = console.out()
    screen.print(printable(model.name), style="bold", soft_wrap=True)
    kept = "on its disk, sealed" if model.saved else "in its memory only"
    screen.print(f"  version      {model.version}, kept {kept}")
    if model.unavailable:
        why = printable(model.unavailable)
        screen.print(f"  unavailable  {why}", style="bold red", soft_wrap=True)
    screen.print(f"  size         {console.size(model.size_bytes)}")
    screen.print(f"  SHA-256      {printable(model.digest)}", soft_wrap=True)
    for label, specs in (("inputs", model.inputs), ("outputs", model.outputs)):
        for spec in specs:
            screen.print(f"  {label:12} {_describe(spec)}", soft_wrap=True)
            label = ""  # noqa: PLW2901  the label stands on the first line only


def _describe(spec: "TensorSpec") -> str:
    sizes = " x ".join("any" if each < 0 else str(each) for each in spec.shape)
    name = printable(spec.name)
    return f"{name}: {spec.datatype.value}, {sizes or 'one number'}"


def _fields(model: "ModelInfo") -> dict[str, object]:
    return {
        "name": model.name,
        "version": model.version,
        "saved": model.saved,
        "unavailable": model.unavailable,
        "digest": model.digest,
        "size_bytes": model.size_bytes,
        "inputs": [_spec_fields(spec) for spec in model.inputs],
        "outputs": [_spec_fields(spec) for spec in model.outputs],
    }


def _spec_fields(spec: "TensorSpec") -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": spec.shape}
