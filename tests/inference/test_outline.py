"""What the outline of an ONNX file keeps, leaves out and refuses."""

from __future__ import annotations

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from blindai.errors import ModelRefusedError
from blindai.inference.functions import messages
from blindai.inference.outline import MAX_DEPTH, SMALL_BYTES, outline

WEIGHTS = 5000  # bytes
GRAPH, NODE, ATTRIBUTE, INITIALIZER, RAW_DATA = 7, 1, 5, 5, 9


def outlined(data: bytes, max_bytes: int = 1 << 20, max_fields: int = 100_000) -> bytes:
    return outline(memoryview(data), max_bytes=max_bytes, max_fields=max_fields)


def tensor(name: str, weights: int) -> TensorProto:
    """A tensor of `WEIGHTS` elements, of which `weights` are there."""
    return TensorProto(
        name=name,
        data_type=TensorProto.UINT8,
        dims=[WEIGHTS],
        raw_data=bytes(weights),
        doc_string="kept",
    )


def graph(name: str, weights: int) -> onnx.GraphProto:
    node = helper.make_node("Constant", [], ["c"], value=tensor("c", weights))
    return helper.make_graph(
        [node],
        name,
        [],
        [],
        [tensor("w", weights)],
        sparse_initializer=[sparse_tensor(weights)],
    )


def sparse_tensor(weights: int) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(
        values=tensor("v", weights), indices=tensor("i", weights), dims=[WEIGHTS]
    )


def rich_model(weights: int = WEIGHTS) -> onnx.ModelProto:
    """A model with large tensors in every place where they may lie."""
    node = onnx.NodeProto(name="rich")
    node.attribute.add(name="g").g.CopyFrom(graph("g", weights))
    node.attribute.add(name="graphs").graphs.append(graph("gs", weights))
    node.attribute.add(name="tensors").tensors.append(tensor("ts", weights))
    node.attribute.add(name="s").sparse_tensor.CopyFrom(sparse_tensor(weights))
    node.attribute.add(name="ss").sparse_tensors.append(sparse_tensor(weights))
    main = graph("main", weights)
    main.node.append(node)
    main.initializer.add(name="floats", float_data=[0.5] * weights)
    main.initializer.add(name="int32s", int32_data=[300] * weights)
    main.initializer.add(name="strings", string_data=[b"x" * weights])
    main.initializer.add(name="int64s", int64_data=[300] * weights)
    main.initializer.add(name="doubles", double_data=[0.5] * weights)
    main.initializer.add(name="uint64s", uint64_data=[300] * weights)
    body = helper.make_node("Constant", [], ["c"], value=tensor("c", weights))
    function = helper.make_function("own", "f", [], ["c"], [body], [])
    return helper.make_model(main, functions=[function])


def field(number: int, body: bytes) -> bytes:
    size = len(body)
    return bytes((number << 3 | 2, size & 0x7F | 0x80, size >> 7)) + body


def parse(data: bytes) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.ParseFromString(data)
    return model


def without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what is noted about the data that was left out."""
    for message in messages(model):
        if isinstance(message, TensorProto):
            message.ClearField("metadata_props")
    return model


def test_the_outline_is_the_model_without_the_data_of_tensors() -> None:
    model = rich_model()

    short = outlined(model.SerializeToString())

    assert len(short) < 5000
    assert without_notes(parse(short)) == rich_model(weights=0)


def test_a_small_model_is_its_own_outline() -> None:
    small = TensorProto(raw_data=bytes(SMALL_BYTES))
    data = helper.make_model(
        helper.make_graph([], "g", [], [], [small])
    ).SerializeToString()

    assert outlined(data) == data


def test_a_graph_in_two_parts_stays_in_two_parts() -> None:
    weights = field(INITIALIZER, field(RAW_DATA, bytes(2000)))
    data = field(GRAPH, weights) + b"\x08\x0a" + field(GRAPH, weights * 2)

    assert len(parse(outlined(data)).graph.initializer) == 3


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(b"\xf8\x07\x05", id="varint"),
        pytest.param(b"\xf9\x07" + bytes(8), id="64 bits"),
        pytest.param(b"\xfd\x07" + bytes(4), id="32 bits"),
        pytest.param(b"\xfa\x07\x03abc", id="bytes"),
        pytest.param(b"\xfa\x07\x80\x10" + bytes(2048), id="many bytes"),
    ],
)
def test_fields_of_other_versions_are_kept(unknown: bytes) -> None:
    data = unknown + field(GRAPH, field(INITIALIZER, field(RAW_DATA, bytes(2000))))

    short = outlined(data)

    assert short.startswith(unknown)
    assert len(short) < len(unknown) + 60


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"\x0b", "wire types 0, 1, 2 and 5, got 3", id="a group"),
        pytest.param(b"\x0c", "wire types 0, 1, 2 and 5, got 4", id="a group's end"),
        pytest.param(b"\x3a\x05abc", "expected 5 more bytes, got 3", id="cut short"),
        pytest.param(b"\x09\x00", "expected 8 more bytes, got 1", id="64 bits cut"),
        pytest.param(b"\x0d\x00", "expected 4 more bytes, got 1", id="32 bits cut"),
        pytest.param(b"\x08", "integer of at most 10 bytes", id="no varint"),
        pytest.param(b"\x08\x80", "integer of at most 10 bytes", id="varint cut"),
        pytest.param(b"\x08" + b"\x80" * 10 + b"\x01", "10 bytes", id="a long varint"),
        pytest.param(b"\x80\x80\x80\x80\x10\x00", "32 bits", id="a tag of 33 bits"),
    ],
)
def test_refuses_what_is_not_the_wire_format(data: bytes, message: str) -> None:
    with pytest.raises(ModelRefusedError, match=message):
        outlined(data)


def test_refuses_more_fields_than_the_limit() -> None:
    nodes = field(GRAPH, field(NODE, b"") * 999)

    assert outlined(nodes, max_fields=1000) == nodes
    with pytest.raises(ModelRefusedError, match="at most 999 fields, got more"):
        outlined(nodes, max_fields=999)


def test_refuses_a_longer_outline_than_the_limit() -> None:
    data = field(GRAPH, field(NODE, bytes(900)))

    assert outlined(data, max_bytes=len(data)) == data
    with pytest.raises(ModelRefusedError, match="besides the data of tensors"):
        outlined(data, max_bytes=len(data) - 1)


def test_the_data_of_tensors_does_not_count() -> None:
    weights = field(INITIALIZER, field(RAW_DATA, bytes(10_000)))

    assert len(outlined(field(GRAPH, weights), max_bytes=20)) < 60


def nested(levels: int) -> bytes:
    """Graphs in one another, the innermost at depth 1 + 3 * levels."""
    data = bytes(SMALL_BYTES + 2)
    for _ in range(levels):
        data = field(NODE, field(ATTRIBUTE, field(6, data)))
    return field(GRAPH, data)


def test_refuses_messages_nested_deeper_than_protobuf_parses() -> None:
    deepest = (MAX_DEPTH - 1) // 3

    assert outlined(nested(deepest)) == nested(deepest)
    with pytest.raises(ModelRefusedError, match="at most 100 messages in one another"):
        outlined(nested(deepest + 1))


@given(st.binary(max_size=200))
def test_any_bytes_have_an_outline_or_are_refused(data: bytes) -> None:
    try:
        short = outlined(data)
    except ModelRefusedError:
        return
    assert short == data


@given(st.data())
def test_a_changed_model_has_an_outline_or_is_refused(data: st.DataObject) -> None:
    changed = bytearray(RICH)
    position = data.draw(st.integers(0, len(changed) - 1))
    changed[position] = data.draw(st.integers(0, 255))
    try:
        short = outlined(bytes(changed))
    except ModelRefusedError:
        return
    assert len(short) <= len(changed) + 1000


RICH = rich_model().SerializeToString()
