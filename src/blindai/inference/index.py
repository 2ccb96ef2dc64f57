"""What a sealed store holds: its index, which each change replaces by the next one.

Deterministic CBOR, sealed as a file of its own (`folder`):

    v          2
    store      16 random bytes, drawn when the store was made
    epoch      1 for the first index, one more with each change
    previous   SHA-256 of the index before this one; zeros for the first
    issued     the highest version number given out, by name
    models     a list of maps: name, version, digest, owner, size_bytes, created_at_us,
               epoch (of the change that brought it, or of one before), salt (32 bytes)

The salt is the file's own, and its hexadecimal digits are the file's name, so an index
holds for these very files and no others. Indices form a chain: whoever has seen one of
a store knows an older one by its epoch, and one of another history by its digest.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from blindai.errors import OverloadedError, SealingError
from blindai.protocol import cbor
from blindai.protocol.store_mark import MAX_EPOCH, StoreMark

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

VERSION: Final = 2
STORE_BYTES: Final = 16
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIELDS = {
    "name": str,
    "version": int,
    "digest": str,
    "owner": str,
    "size_bytes": int,
    "created_at_us": int,
    "epoch": int,
    "salt": bytes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sealed model.

    Attributes:
        name: What requests call it.
        version: Its number, from 1.
        digest: SHA-256 of the ONNX file, 64 lower-case hexadecimal digits.
        owner: Who may replace and delete it.
        size_bytes: Size of the ONNX file.
        created_at: When it was uploaded, in UTC.
        epoch: Of the index that it was sealed for; it came with that or a later one.
        salt: Of its file, 32 bytes.
    """

    name: str
    version: int
    digest: str
    owner: str = field(repr=False)
    size_bytes: int
    created_at: datetime
    epoch: int
    salt: bytes

    @property
    def file(self) -> str:
        """What its file is called."""
        return self.salt.hex()

    def table(self) -> dict[str, object]:
        """What is encoded of it."""
        return {
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "owner": self.owner,
            "size_bytes": self.size_bytes,
            "created_at_us": (self.created_at - _START) // _MICROSECOND,
            "epoch": self.epoch,
            "salt": self.salt,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What a store holds at one epoch.

    Attributes:
        store: Names the store, 16 bytes.
        epoch: How many indices there were, with this one.
        previous: SHA-256 of the one before, 32 bytes.
        issued: The highest version number given out, by name.
        entries: The sealed models.
    """

    store: bytes
    epoch: int = 1
    previous: bytes = bytes(32)
    issued: Mapping[str, int] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()

    def after(
        self, added: tuple[Entry, ...] = (), removed: Collection[Entry] = ()
    ) -> Index:
        """The index that follows when models come and go.

        Raises:
            OverloadedError: If it would hold more than an index can.
        """
        kept = [entry for entry in self.entries if entry not in removed]
        issued = Counter(self.issued)
        for entry in added:
            issued[entry.name] = max(issued[entry.name], entry.version)
        names = {entry.name for entry in (*kept, *added)}
        following = replace(
            self,
            epoch=self.epoch + 1,
            previous=self.digest,
            issued={name: issued[name] for name in names},
            entries=(*kept, *added),
        )
        if len(following.encode()) > cbor.MAX_BYTES or following.epoch > MAX_EPOCH:
            raise OverloadedError("sealed store: expected fewer models, got too many")
        return following

    def encode(self) -> bytes:
        """The index in CBOR."""
        return cbor.encode(
            {
                "v": VERSION,
                "store": self.store,
                "epoch": self.epoch,
                "previous": self.previous,
                "issued": dict(self.issued),
                "models": [entry.table() for entry in self.entries],
            }
        )

    @property
    def digest(self) -> bytes:
        """SHA-256 of the index in CBOR, 32 bytes."""
        return hashlib.sha256(self.encode()).digest()

    @property
    def mark(self) -> StoreMark:
        """What clients are told of it."""
        return StoreMark(self.store, self.epoch, self.digest, self.previous)


def parse(data: bytes) -> Index:
    """Read an index that opened.

    Raises:
        ProtocolError: If it is no CBOR.
        SealingError: If it is another version's.
    """
    match cbor.decode(data):
        case {
            "v": 2,
            "store": bytes(store),
            "epoch": int(epoch),
            "previous": bytes(previous),
            "issued": dict(issued),
            "models": list(models),
        }:
            return Index(
                store=store,
                epoch=epoch,
                previous=previous,
                issued=issued,
                entries=tuple(map(_entry, models)),
            )
        case _:
            raise SealingError(
                f"sealed index: expected one of version {VERSION}, got another"
            )


def metadata(store: bytes, entry: Entry) -> bytes:
    """What is sealed in front of a model: the store's name and all that is known."""
    return cbor.encode({"v": VERSION, "store": store, **entry.table()})


def parse_metadata(data: bytes) -> tuple[bytes, Entry]:
    """Read what `metadata` wrote: the store's name, and the model's entry.

    Raises:
        ProtocolError: If it is no CBOR.
        SealingError: If it is another version's.
    """
    match cbor.decode(data):
        case {"v": 2, "store": bytes(store), **table}:
            return store, _entry(table)
        case _:
            raise SealingError(
                f"sealed model: expected one of version {VERSION}, got another"
            )


def _entry(table: object) -> Entry:
    if not isinstance(table, dict) or table.keys() != _FIELDS.keys():
        raise SealingError("sealed model: expected the fields of an entry, got others")
    for name, kind in _FIELDS.items():
        if type(table[name]) is not kind:
            raise SealingError(f"sealed model: expected another type of {name}")
    created_at = _START + timedelta(microseconds=table["created_at_us"])
    fields = {name: table[name] for name in _FIELDS if name != "created_at_us"}
    return Entry(**fields, created_at=created_at)
