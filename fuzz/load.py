"""Fuzz what loads and runs models: honest ones, changed, in sandboxed processes.

    python -m fuzz.load 600          ten minutes
    python -m fuzz.load 600 7        ... from another start

ONNX's own test cases, hundreds of small models with their inputs, are changed in their
structure: attributes, dimensions, data, names, operators, nodes of one in another.
Whatever a worker does then, it may die; the server's side must answer with a documented
error, and a model beside them must go on answering. Deaths are counted by their cause.
"""

from __future__ import annotations

import asyncio
import math
import random  # noqa: TID251  it fuzzes, and a seed repeats it
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from blindai.errors import BlindAIError, ModelRefusedError
from blindai.inference import binding
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.blocking import Threads
from blindai.inference.isolation import Feed
from blindai.inference.spool import Spool
from blindai.inference.worker.processes import ProcessIsolation, ProcessLimits
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blindai.inference.isolation import Loaded
    from blindai.inference.model import ModelSpec, TensorSpec

    Change = Callable[[random.Random, onnx.ModelProto, Sequence[bytes]], None]

CRASHES: Final = Path(".fuzz")
_AT_ONCE: Final = 3
_RUN_S: Final = 2.0
_MAX_ELEMENTS: Final = 1 << 20
_LIMITS: Final = ProcessLimits(
    memory_bytes=1 << 30, admission_s=20, load_s=20, stop_s=0.5
)
_NUMBERS: Final = (
    *(-(2**63), -(2**31), -(2**16), -2, -1, 0, 1, 2, 3, 7, 64, 65535, 65536),
    *(2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1),
)


def main(arguments: Sequence[str]) -> int:
    """Run for as many seconds as are given; 0 if nothing but documented errors came."""
    seconds, seed = int(arguments[0]), int((*arguments[1:], "0")[0])
    np.seterr(all="ignore")
    return asyncio.run(_Fuzzer(random.Random(seed)).run(seconds))  # noqa: S311  no secret


def seeds() -> list[bytes]:
    """ONNX's test cases of single operators, those that are small."""
    from onnx.backend.test.case.node import collect_testcases  # noqa: PLC0415  seconds

    warnings.simplefilter("ignore")  # of numbers that overflow, in the cases
    models = (case.model.SerializeToString() for case in collect_testcases(None))
    return [model for model in models if len(model) < 20_000]


class _Fuzzer:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._isolation = ProcessIsolation(_LIMITS)
        self._threads = Threads()
        self._counts: Counter[str] = Counter()
        self._failed = False

    async def run(self, seconds: int) -> int:
        """Change, load and run until the time is over."""
        models = seeds()
        until = time.monotonic() + seconds
        await self._isolation.start()
        steady = await self._steady()
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._work(models, steady, until))
        await steady.close()
        await self._isolation.close()
        await self._threads.close()
        print(f"{len(models)} models, {self._counts.pop('all')} changed ones")
        for outcome, count in self._counts.most_common():
            print(f"{count:8} {outcome}")
        return int(self._failed)

    async def _work(
        self, models: Sequence[bytes], steady: Loaded, until: float
    ) -> None:
        while time.monotonic() < until and not self._failed:
            changed = change(self._chance, models)
            self._counts["all"] += 1
            try:
                outcome = await self._try(changed)
            except BlindAIError as error:
                outcome = f"admission: {_kind(error)}"
            except Exception as error:  # noqa: BLE001  that is what is looked for
                outcome = f"UNDOCUMENTED {error!r}"
                self._keep(changed)
            self._counts[outcome] += 1
            if self._counts["all"] % 10 == 0 and not await self._answers(steady):
                self._counts["THE MODEL BESIDE IT DOES NOT ANSWER"] += 1
                self._keep(changed)

    async def _try(self, contents: bytes) -> str:
        with Spool(self._threads, 1 << 30) as spool:
            await spool.write(contents)
            spec = await self._isolation.admit(spool, AdmissionLimits())
            try:
                loaded = await self._isolation.load(spool, spec, 1)
            except ModelRefusedError as error:
                return f"loading: {_kind(error)}"
        try:
            return await self._run(loaded, spec)
        except BlindAIError as error:
            return f"running: {_kind(error)}"
        finally:
            await loaded.close()

    async def _run(self, loaded: Loaded, spec: ModelSpec) -> str:
        tensors = [_input(self._chance, each) for each in spec.inputs]
        binding.require_inputs(spec, tensors)
        lane = loaded.lanes[0]
        run = lane.run([Feed.of(tensor) for tensor in tensors], spec.outputs)
        await asyncio.wait({run}, timeout=_RUN_S)
        if not run.done():
            lane.stop()
        await run
        return "ran"

    async def _steady(self) -> Loaded:
        x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy")
        node = helper.make_node("Relu", ["x"], ["y"])
        graph = helper.make_graph([node], "steady", [x], [y])
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        with Spool(self._threads, 1 << 20) as spool:
            await spool.write(model.SerializeToString())
            self._spec = await self._isolation.admit(spool, AdmissionLimits())
            return await self._isolation.load(spool, self._spec, _AT_ONCE)

    async def _answers(self, steady: Loaded) -> bool:
        for lane in steady.lanes:
            if not getattr(lane, "busy", False):
                x = Tensor.of("x", np.ones(1, "<f4"))
                outcome = await lane.run([Feed.of(x)], self._spec.outputs)
                return bool(outcome.outputs[0].array[0] == 1)
        return True

    def _keep(self, changed: bytes) -> None:
        self._failed = True
        CRASHES.mkdir(exist_ok=True)
        file = CRASHES / f"load-crash-{self._counts['all']}"
        file.write_bytes(changed)
        print(f"kept {file}", file=sys.stderr)


def change(chance: random.Random, models: Sequence[bytes]) -> bytes:
    """One of the models, changed in a few places."""
    model = onnx.ModelProto.FromString(chance.choice(models))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        try:
            chance.choice(_CHANGES)(chance, model, models)
        except (LookupError, ValueError, TypeError, OverflowError):
            continue  # nothing of the kind to change, or no such value
    contents = bytearray(model.SerializeToString())
    if chance.random() < 0.1 and contents:
        contents[chance.randrange(len(contents))] = chance.randrange(256)
    return bytes(contents)


def _attributes(chance: random.Random, model: onnx.ModelProto) -> Any:  # noqa: ANN401  protobuf
    return chance.choice(chance.choice(model.graph.node).attribute)


def _attribute(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    attribute = _attributes(chance, model)
    attribute.i = chance.choice(_NUMBERS)
    attribute.f = chance.choice((0.0, -1.0, 1e30, float("nan"), float("inf")))
    if attribute.ints:
        attribute.ints[chance.randrange(len(attribute.ints))] = attribute.i
    if attribute.strings or attribute.s:
        attribute.s = chance.choice((b"", b"\xff", attribute.s * 100, b"linear"))


def _length(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    values = _attributes(chance, model).ints
    if chance.random() < 0.5:
        del values[chance.randrange(len(values))]
    else:
        values.extend(values)


def _drop_attribute(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    attributes = chance.choice(model.graph.node).attribute
    del attributes[chance.randrange(len(attributes))]


def _constant(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    """An input becomes an initializer, of any integers or floats."""
    number = chance.randrange(len(model.graph.input))
    info = model.graph.input[number]
    tensor = info.type.tensor_type
    dims = [each.dim_value for each in tensor.shape.dim]
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    count = math.prod(dims)
    if count > _MAX_ELEMENTS:
        return
    array = np.zeros(count, dtype)
    for at in range(count):
        array[at] = chance.choice(_NUMBERS) if chance.random() < 0.5 else 1
    made = TensorProto(name=info.name, data_type=tensor.elem_type, dims=dims)
    made.raw_data = array.tobytes()
    model.graph.initializer.append(made)


def _shape(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    dims = chance.choice(model.graph.input).type.tensor_type.shape.dim
    kind = chance.randrange(3)
    if kind == 0:
        chance.choice(dims).dim_value = chance.choice((0, 1, 2, 5, 17, 1000))
    elif kind == 1:
        del dims[chance.randrange(len(dims))]
    else:
        dims.add().dim_value = chance.choice((0, 1, 2))


def _type(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    info = chance.choice((*model.graph.input, *model.graph.output))
    info.type.tensor_type.elem_type = chance.randrange(1, 24)


def _wires(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    nodes = model.graph.node
    names = [name for node in nodes for name in (*node.input, *node.output)]
    node = chance.choice(nodes)
    ends = chance.choice((node.input, node.output))
    ends[chance.randrange(len(ends))] = chance.choice((*names, ""))


def _more_inputs(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    node = chance.choice(model.graph.node)
    if chance.random() < 0.5:
        del node.input[chance.randrange(len(node.input))]
    else:
        node.input.append(chance.choice(node.input))


def _operator(
    chance: random.Random, model: onnx.ModelProto, models: Sequence[bytes]
) -> None:
    other = onnx.ModelProto.FromString(chance.choice(models))
    node, donor = chance.choice(model.graph.node), chance.choice(other.graph.node)
    node.op_type = donor.op_type
    if chance.random() < 0.7:
        del node.attribute[:]
        node.attribute.extend(donor.attribute)


def _again(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    """What comes out goes in again, as what the model gives."""
    nodes = model.graph.node
    for number in range(chance.choice((1, 3, 10))):
        last = nodes[-1]
        node = nodes.add()
        node.CopyFrom(chance.choice(nodes))
        node.input[0] = last.output[0]
        for at in range(len(node.output)):
            node.output[at] += f"_{number}"
        model.graph.output[0].name = node.output[0]
        model.graph.output[0].type.tensor_type.ClearField("shape")


def _loop(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    """The whole graph becomes what a branch does."""
    inner = onnx.GraphProto()
    inner.CopyFrom(model.graph)
    del inner.input[:]
    outputs = [each.name + "_if" for each in inner.output]
    node = helper.make_node(
        "If", ["true"], outputs, then_branch=inner, else_branch=inner
    )
    del model.graph.node[:]
    model.graph.node.append(node)
    model.graph.initializer.add(
        name="true", data_type=TensorProto.BOOL, raw_data=bytes([chance.randrange(2)])
    )
    for each in model.graph.output:
        each.name += "_if"


def _opset(chance: random.Random, model: onnx.ModelProto, _: object) -> None:
    chance.choice(model.opset_import).version = chance.randrange(7, 27)


_CHANGES: Final[tuple[Change, ...]] = (
    *(_attribute,) * 4,
    *(_constant,) * 4,
    *(_shape,) * 3,
    *(_wires,) * 2,
    *(_operator,) * 2,
    _length,
    _drop_attribute,
    _type,
    _more_inputs,
    _again,
    _loop,
    _opset,
)


def _input(chance: random.Random, spec: TensorSpec) -> Tensor:
    shape = tuple(size if isinstance(size, int) else 2 for size in spec.shape or ())
    count = math.prod(shape)
    if count > _MAX_ELEMENTS:
        raise ModelRefusedError("too large to try")
    if spec.datatype is Datatype.BYTES:
        return Tensor(spec.name, spec.datatype, shape, np.full(shape, b"a b", object))
    size = spec.datatype.numpy.itemsize
    data = (
        chance.randbytes(count * size) if chance.random() < 0.5 else bytes(count * size)
    )
    array = np.frombuffer(data, spec.datatype.numpy).reshape(shape)
    if spec.datatype is Datatype.BOOL:
        array = array.view(np.uint8) % 2 == 1
    return Tensor(spec.name, spec.datatype, shape, array)


def _kind(error: BlindAIError) -> str:
    """An error's class, and of a worker that ended how it did."""
    name = type(error).__name__
    for words in ("its worker", "took more", "did not stop", "memory limit", "but it "):
        if words in error.message:
            return f"{name}: {words}{error.message.partition(words)[2][:20]}"
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
