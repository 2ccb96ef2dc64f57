"""Runs models: the only module that knows ONNX Runtime.

It blocks, and holds no thread: a worker process or a thread of this one calls it (see
`isolation`). Models load from a file, which may be one in memory (`Spool.path`), not
from bytes: the weights then exist once, not three times. The files of a bundle are
handed over in memory, by name; no path is opened for them.

ONNX Runtime logs what it refuses, values of tensors too, so it logs nothing here; its
errors become ours in `load` and `Model.run`, without their text where that may hold
values. No library of custom operators is ever registered but that of `extensions`, for
models that are loaded with it.
"""

from __future__ import annotations

import ctypes
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from blindai.errors import (
    BlindAIError,
    InvalidRequestError,
    ModelCrashedError,
    ModelRefusedError,
    OverloadedError,
    TooLargeError,
)
from blindai.inference import binding
from blindai.inference.extensions import loaded_library
from blindai.inference.identity import PROVIDER
from blindai.inference.isolation import Outcome
from blindai.inference.model import MAX_STRINGS
from blindai.protocol.bundle import Bundle, is_bundle, parse_bundle
from blindai.protocol.datatypes import Array, Datatype
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from blindai.inference.model import ModelSpec, TensorSpec
    from blindai.protocol.tensor import Tensor

_ORT_ERRORS = (
    ort.Fail,
    ort.InvalidArgument,
    ort.InvalidGraph,
    ort.InvalidProtobuf,
    ort.NotImplemented,
    ort.RuntimeException,
    MemoryError,
    RuntimeError,
)
_SILENT = 4  # ORT_LOGGING_LEVEL_FATAL
_BFLOAT16 = 16  # onnx.TensorProto.BFLOAT16
# ONNX Runtime's words where memory ran out, or a size does not fit in 64 bits.
_NO_MEMORY = ("Failed to allocate memory", "bad_alloc", "bad allocation", "SafeInt")
_SAME_AS_REQUESTED = 1  # onnxruntime::ArenaExtendStrategy
_MAX_REASON = 300  # characters of ONNX Runtime's own words
# What is computed while a model loads is kept up to this size, beside twice the file's:
# weights of half precision become twice as large. A small file that has much computed
# is computed when it runs, where it can be stopped.
_FOLDED_BYTES = 1 << 20
# What ONNX Runtime says before its reason, the innermost node last. A node may have the
# name of what it expects; see `blindai.pipelines.graph`.
_FAILED = re.compile(
    r"(?:\[ONNXRuntimeError\] : \d+ : \w+ : )?"
    r"(?:Non-zero status code returned while running (\w+) node\."
    r" Name:'(.*?)' Status Message: )+",
    re.DOTALL,
)
_EXPECT = re.compile(r"expect \d+: (.*)", re.DOTALL)
_FILES_STAY = "session.use_external_initializer_file_buffers_directly"

onnxruntime.set_default_logger_severity(_SILENT)


def take_memory_as_needed() -> None:
    """Have models of `load(..., exact=True)` share one arena that takes no more.

    ONNX Runtime's own takes twice as much each time, and all that a limit leaves after
    a request that was too large for it: the next small one then finds nothing.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu",
        onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
        0,
        onnxruntime.OrtMemType.DEFAULT,
    )
    arena = onnxruntime.OrtArenaCfg({"arena_extend_strategy": _SAME_AS_REQUESTED})
    onnxruntime.create_and_register_allocator(memory, arena)


class Stop:
    """Stops one run, from any thread."""

    def __init__(self) -> None:
        self._options = onnxruntime.RunOptions()

    def __call__(self) -> None:
        """Have the model stop before its next node."""
        self._options.terminate = True

    @property
    def options(self) -> onnxruntime.RunOptions:
        """What a run is given to be stopped by."""
        return self._options


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model that is ready to run; several threads may run it at the same time.

    Attributes:
        spec: Its inputs and outputs.
        max_output_bytes: Of one run's outputs together.
    """

    spec: ModelSpec
    max_output_bytes: int
    _session: onnxruntime.InferenceSession = field(repr=False)
    # The session looks at them where they are: one copy of the weights, of any size.
    _files: tuple[memoryview, ...] = field(default=(), repr=False)

    def run(
        self, tensors: Sequence[Tensor], outputs: Sequence[TensorSpec], stop: Stop
    ) -> Outcome:
        """Run it. Blocks.

        Args:
            tensors: Its inputs, accepted by `binding.require_inputs`.
            outputs: The outputs to give.
            stop: Stops the run.

        Raises:
            TensorError: If an element of `BYTES` is not UTF-8.
            InvalidRequestError: If the model fails on these inputs.
            TooLargeError: If it gives more than it may.
            ModelCrashedError: If there is not the memory for it.
            OverloadedError: If it was stopped.
        """
        feed = binding.feed(tensors)
        started = time.monotonic()
        arrays = self._run(feed, outputs, stop)
        seconds = time.monotonic() - started
        _require_strings(outputs, arrays)
        given = tuple(map(binding.tensor, outputs, arrays))
        _require_size(given, self.max_output_bytes)
        return Outcome(given, seconds)

    def _run(
        self, feed: Mapping[str, Array], outputs: Sequence[TensorSpec], stop: Stop
    ) -> list[Array]:
        names = [output.name for output in outputs]
        datatypes = [spec.datatype for spec in (*self.spec.inputs, *outputs)]
        try:
            if Datatype.BF16 in datatypes:
                return self._run_with_bfloat16(feed, names, stop)
            arrays: list[Array] = self._session.run(names, feed, stop.options)
        except _ORT_ERRORS as error:
            # Without the cause: its text may hold values of tensors.
            raise _failure(error, stopped=stop.options.terminate) from None
        except UnicodeDecodeError:
            raise InvalidRequestError(
                "outputs: expected UTF-8, got other bytes"
            ) from None
        return arrays

    def _run_with_bfloat16(
        self, feed: Mapping[str, Array], names: list[str], stop: Stop
    ) -> list[Array]:
        """Run by ONNX Runtime's own values, as NumPy has no bfloat16."""
        values = {
            spec.name: onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
                feed[spec.name], _BFLOAT16
            )
            if spec.datatype is Datatype.BF16
            else onnxruntime.OrtValue.ortvalue_from_numpy(feed[spec.name])
            for spec in self.spec.inputs
        }
        outputs = self._session.run_with_ort_values(names, values, stop.options)
        return [_to_array(value) for value in outputs]


def source_of(contents: memoryview, path: str | None) -> str | bytes | Bundle:
    """What to load a model from.

    Args:
        contents: The ONNX file or the bundle.
        path: Where it is open as a file, if it is.

    Raises:
        ModelRefusedError: If it is a malformed bundle.
    """
    if is_bundle(contents):
        return parse_bundle(contents)
    return bytes(contents) if path is None else path


def load(  # noqa: PLR0913  one argument a choice
    source: str | bytes | Bundle,
    spec: ModelSpec,
    *,
    threads: int,
    max_output_bytes: int,
    size_bytes: int = 0,
    exact: bool = False,
    extensions: bool = False,
) -> Model:
    """Load an admitted model. Blocks.

    Args:
        source: A file of the model's bytes, which may be gone afterwards, the bytes,
            or a bundle, which stays mapped.
        spec: What `admit` read in it.
        threads: Threads that work on one operator.
        max_output_bytes: Of one run's outputs together.
        size_bytes: Of all of it: what may be computed as it is loaded grows with it.
        exact: Whether it shares the arena of `take_memory_as_needed`.
        extensions: Whether it has the operators of onnxruntime-extensions.

    Raises:
        ConfigurationError: If it should have them, and they are not installed.
        ModelRefusedError: If ONNX Runtime does not take the model.
    """
    datatypes = {tensor.datatype for tensor in (*spec.inputs, *spec.outputs)}
    if {Datatype.BF16, Datatype.BYTES} <= datatypes:
        raise ModelRefusedError(
            "inputs and outputs: expected BF16 or BYTES, got both in one model"
        )
    options = _session_options(threads, size_bytes, exact=exact)
    if extensions:
        options.register_custom_ops_library(loaded_library())
    files: tuple[memoryview, ...] = ()
    if isinstance(source, Bundle):
        files = tuple(source.files.values())
        options.add_session_config_entry(_FILES_STAY, "1")
        options.add_external_initializers_from_files_in_memory(
            list(source.files), files, list(map(len, files))
        )
        source = bytes(source.model)
    try:
        session = onnxruntime.InferenceSession(
            source,
            options,
            providers=[PROVIDER],
            enable_fallback=False,
        )
    except UnicodeDecodeError as error:
        raise ModelRefusedError(
            "model: expected one that ONNX Runtime loads, got an error with a name that"
            " is not UTF-8"
        ) from error
    except _ORT_ERRORS as error:
        raise ModelRefusedError(
            f"model: expected one that ONNX Runtime loads, got: {_reason(error)}"
        ) from error
    return Model(spec, max_output_bytes, session, files)


def _session_options(
    threads: int, size_bytes: int, *, exact: bool
) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Proofs say so: see `identity.OPTIMISATION`.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if exact:
        options.add_session_config_entry("session.use_env_allocators", "1")
    # A file is what admission read it as, whatever else its bytes may look like.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry(
        "optimization.constant_folding_max_output_size_in_bytes",
        str(_FOLDED_BYTES + 2 * size_bytes),
    )
    # Idle threads sleep: they would spin on the cores of other requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _to_array(value: onnxruntime.OrtValue) -> Array:
    if value.element_type() != _BFLOAT16:
        array: Array = value.numpy()
        return array
    shape = tuple(value.shape())
    bits = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(bits, np.uint16).reshape(shape)


def out_of_memory() -> ModelCrashedError:
    """What is said where the memory that a model may use does not suffice."""
    return ModelCrashedError("model: expected it within its memory limit, got past it")


def _require_size(tensors: Sequence[Tensor], limit: int) -> None:
    size = 0
    for each in tensors:
        size += binding.size_of((each.array,), each.datatype)
    if size > limit:
        raise TooLargeError(f"outputs: expected at most {limit} bytes, got {size}")


def _require_strings(specs: Sequence[TensorSpec], arrays: Sequence[Array]) -> None:
    count = 0
    for spec, array in zip(specs, arrays, strict=True):
        count += array.size if spec.datatype is Datatype.BYTES else 0
    if count > MAX_STRINGS:
        raise TooLargeError(
            f"outputs: expected at most {MAX_STRINGS} strings, got {count}"
        )


def _failure(error: BaseException, *, stopped: bool) -> BlindAIError:
    if stopped:
        return OverloadedError("run: expected its end, got stopped before it")
    text = str(error)
    if isinstance(error, MemoryError) or any(each in text for each in _NO_MEMORY):
        return out_of_memory()
    failed = _FAILED.match(text)
    operator, node = failed.groups() if failed else ("the model", "")
    if expected := _EXPECT.fullmatch(node):
        return InvalidRequestError(printable(expected[1][:_MAX_REASON]))
    return InvalidRequestError(
        "inputs: expected values that the model can run on, got a failure of"
        f" {operator}"
    )


def _reason(error: BaseException) -> str:
    """ONNX Runtime's words about a model, on one line, cut to size."""
    words = " ".join(str(error).split())
    words = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", words)
    return re.sub(r"Load model from \S+ failed: ?", "", words)[:_MAX_REASON]
