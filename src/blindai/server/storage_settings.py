"""The measured configuration: models that are there, and what a key may use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from blindai import tables
from blindai.inference.model import NAME

_SHA256 = re.compile(r"[0-9a-f]{64}")


def require(holds: object, message: str) -> None:
    """Require that a setting is sensible.

    Raises:
        ValueError: If it is not.
    """
    if not holds:
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreloadSettings:
    """One model that is served from the start, whatever is uploaded.

    Attributes:
        name: What requests call it; nobody can replace or delete it.
        digest: SHA-256 of the ONNX file, 64 lower-case hex digits: it decides.
        path: Where the file is, on the operator's disk.
    """

    name: str
    digest: str
    path: str

    def __post_init__(self) -> None:
        """Require a name and a digest.

        Raises:
            ValueError: If one is malformed.
        """
        require(NAME.fullmatch(self.name), "name: expected a model's name")
        require(
            _SHA256.fullmatch(self.digest), "digest: expected 64 lower-case hex digits"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettings:
    """What one API key may use, where it says nothing else; 0 for no limit of its own.

    Attributes:
        max_models: How many models it may keep.
        max_bytes: How many bytes of models, all versions together.
        requests_per_second: How many requests it may send, in the long run.
        max_concurrent: How many of its requests run or wait at the same time.
    """

    max_models: int = 0
    max_bytes: int = 0
    requests_per_second: float = 0.0
    max_concurrent: int = 0

    def __post_init__(self) -> None:
        """Require no negative limit.

        Raises:
            ValueError: If one is.
        """
        for name, value in tables.items(self):
            require(
                isinstance(value, int | float) and 0 <= value < float("inf"),
                f"{name}: expected 0 or more",
            )
