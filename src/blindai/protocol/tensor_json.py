"""JSON as the Open Inference Protocol V2 needs it: strict, and read field by field.

Stricter than Python's own (RFC 8259): UTF-8 only, each key of an object once, no NaN
and no infinities, no strings with half a surrogate pair. Members that the protocol does
not name are ignored, since Triton's own examples have some.

`what` names the object that is read in errors. No value is repeated in them but names.
"""

from __future__ import annotations

from json import JSONDecodeError, JSONDecoder, JSONEncoder
from math import isfinite
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from blindai.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT_CHARACTERS = 1024

Parameter: TypeAlias = str | int | float | bool
Fields: TypeAlias = dict[str, object]

_KINDS: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a number with a fraction",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def kind_of(type_: type) -> str:
    """The JSON word for a decoded value's type, with its article."""
    return _KINDS.get(type_, "null")


def parse(data: memoryview) -> Fields:
    """Read one JSON object.

    Raises:
        TensorError: If the bytes are anything else, or nested too deeply.
    """
    # Foreign errors are not chained: they hold the text, or bytes of it.
    try:
        value = _DECODER.decode(str(data, "utf-8"))
    except JSONDecodeError as error:
        raise TensorError(
            f"JSON: expected one value, got an error at character {error.pos}"
        ) from None
    except UnicodeDecodeError as error:
        raise TensorError(
            f"JSON: expected UTF-8, got other bytes at {error.start}"
        ) from None
    except RecursionError:
        raise TensorError("JSON: expected less nesting") from None
    except ValueError:
        raise TensorError("JSON: expected integers of fewer digits") from None
    return require_object(value, "JSON")


def encode(value: Mapping[str, object]) -> bytes:
    """Write one JSON object, in ASCII and without blanks.

    Raises:
        TensorError: If it holds NaN or an infinity.
    """
    try:
        return _ENCODER.encode(value).encode()
    except ValueError:
        raise TensorError("JSON: expected finite numbers, got others") from None


def require_object(value: object, what: str) -> Fields:
    """The same value, if it is an object.

    Raises:
        TensorError: If it is not.
    """
    if not isinstance(value, dict):
        raise TensorError(f"{what}: expected an object, got {kind_of(type(value))}")
    return value


def read_array(fields: Fields, key: str, what: str) -> list[object]:
    """The array under `key`.

    Raises:
        TensorError: If there is none.
    """
    value = fields.get(key)
    if not isinstance(value, list):
        raise TensorError(f"{what} {key}: expected an array, got {_got(fields, key)}")
    return value


def read_text(fields: Fields, key: str, what: str) -> str:
    """The string under `key`, of at most 1024 characters.

    Raises:
        TensorError: If there is none, it is longer, or it is not Unicode.
    """
    value = fields.get(key)
    if not isinstance(value, str):
        raise TensorError(f"{what} {key}: expected a string, got {_got(fields, key)}")
    if len(value) > MAX_TEXT_CHARACTERS:
        raise TensorError(
            f"{what} {key}: expected at most {MAX_TEXT_CHARACTERS} characters,"
            f" got {len(value)}"
        )
    if not (value.isascii() or _is_unicode(value)):
        raise TensorError(f"{what} {key}: expected Unicode, got half a surrogate pair")
    return value


def read_optional_text(fields: Fields, key: str, what: str) -> str | None:
    """The string under `key`, or None where the key is absent.

    Raises:
        TensorError: As for `read_text`.
    """
    return read_text(fields, key, what) if key in fields else None


def read_parameters(fields: Fields, what: str) -> dict[str, Parameter]:
    """The object under `parameters`, empty where the key is absent.

    Raises:
        TensorError: If it is not an object of strings, numbers and booleans.
    """
    parameters: dict[str, Parameter] = {}
    if "parameters" not in fields:
        return parameters
    values = require_object(fields["parameters"], f"{what} parameters")
    for key, value in values.items():
        if not isinstance(value, (str, int, float)):
            raise TensorError(
                f"{what} parameters: expected strings, numbers and booleans,"
                f" got {kind_of(type(value))}"
            )
        if isinstance(value, float) and not isfinite(value):
            raise TensorError(
                f"{what} parameters: expected finite numbers, got one beyond FP64"
            )
        text = key + value if isinstance(value, str) else key
        if not (text.isascii() or _is_unicode(text)):
            raise TensorError(
                f"{what} parameters: expected Unicode, got half a surrogate pair"
            )
        parameters[key] = value
    return parameters


def read_flag(parameters: Mapping[str, Parameter], key: str, what: str) -> bool | None:
    """The boolean under `key`, or None where the key is absent.

    Raises:
        TensorError: If there is something else.
    """
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise TensorError(
            f"{what} {key}: expected a boolean, got {kind_of(type(value))}"
        )
    return value


def _got(fields: Fields, key: str) -> str:
    return kind_of(type(fields[key])) if key in fields else "nothing"


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _unique(pairs: list[tuple[str, object]]) -> Fields:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise TensorError("JSON: expected each key of an object once, got one twice")
    return fields


def _refuse_constant(_name: str) -> NoReturn:
    raise TensorError("JSON: expected finite numbers, got NaN or an infinity")


_DECODER = JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
_ENCODER = JSONEncoder(allow_nan=False, separators=(",", ":"))
