"""What is said in a WAV file is written down, through a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import blindai
from blindai.errors import BlindAIError

if TYPE_CHECKING:
    from pathlib import Path

    from examples.conftest import Served

# Builds a model of 74 million weights, in an environment with torch.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning"),
]

SAID = (
    "0870.wav: And Mr. John Dashwood had then leisure to consider how much there might "
    "be prudently in his power to do for them.",
    "0880.wav: He was not an ill-disposed young man.",
    "0890.wav: Unless to be rather cold-hearted and rather selfish is to be "
    "ill-disposed.",
    "0920.wav: Had he married a more amiable woman, he might have been made still more "
    "respectable than he was.",
    "0930.wav: He might even have been made amiable himself.",
)


def test_what_is_said_is_written_down(served: Served) -> None:
    assert tuple(served.ask()) == SAID


def test_a_file_that_says_it_is_longer_is_refused(served: Served) -> None:
    content = served.example.samples[0].read_bytes()

    with (
        blindai.connect(served.url, simulation=True) as client,
        pytest.raises(BlindAIError, match="expected as much data"),
    ):
        client.predict("wav2vec2", content[: len(content) // 2])


def test_what_is_no_wav_file_is_refused(served: Served, tmp_path: Path) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))

    with (
        blindai.connect(served.url, simulation=True) as client,
        pytest.raises(BlindAIError, match="expected a WAV file"),
    ):
        client.predict("wav2vec2", other.read_bytes())
