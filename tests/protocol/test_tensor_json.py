"""JSON, read strictly."""

import math

import pytest

from blindai.errors import TensorError
from blindai.protocol import tensor_json
from blindai.protocol.tensors import parse_request

SURROGATE = r"\ud83d"  # the first half of a pair


def test_whole_surrogate_pairs_and_any_unicode_are_accepted() -> None:
    fields = tensor_json.parse(memoryview('{"é":"\\ud83d\\ude00ü"}'.encode()))

    assert tensor_json.read_text(fields, "é", "x") == "😀ü"


def test_json_is_written_in_ascii_without_blanks() -> None:
    assert tensor_json.encode({"é": [1, True]}) == rb'{"\u00e9":[1,true]}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "JSON: expected one value, got an error at ", id="empty"),
        pytest.param(b'{"inputs":[]', "got an error at character 12", id="cut short"),
        pytest.param(b'{"inputs":[]}x', "an error at character 13", id="more behind"),
        pytest.param(b"\xef\xbb\xbf{}", "an error at character 0", id="BOM"),
        pytest.param(b'{"\xff":1}', "JSON: expected UTF-8, got .* at 2", id="UTF-8"),
        pytest.param("{}".encode("utf-16"), "expected UTF-8", id="UTF-16"),
        pytest.param(b"[" * 200_000, "JSON: expected less nesting", id="arrays"),
        pytest.param(b'{"a":' * 200_000, "JSON: expected less nesting", id="objects"),
        pytest.param(b"9" * 5000, "JSON: expected integers of fewer", id="digits"),
        pytest.param(b'{"x":NaN}', "JSON: expected finite numbers", id="NaN"),
        pytest.param(b'{"x":Infinity}', "expected finite numbers", id="infinity"),
        pytest.param(b'{"x":-Infinity}', "expected finite numbers", id="-infinity"),
        pytest.param(
            b'{"inputs":[],"inputs":[]}',
            "JSON: expected each key of an object once, got one twice",
            id="a key twice",
        ),
        pytest.param(
            b'{"inputs":[{"a":1,"a":1}]}', "each key .* once", id="a key twice inside"
        ),
        pytest.param(b"[]", "JSON: expected an object, got an array", id="an array"),
        pytest.param(b"null", "JSON: expected an object, got null", id="null"),
        pytest.param(b"{}", "body inputs: expected an array, got nothing", id="none"),
        pytest.param(b'{"inputs":null}', "inputs: .* array, got null", id="null array"),
        pytest.param(b'{"inputs":{}}', "inputs: .*, got an object", id="object"),
        pytest.param(b'{"inputs":[1]}', r"inputs\[0\]: .*, got an integer", id="int"),
        pytest.param(
            b'{"inputs":[],"outputs":"x"}',
            "body outputs: expected an array, got a string",
            id="outputs",
        ),
        pytest.param(
            b'{"inputs":[{}]}',
            r"inputs\[0\] name: expected a string, got nothing",
            id="no name",
        ),
        pytest.param(
            b'{"inputs":[{"name":1.5}]}',
            r"inputs\[0\] name: expected a string, got a number with a fraction",
            id="a number as name",
        ),
        pytest.param(
            b'{"inputs":[{"name":"' + b"n" * 1025 + b'"}]}',
            r"inputs\[0\] name: expected at most 1024 characters, got 1025",
            id="a long name",
        ),
        pytest.param(
            rb'{"inputs":[{"name":"\ud83d"}]}',
            r"inputs\[0\] name: expected Unicode, got half a surrogate pair",
            id="half a pair in a name",
        ),
        pytest.param(
            b'{"inputs":[],"id":7}', "id: expected a string, got an integer", id="id"
        ),
        pytest.param(
            b'{"inputs":[],"id":null}', "id: expected a string, got null", id="null id"
        ),
    ],
)
def test_refuses(body: bytes, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        parse_request(body)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param("[]", "parameters: expected an object, got an array", id="array"),
        pytest.param("null", "parameters: expected an object, got null", id="null"),
        pytest.param('{"a":null}', "numbers and booleans, got null", id="null inside"),
        pytest.param('{"a":[]}', "numbers and booleans, got an array", id="array in"),
        pytest.param('{"a":{}}', "numbers and booleans, got an object", id="object"),
        pytest.param('{"a":1e999}', "finite numbers, got one beyond FP64", id="1e999"),
        pytest.param(f'{{"{SURROGATE}":1}}', "expected Unicode, got half", id="key"),
        pytest.param(f'{{"a":"{SURROGATE}"}}', "expected Unicode, got half", id="text"),
        pytest.param(
            '{"binary_data_output":1}',
            "request binary_data_output: expected a boolean, got an integer",
            id="flag",
        ),
    ],
)
def test_refuses_parameters(parameters: str, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        parse_request(f'{{"inputs":[],"parameters":{parameters}}}'.encode())


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(TensorError) as refusal:
        parse_request(b'{"secret": tokens}')

    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_refuses_to_write_a_number_that_json_has_not(number: float) -> None:
    with pytest.raises(TensorError, match="JSON: expected finite numbers, got others"):
        tensor_json.encode({"x": number})
