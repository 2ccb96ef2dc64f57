"""Tensors in files: what `blindai predict` reads and writes."""

from __future__ import annotations

import json
import math
import tokenize
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from blindai.cli.exits import CommandError
from blindai.errors import ConfigurationError, reason
from blindai.protocol.datatypes import Datatype

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from blindai.client.output import Tensor

# What `json`, `numpy` and `zipfile` raise over files that are damaged or too deep.
_DAMAGED: Final = (
    EOFError,
    RuntimeError,
    SyntaxError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_inputs(path: Path) -> object:
    """What a file has, as `Connection.predict` takes it.

    `.npz` has arrays by input name, `.npy` one array. `.json` has
    `{"inputs": {name: nested list}}`, the inputs of an Open Inference Protocol V2
    request, a list, or a dict of lists by input name.

    Raises:
        CommandError: If the file is none of these.
        ConfigurationError: If it cannot be read.
    """
    readers = {".npz": _load_arrays, ".npy": _load_arrays, ".json": _load_json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise CommandError(
            f"input {path}: expected .npz, .npy or .json, got another kind of file",
            "Save the inputs with numpy.save or numpy.savez, or write them as JSON.",
        )
    try:
        return reader(path)
    except OSError as error:
        raise ConfigurationError(
            f"input {path}: cannot be read: {reason(error)}"
        ) from error
    except _DAMAGED as error:
        kind = path.suffix.lower()
        raise ConfigurationError(
            f"input {path}: cannot be read as {kind}: {_what_is_wrong(error)}"
        ) from error


def _what_is_wrong(error: Exception) -> str:
    """What a file that is no input should be; nothing of what it holds."""
    match error:
        case json.JSONDecodeError():
            where = f"line {error.lineno}, column {error.colno}"
            return f"{error.msg} at {where}"
        case UnicodeDecodeError():
            return reason(error)
        case _:
            return (
                "expected arrays of numbers or text as numpy.save and numpy.savez "
                "write them, or lists in JSON"
            )


def require_folder(path: Path) -> None:
    """Require that a file can be there: found out before anything is run.

    Raises:
        ConfigurationError: If its folder is not there, or it is a folder itself.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"output {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ConfigurationError(f"output {path}: expected a file, got a folder")


def save_outputs(path: Path, outputs: Sequence[Tensor]) -> None:
    """Write outputs as arrays by name, for `numpy.load`.

    Raises:
        ConfigurationError: If the file cannot be written, or NumPy has no such array.
    """
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for tensor in outputs:
                with archive.open(f"{tensor.name}.npy", "w", force_zip64=True) as file:
                    array = _storable(tensor)
                    np.lib.format.write_array(file, array, allow_pickle=False)
    except OSError as error:
        raise ConfigurationError(
            f"output {path}: cannot be written: {reason(error)}"
        ) from error


def to_json(tensor: Tensor) -> dict[str, object]:
    """An output in the words of Open Inference Protocol V2, its data flat.

    Numbers that JSON has not (NaN and infinities) are text.
    """
    return {
        "name": tensor.name,
        "datatype": tensor.datatype.value,
        "shape": tensor.shape,
        "data": [_plain(each) for each in tensor.as_flat()],
    }


def _load_arrays(path: Path) -> object:
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else dict(loaded)


def _load_json(path: Path) -> object:
    value = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(value, dict) and isinstance(value.get("inputs"), dict | list):
        value = value["inputs"]
        if isinstance(value, list):
            return {each["name"]: _v2_values(each) for each in _v2_inputs(value)}
    if isinstance(value, dict | list):
        return value
    raise ValueError("expected a list or an object")  # `load_inputs` names the file


def _v2_inputs(values: list[Any]) -> list[dict[str, Any]]:
    for each in values:
        if not isinstance(each, dict) or not {"name", "shape", "data"} <= each.keys():
            raise ValueError("expected name, shape and data")
    return values


def _v2_values(fields: dict[str, Any]) -> object:
    array = np.array(fields["data"], dtype=object)
    try:
        return array.reshape(fields["shape"]).tolist()
    except TypeError as error:
        raise ValueError("expected a shape") from error


def _storable(tensor: Tensor) -> NDArray[Any]:
    array = tensor.as_numpy()
    if tensor.datatype is not Datatype.BYTES:
        return array
    fixed = array.astype(np.bytes_)
    if fixed.astype(object).tolist() != array.tolist():
        raise CommandError(
            f"output {tensor.name!r}: expected text that does not end in zero bytes",
            "Print it with --json instead.",
        )
    return fixed


def _plain(value: object) -> object:
    match value:
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value
