"""The elements of one tensor, in JSON and in binary."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindai.errors import TensorError
from blindai.protocol import tensor_data
from blindai.protocol.datatypes import Array, Datatype

BIGGEST_FP32 = 3.4028234663852886e38

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def arrays(datatype: Datatype) -> st.SearchStrategy[Array]:
    return {
        "O": hnp.arrays("O", shapes, elements=st.binary(max_size=9), fill=st.nothing())
    }.get(datatype.numpy.kind, hnp.arrays(datatype.numpy, shapes))


def binary(data: bytes, datatype: str, *shape: int) -> Array:
    return tensor_data.parse_binary(memoryview(data), Datatype(datatype), shape, "x")


def plain(data: object, datatype: str, *shape: int) -> Array:
    return tensor_data.parse_json(data, Datatype(datatype), shape, "x")


def objects(*elements: bytes) -> Array:
    return np.fromiter(elements, np.dtype("O"), count=len(elements))


@pytest.mark.parametrize("datatype", Datatype)
@given(data=st.data())
def test_binary_gives_the_same_elements_back(
    datatype: Datatype, data: st.DataObject
) -> None:
    array = data.draw(arrays(datatype))

    buffer = tensor_data.encode_binary(array, datatype)
    again = tensor_data.parse_binary(memoryview(buffer), datatype, array.shape, "x")

    assert again.dtype == datatype.numpy
    assert again.shape == array.shape
    assert again.ravel().tolist() == array.ravel().tolist() or (
        again.tobytes() == array.tobytes()  # NaN is unlike itself
    )


@pytest.mark.parametrize(
    "datatype", sorted(set(Datatype) - {Datatype.BF16, Datatype.BYTES})
)
@given(data=st.data())
def test_json_gives_the_same_elements_back(
    datatype: Datatype, data: st.DataObject
) -> None:
    array = data.draw(arrays(datatype))
    assume(np.isfinite(array).all())

    text = json.dumps(tensor_data.encode_json(array, datatype, "x"))
    again = tensor_data.parse_json(json.loads(text), datatype, array.shape, "x")

    assert again.dtype == datatype.numpy
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()


@given(hnp.arrays("O", shapes, elements=st.text(max_size=9), fill=st.nothing()))
def test_json_gives_the_same_strings_back(texts: Array) -> None:
    elements = [text.encode() for text in texts.ravel().tolist()]
    array = objects(*elements).reshape(texts.shape)

    text = json.dumps(tensor_data.encode_json(array, Datatype.BYTES, "x"))
    again = plain(json.loads(text), "BYTES", *array.shape)

    assert again.shape == array.shape
    assert again.ravel().tolist() == elements


@given(hnp.arrays("i8", shapes.filter(len)))
def test_nested_arrays_are_the_same_as_flat_ones(array: Array) -> None:
    assert np.array_equal(plain(array.tolist(), "INT64", *array.shape), array)


def test_the_bytes_are_those_of_the_protocol() -> None:
    written = {
        datatype: bytes(tensor_data.encode_binary(array, datatype))
        for datatype, array in {
            Datatype.BOOL: np.array([True, False]),
            Datatype.INT16: np.array([1, -2], np.int16),
            Datatype.FP32: np.array([1.0], np.float32),
            Datatype.BF16: np.array([0x3F80], np.uint16),
            Datatype.BYTES: objects(b"ab", b""),
        }.items()
    }

    assert written == {
        Datatype.BOOL: b"\x01\x00",
        Datatype.INT16: b"\x01\x00\xfe\xff",
        Datatype.FP32: b"\x00\x00\x80\x3f",
        Datatype.BF16: b"\x80\x3f",
        Datatype.BYTES: b"\x02\x00\x00\x00ab\x00\x00\x00\x00",
    }


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.arange(6, dtype="<f4").reshape(2, 3), id="as it is"),
        pytest.param(np.arange(6, dtype=">f4").reshape(2, 3), id="big-endian"),
        pytest.param(np.arange(6, dtype="<f4").reshape(3, 2).T, id="transposed"),
        pytest.param(np.arange(12, dtype="<f4").reshape(2, 6)[:, ::2], id="strided"),
        pytest.param(np.arange(6, dtype="<f4").reshape(2, 3)[::-1], id="backwards"),
    ],
)
def test_arrays_of_any_layout_are_written_in_row_major_order(array: Array) -> None:
    again = binary(bytes(tensor_data.encode_binary(array, Datatype.FP32)), "FP32", 2, 3)
    listed = tensor_data.encode_json(array, Datatype.FP32, "x")

    assert np.array_equal(again, array)
    assert listed == [number for row in array.tolist() for number in row]


@pytest.mark.parametrize("datatype", sorted(set(Datatype) - {Datatype.BYTES}))
def test_neither_way_copies(datatype: Datatype) -> None:
    array = np.zeros((2, 3), datatype.numpy)

    buffer = tensor_data.encode_binary(array, datatype)
    again = tensor_data.parse_binary(memoryview(buffer), datatype, (2, 3), "x")

    assert np.shares_memory(array, again)


def test_a_buffer_that_is_not_aligned_is_read_without_a_copy() -> None:
    body = b"." + np.array([1.5, 2.5], "<f8").tobytes()

    array = tensor_data.parse_binary(memoryview(body)[1:], Datatype.FP64, (2,), "x")

    assert array.tolist() == [1.5, 2.5]
    assert np.shares_memory(array, np.frombuffer(body, np.uint8))


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "message"),
    [
        pytest.param(
            b"\0" * 7,
            "FP32",
            (2,),
            "x binary_data_size: expected 8 bytes for its shape, got 7",
            id="too short",
        ),
        pytest.param(b"\0" * 9, "FP32", (2,), "expected 8 .*, got 9", id="too long"),
        pytest.param(b"", "INT8", (), "expected 1 bytes .*, got 0", id="no scalar"),
        pytest.param(b"\0", "INT8", (0, 3), "expected 0 bytes .*, got 1", id="empty"),
        pytest.param(
            b"\0\1\2", "BOOL", (3,), "x: expected bytes 0 and 1 for BOOL", id="BOOL"
        ),
        pytest.param(
            b"\1\0\0",
            "BYTES",
            (1,),
            "x element 0: expected a 4-byte length and so many bytes,"
            " got the end after 3 bytes",
            id="no length",
        ),
        pytest.param(
            b"\1\0\0\0a", "BYTES", (2,), "element 1: .* end after 5", id="one missing"
        ),
        pytest.param(
            b"\2\0\0\0a", "BYTES", (1,), "element 0: .* end after 5", id="long length"
        ),
        pytest.param(
            b"\xff\xff\xff\xff", "BYTES", (1,), "element 0: .* after 4", id="longest"
        ),
        pytest.param(
            b"\1\0\0\0ab",
            "BYTES",
            (1,),
            "x binary_data_size: expected 5 bytes for its elements, got 6",
            id="bytes behind",
        ),
    ],
)
def test_refuses_binary_data(
    data: bytes, datatype: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(TensorError, match=message):
        binary(data, datatype, *shape)


def test_many_empty_elements_are_refused_before_they_are_counted_out() -> None:
    with pytest.raises(TensorError, match="element 1: "):
        binary(b"\0\0\0\0", "BYTES", 2**31)


@pytest.mark.parametrize(
    ("data", "datatype", "shape", "message"),
    [
        pytest.param(1, "FP32", (), "expected an array, got an integer", id="scalar"),
        pytest.param(None, "FP32", (1,), "expected an array, got null", id="null"),
        pytest.param("a", "BYTES", (1,), "expected an array, got a string", id="text"),
        pytest.param([1], "FP32", (2,), "2 elements for its shape, got 1", id="few"),
        pytest.param([1, 2, 3], "FP32", (2,), "expected 2 .* got 3", id="many"),
        pytest.param([], "FP32", (), "expected 1 elements .* got 0", id="no scalar"),
        pytest.param([1], "FP32", (2, 0), "expected 0 .*, got 1", id="not empty"),
        pytest.param([[1, 2], [3]], "INT8", (2, 2), "arrays of 2", id="ragged"),
        pytest.param([[1, 2], 3, 4], "INT8", (2, 2), "arrays of 2", id="mixed"),
        pytest.param([[1, 2], 3], "INT8", (2, 2), "arrays of 2", id="half nested"),
        pytest.param([[1, 2, 3, 4]], "INT8", (2, 2), "arrays of 2", id="half flat"),
        pytest.param([[1, 2]], "INT8", (2,), "arrays of 2", id="one level too many"),
        pytest.param([[1], [2]], "INT8", (2,), "integers, got an array", id="deeper"),
        pytest.param([[], [], []], "INT8", (2, 0), "arrays of 2", id="three empty"),
        pytest.param([[1]], "INT8", (), "integers, got an array", id="no dimensions"),
        pytest.param([1.0], "INT8", (1,), "integers, got a number with", id="fraction"),
        pytest.param([1, True], "INT8", (2,), "got a boolean", id="true as integer"),
        pytest.param([True], "FP32", (1,), "numbers, got a boolean", id="true as 1.0"),
        pytest.param([1], "BOOL", (1,), "booleans, got an integer", id="1 as true"),
        pytest.param(["1"], "FP64", (1,), "numbers, got a string", id="text as number"),
        pytest.param(["a"], "BOOL", (1,), "booleans, got a string", id="text as true"),
        pytest.param([1], "BYTES", (1,), "strings, got an integer", id="1 as text"),
        pytest.param([None], "FP32", (1,), "numbers, got null", id="null as number"),
        pytest.param([{}], "FP32", (1,), "numbers, got an object", id="object"),
        pytest.param([1], "BF16", (1,), "expected BF16 as binary data", id="BF16"),
        pytest.param(["\ud83d"], "BYTES", (1,), "half a surrogate pair", id="half"),
        pytest.param([float("inf")], "FP64", (1,), "range of FP64", id="1e999"),
        pytest.param([10**400], "FP64", (1,), "range of FP64", id="huge integer"),
        pytest.param([1e39], "FP32", (1,), "range of FP32", id="beyond FP32"),
        pytest.param([-70000], "FP16", (1,), "range of FP16", id="beyond FP16"),
    ],
)
def test_refuses_json_data(
    data: object, datatype: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(TensorError, match=f"x data: .*{message}"):
        plain(data, datatype, *shape)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("sign", ["INT", "UINT"])
def test_integers_in_json_keep_to_the_range_of_their_type(sign: str, bits: int) -> None:
    name = f"{sign}{bits}"
    lowest, highest = {
        "INT": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        "UINT": (0, 2**bits - 1),
    }[sign]

    assert plain([lowest, highest], name, 2).tolist() == [lowest, highest]
    for outside in (lowest - 1, highest + 1):
        with pytest.raises(
            TensorError, match=f"from {lowest} to {highest} for {name}, got one outside"
        ):
            plain([0, outside], name, 2)


def test_numbers_in_json_are_rounded_to_their_type() -> None:
    assert plain([0.1, 1, BIGGEST_FP32], "FP32", 3).tolist() == [
        0.10000000149011612,
        1,
        BIGGEST_FP32,
    ]
    assert plain([1e-300], "FP16", 1).tolist() == [0]


@pytest.mark.parametrize(
    ("array", "datatype", "message"),
    [
        pytest.param(np.zeros(1, "u2"), "BF16", "binary data for BF16", id="BF16"),
        pytest.param(np.array([np.nan]), "FP64", "finite numbers for JSON", id="NaN"),
        pytest.param(
            np.array([1, -np.inf]), "FP64", "finite numbers for", id="infinity"
        ),
        pytest.param(objects(b"\xff"), "BYTES", "UTF-8 in BYTES for JSON", id="bytes"),
    ],
)
def test_refuses_to_write_what_json_has_not(
    array: Array, datatype: str, message: str
) -> None:
    with pytest.raises(TensorError, match=f"x: expected {message}.*, got "):
        tensor_data.encode_json(array, Datatype(datatype), "x")
