"""How much may be kept, of all and of one owner; what is being added counts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.errors import ConflictError, OverloadedError, QuotaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.inference.versions import Versions


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """How much may be kept.

    Attributes:
        max_models: Models at once, by name.
        max_model_bytes: The largest ONNX file.
        max_total_bytes: ONNX files together, all versions and those being added.
        max_uploads: Uploads that arrive at the same time.
        max_versions: Versions of one model; the oldest make way.
    """

    max_models: int = 16
    max_model_bytes: int = 1 << 30
    max_total_bytes: int = 4 << 30
    max_uploads: int = 2
    max_versions: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much one owner may keep; 0 for as much as everybody.

    Attributes:
        max_models: Models at once, by name.
        max_bytes: ONNX files together, all versions and those being added.
    """

    max_models: int = 0
    max_bytes: int = 0


NO_QUOTA = Quota()


@dataclass(frozen=True, slots=True)
class _Change:
    owner: str = field(repr=False)
    size_bytes: int


class Room:
    """What is kept and what is being added, against the limits.

    Args:
        limits: Of all together.
        versions: What is kept.
    """

    def __init__(self, limits: StoreLimits, versions: Versions) -> None:
        self._limits = limits
        self._versions = versions
        self._changing: dict[str, _Change] = {}
        self._uploads = 0

    def changing(self, name: str) -> bool:
        """Whether a name is changing just now."""
        return name in self._changing

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Count an upload that arrives.

        Raises:
            OverloadedError: If as many arrive already as may.
        """
        if self._uploads >= self._limits.max_uploads:
            raise OverloadedError(
                f"uploads: expected at most {self._limits.max_uploads} at once,"
                " got more"
            )
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    @contextmanager
    def change(self, name: str, owner: str, size_bytes: int) -> Iterator[None]:
        """Count a change of a name; one at a time.

        Raises:
            ConflictError: If the name is changing already.
        """
        if name in self._changing:
            raise ConflictError("model: expected one change at a time, got a second")
        self._changing[name] = _Change(owner, size_bytes)
        try:
            yield
        finally:
            del self._changing[name]

    def require(self, name: str, owner: str, quota: Quota) -> None:
        """Whether a name fits, with what is being added under it.

        Raises:
            OverloadedError: If it does not.
            QuotaError: If it is too much for its owner.
        """
        names = self._versions.names() | self._changing.keys() | {name}
        if len(names) > self._limits.max_models:
            raise OverloadedError(
                f"models: expected at most {self._limits.max_models}, got one more"
            )
        size = sum(each.info.size_bytes for each in self._versions)
        size += sum(each.size_bytes for each in self._changing.values())
        if size > self._limits.max_total_bytes:
            raise OverloadedError(
                f"models: expected at most {self._limits.max_total_bytes} bytes"
                f" together, got {size}"
            )
        self._require_quota(name, owner, quota)

    def _require_quota(self, name: str, owner: str, quota: Quota) -> None:
        own = [each.info for each in self._versions if each.info.owner == owner]
        arriving = {
            name: each for name, each in self._changing.items() if each.owner == owner
        }
        names = {info.name for info in own} | arriving.keys() | {name}
        if quota.max_models and len(names) > quota.max_models:
            raise QuotaError(
                f"quota max_models: expected at most {quota.max_models} models of this"
                " owner, got one more",
                retry_after_s=60,
            )
        size = sum(info.size_bytes for info in own)
        size += sum(each.size_bytes for each in arriving.values())
        if quota.max_bytes and size > quota.max_bytes:
            raise QuotaError(
                f"quota max_bytes: expected at most {quota.max_bytes} bytes of this"
                f" owner's models, got {size}",
                retry_after_s=60,
            )
