"""Writes down what is said, by an attested enclave: client.py URL [FILE.wav ...]."""

import sys
from pathlib import Path

import blindai


def main() -> None:
    """Send WAV files; whoever runs the enclave hears and reads nothing."""
    url, *files = sys.argv[1:]
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True, timeout=300) as client:
        for file in files:
            response = client.predict("wav2vec2", Path(file).read_bytes())
            print(f"{Path(file).name}: {response.output[0].as_text().strip()}")


if __name__ == "__main__":
    main()
