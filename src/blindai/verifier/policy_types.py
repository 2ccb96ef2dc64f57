"""What the keys of a policy's tables may hold, whichever TEE they are about.

A list is left out or has something in it: an empty one would look like a pin, and pin
nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from blindai.tables import Rule, between, count, size

MANY: Final = count(1, 1024)

Flag = Annotated[bool, Rule("true or false")]
U16 = Annotated[int, between(0, 2**16 - 1)]
U32 = Annotated[int, between(0, 2**32 - 1)]
U64 = Annotated[int, between(0, 2**64 - 1)]
U16s = Annotated[tuple[U16, ...], MANY]
Bytes8s = Annotated[tuple[Annotated[bytes, size(8)], ...], MANY]
Bytes16s = Annotated[tuple[Annotated[bytes, size(16)], ...], MANY]
Bytes32s = Annotated[tuple[Annotated[bytes, size(32)], ...], MANY]
Bytes48s = Annotated[tuple[Annotated[bytes, size(48)], ...], MANY]
Bytes64s = Annotated[tuple[Annotated[bytes, size(64)], ...], MANY]
Texts = Annotated[tuple[Annotated[str, Rule("text")], ...], MANY]
