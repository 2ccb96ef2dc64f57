"""One ONNX model from a model and the blocks around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import onnx
from onnx import (
    TensorProto,
    compose,
    helper,
    shape_inference,
    version_converter,
)

from blindai.errors import ConfigurationError
from blindai.pipelines.graph import Graph, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

OPSET: Final = 20  # the first with StringConcat, StringSplit and RegexFullMatch
_IR_VERSION: Final = 10
_ML: Final = "ai.onnx.ml"
_VERSIONS: Final = {_ML: 3}  # of sets of operators that blocks use; 1 of others
_KINDS: Final = {
    "UINT8": TensorProto.UINT8,
    "INT64": TensorProto.INT64,
    "FP32": TensorProto.FLOAT,
    "BYTES": TensorProto.STRING,
}


_SMALL: Final = 4096  # bytes of constants that sizes may follow from


class Pipeline:
    """A model that takes what people have, and gives what they want to know.

    pipeline = Pipeline()
    photo = pipeline.file("photo")
    pixels = image.normalise(image.resize(image.decode(photo), (224, 224)))
    (scores,) = pipeline.run(onnx.load("model.onnx"), pixels)
    best = labels.top(scores, names, 5)
    pipeline.give(label=best.labels, score=best.scores)
    onnx.save(pipeline.model(), "pipeline.onnx")

    Args:
        opset: The version of ONNX's operators; at least 20, and at least that of each
            model that is run.
    """

    def __init__(self, opset: int = OPSET) -> None:
        if opset < OPSET:
            raise ConfigurationError(f"opset: expected {OPSET} or more, got {opset}")
        self._opset = opset
        self._graph = Graph()
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._models: list[onnx.ModelProto] = []

    def file(self, name: str) -> Value:
        """An input that is the bytes of a file: UINT8, (bytes)."""
        return self.input(name, "UINT8", [None])

    def text(self, name: str) -> Value:
        """An input of texts: BYTES, (texts)."""
        return self.input(name, "BYTES", [None])

    def input(self, name: str, datatype: str, shape: Sequence[int | None]) -> Value:
        """An input.

        Args:
            name: What the client calls it.
            datatype: UINT8, INT64, FP32 or BYTES.
            shape: Its dimensions; None where any size will do.

        Raises:
            ConfigurationError: If there is one of this name, or no such type.
        """
        if datatype not in _KINDS:
            raise ConfigurationError(
                f"input {name!r}: expected one of {', '.join(_KINDS)}, got {datatype}"
            )
        if any(each.name == name for each in (*self._inputs, *self._outputs)):
            raise ConfigurationError(
                f"input {name!r}: expected a name of its own, got a taken one"
            )
        sizes = [
            f"{name}_{index}" if size is None else size
            for index, size in enumerate(shape)
        ]
        kind = _KINDS[datatype]
        self._inputs.append(helper.make_tensor_value_info(name, kind, sizes))
        return Value(self._graph, name)

    def run(
        self, model: onnx.ModelProto, *inputs: Value, **named: Value
    ) -> tuple[Value, ...]:
        """Run a model.

        Args:
            model: The model, with its weights.
            inputs: Its inputs, in its order.
            named: Its inputs, by name, where Python can write their names.

        Returns:
            Its outputs, in its order.

        Raises:
            ConfigurationError: If it takes other inputs, or cannot be brought to the
                version of ONNX that the blocks are written in.
        """
        prefix = f"model_{len(self._models)}/"
        model = compose.add_prefix(_raised(model, self._opset), prefix)
        constants = {each.name for each in model.graph.initializer}
        wanted = [each for each in model.graph.input if each.name not in constants]
        names = [each.name.removeprefix(prefix) for each in wanted]
        given = dict(zip(names, inputs, strict=False)) | named
        if set(given) != set(names) or len(inputs) + len(named) != len(names):
            raise ConfigurationError(
                f"model: expected {len(names)} inputs ({', '.join(names)}), got"
                f" {len(inputs)} and {', '.join(named) or 'none by name'}"
            )
        self._models.append(model)
        for info, name in zip(wanted, names, strict=True):
            node = helper.make_node("Identity", [given[name].name], [info.name])
            self._graph.nodes.append(node)
        self._graph.nodes.extend(model.graph.node)
        self._graph.initializers.extend(model.graph.initializer)
        return tuple(Value(self._graph, each.name) for each in model.graph.output)

    def give(self, **outputs: Value) -> None:
        """Give values to the client, by name, in this order.

        Raises:
            ConfigurationError: If an input or another output has the name.
        """
        for name, value in outputs.items():
            if any(each.name == name for each in (*self._inputs, *self._outputs)):
                raise ConfigurationError(
                    f"output {name!r}: expected a name of its own, got a taken one"
                )
            node = helper.make_node("Identity", [value.name], [name])
            self._graph.nodes.append(node)
            self._outputs.append(onnx.ValueInfoProto(name=name))

    def model(self) -> onnx.ModelProto:
        """The whole, as one model.

        Raises:
            ConfigurationError: If it gives nothing, or its parts do not fit together.
        """
        if not self._outputs:
            raise ConfigurationError(
                "pipeline: expected something to give, got nothing"
            )
        graph = helper.make_graph(
            self._graph.nodes,
            "pipeline",
            self._inputs,
            self._outputs,
            self._graph.initializers,
        )
        graph.value_info.extend(self._known())
        for model in self._models:
            graph.sparse_initializer.extend(model.graph.sparse_initializer)
        whole = helper.make_model(
            graph,
            ir_version=max([_IR_VERSION, *(m.ir_version for m in self._models)]),
            opset_imports=self._opsets(),
            functions=[each for m in self._models for each in m.functions],
            producer_name="blindai.pipelines",
        )
        _declare(whole)
        return whole

    def _known(self) -> list[onnx.ValueInfoProto]:
        """What is declared of values, as operators of extensions say nothing.

        ONNX's own inference of types ends the process where it meets some of its
        operators on values of which nothing is known.
        """
        known = list(self._graph.infos)
        for model in self._models:
            known.extend((*model.graph.value_info, *model.graph.output))
        return known

    def _opsets(self) -> list[onnx.OperatorSetIdProto]:
        versions = {"": self._opset}
        versions |= {each: _VERSIONS.get(each, 1) for each in self._graph.domains}
        for model in self._models:
            for opset in model.opset_import:
                domain = _domain(opset)
                known = versions.get(domain, opset.version)
                versions[domain] = max(known, opset.version)
        return [helper.make_opsetid(*each) for each in versions.items()]


def _declare(model: onnx.ModelProto) -> None:
    """Write down of what type and shape its outputs are.

    Raises:
        ConfigurationError: If its parts do not fit together.
    """
    outline = onnx.ModelProto()
    outline.CopyFrom(model)
    del outline.graph.initializer[:]
    for tensor in model.graph.initializer:
        if tensor.ByteSize() <= _SMALL:
            outline.graph.initializer.append(tensor)
        else:
            outline.graph.input.append(
                helper.make_tensor_value_info(
                    tensor.name, tensor.data_type, tensor.dims
                )
            )
    try:
        inferred = shape_inference.infer_shapes(outline, strict_mode=True)
    except shape_inference.InferenceError as error:
        words = " ".join(str(error).split())
        raise ConfigurationError(f"pipeline: {words}") from error
    for output, found in zip(model.graph.output, inferred.graph.output, strict=True):
        if not found.type.tensor_type.elem_type:
            raise ConfigurationError(
                f"output {output.name!r}: expected a known type, got none"
            )
        output.CopyFrom(found)


def _domain(opset: onnx.OperatorSetIdProto) -> str:
    return "" if opset.domain == "ai.onnx" else opset.domain


def _raised(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A model in the version of ONNX's operators that the whole is of.

    Raises:
        ConfigurationError: If it names none or a later one, or ONNX has no way there.
    """
    versions = [each.version for each in model.opset_import if not _domain(each)]
    if not versions:
        raise ConfigurationError("model: expected one that names its opset, got none")
    version = versions[0]
    if version > opset:
        raise ConfigurationError(
            f"model: expected opset {opset} or earlier, got {version}: say"
            f" Pipeline(opset={version})"
        )
    if version == opset:
        return model
    try:
        return version_converter.convert_version(model, opset)
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"model: expected one of opset {opset}, got {version}, which does not"
            " convert: export it anew"
        ) from error
