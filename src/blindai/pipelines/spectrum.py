"""Sound by its frequencies: log-mel spectrograms, by ONNX's own operators.

Mel scale and filters: Slaney's Auditory Toolbox, as librosa has them (`htk=False`,
`norm="slaney"`). Whisper's scaling: OpenAI, whisper/audio.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from blindai.errors import ConfigurationError
from blindai.pipelines import audio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blindai.pipelines.graph import Value

_LINEAR_HZ: Final = 200 / 3  # a mel below 1000 Hz
_BREAK_HZ: Final = 1000.0
_BREAK_MEL: Final = _BREAK_HZ / _LINEAR_HZ
_STEP: Final = np.log(6.4) / 27  # a mel above, as a logarithm
_LEAST: Final = 1e-10
_DYNAMIC: Final = 8.0  # decades below the loudest that Whisper tells apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Mel:
    """A mel spectrogram.

    Attributes:
        rate: Of the samples, in Hz.
        window: Samples that are looked at together, under a Hann window.
        hop: Samples from one look to the next.
        bands: How many there are.
        low: The lowest frequency, in Hz.
        high: The highest, in Hz; half the rate if None.
    """

    rate: int = 16_000
    window: int = 400
    hop: int = 160
    bands: int = 80
    low: float = 0.0
    high: float | None = None

    def __post_init__(self) -> None:
        """Require sizes that are some.

        Raises:
            ConfigurationError: If one is not.
        """
        if min(self.rate, self.hop, self.bands) < 1 or self.window < 2:
            raise ConfigurationError(f"spectrum: expected sizes above 0, got {self}")

    def filters(self) -> NDArray[np.float64]:
        """How much of each frequency is in each band: (window // 2 + 1, bands)."""
        high = self.rate / 2 if self.high is None else self.high
        edges = _hz(np.linspace(_mel(self.low), _mel(high), self.bands + 2))
        bins = np.fft.rfftfreq(self.window, 1 / self.rate)
        slopes = edges[:, None] - bins
        widths = np.diff(edges)
        rising = -slopes[:-2] / widths[:-1, None]
        falling = slopes[2:] / widths[1:, None]
        area = 2 / (edges[2:] - edges[:-2])
        bands = np.maximum(0, np.minimum(rising, falling)) * area[:, None]
        result: NDArray[np.float64] = bands.T
        return result


def power(samples: Value, mel: Mel) -> Value:
    """A mel power spectrogram; the ends are mirrored, as librosa's `center=True`.

    The run fails if there are fewer samples than half a window.

    Args:
        samples: FP32, (samples).
        mel: Which.

    Returns:
        FP32, (1, bands, 1 + samples // hop).
    """
    graph = samples.graph
    half = mel.window // 2
    enough = graph.op("Greater", graph.op("Size", samples), half)
    samples = graph.require(
        samples, enough, f"sound: expected more than {half} samples, got fewer"
    )
    padded = graph.op("Pad", samples, [half, half], mode="reflect")
    signal = graph.op("Unsqueeze", padded, [0, 1])
    spectrum = graph.op("Conv", signal, _waves(mel.window), strides=[mel.hop])
    squares = graph.op("Mul", spectrum, spectrum)
    bins = mel.window // 2 + 1
    real, imaginary = graph.ops("Split", 2, squares, [bins, bins], axis=1)
    total = graph.op("Add", real, imaginary)
    return graph.op("MatMul", mel.filters().T.astype(np.float32), total)


def log_mel(samples: Value, mel: Mel, *, least: float = _LEAST) -> Value:
    """The natural logarithm of `power`, of what is at least `least`.

    Returns:
        FP32, (1, bands, 1 + samples // hop).
    """
    graph = samples.graph
    return graph.op("Log", graph.op("Max", power(samples, mel), least))


def whisper(samples: Value, *, bands: int = 80, seconds: int = 30) -> Value:
    """What Whisper takes: 30 s at 16 kHz, cut off or filled with silence.

    Args:
        samples: FP32, (samples), of 16 kHz.
        bands: 80; 128 from large-v3 on.
        seconds: How long.

    Returns:
        FP32, (1, bands, 100 a second).
    """
    graph = samples.graph
    mel = Mel(bands=bands)
    samples = audio.fit(samples, seconds * mel.rate)
    log = log_mel(samples, mel)
    log = graph.op("Mul", log, float(1 / np.log(10)))
    log = graph.op("Slice", log, [0], [-1], [2])  # the last is the silence after it
    floor = graph.op("Sub", graph.op("ReduceMax", log), _DYNAMIC)
    log = graph.op("Max", log, floor)
    return graph.op("Div", graph.op("Add", log, 4.0), 4.0)


def _waves(window: int) -> NDArray[np.float32]:
    """Cosines, then sines, under a Hann window: (2 bins, 1, window)."""
    time = np.arange(window)
    angles = 2 * np.pi / window * np.outer(np.arange(window // 2 + 1), time)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / window)
    waves: NDArray[Any] = np.concatenate([np.cos(angles), -np.sin(angles)]) * hann
    return waves[:, None].astype(np.float32)


def _mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _STEP)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(_STEP * (mel - _BREAK_MEL))
    result: NDArray[np.float64] = np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)
    return result
