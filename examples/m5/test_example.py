"""Speakers are named from a recording's file, through a real server."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
from examples.common.serving import UnbuiltError

if TYPE_CHECKING:
    from pathlib import Path

    from examples.conftest import Served


def wav(samples: np.ndarray, rate_hz: int) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return content.getvalue()


def test_who_speaks_is_named_in_clips_that_were_never_heard(served: Served) -> None:
    answers = served.ask()

    names = [path.stem.partition("-")[2] for path in served.example.samples]
    right = [
        name in got.rpartition("%")[2].lower()
        for name, got in zip(names, answers, strict=True)
    ]
    assert len(answers) == 6
    assert sum(right) >= 5


def test_another_sample_rate_makes_no_difference(
    served: Served, tmp_path: Path
) -> None:
    first = served.example.samples[0]
    with wave.open(str(first)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    at = np.arange(2 * len(sound)) / 2
    doubled = tmp_path / "doubled.wav"
    doubled.write_bytes(wav(np.interp(at, np.arange(len(sound)), sound), 16_000))

    assert served.ask(doubled)[0].split()[2] == served.ask(first)[0].split()[2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not sound", "expected a WAV file"),
        (wav(np.zeros(8000), 8000)[:-4000], "as much data as the WAV file says"),
        (wav(np.zeros(4000), 8000), "0.7 seconds or more"),
    ],
)
def test_what_is_no_recording_is_refused_in_words(
    served: Served, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)

    with pytest.raises(UnbuiltError, match=reason):
        served.ask(path)
