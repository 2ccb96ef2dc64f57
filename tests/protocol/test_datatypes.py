"""The element types of the Open Inference Protocol, and NumPy's."""

from typing import Literal

import numpy as np
import pytest

from blindai.errors import TensorError
from blindai.protocol.datatypes import Datatype

SIZES = {
    "BOOL": 1,
    "UINT8": 1,
    "UINT16": 2,
    "UINT32": 4,
    "UINT64": 8,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "FP16": 2,
    "FP32": 4,
    "FP64": 8,
    "BF16": 2,
}


def test_the_datatypes_are_those_of_the_protocol() -> None:
    assert set(Datatype) == {*SIZES, "BYTES"}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_an_element_has_the_size_of_the_protocol(name: str, size: int) -> None:
    assert Datatype(name).numpy.itemsize == size


@pytest.mark.parametrize("datatype", Datatype)
def test_elements_are_little_endian(datatype: Datatype) -> None:
    assert datatype.numpy == datatype.numpy.newbyteorder("<")


@pytest.mark.parametrize("datatype", sorted(set(Datatype) - {Datatype.BF16}))
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_array_has_the_datatype_of_its_elements(
    datatype: Datatype, order: Literal["<", ">"]
) -> None:
    assert Datatype.of(datatype.numpy.newbyteorder(order)) is datatype


def test_an_array_of_uint16_is_not_taken_for_bfloat16() -> None:
    assert Datatype.BF16.numpy == np.uint16
    assert Datatype.of(np.dtype(np.uint16)) is Datatype.UINT16


@pytest.mark.parametrize("dtype", ["complex64", "U3", "S3", "datetime64[s]", "V2"])
def test_refuses_a_dtype_that_the_protocol_has_not(dtype: str) -> None:
    with pytest.raises(TensorError, match=r"dtype: expected bool, .*, object, got "):
        Datatype.of(np.dtype(dtype))
