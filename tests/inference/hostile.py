"""Small models that mean harm, or might as well: how they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import onnx
from onnx import TensorProto as T
from onnx import helper

I64 = 2**63 - 1
Built = Callable[[], bytes]


def model(
    nodes: Iterable[onnx.NodeProto],
    initializers: Iterable[T] = (),
    *,
    functions: Iterable[onnx.FunctionProto] = (),
    shape: list[int | str] | None = None,
    sparse: Iterable[onnx.SparseTensorProto] = (),
    kind: int = T.FLOAT,
) -> bytes:
    """From `x` to `y`."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", kind, shape or [1])],
        [helper.make_tensor_value_info("y", kind, None)],
        list(initializers),
        sparse_initializer=list(sparse),
    )
    opsets = [
        helper.make_opsetid(domain, version)
        for domain, version in (
            ("", 17),
            ("ai.onnx.ml", 3),
            ("com.microsoft", 1),
            ("own", 1),
        )
    ]
    made = helper.make_model(
        graph, opset_imports=opsets, ir_version=8, functions=list(functions)
    )
    encoded: bytes = made.SerializeToString()
    return encoded


def one(
    operator: str,
    inputs: Iterable[str] = ("x",),
    initializers: Iterable[T] = (),
    *,
    shape: list[int | str] | None = None,
    kind: int = T.FLOAT,
    **attributes: Any,  # noqa: ANN401  ONNX's own
) -> bytes:
    """A model of one node."""
    node = helper.make_node(operator, list(inputs), ["y"], name="bad", **attributes)
    return model([node], initializers, shape=shape, kind=kind)


def ints(name: str, values: list[int], *, scalar: bool = False) -> T:
    return helper.make_tensor(name, T.INT64, [] if scalar else [len(values)], values)


def floats(name: str, *dims: int) -> T:
    count = 1
    for size in dims:
        count *= size
    return helper.make_tensor(name, T.FLOAT, dims, [0.5] * count)


def initializer(
    dims: Iterable[int],
    data: bytes = b"",
    kind: int = T.FLOAT,
    **others: Any,  # noqa: ANN401  ONNX's own
) -> bytes:
    tensor = T(name="w", data_type=kind, dims=dims, raw_data=data, **others)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return model([node], [tensor])


def external(location: str, **entries: object) -> bytes:
    tensor = T(name="w", data_type=T.FLOAT, dims=[1], data_location=T.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return model([node], [tensor])


def chain(operator: str, count: int, **attributes: Any) -> bytes:  # noqa: ANN401  ONNX's own
    """Each node takes the one before it twice."""
    names = ["x", *(f"c{number}" for number in range(count - 1)), "y"]
    nodes = [
        helper.make_node(operator, [before] * 2, [after], **attributes)
        for before, after in pairwise(names)
    ]
    return model(nodes)


def folding(count: int, size: int) -> bytes:
    """Products of constants, which a runtime may compute as it loads."""
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["c0"])]
    nodes += [
        helper.make_node("MatMul", [f"c{number}", "c0"], [f"c{number + 1}"])
        for number in range(count)
    ]
    nodes.append(helper.make_node("ReduceSum", [f"c{count}"], ["r"], keepdims=0))
    nodes.append(helper.make_node("Add", ["x", "r"], ["y"]))
    return model(nodes, [ints("s", [size, size])])


def value(name: str, kind: int = T.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, None)


def body(name: str, nodes: list[onnx.NodeProto], scans: int = 0) -> onnx.GraphProto:
    """Of a Loop that carries `v`."""
    inputs = [
        helper.make_tensor_value_info("i", T.INT64, []),
        helper.make_tensor_value_info("keep", T.BOOL, []),
        value("v"),
    ]
    outputs = [value("again", T.BOOL), value("w")]
    outputs += [value("scanned")] * scans
    keep = helper.make_node("Identity", ["keep"], ["again"])
    return helper.make_graph([keep, *nodes], name, inputs, outputs)


def loop(trips: int, *, scans: int = 0) -> bytes:
    step = [helper.make_node("Sin", ["v"], ["w"])]
    step += [helper.make_node("Identity", ["v"], ["scanned"])] * scans
    node = helper.make_node(
        "Loop",
        ["trips", "true", "x"],
        ["y", *["all"] * scans],
        body=body("b", step, scans),
    )
    true = helper.make_tensor("true", T.BOOL, [], [True])
    trip = ints("trips", [trips], scalar=True)
    return model([node], [trip, true])


def nested(depth: int) -> onnx.GraphProto:
    """Branches in branches."""
    name = f"o{depth}"
    if not depth:
        node = helper.make_node("Identity", ["x"], [name])
    else:
        inner = nested(depth - 1)
        node = helper.make_node(
            "If", ["true"], [name], then_branch=inner, else_branch=inner
        )
    return helper.make_graph([node], "b", [], [value(name)])


def chain_of_branches(depth: int) -> bytes:
    """Like `nested`, but of one branch each, as bytes: any depth."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "b", [], [value("y")]
    ).SerializeToString()
    for _ in range(depth):
        attribute = field(
            5, field(1, b"then_branch") + b"\xa0\x01\x05" + field(6, graph)
        )
        node = field(1, b"x") + field(2, b"y") + field(4, b"If") + attribute
        graph = field(1, node) + field(2, b"b")
    shell = model([helper.make_node("Relu", ["x"], ["y"])])
    return shell + field(7, graph)


def field(number: int, data: bytes) -> bytes:
    encoded, size = bytearray(), len(data)
    tag = number << 3 | 2
    for integer in (tag, size):
        rest = integer
        while rest > 0x7F:
            encoded.append(rest & 0x7F | 0x80)
            rest >>= 7
        encoded.append(rest)
    return bytes(encoded) + data


def function(name: str, calls: list[str]) -> onnx.FunctionProto:
    nodes = [helper.make_node(call, ["a"], ["b"], domain="own") for call in calls]
    return helper.make_function(
        "own", name, ["a"], ["b"], nodes, [helper.make_opsetid("own", 1)]
    )


def calling(*functions: onnx.FunctionProto) -> bytes:
    call = helper.make_node(functions[0].name, ["x"], ["y"], domain="own")
    return model([call], functions=functions)


def sparse(dims: list[int], indices: list[int]) -> bytes:
    tensor = onnx.SparseTensorProto(
        values=helper.make_tensor("w", T.FLOAT, [len(indices)], [1.0] * len(indices)),
        indices=ints("", indices),
        dims=dims,
    )
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return model([node], sparse=[tensor])


def unreadable(**fields: bytes) -> bytes:
    """A node with names that are not UTF-8."""
    plain = one("Relu")
    for word, replacement in fields.items():
        plain = plain.replace(word.encode(), replacement)
    return plain


def tree(**attributes: Any) -> bytes:  # noqa: ANN401  ONNX's own
    """A tree whose nodes may point anywhere."""
    given: dict[str, Any] = {
        "nodes_treeids": [0, 0],
        "nodes_nodeids": [0, 1],
        "nodes_featureids": [0, 0],
        "nodes_values": [0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "BRANCH_LEQ"],
        "nodes_truenodeids": [1, 0],
        "nodes_falsenodeids": [1, 0],
        "target_treeids": [0],
        "target_nodeids": [0],
        "target_ids": [0],
        "target_weights": [1.0],
        "n_targets": 1,
    }
    return one(
        "TreeEnsembleRegressor", shape=[1, 1], domain="ai.onnx.ml", **given | attributes
    )
