"""Asks how risky credits are: client.py URL APPLICATION.json ..."""

import json
import sys
from pathlib import Path

import blindai


def main() -> None:
    """Ask an attested enclave; whoever runs it sees neither application nor answer."""
    url, *paths = sys.argv[1:]
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        for path in paths:
            fields = json.loads(Path(path).read_text())
            inputs = {name: [value] for name, value in fields.items()}
            response = client.predict("neural_random_forest", inputs)
            forest, neural = (float(each.as_numpy()[0]) for each in response.output)
            print(f"{Path(path).stem}: the credit goes bad with a probability of")
            print(f"  {forest:.0%}, says the random forest")
            print(f"  {neural:.0%}, says the Neural Random Forest")


if __name__ == "__main__":
    main()
