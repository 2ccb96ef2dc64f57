"""Keeps models: who owns which name, what is loaded, what lies sealed on disk.

One change of a name at a time; who comes second is refused. A model is admitted,
loaded and written before it takes its place, so that a change that fails changes
nothing. An upload under a name its owner holds makes the next version of it, which
serves from then on. Where there is no folder nothing outlives the process.
"""

from __future__ import annotations

import asyncio
import hmac
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blindai.errors import (
    BlindAIError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
)
from blindai.inference.arrivals import Skipped
from blindai.inference.blocking import finish
from blindai.inference.model import NAME, ModelInfo, ModelSpec
from blindai.inference.room import NO_QUOTA, Quota, Room, StoreLimits
from blindai.inference.sources import FileSource, MemorySource, SealedSource
from blindai.inference.spool import Spool
from blindai.inference.versions import CONFIGURATION, Version, Versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from blindai.inference.arrivals import Preload, Upload
    from blindai.inference.blocking import Threads
    from blindai.inference.engine import Engine, Source
    from blindai.inference.folder import SealedFolder
    from blindai.inference.index import Entry
    from blindai.protocol.store_mark import StoreMark

_UNKNOWN = ModelSpec((), ())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # no upload's time


class Store:
    """Models by name and version.

    Args:
        engine: What loads and runs models.
        threads: Where disks are waited for.
        limits: How much is kept.
        folder: Where models outlive the process, if they do.
    """

    def __init__(
        self,
        engine: Engine,
        threads: Threads,
        limits: StoreLimits,
        folder: SealedFolder | None = None,
    ) -> None:
        self._engine = engine
        self._threads = threads
        self._limits = limits
        self._folder = folder
        self._versions = Versions()
        self._covered: list[Version] = []  # sealed, and the configuration has the name
        self._room = Room(limits, self._versions)
        self._writing = asyncio.Lock()

    async def preload(self, preload: Preload) -> None:
        """Serve a model of the measured configuration; nobody replaces or deletes it.

        Raises:
            ConfigurationError: If its file cannot be read, or has another digest.
            BlindAIError: If it is not admitted, does not load, or does not fit.
        """
        limits, name = self._limits, preload.name
        source = FileSource(
            preload.path, preload.digest, limits.max_model_bytes, self._threads
        )
        async with source.open() as spool:
            with self._room.change(name, CONFIGURATION, spool.size_bytes):
                self.require_place(name, CONFIGURATION, may_replace=False)
                info = ModelInfo(
                    name=name,
                    digest=spool.digest,
                    size_bytes=spool.size_bytes,
                    spec=await self._engine.admit(spool),
                    owner=CONFIGURATION,
                    created_at=_EPOCH,
                    saved=True,
                )
                served = await self._engine.serve(info, spool, source)
                self._versions.put(Version(info, served))

    async def start(self) -> tuple[Skipped, ...]:
        """Load what the folder holds.

        Returns:
            The files that were not loaded, for the server to report.

        Raises:
            BlindAIError: If the folder as a whole does not open.
        """
        if self._folder is None:
            return ()
        index = await self._threads.call(self._folder.open)
        self._versions.remember(index.issued)
        skipped = [Skipped(name, "none of ours") for name in self._folder.strangers]
        order = sorted(index.entries, key=lambda entry: (entry.name, entry.version))
        for entry in order:
            if self._of_configuration(entry.name):
                self._covered.append(Version(_info(entry, _UNKNOWN), entry=entry))
                skipped.append(_skip_covered(entry))
                continue
            try:
                await self._restore(self._folder, entry)
            except BlindAIError as error:
                skipped.append(Skipped(entry.file, error.message))
                self._put_unavailable(entry, error.message)
        return tuple(skipped)

    @property
    def mark(self) -> StoreMark | None:
        """How new the sealed store is; None where there is none."""
        return None if self._folder is None else self._folder.mark

    def find(
        self, name: str, version: int | None = None, digest: str | None = None
    ) -> Version:
        """Find a model; see `Versions.find`.

        Raises:
            NotFoundError: If there is no such name or version.
            ConflictError: If none of them has the digest.
        """
        return self._versions.find(name, version, digest)

    def versions(self, name: str) -> tuple[ModelInfo, ...]:
        """All versions of a model, the oldest first."""
        return tuple(each.info for each in self._versions.of(name))

    def list(self) -> tuple[ModelInfo, ...]:
        """All versions of all models, in the order of their names and numbers."""
        return tuple(each.info for each in self._versions)

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """Receive an upload.

        Raises:
            OverloadedError: If as many arrive already as may.
        """
        with (
            self._room.upload(),
            Spool(self._threads, self._limits.max_model_bytes) as spool,
        ):
            yield spool

    def require_place(
        self,
        name: str,
        owner: str,
        *,
        may_replace: bool = True,
        quota: Quota = NO_QUOTA,
    ) -> None:
        """Whether a model may take its place, and fits; before or after it arrived.

        Raises:
            InvalidRequestError: If the name is not one.
            ConflictError: If the name is taken.
            OverloadedError: If there is no room, or it is too much for its owner.
        """
        if not NAME.fullmatch(name):
            raise InvalidRequestError(
                "model name: expected 1 to 128 of A-Z a-z 0-9 . _ - and no leading dot,"
                " got another"
            )
        held = self._versions.of(name)
        if held and not (may_replace and _owns(owner, held[-1])):
            raise ConflictError("model name: expected a free one, got one in use")
        self._room.require(name, owner, quota)

    async def add(self, name: str, owner: str, spool: Spool, how: Upload) -> ModelInfo:
        """Admit, load and keep a model; it is written while it is loaded.

        Once it is being kept a cancellation waits until it is.

        Args:
            name: 1 to 128 of `A-Z a-z 0-9 . _ -`, the first not a dot.
            owner: Who may replace and delete it; opaque here.
            spool: The whole ONNX file. The caller closes it.
            how: How it is taken in.

        Raises:
            InvalidRequestError: If the name is not one.
            ConflictError: If the name is taken, or changing just now.
            OverloadedError: If there is no room, or it is too much for its owner.
            ModelRefusedError: If the model is not admitted or does not load.
            InternalError: If the disk fails.
        """
        with self._room.change(name, owner, spool.size_bytes):
            self.require_place(
                name, owner, may_replace=how.may_replace, quota=how.quota
            )
            spec = await self._engine.admit(spool)
            info = ModelInfo(
                name=name,
                version=self._versions.next_number(name),
                digest=spool.digest,
                size_bytes=spool.size_bytes,
                spec=spec,
                owner=owner,
                created_at=how.now,
                saved=how.save and self._folder is not None,
            )
            entry = None
            if self._folder is not None and how.save:
                entry = self._folder.entry(info)
            writing = asyncio.create_task(self._write(entry, spool))
            async with AsyncExitStack() as undo:
                undo.push_async_callback(
                    lambda: finish(self._take_back(entry, writing))
                )
                source = self._source(entry, spool)
                served = await self._engine.serve(info, spool, source)
                undo.pop_all()
            await finish(self._keep(Version(info, served, entry), writing))
        return info

    async def delete(self, name: str, owner: str, version: int | None = None) -> None:
        """Remove a model, or one version of it. Requests that run keep it to their end.

        Raises:
            NotFoundError: If there is none of this name or version.
            ForbiddenError: If it is somebody else's.
            ConflictError: If the name is changing just now.
            InternalError: If the disk fails.
        """
        found = self.find(name, version)
        if not _owns(owner, found):
            raise ForbiddenError("model: expected its owner, got somebody else")
        with self._room.change(name, owner, 0):
            going = self._versions.of(name) if version is None else (found,)
            await finish(self._remove(going))

    async def expire(self, before: datetime) -> int:
        """Remove what was uploaded before a time.

        Returns:
            How many versions were removed.

        Raises:
            InternalError: If the disk fails.
        """
        removed = 0
        for name in self._versions.names():
            going = [
                each
                for each in self._versions.of(name)
                if each.info.created_at < before and each.info.owner != CONFIGURATION
            ]
            if going and not self._room.changing(name):
                with self._room.change(name, CONFIGURATION, 0):
                    await finish(self._remove(going))
                removed += len(going)
        if covered := [e for e in self._covered if e.info.created_at < before]:
            await finish(self._commit((), covered))
            self._covered = [e for e in self._covered if e not in covered]
        return removed + len(covered)

    def clear(self) -> None:
        """Forget all models; files stay."""
        self._versions.clear()
        self._covered.clear()

    def _of_configuration(self, name: str) -> bool:
        held = self._versions.of(name)
        return bool(held) and held[-1].info.owner == CONFIGURATION

    def _source(self, entry: Entry | None, spool: Spool) -> Source:
        if self._folder is None or entry is None:
            return MemorySource(spool)
        return SealedSource(self._folder, entry, self._threads)

    async def _write(self, entry: Entry | None, spool: Spool) -> None:
        if self._folder is not None and entry is not None:
            await self._threads.call(self._folder.write, entry, spool.view())

    async def _take_back(
        self, entry: Entry | None, writing: asyncio.Task[None]
    ) -> None:
        """Remove a file that no index will name, once it is written."""
        await asyncio.wait({writing})
        if self._folder is not None and entry is not None and not writing.exception():
            await self._threads.call(self._folder.remove, entry)

    async def _keep(self, version: Version, writing: asyncio.Task[None]) -> None:
        held = self._versions.of(version.info.name)
        going = (*held, version)[: -self._limits.max_versions]
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._engine.retire, version.require())
            await writing
            await self._commit((version,), going)
            undo.pop_all()
        self._versions.put(version)
        await self._drop(going)
        await self._rest(self._versions.of(version.info.name)[:-1])

    async def _remove(self, going: Sequence[Version]) -> None:
        await self._commit((), going)
        await self._drop(going)

    async def _commit(
        self, coming: Sequence[Version], going: Sequence[Version]
    ) -> None:
        """Have the sealed index say what comes and goes, if it concerns it.

        Raises:
            InternalError: If the disk fails.
        """
        added = tuple(each.entry for each in coming if each.entry is not None)
        removed = tuple(each.entry for each in going if each.entry is not None)
        if self._folder is not None and (added or removed):
            async with self._writing:
                await self._threads.call(self._folder.commit, added, removed)

    def _put_unavailable(self, entry: Entry, reason: str) -> None:
        """Keep a name for its owner whose file cannot be served."""
        held = self._versions.of(entry.name)
        if not held or _owns(entry.owner, held[-1]):
            self._versions.put(Version(_info(entry, _UNKNOWN, reason), entry=entry))

    async def _drop(self, going: Sequence[Version]) -> None:
        for each in going:
            self._versions.drop(each)
            if each.served is not None:
                await self._engine.retire(each.served)

    async def _rest(self, versions: Sequence[Version]) -> None:
        for each in versions:
            if each.served is not None:
                await self._engine.rest(each.served)

    async def _restore(self, folder: SealedFolder, entry: Entry) -> None:
        with self.spool() as spool:
            await self._threads.call(folder.read, entry, spool)
            with self._room.change(entry.name, entry.owner, spool.size_bytes):
                self.require_place(entry.name, entry.owner)
                spec = await self._engine.admit(spool)
                info = _info(entry, spec)
                served = await self._engine.serve(
                    info, spool, self._source(entry, spool)
                )
        await self._rest(self._versions.of(entry.name))
        self._versions.put(Version(info, served, entry))


def _owns(owner: str, version: Version) -> bool:
    if version.info.owner == CONFIGURATION:  # nobody does
        return False
    return hmac.compare_digest(owner.encode(), version.info.owner.encode())


def _skip_covered(entry: Entry) -> Skipped:
    """A sealed model whose name, which is no secret, the configuration has taken."""
    return Skipped(
        entry.file,
        "model name: expected a free one, got one of the configuration",
        f"a [[preload]] entry is called {entry.name!r} too, and is served; this one"
        " stays sealed, unseen by its owner, until that entry has another name",
    )


def _info(entry: Entry, spec: ModelSpec, unavailable: str = "") -> ModelInfo:
    return ModelInfo(
        name=entry.name,
        version=entry.version,
        digest=entry.digest,
        size_bytes=entry.size_bytes,
        spec=spec,
        owner=entry.owner,
        created_at=entry.created_at,
        saved=True,
        unavailable=unavailable,
    )
