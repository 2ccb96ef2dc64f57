"""Finds the faces in photos: client.py URL PHOTO ...

Draws what was found, as faces-PHOTO.png in the folder that it is run in.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

import blindai


def main() -> None:
    """Send photos as files; whoever runs the enclave sees neither them nor boxes."""
    url, *paths = sys.argv[1:]
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        for path in map(Path, paths):
            response = client.predict("yolov5", path.read_bytes())
            boxes, scores = (output.as_numpy() for output in response.output)
            print(f"{path.name}: {len(boxes)} faces")
            for box, score in zip(boxes.round().astype(int), scores, strict=True):
                print(f"  {score:.0%} sure: top {box[0]}, left {box[1]}, ", end="")
                print(f"bottom {box[2]}, right {box[3]}")
            draw(path, boxes.tolist())


def draw(path: Path, boxes: list[list[float]]) -> None:
    """The photo with a box around each face."""
    photo = Image.open(path).convert("RGB")
    pen = ImageDraw.Draw(photo)
    for top, left, bottom, right in boxes:
        pen.rectangle((left, top, right, bottom), outline="red", width=4)
    photo.save(f"faces-{path.stem}.png")


if __name__ == "__main__":
    main()
