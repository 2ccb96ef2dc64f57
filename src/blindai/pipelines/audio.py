"""Sound: from the bytes of a WAV file to what models take, by ONNX's own operators.

Samples are FP32 from -1 to 1, (samples), as `soundfile` reads them; several channels
are averaged.

WAV: IBM and Microsoft, "Multimedia Programming Interface and Data Specifications 1.0"
(RIFF, `fmt `, `data`); Microsoft, "Multiple Channel Audio Data and WAVE Files"
(`WAVE_FORMAT_EXTENSIBLE`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto

from blindai.errors import ConfigurationError
from blindai.pipelines import resampling

if TYPE_CHECKING:
    from blindai.pipelines.graph import Graph, Value

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_MAX_CHUNKS: Final = 1000
_MAX_CHANNELS: Final = 8
_RATES: Final = (1000, 384_000)  # Hz
_FORMAT_BYTES: Final = 28  # of a chunk `fmt ` that are looked at
# Sample rates of which the filter between them gets larger are refused.
_MAX_TERM: Final = 1000


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound, and how fast it is to be played.

    Attributes:
        samples: FP32, (samples).
        rate: Samples a second: INT64, (1,).
    """

    samples: Value
    rate: Value


def read_wav(file: Value, *, max_seconds: int = 60) -> Sound:
    """What a WAV file holds: PCM of 8, 16, 24 or 32 bits, or FP32.

    The run fails, before anything is decoded, if the file is none, has less data than
    it says, or too much.

    Args:
        file: UINT8, (bytes).
        max_seconds: The longest that is read.
    """
    graph = file.graph
    size = graph.op("Size", file)
    padded = graph.op("Concat", file, np.zeros(_FORMAT_BYTES + 8, np.uint8), axis=0)
    is_wav = graph.op(
        "And",
        graph.op("Equal", _text(graph, padded, 0), _tag(b"RIFF")),
        graph.op("Equal", _text(graph, padded, 8), _tag(b"WAVE")),
    )
    padded = graph.require(padded, is_wav, "sound: expected a WAV file, got another")
    form, data, length = _chunks(graph, padded, size)
    there = graph.op("And", graph.op("Greater", form, 0), graph.op("Greater", data, 0))
    padded = graph.require(
        padded,
        there,
        "sound: expected a WAV file with a format and data, got one without",
    )
    whole = graph.op("LessOrEqual", graph.op("Add", data, length), size)
    padded = graph.require(
        padded,
        whole,
        "sound: expected as much data as the WAV file says it has, got less",
    )
    return _decoded(graph, padded, (form, data, length), max_seconds)


def resample(
    sound: Sound, rate: int, *, zeros: int = 6, rolloff: float = 0.99
) -> Value:
    """Bring sound to another rate, by a sine filter under a Hann window.

    What torchaudio's `resample` computes (`sinc_interp_hann`). The run fails where two
    rates have so little in common that the filter becomes large.

    Args:
        sound: Of any rate.
        rate: Samples a second.
        zeros: How often the filter crosses zero on each side: more is sharper, slower.
        rolloff: Where it begins to cut, as a part of half the lower rate.

    Returns:
        FP32, (samples).

    Raises:
        ConfigurationError: If there is no such rate, or no such filter.
    """
    if min(rate, zeros) < 1 or not 0 < rolloff <= 1:
        raise ConfigurationError(
            "resample: expected a rate and zeros of 1 or more and a rolloff of at most"
            f" 1, got {rate}, {zeros} and {rolloff}"
        )
    graph = sound.samples.graph
    old, new = resampling.reduced(graph, sound.rate, rate)
    samples = graph.require(
        sound.samples,
        graph.op("LessOrEqual", graph.op("Max", old, new), _MAX_TERM),
        f"sound: expected a rate that has more in common with {rate} Hz, got another",
    )
    same = graph.op("Equal", old, new)
    return graph.choose(
        same,
        TensorProto.FLOAT,
        partial(_same, samples),
        lambda body: resampling.filtered(body, samples, (old, new), (zeros, rolloff)),
    )


def standardise(samples: Value) -> Value:
    """Samples of mean 0 and variance 1, as Wav2vec2 was trained on.

    Args:
        samples: FP32, (samples).

    Returns:
        FP32, (1, samples).
    """
    graph = samples.graph
    centred = graph.op("Sub", samples, graph.op("ReduceMean", samples))
    variance = graph.op("ReduceMean", graph.op("Mul", centred, centred))
    scaled = graph.op("Div", centred, graph.op("Sqrt", graph.op("Add", variance, 1e-7)))
    return graph.op("Unsqueeze", scaled, [0])


def fit(samples: Value, count: int) -> Value:
    """The first samples, and silence where there are fewer.

    Args:
        samples: FP32, (samples).
        count: How many.
    """
    graph = samples.graph
    padded = graph.op("Concat", samples, np.zeros(count, np.float32), axis=0)
    return graph.op("Slice", padded, [0], [count])


def _chunks(graph: Graph, data: Value, size: Value) -> tuple[Value, Value, Value]:
    """Where the format and the data are, and how long that is; 0 where not."""

    def step(
        body: Graph, _: Value, carried: tuple[Value, ...]
    ) -> tuple[Value, Value, Value, Value, Value]:
        at, form, start, length = carried
        kind = _text(body, data, at)
        long = _number(body, data, body.op("Add", at, 4), 4)
        inner = body.op("Add", at, 8)
        even = body.op("Add", long, body.op("Mod", long, 2))
        is_form = body.op(
            "And",
            body.op("Equal", kind, _tag(b"fmt ")),
            body.op("GreaterOrEqual", long, 16),
        )
        is_data = body.op("Equal", kind, _tag(b"data"))
        following = body.op("Add", inner, even)
        inside = body.op("LessOrEqual", body.op("Add", following, 8), size)
        inside = body.op("And", inside, body.op("Not", is_data))
        return (
            body.op("Squeeze", inside),
            following,
            body.op("Where", is_form, inner, form),
            body.op("Where", is_data, inner, start),
            body.op("Where", is_data, long, length),
        )

    int64 = TensorProto.INT64
    firsts = [([12], int64), ([0], int64), ([0], int64), ([0], int64)]
    _, *found = graph.loop(_MAX_CHUNKS, firsts, step)
    return found[0], found[1], found[2]


@dataclass(frozen=True, slots=True)
class _Format:
    """What a WAV file says of its data; all INT64, (1,)."""

    tag: Value
    channels: Value
    rate: Value
    bits: Value


def _format(graph: Graph, data: Value, at: Value) -> _Format:
    tag = _number(graph, data, at, 2)
    inner = _number(graph, data, graph.op("Add", at, 24), 2)
    return _Format(
        graph.op("Where", graph.op("Equal", tag, _EXTENSIBLE), inner, tag),
        _number(graph, data, graph.op("Add", at, 2), 2),
        _number(graph, data, graph.op("Add", at, 4), 4),
        _number(graph, data, graph.op("Add", at, 14), 2),
    )


def _known(graph: Graph, form: _Format) -> Value:
    """Whether samples are of a kind that is decoded."""
    kind = graph.op("Add", graph.op("Mul", form.tag, 1 << 16), form.bits)
    kinds = [(_PCM << 16) + bits for bits in (8, 16, 24, 32)] + [(_FLOAT << 16) + 32]
    same = graph.op("Equal", kind, np.array(kinds, np.int64))
    counted = graph.op("ReduceMax", graph.op("Cast", same, to=TensorProto.INT32))
    return graph.op("Greater", counted, np.int32(0))


def _decoded(
    graph: Graph, padded: Value, places: tuple[Value, Value, Value], max_seconds: int
) -> Sound:
    form = _format(graph, padded, places[0])
    for holds, message in (
        (_known(graph, form), "PCM of 8, 16, 24 or 32 bits or FP32, got another kind"),
        (
            _between(graph, form.channels, 1, _MAX_CHANNELS),
            f"1 to {_MAX_CHANNELS} channels, got another number",
        ),
        (
            _between(graph, form.rate, *_RATES),
            f"{_RATES[0]} to {_RATES[1]} Hz, got another rate",
        ),
    ):
        padded = graph.require(padded, holds, f"sound: expected {message}")
    width = graph.op("Div", form.bits, 8)
    frame = graph.op("Mul", width, form.channels)
    frames = graph.op("Div", places[2], graph.op("Max", frame, 1))
    most = graph.op("Mul", form.rate, max_seconds)
    padded = graph.require(
        padded,
        graph.op("LessOrEqual", frames, most),
        f"sound: expected at most {max_seconds} s, got more",
    )
    end = graph.op("Add", places[1], graph.op("Mul", frames, frame))
    raw = graph.op("Slice", padded, places[1], end)
    raw = graph.op("Reshape", raw, graph.op("Concat", [-1], width, axis=0))
    samples = graph.choose(
        graph.op("Equal", form.tag, _FLOAT),
        TensorProto.FLOAT,
        lambda body: _floats(body, raw),
        lambda body: _integers(body, raw, form.bits),
    )
    table = graph.op("Concat", frames, form.channels, axis=0)
    samples = graph.op("Reshape", samples, table, allowzero=1)
    return Sound(graph.op("ReduceMean", samples, [1], keepdims=0), form.rate)


def _integers(graph: Graph, raw: Value, bits: Value) -> Value:
    """Samples of PCM, (samples, bytes) with the least byte first: FP32, (samples)."""
    last = graph.op("Cast", _column(graph, raw, -1), to=TensorProto.FLOAT)
    negative = graph.op("GreaterOrEqual", last, 128.0)
    signed = graph.op("Sub", last, graph.op("Where", negative, 256.0, 0.0))
    shifted = graph.op("Sub", last, 128.0)  # 8 bits have no sign, and 128 for silence
    top = graph.op("Where", graph.op("Equal", bits, 8), shifted, signed)
    total = graph.op("Mul", top, 2.0**-7)
    for place in (2, 3, 4):  # from the last: each counts 256 times less
        there = graph.op("GreaterOrEqual", bits, 8 * place)
        total = graph.choose(
            there,
            TensorProto.FLOAT,
            partial(_with_byte, total, raw, place),
            partial(_same, total),
        )
    return total


def _with_byte(total: Value, raw: Value, place: int, graph: Graph) -> Value:
    """Samples, with what a byte adds to each."""
    byte = graph.op("Cast", _column(graph, raw, -place), to=TensorProto.FLOAT)
    return graph.op("Add", total, graph.op("Mul", byte, 2.0 ** (1 - 8 * place)))


def _same(value: Value, graph: Graph) -> Value:
    return graph.op("Identity", value)


def _floats(graph: Graph, raw: Value) -> Value:
    """Samples of IEEE 754, by their parts: FP32, (samples)."""
    low, middle, high, top = (
        graph.op("Cast", _column(graph, raw, index), to=TensorProto.FLOAT)
        for index in range(4)
    )
    negative = graph.op("GreaterOrEqual", top, 128.0)
    exponent = graph.op("Mul", graph.op("Mod", top, 128.0, fmod=1), 2.0)
    odd = graph.op("GreaterOrEqual", high, 128.0)
    exponent = graph.op("Add", exponent, graph.op("Where", odd, 1.0, 0.0))
    fraction = graph.op("Mul", graph.op("Mod", high, 128.0, fmod=1), 2.0**-7)
    fraction = graph.op("Add", fraction, graph.op("Mul", middle, 2.0**-15))
    fraction = graph.op("Add", fraction, graph.op("Mul", low, 2.0**-23))
    normal = graph.op("Greater", exponent, 0.0)
    fraction = graph.op("Add", fraction, graph.op("Where", normal, 1.0, 0.0))
    # A loud sample is 1; what is no number, or no sound, is silence.
    sane = graph.op("Less", exponent, 140.0)
    size = graph.op(
        "Pow", 2.0, graph.op("Sub", graph.op("Min", exponent, 140.0), 127.0)
    )
    size = graph.op("Where", sane, graph.op("Mul", fraction, size), 0.0)
    return graph.op("Where", negative, graph.op("Neg", size), size)


def _between(graph: Graph, number: Value, low: int, high: int) -> Value:
    return graph.op(
        "And",
        graph.op("GreaterOrEqual", number, low),
        graph.op("LessOrEqual", number, high),
    )


def _column(graph: Graph, table: Value, index: int) -> Value:
    return graph.op("Gather", table, index, axis=1)


def _number(graph: Graph, data: Value, at: Value | int, size: int) -> Value:
    """A whole number, least significant byte first: INT64, (1,)."""
    places = graph.op("Add", graph.value(np.arange(size)), at)
    digits = graph.op("Cast", graph.op("Gather", data, places), to=TensorProto.INT64)
    weights = 256 ** np.arange(size, dtype=np.int64)
    return graph.op("ReduceSum", graph.op("Mul", digits, weights), keepdims=1)


def _text(graph: Graph, data: Value, at: Value | int) -> Value:
    return _number(graph, data, at, 4)


def _tag(text: bytes) -> int:
    return int.from_bytes(text, "little")
