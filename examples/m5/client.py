"""Asks who speaks in recordings: client.py URL RECORDING.wav ..."""

import sys
from pathlib import Path

import blindai


def main() -> None:
    """Send WAV files as they are; whoever runs the enclave hears nothing."""
    url, *paths = sys.argv[1:]
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        for path in map(Path, paths):
            response = client.predict("m5", path.read_bytes())
            speakers, chances = response.output
            best = f"{chances.as_flat()[0]:.1%}  {speakers.as_texts()[0]}"
            print(f"{path.name:16} {best}")


if __name__ == "__main__":
    main()
