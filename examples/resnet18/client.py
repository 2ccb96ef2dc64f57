"""Asks of what breed dogs are: client.py URL PHOTO ..."""

import sys
from pathlib import Path

import blindai


def main() -> None:
    """Send photos as files; whoever runs the enclave sees neither them nor answers."""
    url, *paths = sys.argv[1:]
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        for path in map(Path, paths):
            response = client.predict("resnet18", path.read_bytes())
            breeds, chances = response.output
            print(path.name)
            for breed, chance in zip(breeds.as_texts(), chances.as_flat(), strict=True):
                print(f"  {chance:6.1%}  {breed}")


if __name__ == "__main__":
    main()
