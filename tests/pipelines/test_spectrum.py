"""Spectrograms, held against librosa 0.11.0 and transformers 5.24.0.

Their values stand here for one signal; `make test-references` asks them again.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipelines.running import WITHOUT, Array, ready

from blindai.errors import ConfigurationError, InvalidRequestError
from blindai.pipelines import Pipeline, spectrum
from blindai.pipelines.spectrum import Mel

_TIME = np.arange(40_000) / 16_000
SIGNAL: Array = (
    0.4 * np.sin(2 * np.pi * (200 + 900 * _TIME) * _TIME)
    + 0.1 * np.sin(2 * np.pi * 3000 * _TIME)
).astype(np.float32)
BANDS, FRAMES = (0, 7, 40, 79), (0, 1, 10, 100, 249, 250, 2999)
# transformers: WhisperFeatureExtractor(feature_size=80), of SIGNAL
WHISPER = (
    (1.1225, 0.551838, -0.193568, -0.597944, -0.23403, 0.276214, -0.597944),
    (1.16382, 0.955459, 0.955837, -0.597944, -0.232373, 0.277762, -0.597944),
    (0.0791557, -0.412997, -0.597944, -0.361865, -0.165543, 0.344665, -0.597944),
    (0.0586696, -0.451435, -0.597944, -0.597944, -0.171906, 0.338282, -0.597944),
)
# librosa.feature.melspectrogram(n_fft=400, hop_length=160, n_mels=80,
# pad_mode="reflect"), of the first 8000 samples, at frames 0, 1, 10 and 50
POWER = (
    (3.09017, 0.0161195, 1.68162e-05, 0.073272),
    (4.52137, 0.663495, 0.665805, 0.0849894),
    (0.000207311, 2.22849e-06, 2.97204e-09, 0.0325498),
    (0.000171664, 1.56409e-06, 1.98546e-14, 0.000278708),
)
# By librosa: filters.mel(sr=22050, n_fft=1024, n_mels=40, fmin=50, fmax=8000)
FILTERS = {
    (0, 4): 0.0069026691,
    (0, 5): 0.011016288,
    (10, 40): 0.010866033,
    (20, 95): 0.0,
    (39, 340): 0.0014536644,
    (39, 371): 3.5058492e-05,
}


def test_whisper_hears_what_transformers_does() -> None:
    pipeline = Pipeline()
    pipeline.give(heard=spectrum.whisper(pipeline.input("samples", "FP32", [None])))

    (heard,) = ready(pipeline, WITHOUT)(samples=SIGNAL)

    assert heard.shape == (1, 80, 3000)
    assert np.abs(heard[0][np.ix_(BANDS, FRAMES)] - WHISPER).max() < 1e-4


def test_power_is_what_librosa_finds() -> None:
    pipeline = Pipeline()
    samples = pipeline.input("samples", "FP32", [None])
    pipeline.give(
        power=spectrum.power(samples, Mel()), log=spectrum.log_mel(samples, Mel())
    )

    power, log = ready(pipeline, WITHOUT)(samples=SIGNAL[:8000])

    assert power.shape == (1, 80, 51)
    assert np.abs(power[0][np.ix_(BANDS, (0, 1, 10, 50))] - POWER).max() < 1e-5
    assert np.abs(log - np.log(np.maximum(power, 1e-10))).max() < 1e-5


def test_filters_are_librosas() -> None:
    filters = Mel(rate=22_050, window=1024, bands=40, low=50, high=8000).filters()

    assert filters.shape == (513, 40)
    for (band, place), value in FILTERS.items():
        assert filters[place, band] == pytest.approx(value, abs=1e-8)


def test_less_than_half_a_window_is_refused() -> None:
    pipeline = Pipeline()
    samples = pipeline.input("samples", "FP32", [None])
    pipeline.give(power=spectrum.power(samples, Mel()))

    with pytest.raises(InvalidRequestError, match="expected more than 200 samples"):
        ready(pipeline, WITHOUT)(samples=np.zeros(200))


@pytest.mark.parametrize("size", ["rate", "hop", "bands", "window"])
def test_sizes_are_some(size: str) -> None:
    with pytest.raises(ConfigurationError, match="expected sizes above 0"):
        Mel(**{size: 0})
