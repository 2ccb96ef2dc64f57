"""How large tensors may get, by what a model declares and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

from blindai.errors import ModelRefusedError
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.model import ModelSpec

Admitted = Callable[..., ModelSpec]


def info(name: str, *dims: int | str, kind: int = T.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


def model(
    *nodes: onnx.NodeProto, inputs: tuple[onnx.ValueInfoProto, ...] = ()
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        inputs or (info("x", 4),),
        [helper.make_tensor_value_info("y", T.FLOAT, None)],
        [helper.make_tensor("s", T.INT64, [2], [100, 10])],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


def bytes_at_most(number: int) -> AdmissionLimits:
    return AdmissionLimits(max_tensor_bytes=number)


def filled() -> onnx.NodeProto:
    return helper.make_node("ConstantOfShape", ["s"], ["y"], name="fill")


def test_what_follows_from_constants_is_held_to_the_limit(admitted: Admitted) -> None:
    assert admitted(model(filled()), bytes_at_most(4000)).outputs
    with pytest.raises(
        ModelRefusedError,
        match=r"node 'fill' \(ConstantOfShape\): expected at most 3999 bytes in a"
        r" tensor, got 4000 for dimensions \[100, 10\]",
    ):
        admitted(model(filled()), bytes_at_most(3999))


def test_nothing_is_inferred_where_that_is_switched_off(admitted: Admitted) -> None:
    limits = AdmissionLimits(max_tensor_bytes=1000, infer=False)

    assert admitted(model(filled()), limits).outputs


def test_what_follows_in_a_branch_is_held_to_the_limit(admitted: Admitted) -> None:
    branch = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["s"], ["f"], name="inner"),
            helper.make_node("ReduceSum", ["f"], ["z"]),
        ],
        "b",
        [],
        [helper.make_tensor_value_info("z", T.FLOAT, None)],
        [helper.make_tensor("s", T.INT64, [2], [100, 10])],
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    made = model(node, inputs=(info("c", 1, kind=T.BOOL),))

    assert admitted(made, bytes_at_most(4000)).outputs
    with pytest.raises(ModelRefusedError, match=r"'inner' \(ConstantOfShape\)"):
        admitted(made, bytes_at_most(3999))


@pytest.mark.parametrize("place", ["input", "output", "value_info"])
def test_what_is_declared_is_held_to_the_limit(admitted: Admitted, place: str) -> None:
    made = model(helper.make_node("Relu", ["x"], ["y"]))
    getattr(made.graph, place).append(info("z", "any", 1000, "more"))

    assert admitted(made, bytes_at_most(4000)).outputs
    with pytest.raises(ModelRefusedError, match="'z': expected at most 3999 bytes"):
        admitted(made, bytes_at_most(3999))


@pytest.mark.parametrize(
    ("kind", "size"), [(T.DOUBLE, 8), (T.INT8, 1), (T.STRING, 32), (T.INT4, 0.5)]
)
def test_elements_have_the_size_of_their_type(
    admitted: Admitted, kind: int, size: float
) -> None:
    made = model(helper.make_node("Relu", ["x"], ["y"]))
    made.graph.value_info.append(info("z", 1000, kind=kind))

    assert admitted(made, bytes_at_most(int(1000 * size))).outputs
    with pytest.raises(ModelRefusedError, match="'z': expected at most"):
        admitted(made, bytes_at_most(int(1000 * size) - 1))


def sparse(size: int, kind: int = T.FLOAT) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(
        values=T(name="w", data_type=kind, dims=[0]),
        indices=T(data_type=T.INT64, dims=[0]),
        dims=[size],
    )


def test_sparse_tensors_count_together_and_written_out(admitted: Admitted) -> None:
    made = model(helper.make_node("Relu", ["x"], ["y"]))
    made.graph.sparse_initializer.extend([sparse(600), sparse(200, T.DOUBLE)])

    assert admitted(made, bytes_at_most(4000)).outputs
    with pytest.raises(ModelRefusedError, match=r"sparse tensor 'w': .*got 4000"):
        admitted(made, bytes_at_most(3999))


def test_shapes_that_do_not_fit_together_are_left_to_the_runtime(
    admitted: Admitted,
) -> None:
    made = model(helper.make_node("Reshape", ["x", "s"], ["y"]), filled())

    assert admitted(made).outputs


def test_an_input_has_at_most_64_dimensions(admitted: Admitted) -> None:
    made = model(helper.make_node("Relu", ["x"], ["y"]), inputs=(info("x", *"a" * 64),))

    assert admitted(made).inputs
    made.graph.input[0].type.tensor_type.shape.dim.add(dim_param="a")
    with pytest.raises(ModelRefusedError, match="input 'x': expected at most 64 dim"):
        admitted(made)


def test_a_name_is_shown_in_part_and_printable(admitted: Admitted) -> None:
    node = helper.make_node(
        "PyOp", ["x"], ["y"], name="a\n\x1b[31m" + "b" * 5000, domain="own"
    )

    with pytest.raises(ModelRefusedError) as refused:
        admitted(model(node))

    assert refused.value.message.isprintable()
    assert r"node 'a\n\x1b[31mbbb" in refused.value.message
    assert len(refused.value.message) < 300


def test_a_node_without_a_name_is_known_by_what_it_gives(admitted: Admitted) -> None:
    with pytest.raises(ModelRefusedError, match=r"node of 'y' \(PyOp\): "):
        admitted(model(helper.make_node("PyOp", ["x"], ["y"], domain="own")))


def test_operators_of_extensions_are_admitted_where_they_are_switched_on(
    admitted: Admitted,
) -> None:
    made = model(
        helper.make_node("StringUpper", ["x"], ["y"], domain="ai.onnx.contrib")
    )

    assert admitted(made, AdmissionLimits(extensions=True)).outputs
    with pytest.raises(ModelRefusedError, match="expected extensions = true in"):
        admitted(made)


def test_operators_that_read_files_are_refused(admitted: Admitted) -> None:
    made = model(helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft"))

    with pytest.raises(ModelRefusedError, match=r"\(EPContext\)"):
        admitted(made, AdmissionLimits(extensions=True))


@pytest.mark.parametrize(
    ("domain", "version", "message"),
    [
        ("ai.onnx.ml", 99, "ai.onnx.ml 1 to 5, got 99"),
        ("ai.onnx.ml", 0, "ai.onnx.ml 1 to 5, got 0"),
        ("", 17, "one version of a domain, got 2 of 'ai.onnx'"),
        ("ai.onnx", 17, "one version of a domain, got 2 of 'ai.onnx'"),
    ],
)
def test_refuses_opsets(
    admitted: Admitted, domain: str, version: int, message: str
) -> None:
    made = model(helper.make_node("Relu", ["x"], ["y"]))
    made.opset_import.add(domain=domain, version=version)

    with pytest.raises(ModelRefusedError, match=message):
        admitted(made)


def test_the_models_of_the_standard_are_admitted(admitted: Admitted) -> None:
    """What ONNX tests runtimes with: none is refused for its sizes or data."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    files = sorted(folder.rglob("*.onnx"))
    refused = []
    for file in files:
        try:
            admitted(onnx.load(file))
        except ModelRefusedError as error:
            refused.append(error.message)

    assert len(files) > len(refused) + 30
    known = ("opset", "IR version", "node 'my_gradient'")
    known = ("opset", "IR version", "node 'my_gradient'")
    assert all(message.startswith(known) for message in refused)
