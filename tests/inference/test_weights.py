"""The data of tensors: as much as their dimensions say, or the model is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

from blindai.errors import ModelRefusedError
from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.model import ModelSpec
from blindai.inference.weights import BITS
from blindai.protocol.bundle import END, header, padding

Admitted = Callable[..., ModelSpec]
COUNTS = pytest.mark.parametrize("count", [0, 1, 7, 5000], ids="{} elements".format)


def give(model: onnx.ModelProto, **fields: object) -> onnx.ModelProto:
    model.graph.initializer.add(name="w", **fields)
    return model


@COUNTS
@pytest.mark.parametrize("kind", [kind for kind in BITS if kind != T.STRING])
def test_raw_data_of_every_type(
    model: onnx.ModelProto, admitted: Admitted, kind: int, count: int
) -> None:
    size = -(-count * BITS[kind] // 8)
    give(model, data_type=kind, dims=[count], raw_data=bytes(size))

    assert admitted(model).outputs

    model.graph.initializer[0].raw_data += b"\0"
    with pytest.raises(
        ModelRefusedError, match=f"expected {size} bytes.*got {size + 1}"
    ):
        admitted(model)


@COUNTS
@pytest.mark.parametrize(
    ("kind", "field", "each"),
    [
        (T.FLOAT, "float_data", 1),
        (T.COMPLEX64, "float_data", 2),
        (T.DOUBLE, "double_data", 1),
        (T.COMPLEX128, "double_data", 2),
        (T.INT64, "int64_data", 1),
        (T.UINT64, "uint64_data", 1),
        (T.UINT32, "uint64_data", 1),
        (T.INT32, "int32_data", 1),
        (T.INT8, "int32_data", 1),
        (T.BOOL, "int32_data", 1),
        (T.FLOAT16, "int32_data", 1),
    ],
)
def test_values_of_every_type(
    model: onnx.ModelProto,
    admitted: Admitted,
    kind: int,
    field: str,
    each: int,
    count: int,
) -> None:
    give(model, data_type=kind, dims=[count], **{field: [1] * (count * each)})

    assert admitted(model).outputs

    getattr(model.graph.initializer[0], field).append(1)
    with pytest.raises(ModelRefusedError, match=f"expected {count * each} values"):
        admitted(model)


@pytest.mark.parametrize(("kind", "per_byte"), [(T.INT4, 2), (T.UINT2, 4)])
def test_values_smaller_than_a_byte(
    model: onnx.ModelProto, admitted: Admitted, kind: int, per_byte: int
) -> None:
    give(model, data_type=kind, dims=[2 * per_byte + 1], int32_data=[0] * 3)

    assert admitted(model).outputs

    model.graph.initializer[0].int32_data.append(0)
    with pytest.raises(ModelRefusedError, match="expected 3 values"):
        admitted(model)


@pytest.mark.parametrize("text", [b"", b"x" * 3000], ids=["short", "long"])
def test_strings(model: onnx.ModelProto, admitted: Admitted, text: bytes) -> None:
    give(model, data_type=T.STRING, dims=[3], string_data=[text] * 3)

    assert admitted(model).outputs

    model.graph.initializer[0].string_data.append(text)
    with pytest.raises(ModelRefusedError, match=r"expected 3 values.*got 4"):
        admitted(model)


def test_integers_of_any_length_are_counted(
    model: onnx.ModelProto, admitted: Admitted
) -> None:
    numbers = [0, 127, 128, -1, 2**62] * 1000
    give(model, data_type=T.INT64, dims=[5000], int64_data=numbers)

    assert admitted(model).outputs


def test_values_one_by_one_are_counted() -> None:
    """Written one after the other, and not packed, as parsers also take them."""
    floats = b"\x25\x00\x00\x00\x3f" * 1000  # field 4, 32 bits, each
    packed = T(name="w", data_type=T.FLOAT, dims=[3000], float_data=[0.5] * 2000)
    tensor = packed.SerializeToString() + floats
    shell = shell_of(tensor)

    assert admit(memoryview(shell), AdmissionLimits()).outputs

    with pytest.raises(ModelRefusedError, match=r"expected 3000 values.*got 3001"):
        admit(memoryview(shell_of(tensor + floats[:5])), AdmissionLimits())


def shell_of(tensor: bytes) -> bytes:
    """A model with one initializer, of these bytes."""
    x, y = (helper.make_tensor_value_info(name, T.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    size = len(tensor)
    entry = b"\x2a" + bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14))
    inner = entry + tensor
    size = len(inner)
    outer = b"\x3a" + bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14))
    encoded: bytes = model.SerializeToString()
    return encoded + outer + inner


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data_type": T.FLOAT, "dims": [-1]}, r"dimensions from 0 up.*\[-1\]"),
        ({"data_type": T.FLOAT, "dims": [0] * 65}, "at most 64 dimensions.*got 65"),
        ({"data_type": 99}, "known type of elements, got 99"),
        ({"data_type": T.FLOAT, "dims": [2**31] * 2}, "got 0"),
        ({"data_type": T.FLOAT, "dims": [1], "double_data": [1]}, "1 values.*got 0"),
    ],
)
def test_refuses(
    model: onnx.ModelProto, admitted: Admitted, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelRefusedError, match=f"tensor 'w': .*{message}"):
        admitted(give(model, **fields))


# ------------------------------------------------------------------------- bundles


def bundle(model: onnx.ModelProto, files: Mapping[str, bytes]) -> memoryview:
    entries = {"model.onnx": model.SerializeToString(), **files}
    parts = (
        header(name, len(data)) + data + padding(len(data))
        for name, data in entries.items()
    )
    return memoryview(b"".join(parts) + END)


def external(
    model: onnx.ModelProto, *, size: int = 4, kind: int = T.UINT8, **entries: object
) -> onnx.ModelProto:
    tensor = model.graph.initializer.add(name="w", data_type=kind, dims=[size])
    tensor.data_location = T.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def test_a_bundle_is_admitted(model: onnx.ModelProto) -> None:
    external(model, location="a", offset=0, length=4)
    external(model, location="a", offset=4, length=4, checksum="x")
    external(model, location="b")

    spec = admit(bundle(model, {"a": bytes(8), "b": bytes(4)}), AdmissionLimits())

    assert [each.name for each in spec.inputs] == ["a", "b"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "/etc/passwd"}, "got external data in '/etc/passwd'"),
        ({"location": "../a"}, r"got external data in '../a'"),
        ({"location": "./a"}, r"got external data in './a'"),
        ({"location": "*/_ORT_MEM_ADDR_/*", "offset": 4096}, "_ORT_MEM_ADDR_"),
        ({"location": "model.onnx"}, "got external data in 'model.onnx'"),
        ({"location": "b"}, "got external data in 'b'"),
        ({}, "got external data in ''"),
        ({"location": "a", "offset": 1}, "expected 4 bytes.*got 3 at 1"),
        ({"location": "a", "offset": 1, "length": 4}, "within 'a' of 4, got 4 at 1"),
        ({"location": "a", "length": 3}, "expected 4 bytes.*got 3 at 0"),
        ({"location": "a", "offset": -1}, "each once"),
        ({"location": "a", "offset": 2**64}, "each once"),
        ({"location": "a", "offset": "0x0"}, "each once"),
        ({"location": "a", "length": ""}, "each once"),
        ({"location": "a", "basepath": "/etc"}, "each once"),
        ({"location": "a", "size": 3}, "expected 3 bytes.*got 4"),
        ({"location": "a", "size": -4}, "dimensions from 0"),
        ({"location": "a", "kind": T.STRING}, "each once"),
    ],
)
def test_a_bundle_holds_all_that_is_asked_for(
    model: onnx.ModelProto, entries: dict[str, Any], message: str
) -> None:
    external(model, **entries)

    with pytest.raises(ModelRefusedError, match=f"tensor 'w': .*{message}"):
        admit(bundle(model, {"a": bytes(4)}), AdmissionLimits())


def said_twice(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="b")


def with_data_too(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = bytes(4)


def not_said_to_be(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = T.DEFAULT


def not_utf8(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data[0].ClearField("value")
    tensor = model.graph.initializer[0].external_data[0]
    tensor.MergeFromString(b"\x12\x01\xff")


@pytest.mark.parametrize(
    "change", [said_twice, with_data_too, not_said_to_be, not_utf8]
)
def test_external_data_is_said_once(
    model: onnx.ModelProto, change: Callable[[onnx.ModelProto], None]
) -> None:
    change(external(model, location="a"))

    with pytest.raises(
        ModelRefusedError, match=r"tensor 'w': .*each once, and no other"
    ):
        admit(bundle(model, {"a": bytes(4)}), AdmissionLimits())


def test_a_byte_belongs_to_one_tensor(model: onnx.ModelProto) -> None:
    external(model, location="a")
    external(model, location="a")

    with pytest.raises(ModelRefusedError, match="each byte of the bundle in one"):
        admit(bundle(model, {"a": bytes(4)}), AdmissionLimits())


def test_a_file_that_nobody_asks_for_is_refused(model: onnx.ModelProto) -> None:
    external(model, location="a")

    with pytest.raises(ModelRefusedError, match="refers to, got 'b'"):
        admit(bundle(model, {"a": bytes(4), "b": b"", "c": b""}), AdmissionLimits())


def in_subgraph(model: onnx.ModelProto) -> onnx.GraphProto:
    graph: onnx.GraphProto = model.graph.node[0].attribute.add(name="body").g
    return graph


def in_training(model: onnx.ModelProto) -> onnx.GraphProto:
    graph: onnx.GraphProto = model.training_info.add().algorithm
    return graph


@pytest.mark.parametrize("place", [in_subgraph, in_training])
def test_only_the_main_graph_has_external_data(
    model: onnx.ModelProto, place: Callable[[onnx.ModelProto], onnx.GraphProto]
) -> None:
    external(model, location="a")
    place(model).initializer.append(model.graph.initializer.pop())

    with pytest.raises(ModelRefusedError, match="initializers of the main graph only"):
        admit(bundle(model, {"a": bytes(4)}), AdmissionLimits())


def test_a_malformed_bundle_is_refused(model: onnx.ModelProto) -> None:
    with pytest.raises(ModelRefusedError, match="bundle: expected headers"):
        admit(bundle(model, {})[:-1], AdmissionLimits())
