"""Sound, held against librosa, transformers and soxr themselves.

They are large and optional: `make test-references` has them, in an environment of its
own. Elsewhere `test_spectrum` has what they gave.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.pipelines.running import WITHOUT, ready
from tests.pipelines.test_audio import resampler
from tests.pipelines.test_spectrum import SIGNAL

from blindai.pipelines import Pipeline, spectrum
from blindai.pipelines.spectrum import Mel


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("count", [40_000, 4000, 480_000])
def test_whisper_hears_what_transformers_does(bands: int, count: int) -> None:
    whisper = pytest.importorskip(
        "transformers.models.whisper.feature_extraction_whisper"
    )
    samples = np.resize(SIGNAL, count)
    pipeline = Pipeline()
    heard = spectrum.whisper(pipeline.input("samples", "FP32", [None]), bands=bands)
    pipeline.give(heard=heard)

    (ours,) = ready(pipeline, WITHOUT)(samples=samples)

    extract = whisper.WhisperFeatureExtractor(feature_size=bands)
    theirs = extract(samples, sampling_rate=16_000, return_tensors="np").input_features
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize(
    "mel",
    [
        Mel(),
        Mel(rate=22_050, window=1024, hop=256, bands=64, low=20, high=8000),
        Mel(rate=8000, window=256, hop=100, bands=40),
    ],
)
def test_power_is_what_librosa_finds(mel: Mel) -> None:
    librosa = pytest.importorskip("librosa")
    pipeline = Pipeline()
    samples = pipeline.input("samples", "FP32", [None])
    pipeline.give(power=spectrum.power(samples, mel))

    (ours,) = ready(pipeline, WITHOUT)(samples=SIGNAL)

    theirs = librosa.feature.melspectrogram(
        y=SIGNAL,
        sr=mel.rate,
        n_fft=mel.window,
        hop_length=mel.hop,
        n_mels=mel.bands,
        fmin=mel.low,
        fmax=mel.high,
        pad_mode="reflect",
    )
    assert ours[0].shape == theirs.shape
    assert np.abs(ours[0] - theirs).max() < 1e-5 * theirs.max()


@pytest.mark.parametrize("old", [8000, 22_050, 44_100, 48_000])
def test_it_is_resampled_nearly_as_soxr_does(old: int) -> None:
    soxr = pytest.importorskip("soxr")
    time = np.arange(old) / old
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 1000, 2900))
    samples = np.asarray(tones, np.float32) / 4

    (ours,) = resampler(16_000)(samples=samples, rate=[old])

    theirs = soxr.resample(samples, old, 16_000)
    inner = slice(500, min(len(ours), len(theirs)) - 500)
    noise = np.square(ours[inner] - theirs[inner]).mean()
    assert 10 * np.log10(np.square(theirs[inner]).mean() / noise) > 45  # dB
