"""TPM 2.0 commands and responses as bytes (TCG TPM 2.0 Library 1.59, part 1, 18).

    command                               response
    tag u16                               tag u16
    commandSize u32                       responseSize u32
    commandCode u32                       responseCode u32
    handles u32 each                      handle u32, if one is made
    with sessions (tag 8002h):            with sessions:
      authorizationSize u32                 parameterSize u32
      each: handle u32, nonce TPM2B,
        attributes u8, hmac TPM2B
    parameters                            parameters, then the sessions' answers

Numbers are big-endian; a TPM2B is a u16 size and so many bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from blindai.errors import HardwareError
from blindai.protocol.tpm import HASH_NUMBERS, PCR_COUNT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NO_SESSIONS: Final = 0x8001  # TPM_ST_NO_SESSIONS
SESSIONS: Final = 0x8002  # TPM_ST_SESSIONS
PASSWORD: Final = 0x40000009  # TPM_RS_PW, here with an empty password
_CONTINUE: Final = 1  # TPMA_SESSION, continueSession: it is flushed like all else
_HEADER: Final = struct.Struct(">HII")


def sized(content: bytes) -> bytes:
    """A TPM2B."""
    return struct.pack(">H", len(content)) + content


def selection(bank: str, indices: Iterable[int]) -> bytes:
    """TPML_PCR_SELECTION of one bank (part 2, 10.9.7)."""
    bits = sum(1 << index for index in set(indices))
    select = bits.to_bytes(PCR_COUNT // 8, "little")
    return struct.pack(">IHB", 1, HASH_NUMBERS[bank], len(select)) + select


def command(
    code: int, handles: Sequence[int], parameters: bytes, session: int | None
) -> bytes:
    """A command; `session` authorises its first handle."""
    body = b"".join(struct.pack(">I", handle) for handle in handles)
    if session is not None:
        authorization = struct.pack(">IHBH", session, 0, _CONTINUE, 0)
        body += struct.pack(">I", len(authorization)) + authorization
    body += parameters
    tag = NO_SESSIONS if session is None else SESSIONS
    return _HEADER.pack(tag, _HEADER.size + len(body), code) + body


class Response:
    """A response, read forward.

    Args:
        name: Of the command, for messages.
        data: All of it.

    Raises:
        HardwareError: If it is not one whole response.
    """

    __slots__ = ("_data", "_name", "_offset", "code")

    def __init__(self, name: str, data: bytes) -> None:
        self._name = name
        self._data = data
        self._offset = 0
        tag, size, self.code = _HEADER.unpack(self.take(_HEADER.size))
        if size != len(data) or tag not in {NO_SESSIONS, SESSIONS}:
            raise HardwareError(f"{name}: expected one response, got other bytes")

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            HardwareError: If fewer are left.
        """
        taken = self._data[self._offset : self._offset + size]
        if len(taken) != size:
            raise HardwareError(
                f"{self._name}: expected {size} bytes more, got {len(taken)}"
            )
        self._offset += size
        return taken

    def number(self, size: int) -> int:
        """The next number, of `size` bytes."""
        return int.from_bytes(self.take(size))

    def sized(self) -> bytes:
        """The next TPM2B."""
        return self.take(self.number(2))
