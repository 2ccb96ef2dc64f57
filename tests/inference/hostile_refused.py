"""Models that admission refuses: what each is, the file, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onnx import TensorProto as T
from tests.inference.hostile import (
    calling,
    chain,
    chain_of_branches,
    external,
    field,
    function,
    initializer,
    ints,
    one,
    sparse,
    unreadable,
)

if TYPE_CHECKING:
    from tests.inference.hostile import Built

RELU = one("Relu")
NOT_ELSEWHERE = "tensor 'w': expected its data in the ONNX file"

REFUSED: Final[dict[str, tuple[Built, str]]] = {
    "nothing": (lambda: b"", "expected at least one node"),
    "text": (lambda: b"not a model, not at all", "ONNX file"),
    "zeros": (lambda: bytes(5000), "ONNX file"),
    "cut short": (lambda: RELU[:-3], "more bytes|other bytes"),
    "a zip archive": (lambda: b"PK\x03\x04" + bytes(500), "ONNX file"),
    "an ELF file": (lambda: b"\x7fELF\x02\x01\x01" + bytes(500), "ONNX file"),
    "a pickle": (lambda: b"\x80\x04\x95" + bytes(500), "ONNX file"),
    "2^62 elements, no data": (lambda: initializer([2**31, 2**31]), "'w': .*got 0"),
    "2^64 elements, which is 0": (lambda: initializer([2**32] * 2), "'w': .*got 0"),
    "2^31 elements in 4": (lambda: initializer([2**31], bytes(4)), "'w'.*got 4"),
    "negative dimensions": (lambda: initializer([-1, -1], bytes(4)), "'w': .*-1"),
    "a hundred thousand dimensions": (
        lambda: initializer([2**62] * 10**5),
        "dimensions",
    ),
    "more data than dimensions": (lambda: initializer([2], bytes(9000)), "got 9000"),
    "less large data": (lambda: initializer([9999], bytes(9000)), "got 9000"),
    "an unknown type": (lambda: initializer([1], bytes(4), 99), "known type.*99"),
    "text as raw data": (lambda: initializer([1], b"abcd", T.STRING), "'w': .*4"),
    "ConstantOfShape [2^31, 2^10]": (
        lambda: one("ConstantOfShape", ["s"], [ints("s", [2**31, 2**10])]),
        r"node 'bad' \(ConstantOfShape\): expected at most",
    ),
    "ConstantOfShape [2^40]": (
        lambda: one("ConstantOfShape", ["s"], [ints("s", [2**40])]),
        r"node 'bad' \(ConstantOfShape\): expected at most",
    ),
    "Expand": (
        lambda: one("Expand", ["x", "s"], [ints("s", [2**40, 2])]),
        r"node 'bad' \(Expand\): .*\[1099511627776, 2\]",
    ),
    "Tile": (
        lambda: one("Tile", ["x", "s"], [ints("s", [2**40])]),
        r"node 'bad' \(Tile\)",
    ),
    "Range": (
        lambda: one(
            "Range",
            "abc",
            [
                ints("a", [0], scalar=True),
                ints("b", [2**40], scalar=True),
                ints("c", [1], scalar=True),
            ],
            kind=T.INT64,
        ),
        r"node 'bad' \(Range\)",
    ),
    "RandomNormal": (
        lambda: one("RandomNormal", (), shape=[2**40]),
        "input 'x': expected at most",
    ),
    "EyeLike": (
        lambda: one("EyeLike", shape=[2**20, 2**20]),
        "input 'x': expected at most",
    ),
    "doubled 40 times": (lambda: chain("Concat", 40, axis=0), r"\(Concat\)"),
    "an endless function": (lambda: calling(function("f", ["f"])), "calls in one"),
    "two functions, endless": (
        lambda: calling(function("f", ["g"]), function("g", ["f"])),
        "calls in one another",
    ),
    "functions that grow": (
        lambda: calling(
            *(function(f"f{number}", [f"f{number + 1}"] * 2) for number in range(60)),
            function("f60", []),
        ),
        "nodes: expected at most",
    ),
    "data in '/etc/passwd'": (
        lambda: external("/etc/passwd", offset=0, length=4),
        NOT_ELSEWHERE,
    ),
    "data in '../../../etc/passwd'": (
        lambda: external("../../../etc/passwd", offset=0, length=4),
        NOT_ELSEWHERE,
    ),
    "data in 'file:///etc/passwd'": (
        lambda: external("file:///etc/passwd", offset=0, length=4),
        NOT_ELSEWHERE,
    ),
    "data in '/proc/self/mem'": (
        lambda: external("/proc/self/mem", offset=0, length=4),
        NOT_ELSEWHERE,
    ),
    "data in '*/_ORT_MEM_ADDR_/*'": (
        lambda: external("*/_ORT_MEM_ADDR_/*", offset=0, length=4),
        NOT_ELSEWHERE,
    ),
    "data in 'weights.data'": (
        lambda: external("weights.data", offset=0, length=4),
        NOT_ELSEWHERE,
    ),
    "data in ''": (lambda: external("", offset=0, length=4), NOT_ELSEWHERE),
    "data said to be external twice": (lambda: external("a", location2="b"), "once"),
    "60 branches in one another": (
        lambda: chain_of_branches(60),
        "in one another|other bytes",
    ),
    "33 branches, small": (lambda: chain_of_branches(33), "in one another|other bytes"),
    "a million empty nodes": (lambda: RELU + field(7, b"\x0a\x00" * 10**6), "nodes"),
    "a million attributes": (
        lambda: RELU + field(7, field(1, b"\x2a\x00" * 2_100_000)),
        "fields",
    ),
    "a long name": (lambda: RELU + field(2, b"p" * (33 << 20)), "besides the data"),
    "a foreign domain": (
        lambda: one("PyOp", domain="ai.onnx.contrib"),
        "'bad'.*contrib",
    ),
    "a context of an accelerator, in a file": (
        lambda: one(
            "EPContext",
            domain="com.microsoft",
            embed_mode=0,
            ep_cache_context="/etc/passwd",
        ),
        r"node 'bad' \(EPContext\)",
    ),
    "sparse, 2^62 elements": (lambda: sparse([2**31, 2**31], [0]), "sparse tensor 'w'"),
    "sparse, negative": (lambda: sparse([-(2**31)], [0]), "sparse tensor 'w'"),
    "an output that is not UTF-8": (lambda: unreadable(y=b"\xff"), "UTF-8"),
    "a domain that is not UTF-8": (
        lambda: one("Relu", domain="DDDD").replace(b"DDDD", b"\xff\xfe\xfd\xfc"),
        "got domain b'",
    ),
    "IR version 99": (lambda: RELU.replace(b"\x08\x08", b"\x08\x63", 1), "IR version"),
}
