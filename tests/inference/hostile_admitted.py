"""Models that only a runtime can judge, or a run: what each is, and the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onnx import TensorProto as T
from onnx import helper
from tests.inference.hostile import (
    I64,
    body,
    chain_of_branches,
    floats,
    folding,
    initializer,
    ints,
    loop,
    model,
    nested,
    one,
    sparse,
    tree,
    unreadable,
    value,
)

if TYPE_CHECKING:
    from tests.inference.hostile import Built

ADMITTED: Final[dict[str, Built]] = {
    "an endless loop": lambda: loop(I64),
    "an endless loop that gathers": lambda: loop(I64, scans=1),
    "products of constants": lambda: folding(30, 1024),
    "products of small constants": lambda: folding(500, 256),
    "20 branches in one another": lambda: chain_of_branches(20),
    "doubled 12 times, twice each": lambda: model(
        [
            helper.make_node(
                "If", ["true"], ["y"], then_branch=nested(8), else_branch=nested(8)
            )
        ],
        [helper.make_tensor("true", T.BOOL, [], [True])],
    ),
    "a cycle": lambda: model(
        [
            helper.make_node("Add", ["x", "b"], ["a"]),
            helper.make_node("Add", ["a", "x"], ["b"]),
            helper.make_node("Relu", ["a"], ["y"]),
        ]
    ),
    "a node that takes what it gives": lambda: one("Add", ["x", "y"]),
    "one name given twice": lambda: model(
        [
            helper.make_node("Relu", ["x"], ["y"]),
            helper.make_node("Abs", ["x"], ["y"]),
        ]
    ),
    "a branch that names its own node's output": lambda: model(
        [
            helper.make_node(
                "If",
                ["true"],
                ["y"],
                then_branch=helper.make_graph(
                    [helper.make_node("Identity", ["y"], ["z"])],
                    "b",
                    [],
                    [value("z")],
                ),
                else_branch=helper.make_graph(
                    [helper.make_node("Identity", ["x"], ["z"])],
                    "b",
                    [],
                    [value("z")],
                ),
            )
        ],
        [helper.make_tensor("true", T.BOOL, [], [True])],
    ),
    "a name that is not UTF-8": lambda: unreadable(bad=b"\xff\xfe\xfd"),
    "an operator that is not UTF-8": lambda: unreadable(Relu=b"\xff\xfe\xfd\xfc"),
    "a name of a megabyte": lambda: model(
        [helper.make_node("Relu", ["x"], ["y"], name="n" * (1 << 20))]
    ),
    "an unknown operator": lambda: one("NoSuchOperator", domain="com.microsoft"),
    "no inputs": lambda: one("Add", ()),
    "sparse, an index outside": lambda: sparse([4], [2**40]),
    "sparse, a negative index": lambda: sparse([4], [-9]),
    "sparse, unsorted twice": lambda: sparse([4], [3, 3, 1]),
    "half precision as garbage": lambda: initializer([3], b"\xff\x7f" * 3, T.FLOAT16),
    "division by zero": lambda: one("Div", ["x", "x"], kind=T.INT32),
    "division of the least by -1": lambda: one(
        "Div", ["a", "b"], [ints("a", [-I64 - 1]), ints("b", [-1])], kind=T.INT64
    ),
    "modulo zero": lambda: one("Mod", ["x", "x"], kind=T.INT32),
    "stride zero": lambda: one(
        "Conv",
        ["x", "w"],
        [floats("w", 1, 1, 1, 1)],
        shape=[1, 1, 4, 4],
        strides=[0, 0],
    ),
    "dilation zero": lambda: one(
        "Conv",
        ["x", "w"],
        [floats("w", 1, 1, 2, 2)],
        shape=[1, 1, 4, 4],
        dilations=[0, 0],
    ),
    "pads of 2^60": lambda: one(
        "Conv",
        ["x", "w"],
        [floats("w", 1, 1, 1, 1)],
        shape=[1, 1, 4, 4],
        pads=[2**60] * 4,
    ),
    "negative pads": lambda: one(
        "Conv",
        ["x", "w"],
        [floats("w", 1, 1, 1, 1)],
        shape=[1, 1, 4, 4],
        pads=[-(2**60)] * 4,
    ),
    "groups zero": lambda: one(
        "Conv", ["x", "w"], [floats("w", 1, 1, 1, 1)], shape=[1, 1, 4, 4], group=0
    ),
    "pooling by zero": lambda: one(
        "MaxPool", shape=[1, 1, 4, 4], kernel_shape=[0, 0], strides=[0, 0]
    ),
    "pooling by 2^62": lambda: one(
        "AveragePool", shape=[1, 1, 4, 4], kernel_shape=[2**62, 2**62]
    ),
    "an index outside": lambda: one("Gather", ["x", "i"], [ints("i", [2**40])]),
    "the least index": lambda: one("Gather", ["x", "i"], [ints("i", [-I64 - 1])]),
    "a slice of the least step": lambda: one(
        "Slice",
        ["x", "a", "b", "c", "d"],
        [
            ints("a", [I64]),
            ints("b", [-I64 - 1]),
            ints("c", [0]),
            ints("d", [-I64 - 1]),
        ],
    ),
    "a reshape to anything": lambda: one(
        "Reshape", ["x", "s"], [ints("s", [-5, 2**62])]
    ),
    "2^62 best": lambda: one("TopK", ["x", "k"], [ints("k", [2**62])]),
    "a resize by 10^9": lambda: one(
        "Resize", ["x", "", "s"], [helper.make_tensor("s", T.FLOAT, [1], [1e9])]
    ),
    "a resize by nothing": lambda: one(
        "Resize", ["x", "", "s"], [helper.make_tensor("s", T.FLOAT, [1], [0.0])]
    ),
    "padded by 2^40": lambda: one("Pad", ["x", "p"], [ints("p", [2**40, 0])]),
    "one hot of 2^40": lambda: one(
        "OneHot",
        ["i", "d", "v"],
        [
            ints("i", [0]),
            ints("d", [2**40]),
            helper.make_tensor("v", T.FLOAT, [2], [0, 1]),
        ],
    ),
    "scattered outside": lambda: one(
        "ScatterElements", ["x", "i", "u"], [ints("i", [2**40]), floats("u", 1)]
    ),
    "scattered below": lambda: one(
        "ScatterND",
        ["x", "i", "u"],
        [helper.make_tensor("i", T.INT64, [1, 1], [-(2**40)]), floats("u", 1)],
    ),
    "a product that grows": lambda: model(
        [helper.make_node("Concat", ["x", "x"], ["a"], axis=0)]
        + [
            helper.make_node("Einsum", [before, before], [after], equation="i,j->ij")
            for before, after in (("a", "b"),)
        ]
        + [
            helper.make_node("Shape", ["b"], ["s"]),
            helper.make_node("Mul", ["s", "m"], ["t"]),
        ]
        + [helper.make_node("ConstantOfShape", ["t"], ["y"])],
        [ints("m", [2**31, 2**20])],
    ),
    "blocks of nonsense": lambda: one(
        "MatMulNBits",
        ["x", "w", "s"],
        [
            T(name="w", data_type=T.UINT8, dims=[1, 1, 8], raw_data=bytes(8)),
            floats("s", 1),
        ],
        shape=[1, 16],
        domain="com.microsoft",
        K=2**40,
        N=2**40,
        bits=4,
        block_size=16,
    ),
    "no scale": lambda: one(
        "DequantizeLinear",
        ["w", "s", "z"],
        [
            T(name="w", data_type=T.INT8, dims=[4], raw_data=bytes(4)),
            floats("s", 0),
            T(name="z", data_type=T.INT8, dims=[0]),
        ],
        axis=-9,
    ),
    "a tree without a root": tree,
    "a tree that points outside": lambda: tree(
        nodes_truenodeids=[2**40, 1], nodes_falsenodeids=[-1, 1]
    ),
    "a tree of other lengths": lambda: tree(nodes_values=[0.0], n_targets=2**40),
    "a tree of negative features": lambda: tree(
        nodes_featureids=[-(2**40), 0],
        nodes_modes=["BRANCH_LEQ", "LEAF"],
        nodes_truenodeids=[1, 0],
        nodes_falsenodeids=[1, 0],
        target_nodeids=[1],
    ),
    "words with pools of nonsense": lambda: one(
        "TfIdfVectorizer",
        mode="TF",
        min_gram_length=1,
        max_gram_length=2**40,
        max_skip_count=2**40,
        ngram_counts=[0, 2**40],
        ngram_indexes=[0, -1],
        pool_int64s=[1, 2],
    ),
    "a beam search of nothing": lambda: one(
        "BeamSearch",
        ["x"] * 5,
        domain="com.microsoft",
        eos_token_id=0,
        pad_token_id=0,
    ),
    "a scan of 2^40": lambda: one(
        "Scan", ["x"], body=body("b", []), num_scan_inputs=2**40
    ),
}
