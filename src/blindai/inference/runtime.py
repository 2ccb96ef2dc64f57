"""Runs models: the only module that knows ONNX Runtime, and that has threads.

Models load from a file, which may be one in memory (`Spool.path`), not from bytes: the
weights then exist once, not three times, and the interpreter is free meanwhile.

ONNX Runtime logs what it refuses, values of tensors too, so it logs nothing here; its
errors become ours in `load` and `_execute`, without their text where that may hold
values. No library of custom operators is ever registered.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from blindai.errors import InvalidRequestError, ModelRefusedError, OverloadedError
from blindai.inference import binding
from blindai.protocol.datatypes import Array, Datatype

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from blindai.inference.model import ModelSpec, TensorSpec
    from blindai.protocol.tensor import Tensor

_T = TypeVar("_T")
_Work: TypeAlias = (
    "tuple[Callable[[], Outcome], asyncio.Future[Outcome], asyncio.AbstractEventLoop]"
)
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
_MAX_REASON = 300  # characters of ONNX Runtime's own words

onnxruntime.set_default_logger_severity(_SILENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """How much runs at once.

    Attributes:
        workers: Requests that run at the same time, whatever their models.
        intra_op_threads: Threads each loaded model has for one operator; 0 for one a
            core.
    """

    workers: int = 2
    intra_op_threads: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model that is ready to run.

    Attributes:
        spec: Its inputs and outputs.
        session: ONNX Runtime's session.
    """

    spec: ModelSpec
    session: onnxruntime.InferenceSession = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave.

    Attributes:
        outputs: The outputs asked for, in that order.
        inference_time_s: Seconds the model took, without waiting.
    """

    outputs: tuple[Tensor, ...] = field(repr=False)
    inference_time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run that has begun.

    Attributes:
        future: The outcome, or the error.
    """

    future: asyncio.Future[Outcome]
    _options: onnxruntime.RunOptions

    def stop(self) -> None:
        """Have the model stop before its next node; `future` then has an error."""
        self._options.terminate = True


class Runtime:
    """Threads for models to run in, and others for what else would block."""

    def __init__(self, settings: RuntimeSettings) -> None:
        self._settings = settings
        self._workers = _Workers(settings.workers)
        self._others = ThreadPoolExecutor(2, "blindai-load")
        self._busy: set[asyncio.Future[Any]] = set()
        self._runs: set[Run] = set()
        self._closed = False

    @property
    def workers(self) -> int:
        """Requests that run at the same time."""
        return self._settings.workers

    def load(self, path: str, spec: ModelSpec) -> LoadedModel:
        """Load an admitted model. Blocks: call it by `in_thread`.

        Args:
            path: A file of the model's bytes, which may be gone afterwards.
            spec: What `admit` read in it.

        Raises:
            ModelRefusedError: If ONNX Runtime does not take the model.
        """
        datatypes = {tensor.datatype for tensor in (*spec.inputs, *spec.outputs)}
        if {Datatype.BF16, Datatype.BYTES} <= datatypes:
            raise ModelRefusedError(
                "inputs and outputs: expected BF16 or BYTES, got both in one model"
            )
        try:
            session = onnxruntime.InferenceSession(
                path,
                _session_options(self._settings),
                providers=["CPUExecutionProvider"],
                enable_fallback=False,
            )
        except _ORT_ERRORS as error:
            raise ModelRefusedError(
                f"model: expected one that ONNX Runtime loads, got: {_reason(error)}"
            ) from error
        return LoadedModel(spec, session)

    def start(
        self,
        model: LoadedModel,
        tensors: Sequence[Tensor],
        outputs: tuple[TensorSpec, ...],
    ) -> Run:
        """Begin a run; it waits where as many run already as may.

        Args:
            model: What to run.
            tensors: Its inputs, accepted by `binding.require_inputs`.
            outputs: The outputs to give.

        Raises:
            OverloadedError: If the runtime is closed.
        """
        self._require_open()
        options = onnxruntime.RunOptions()
        run = Run(
            self._workers.run(lambda: _execute(model, tensors, outputs, options)),
            options,
        )
        self._runs.add(run)
        run.future.add_done_callback(lambda _: self._runs.discard(run))
        self._track(run.future)
        return run

    async def in_thread(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Call what would block the loop. A cancellation waits until it has ended.

        Raises:
            OverloadedError: If the runtime is closed.
        """
        self._require_open()
        future = asyncio.get_running_loop().run_in_executor(
            self._others, function, *arguments
        )
        self._track(future)
        return await self.finish(future)

    async def finish(self, work: Awaitable[_T]) -> _T:
        """Await work that must not stop halfway. A cancellation waits until its end."""
        future = asyncio.ensure_future(work)
        future.add_done_callback(_retrieve)
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return future.result()

    async def close(self) -> None:
        """Stop all runs, wait for all threads, and accept nothing more."""
        self._closed = True
        for run in self._runs:
            run.stop()
        while self._busy:
            await asyncio.wait(self._busy)
        self._workers.close()
        self._others.shutdown()

    def _track(self, future: asyncio.Future[_T]) -> None:
        self._busy.add(future)
        future.add_done_callback(self._busy.discard)
        future.add_done_callback(_retrieve)

    def _require_open(self) -> None:
        if self._closed:
            raise OverloadedError("runtime: expected it open, got it closed")


class _Workers:
    """Threads that run models, and nothing between them and the loop.

    `concurrent.futures` keeps a future of its own with locks for each run: two more
    hand-offs on the way to an answer, which showed in the measurements.
    """

    def __init__(self, count: int) -> None:
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._serve, name=f"blindai-run-{index}", daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, function: Callable[[], Outcome]) -> asyncio.Future[Outcome]:
        """Call a function in the next free thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.put((function, future, loop))
        return future

    def close(self) -> None:
        """Wait until all functions and all threads have ended."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while (work := self._waiting.get()) is not None:
            function, future, loop = work
            try:
                outcome = function()
            except Exception as error:  # noqa: BLE001  raised where it is awaited
                loop.call_soon_threadsafe(future.set_exception, error)
            else:
                loop.call_soon_threadsafe(future.set_result, outcome)
                del outcome
            del work, function, future  # while idle, nobody's tensors are kept


def _retrieve(future: asyncio.Future[_T]) -> None:
    """Look at a future's error, so that asyncio does not log one nobody waits for."""
    future.cancelled() or future.exception()


def _session_options(settings: RuntimeSettings) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.intra_op_threads
    options.inter_op_num_threads = 1
    # A file is what admission read it as, whatever else its bytes may look like.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Idle threads sleep: they would spin on the cores of other requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _execute(
    model: LoadedModel,
    tensors: Sequence[Tensor],
    outputs: tuple[TensorSpec, ...],
    options: onnxruntime.RunOptions,
) -> Outcome:
    feed = binding.feed(tensors)
    names = [output.name for output in outputs]
    started = time.monotonic()
    try:
        if any(
            spec.datatype is Datatype.BF16 for spec in (*model.spec.inputs, *outputs)
        ):
            arrays = _run_with_bfloat16(model, feed, names, options)
        else:
            arrays = model.session.run(names, feed, options)
    except _ORT_ERRORS as error:
        # Without the cause: its text may hold values of tensors.
        raise _refusal(str(error), stopped=options.terminate) from None
    except UnicodeDecodeError:
        raise InvalidRequestError("outputs: expected UTF-8, got other bytes") from None
    seconds = time.monotonic() - started
    return Outcome(tuple(map(binding.tensor, outputs, arrays)), seconds)


def _run_with_bfloat16(
    model: LoadedModel,
    feed: Mapping[str, Array],
    names: list[str],
    options: onnxruntime.RunOptions,
) -> list[Array]:
    """Run by ONNX Runtime's own values, as NumPy has no bfloat16."""
    values = {
        spec.name: onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            feed[spec.name], _BFLOAT16
        )
        if spec.datatype is Datatype.BF16
        else onnxruntime.OrtValue.ortvalue_from_numpy(feed[spec.name])
        for spec in model.spec.inputs
    }
    outputs = model.session.run_with_ort_values(names, values, options)
    return [_to_array(value) for value in outputs]


def _to_array(value: onnxruntime.OrtValue) -> Array:
    if value.element_type() != _BFLOAT16:
        array: Array = value.numpy()
        return array
    shape = tuple(value.shape())
    bits = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(bits, np.uint16).reshape(shape)


def _refusal(text: str, *, stopped: bool) -> InvalidRequestError | OverloadedError:
    if stopped:
        return OverloadedError("run: expected its end, got stopped before it")
    operator = re.search(r"while running (\w+) node", text)
    where = operator[1] if operator else "the model"
    return InvalidRequestError(
        f"inputs: expected values that the model can run on, got a failure of {where}"
    )


def _reason(error: BaseException) -> str:
    """ONNX Runtime's words about a model, on one line, cut to size."""
    words = " ".join(str(error).split())
    return re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", words)[:_MAX_REASON]
