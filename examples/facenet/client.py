"""Compares the faces of photos with the first one's: client.py URL PHOTO PHOTO ..."""

import sys
from pathlib import Path

import blindai


def main() -> None:
    """Send photos as files; whoever runs the enclave sees neither them nor answers."""
    url, first, *others = sys.argv[1:]
    if not others:
        sys.exit("expected two photos or more, got one")
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        for other in others:
            photos = [Path(path).read_bytes() for path in (first, other)]
            response = client.predict("facenet", photos)
            distance, same = (output.as_flat()[0] for output in response.output)
            verdict = "the same face" if same else "different faces"
            print(f"{Path(first).name} and {Path(other).name}: ", end="")
            print(f"{verdict}, at a distance of {distance:.2f}")


if __name__ == "__main__":
    main()
