"""Asks of what breed dogs are: client.py URL PHOTO ..."""

import sys
from pathlib import Path

import numpy as np

import blindai


def main() -> None:
    """Send photos as files; whoever runs the enclave sees neither them nor answers."""
    url, *paths = sys.argv[1:]
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        for path in map(Path, paths):
            photo = np.frombuffer(path.read_bytes(), np.uint8)
            response = client.predict("resnet18", photo)
            breeds, chances = (output.as_numpy()[0] for output in response.output)
            print(path.name)
            for breed, chance in zip(breeds, chances, strict=True):
                print(f"  {chance:6.1%}  {breed.decode()}")


if __name__ == "__main__":
    main()
