"""Sound at another rate: a sine filter under a Hann window, as one matrix.

What torchaudio's `resample` computes (`sinc_interp_hann`): Smith, "Digital Audio
Resampling Home Page", ccrma.stanford.edu/~jos/resample.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from blindai.pipelines.graph import Graph, Value


def reduced(graph: Graph, rate: Value, wanted: int) -> tuple[Value, Value]:
    """Two rates without what they have in common: INT64, (1,) each."""
    divisors = np.array([n for n in range(1, wanted + 1) if wanted % n == 0], np.int64)
    divides = graph.op("Equal", graph.op("Mod", rate, divisors), 0)
    common = graph.op("ReduceMax", graph.op("Where", divides, divisors, 1), keepdims=1)
    return graph.op("Div", rate, common), graph.op("Div", graph.value([wanted]), common)


def filtered(
    graph: Graph,
    samples: Value,
    rates: tuple[Value, Value],
    shape: tuple[int, float],
) -> Value:
    """Each `old` samples and their neighbours, by one matrix, are `new` samples."""
    old, new = rates
    half, kernel = _kernel(graph, rates, shape)
    length = graph.op("Size", samples)
    blocks = graph.op("Add", graph.op("Div", length, old), 1)
    # The kernel's rows, in parts of `old`: as many matrices, of blocks that follow.
    rows = graph.op("Add", graph.op("Mul", half, 2), old)
    parts = _div_up(graph, rows, old)
    spare = graph.op("Sub", graph.op("Mul", parts, old), rows)
    kernel = graph.op("Pad", kernel, graph.op("Concat", [0, 0], spare, [0], axis=0))
    wanted = graph.op("Mul", graph.op("Add", blocks, parts), old)
    after = graph.op("Sub", graph.op("Sub", wanted, half), length)
    padded = graph.op("Pad", samples, graph.op("Concat", half, after, axis=0))
    table = graph.op("Reshape", padded, graph.op("Concat", [-1], old, axis=0))

    def step(
        body: Graph, number: Value, carried: tuple[Value, ...]
    ) -> tuple[Value, ...]:
        first = body.op("Unsqueeze", number, [0])
        part = body.op("Slice", table, first, body.op("Add", first, blocks), [0])
        row = body.op("Mul", first, old)
        matrix = body.op("Slice", kernel, row, body.op("Add", row, old), [0])
        product = body.op("MatMul", part, matrix)
        on = body.op("Cast", body.value(1), to=TensorProto.BOOL)
        return on, body.op("Add", carried[0], product)

    zeros = graph.op("Expand", 0.0, graph.op("Concat", blocks, new, axis=0))
    count = graph.op("Squeeze", parts)
    (total,) = graph.loop(count, [(zeros, TensorProto.FLOAT)], step)
    flat = graph.op("Reshape", total, [-1])
    end = _div_up(graph, graph.op("Mul", new, length), old)
    return graph.op("Slice", flat, [0], end)


def _kernel(
    graph: Graph, rates: tuple[Value, Value], shape: tuple[int, float]
) -> tuple[Value, Value]:
    """Half the filter's width, INT64 (1,), and the matrix, (old + 2 half, new)."""
    zeros, rolloff = shape
    old, new = (graph.op("Cast", each, to=TensorProto.DOUBLE) for each in rates)
    base = graph.op("Mul", graph.op("Min", old, new), np.float64(rolloff))
    reach = graph.op("Div", graph.op("Mul", old, np.float64(zeros)), base)
    half = graph.op("Cast", graph.op("Ceil", reach), to=TensorProto.INT64)
    first = graph.op("Squeeze", graph.op("Neg", half))
    last = graph.op("Squeeze", graph.op("Add", half, rates[0]))
    inputs = graph.op("Range", first, last, 1)
    outputs = graph.op("Range", 0, graph.op("Squeeze", rates[1]), 1)
    there = graph.op("Div", graph.op("Cast", inputs, to=TensorProto.DOUBLE), old)
    here = graph.op("Div", graph.op("Cast", outputs, to=TensorProto.DOUBLE), new)
    time = graph.op("Sub", graph.op("Unsqueeze", there, [1]), here)
    time = graph.op("Mul", time, base)
    limit = np.float64(zeros)
    time = graph.op("Max", graph.op("Min", time, limit), -limit)
    window = graph.op("Cos", graph.op("Mul", time, np.float64(math.pi / zeros / 2)))
    window = graph.op("Mul", window, window)
    angle = graph.op("Mul", time, np.float64(math.pi))
    centre = graph.op("Equal", angle, np.float64(0))
    safe = graph.op("Where", centre, np.float64(1), angle)
    sine = graph.op(
        "Where", centre, np.float64(1), graph.op("Div", graph.op("Sin", safe), safe)
    )
    kernel = graph.op("Mul", graph.op("Mul", sine, window), graph.op("Div", base, old))
    return half, graph.op("Cast", kernel, to=TensorProto.FLOAT)


def _div_up(graph: Graph, number: Value, by: Value) -> Value:
    return graph.op("Div", graph.op("Sub", graph.op("Add", number, by), 1), by)
