"""How new an enclave's sealed store is, as its answers say it.

A dictionary of structured fields (RFC 9651, section 3.2) in the field `blindai-store`:

    id="<32 hex>", epoch=<number>, index="<64 hex>", previous="<64 hex>"

It travels inside the seal. A client that has seen a mark sees by the next one whether
the operator has put an older store in place, or a copy that went its own way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from blindai.errors import ProtocolError

MAX_EPOCH: Final = 10**15 - 1  # the largest integer of RFC 9651
_FIELD = re.compile(
    r'id="([0-9a-f]{32})", epoch=(0|[1-9][0-9]{0,14}), '
    r'index="([0-9a-f]{64})", previous="([0-9a-f]{64})"'
)


@dataclass(frozen=True, slots=True)
class StoreMark:
    """A store, and how often it was changed.

    Attributes:
        store: Names the store: 16 random bytes, drawn when it was made.
        epoch: Goes up by one with each change.
        index: SHA-256 of the index of this epoch, 32 bytes.
        previous: SHA-256 of the index before it, 32 bytes; zeros where there is none.
    """

    store: bytes
    epoch: int
    index: bytes
    previous: bytes

    def encode(self) -> str:
        """The value of the field."""
        return (
            f'id="{self.store.hex()}", epoch={self.epoch}, '
            f'index="{self.index.hex()}", previous="{self.previous.hex()}"'
        )

    @classmethod
    def parse(cls, text: str) -> StoreMark:
        """Read the value of the field.

        Raises:
            ProtocolError: If it is not one.
        """
        match = _FIELD.fullmatch(text)
        if match is None:
            raise ProtocolError("store mark: expected id, epoch, index and previous")
        store, epoch, index, previous = match.groups()
        return cls(
            bytes.fromhex(store),
            int(epoch),
            bytes.fromhex(index),
            bytes.fromhex(previous),
        )
