"""SYNTHETIC: asks whether drawings of lungs have spots: client.py URL PICTURE ...

What answers was trained on drawings. It says nothing about any person.
"""

import sys
from pathlib import Path

import blindai


def main() -> None:
    """Send pictures as files; whoever runs the enclave sees none, and no answer."""
    url, *paths = sys.argv[1:]
    print("SYNTHETIC: trained on drawings, no medical meaning whatever")
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        for path in map(Path, paths):
            response = client.predict("covidnet", path.read_bytes())
            drawn, chances = response.output
            best = f"{chances.as_flat()[0]:.1%}  {drawn.as_texts()[0]}"
            print(f"{path.name:18} {best}")


if __name__ == "__main__":
    main()
