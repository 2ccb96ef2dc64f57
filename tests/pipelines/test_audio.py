"""Sound, held against libsndfile (`soundfile`) and the formula that torchaudio has."""

from __future__ import annotations

import math
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]  # none shipped
from hypothesis import given
from hypothesis import strategies as st
from tests.pipelines.running import WITHOUT, Array, Ready, ready

from blindai.errors import ConfigurationError, InvalidRequestError
from blindai.pipelines import Pipeline, audio

RATE = 22_050
NOISE = np.clip(np.random.default_rng(1).normal(0, 0.3, (1201, 3)), -1, 1)


@cache
def reader() -> Ready:
    pipeline = Pipeline()
    sound = audio.read_wav(pipeline.file("file"), max_seconds=2)
    pipeline.give(samples=sound.samples, rate=sound.rate)
    return ready(pipeline, WITHOUT)


@cache
def resampler(rate: int) -> Ready:
    pipeline = Pipeline()
    samples = pipeline.input("samples", "FP32", [None])
    old = pipeline.input("rate", "INT64", [1])
    pipeline.give(resampled=audio.resample(audio.Sound(samples, old), rate))
    return ready(pipeline, WITHOUT)


@pytest.mark.parametrize(
    ("rate", "zeros", "rolloff"), [(0, 6, 0.99), (8000, 0, 0.99), (8000, 6, 0.0)]
)
def test_there_is_no_such_filter(rate: int, zeros: int, rolloff: float) -> None:
    sound = audio.read_wav(Pipeline().file("file"))

    with pytest.raises(ConfigurationError, match="resample: expected a rate and zeros"):
        audio.resample(sound, rate, zeros=zeros, rolloff=rolloff)


def wav(
    samples: Array = NOISE, subtype: str = "PCM_16", kind: str = "WAV", rate: int = RATE
) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, rate, subtype, format=kind)
    return file.getvalue()


WAV = wav(NOISE[:, :1])
DATA = WAV.index(b"data")
FORMAT = WAV.index(b"fmt ") + 8


def changed(at: int, new: bytes) -> bytes:
    return WAV[:at] + new + WAV[at + len(new) :]


def torchaudios(samples: Array, old: int, new: int) -> Array:
    """`torchaudio.functional.resample` as its formula says, in FP64."""
    common = math.gcd(old, new)
    old, new = old // common, new // common
    base = min(old, new) * 0.99
    width = math.ceil(6 * old / base)
    time = np.arange(0, -new, -1)[:, None] / new + np.arange(-width, width + old) / old
    time = np.clip(time * base, -6, 6)
    kernels = np.sinc(time) * np.cos(time * np.pi / 12) ** 2 * base / old
    padded = np.pad(samples.astype(float), (width, width + old))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernels.shape[1])
    flat: Array = (windows[::old] @ kernels.T).ravel()
    return flat[: math.ceil(new * len(samples) / old)]


@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_a_wav_is_what_libsndfile_reads(subtype: str, channels: int, kind: str) -> None:
    file = wav(NOISE[:, :channels], subtype, kind)
    theirs, _ = soundfile.read(BytesIO(file), dtype="float32", always_2d=True)

    samples, rate = reader()(file=file)

    assert rate.tolist() == [RATE]
    assert samples.shape == (1201,)
    assert np.abs(samples - theirs.mean(1)).max() < 1e-7


def test_the_loudest_and_the_least_are_exact() -> None:
    ends = np.array([-1, -(2.0**-31), 0, 2.0**-31, 1 - 2.0**-23], np.float64)
    for subtype in ("PCM_32", "FLOAT"):
        file = wav(ends[:, None], subtype)
        theirs, _ = soundfile.read(BytesIO(file), dtype="float32")

        assert reader()(file=file)[0].tolist() == theirs.tolist()


def test_what_is_no_number_is_silence() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1e30, 0.5], np.float32)

    (samples, _) = reader()(file=wav(odd[:, None], "FLOAT"))

    assert samples.tolist() == [0, 0, 0, 0, 0.5]


def test_other_chunks_are_passed_over() -> None:
    odd = b"LIST\x03\0\0\0abc\0"
    file = WAV[:12] + odd + WAV[12:DATA] + odd + WAV[DATA:] + b"more"

    assert reader()(file=file)[0].shape == (1201,)


def test_a_file_without_samples_has_none() -> None:
    assert reader()(file=wav(NOISE[:0, :1]))[0].shape == (0,)


NO_WAV = "sound: expected a WAV file, got another"
NOTHING = "sound: expected a WAV file with a format and data, got one without"
LESS = "sound: expected as much data as the WAV file says it has, got less"
ENCODING = "sound: expected PCM of 8, 16, 24 or 32 bits or FP32, got another kind"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", NO_WAV),
        (b"RIFF", NO_WAV),
        (b"fLaC" + bytes(40), NO_WAV),
        (WAV[:12], NOTHING),
        (WAV[:DATA], NOTHING),
        (WAV[:12] + WAV[DATA:], NOTHING),
        (WAV[:12] + 2000 * b"junk\0\0\0\0" + WAV[12:], NOTHING),
        (WAV[:12] + b"junk\xff\xff\xff\xff" + WAV[12:], NOTHING),
        (WAV[:-1], LESS),
        (changed(DATA + 4, b"\xff\xff\xff\xff"), LESS),
        (changed(FORMAT, b"\x06\0"), ENCODING),
        (changed(FORMAT, b"\3\0"), ENCODING),
        (changed(FORMAT + 14, b"\x0c\0"), ENCODING),
        (changed(FORMAT, b"\0\0"), ENCODING),
        (changed(FORMAT + 2, b"\0\0"), "expected 1 to 8 channels, got another"),
        (changed(FORMAT + 2, b"\x09\0"), "expected 1 to 8 channels, got another"),
        (changed(FORMAT + 4, b"\0\0\0\0"), "expected 1000 to 384000 Hz, got another"),
        (changed(FORMAT + 4, b"\xff\xff\xff\xff"), "expected 1000 to 384000 Hz, got"),
        (wav(np.zeros((2001, 1)), rate=1000), "sound: expected at most 2 s, got more"),
    ],
)
def test_what_is_no_sound_is_refused(file: bytes, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        reader()(file=file)


def read_or_refused(file: bytes) -> None:
    try:
        samples, rate = reader()(file=file)
    except InvalidRequestError as refused:
        assert refused.message.startswith("sound: expected ")  # noqa: PT017  or not
    else:
        assert samples.ndim == 1
        assert np.isfinite(samples).all()
        assert len(samples) <= 2 * rate[0]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    read_or_refused(data)
    read_or_refused(WAV[:12] + data)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4))
def test_any_change_is_read_or_refused_in_words(changes: list[tuple[int, int]]) -> None:
    file = bytearray(WAV)
    for at, byte in changes:
        file[at] = byte
    read_or_refused(bytes(file))


@pytest.mark.parametrize("count", [1, 999, 8000])
@pytest.mark.parametrize("old", [8000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_it_is_resampled_as_torchaudio_does(old: int, count: int) -> None:
    samples = NOISE.ravel()[np.arange(count) % NOISE.size].astype(np.float32)

    (ours,) = resampler(16_000)(samples=samples, rate=[old])

    theirs = torchaudios(samples, old, 16_000)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-6


def test_a_tone_stays_the_tone_that_it_is() -> None:
    def tone(rate: int) -> Array:
        wave: Array = np.sin(2 * np.pi * 440 / rate * np.arange(rate))
        return wave.astype(np.float32)

    (ours,) = resampler(16_000)(samples=tone(44_100), rate=[44_100])

    assert np.abs(ours - tone(16_000))[200:-200].max() < 2e-3


def test_at_its_own_rate_it_stays_as_it_is() -> None:
    samples = NOISE[:, 0].astype(np.float32)

    assert np.array_equal(resampler(16_000)(samples=samples, rate=[16_000])[0], samples)


def test_a_rate_with_little_in_common_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="a rate that has more in common"):
        resampler(16_000)(samples=np.zeros(10), rate=[44_101])


def test_it_is_made_of_mean_0_and_variance_1_or_fitted() -> None:
    pipeline = Pipeline()
    samples = pipeline.input("samples", "FP32", [None])
    pipeline.give(
        standard=audio.standardise(samples),
        shorter=audio.fit(samples, 5),
        longer=audio.fit(samples, 2000),
    )
    loud: Any = (NOISE[:, 0] * 3 + 1).astype(np.float32)

    standard, shorter, longer = ready(pipeline, WITHOUT)(samples=loud)

    theirs = (loud - loud.mean()) / np.sqrt(loud.var() + 1e-7)
    assert np.abs(standard[0] - theirs).max() < 1e-5
    assert np.array_equal(shorter, loud[:5])
    assert np.array_equal(longer, np.pad(loud, (0, 2000 - 1201)))
