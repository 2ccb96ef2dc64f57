"""`blindai predict`: run a model on the inputs of a file."""

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
    reaching,
    split_words,
)
from blindai.text import printable

if TYPE_CHECKING:
    from blindai.client.output import Tensor
    from blindai.client.results import PredictResponse

EXAMPLE = (
    "Example: blindai predict https://enclave.example resnet18 image.npy "
    "--policy policy.toml --output answer.npz"
)
_SHOWN = 6


@reaching
def predict(  # noqa: PLR0913  one argument an option
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[URL] MODEL INPUT",
            help="INPUT is .npz (arrays by input name), .npy (one input) or .json "
            '({"inputs": {name: nested list}}, or a list). ' + URL_HELP,
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the outputs to this .npz file."),
    ] = None,
    proof: ProofOption = None,
    version: ModelVersionOption = None,
    digest: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="SHA-256 that the model must have."),
    ] = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Seal inputs, run a model inside the enclave, and open its outputs."""
    from blindai.cli import tensor_files  # noqa: PLC0415  slow to import

    url, model, file = split_words(words, ["MODEL", "INPUT"])
    target = reach(url)
    inputs = tensor_files.load_inputs(Path(file))
    for written in filter(None, (output, proof)):
        tensor_files.require_folder(written)
    with target.connect() as connection:
        response = connection.predict(
            model,
            inputs,
            model_version=version,
            model_digest=digest,
            sign=proof is not None,
        )
    if proof is not None:
        response.save_to_file(proof)
    if output is not None:
        tensor_files.save_outputs(output, response.output)
    if as_json:
        console.print_json(_fields(response))
    else:
        _print_outputs(response, output)


def _fields(response: "PredictResponse") -> dict[str, object]:
    from blindai.cli.tensor_files import to_json  # noqa: PLC0415  slow to import

    return {
        "model_name": response.model_name,
        "model_version": response.model_version,
        "model_digest": response.model_digest,
        "inference_time_s": response.inference_time,
        "outputs": [to_json(tensor) for tensor in response.output],
    }


def _print_outputs(response: "PredictResponse", output: Path | None) -> None:
    from rich.table import Table  # noqa: PLC0415  slow to import

    screen = console.out()
    name = f"{printable(response.model_name)}, version {response.model_version}"
    digest = console.shorten(response.model_digest)
    took = f"{response.inference_time * 1e3:.1f} ms"
    screen.print(f"{name} (SHA-256 {digest}) ran for {took}", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for title in ("output", "type", "shape", "values"):
        table.add_column(title)
    for tensor in response.output:
        shape = " x ".join(map(str, tensor.shape)) or "one number"
        label = printable(tensor.name)
        table.add_row(label, tensor.datatype.value, shape, first_values(tensor))
    screen.print(table)
    if output is not None:
        screen.print(f"written to {output}", soft_wrap=True)


def first_values(tensor: "Tensor") -> str:
    """The first few values of a tensor, for people."""
    values = tensor.as_numpy().ravel()
    shown = [_one_value(each) for each in values[:_SHOWN].tolist()]
    more = ["\u2026"] if values.size > _SHOWN else []
    return " ".join(shown + more)


def _one_value(value: object) -> str:
    match value:
        case float():
            return f"{value:.6g}"
        case bytes():
            return printable(value.decode("utf-8", "backslashreplace"))
        case _:
            return str(value)
