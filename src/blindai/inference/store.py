"""Keeps models: who owns which name, what is loaded, what lies sealed on disk.

One change of a name at a time; who comes second is refused. A model is admitted,
loaded and written before it takes its place, so that a change that fails changes
nothing. Where there is no folder nothing outlives the process.
"""

from __future__ import annotations

import hmac
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blindai.errors import (
    BlindAIError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
)
from blindai.inference.admission import admit
from blindai.inference.model import ModelInfo
from blindai.inference.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from blindai.inference.admission import AdmissionLimits
    from blindai.inference.folder import SealedFolder
    from blindai.inference.runtime import LoadedModel, Runtime

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """How much may be kept.

    Attributes:
        max_models: Models at once.
        max_model_bytes: The largest ONNX file.
        max_total_bytes: ONNX files together, with those being added. While a model is
            replaced both count, as both are in memory.
        max_uploads: Uploads that arrive at the same time.
    """

    max_models: int = 16
    max_model_bytes: int = 1 << 30
    max_total_bytes: int = 4 << 30
    max_uploads: int = 2


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that is served, and the means to run it."""

    info: ModelInfo
    loaded: LoadedModel


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not loaded at start.

    Attributes:
        file: Its name in the folder.
        reason: Why it was not.
    """

    file: str
    reason: str


class Store:
    """Models by name.

    Args:
        runtime: What loads models.
        limits: How much is kept.
        admission: What admitting a model may cost.
        folder: Where models outlive the process, if they do.
    """

    def __init__(
        self,
        runtime: Runtime,
        limits: StoreLimits,
        admission: AdmissionLimits,
        folder: SealedFolder | None = None,
    ) -> None:
        self._runtime = runtime
        self._limits = limits
        self._admission = admission
        self._folder = folder
        self._models: dict[str, StoredModel] = {}
        self._changing: dict[str, int] = {}  # name -> bytes being added
        self._uploads = 0

    async def start(self) -> tuple[Skipped, ...]:
        """Load what the folder holds.

        Returns:
            The files that were not loaded, for the server to report.
        """
        if self._folder is None:
            return ()
        files = await self._runtime.in_thread(self._folder.files)
        skipped = [await self._restore(self._folder, file) for file in files]
        return tuple(entry for entry in skipped if entry is not None)

    def get(self, name: str) -> StoredModel:
        """Find a model.

        Raises:
            NotFoundError: If there is none of this name.
        """
        if name not in self._models:
            raise NotFoundError("model: expected the name of one, got another")
        return self._models[name]

    def list(self) -> tuple[ModelInfo, ...]:
        """All models, in the order of their names."""
        return tuple(self._models[name].info for name in sorted(self._models))

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """Receive an upload.

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
            with Spool(self._runtime, self._limits.max_model_bytes) as spool:
                yield spool
        finally:
            self._uploads -= 1

    async def add(
        self, name: str, owner: str, spool: Spool, *, may_replace: bool, now: datetime
    ) -> ModelInfo:
        """Admit, load and keep a model.

        Once it is being kept a cancellation waits until it is.

        Args:
            name: 1 to 128 of `A-Z a-z 0-9 . _ -`, the first not a dot.
            owner: Who may replace and delete it; opaque here.
            spool: The whole ONNX file. The caller closes it.
            may_replace: Whether the owner's own model of this name may make way.
            now: The time to note.

        Raises:
            InvalidRequestError: If the name is not one.
            ConflictError: If the name is taken, or changing just now.
            OverloadedError: If there is no room.
            ModelRefusedError: If the model is not admitted or does not load.
            InternalError: If the disk fails.
        """
        if not _NAME.fullmatch(name):
            raise InvalidRequestError(
                "model name: expected 1 to 128 of A-Z a-z 0-9 . _ - and no leading dot,"
                " got another"
            )
        with self._change(name, spool.size_bytes):
            self._require_place(name, owner, may_replace=may_replace)
            loaded = await self._runtime.in_thread(self._load, spool)
            info = _info(name, owner, spool, loaded, now)
            await self._runtime.finish(self._keep(StoredModel(info, loaded), spool))
        return info

    async def delete(self, name: str, owner: str) -> None:
        """Remove a model. Requests that run keep it until they end.

        Raises:
            NotFoundError: If there is none of this name.
            ForbiddenError: If it is somebody else's.
            ConflictError: If the name is changing just now.
            InternalError: If the disk fails.
        """
        if not _owns(owner, self.get(name)):
            raise ForbiddenError("model: expected its owner, got somebody else")
        with self._change(name, 0):
            await self._runtime.finish(self._remove(name))

    def clear(self) -> None:
        """Forget all models; files stay."""
        self._models.clear()

    @contextmanager
    def _change(self, name: str, size_bytes: int) -> Iterator[None]:
        if name in self._changing:
            raise ConflictError("model: expected one change at a time, got a second")
        self._changing[name] = size_bytes
        try:
            yield
        finally:
            del self._changing[name]

    def _require_place(self, name: str, owner: str, *, may_replace: bool) -> None:
        """Whether a model that is changing may take its place, and fits.

        Raises:
            ConflictError: If the name is taken.
            OverloadedError: If there is no room.
        """
        old = self._models.get(name)
        if old is not None and not (may_replace and _owns(owner, old)):
            raise ConflictError("model name: expected a free one, got one in use")
        models = len(self._models.keys() | self._changing.keys())
        if models > self._limits.max_models:
            raise OverloadedError(
                f"models: expected at most {self._limits.max_models}, got one more"
            )
        size = sum(model.info.size_bytes for model in self._models.values())
        size += sum(self._changing.values())
        if size > self._limits.max_total_bytes:
            raise OverloadedError(
                f"models: expected at most {self._limits.max_total_bytes} bytes"
                f" together, got {size}"
            )

    def _load(self, spool: Spool) -> LoadedModel:
        return self._runtime.load(spool.path, admit(spool.view(), self._admission))

    async def _keep(self, model: StoredModel, spool: Spool) -> None:
        if self._folder is not None:
            await self._runtime.in_thread(self._folder.write, model.info, spool.view())
        self._models[model.info.name] = model

    async def _remove(self, name: str) -> None:
        if self._folder is not None:
            await self._runtime.in_thread(self._folder.delete, name)
        del self._models[name]

    async def _restore(self, folder: SealedFolder, file: Path) -> Skipped | None:
        try:
            with self.spool() as spool:
                sealed = await self._runtime.in_thread(folder.read, file, spool)
                with self._change(sealed.name, spool.size_bytes):
                    self._require_place(sealed.name, sealed.owner, may_replace=False)
                    loaded = await self._runtime.in_thread(self._load, spool)
                    info = _info(
                        sealed.name, sealed.owner, spool, loaded, sealed.created_at
                    )
                    self._models[sealed.name] = StoredModel(info, loaded)
        except BlindAIError as error:
            return Skipped(file.name, error.message)
        return None


def _owns(owner: str, model: StoredModel) -> bool:
    return hmac.compare_digest(owner.encode(), model.info.owner.encode())


def _info(
    name: str, owner: str, spool: Spool, loaded: LoadedModel, now: datetime
) -> ModelInfo:
    return ModelInfo(
        name=name,
        digest=spool.digest,
        size_bytes=spool.size_bytes,
        spec=loaded.spec,
        owner=owner,
        created_at=now,
    )
