"""Statements of Intel's in JSON, read field by field and strictly.

Intel signs TCB information and identities as the exact text of a JSON object (Intel SGX
and TDX Provisioning Certification Service API, version 4). What the text says is read
after its signature holds; unknown members are ignored, since Intel adds some.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Self

from blindai.errors import EvidenceError, TensorError
from blindai.protocol import tensor_json

MAX_ENTRIES: Final = 256
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Statement:
    """A JSON object, and what to call it in errors."""

    __slots__ = ("_fields", "_what")

    def __init__(self, fields: object, what: str) -> None:
        """Take a decoded value.

        Raises:
            EvidenceError: If it is no object.
        """
        if not isinstance(fields, dict):
            raise EvidenceError(f"{what}: expected an object")
        self._fields = fields
        self._what = what

    @classmethod
    def parse(cls, text: str | bytes, what: str) -> Self:
        """Read a JSON object.

        Raises:
            EvidenceError: If the bytes are anything else.
        """
        data = text.encode() if isinstance(text, str) else text
        try:
            return cls(tensor_json.parse(memoryview(data)), what)
        except TensorError as error:
            raise EvidenceError(f"{what}: {error.message}") from error

    def has(self, key: str) -> bool:
        """Whether there is a member of this name."""
        return key in self._fields

    def member(self, key: str) -> Statement:
        """The object under `key`.

        Raises:
            EvidenceError: If there is none.
        """
        return Statement(self._fields.get(key), f"{self._what} {key}")

    def members(self, key: str) -> tuple[Statement, ...]:
        """The objects in the array under `key`, at most 256.

        Raises:
            EvidenceError: If there is anything else.
        """
        what = f"{self._what} {key}"
        return tuple(Statement(each, what) for each in self._array(key))

    def number(self, key: str, most: int) -> int:
        """The whole number under `key`, 0 to `most`.

        Raises:
            EvidenceError: If there is anything else.
        """
        value = self._fields.get(key)
        if type(value) is not int or not 0 <= value <= most:
            raise EvidenceError(
                f"{self._what} {key}: expected a whole number, 0 to {most}"
            )
        return value

    def text(self, key: str, most: int) -> str:
        """The string under `key`, at most `most` characters, all of them ASCII.

        Raises:
            EvidenceError: If there is anything else.
        """
        value = self._fields.get(key)
        if not isinstance(value, str) or len(value) > most or not value.isascii():
            raise EvidenceError(
                f"{self._what} {key}: expected at most {most} characters of ASCII"
            )
        return value

    def word(self, key: str, known: tuple[str, ...] = ()) -> str:
        """The word under `key`: letters, digits, hyphens; one of `known`, if given.

        Raises:
            EvidenceError: If there is anything else.
        """
        value = self._word(self._fields.get(key), key)
        if known and value not in known:
            raise EvidenceError(
                f"{self._what} {key}: expected one of {', '.join(known)}, got {value}"
            )
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """The words in the array under `key`; none if there is no such member.

        Raises:
            EvidenceError: If there is anything else.
        """
        if not self.has(key):
            return ()
        return tuple(self._word(each, key) for each in self._array(key))

    def octets(self, key: str, least: int, most: int) -> bytes:
        """The byte string, of `least` to `most` bytes, in hexadecimal under `key`.

        Raises:
            EvidenceError: If there is anything else.
        """
        value = self._fields.get(key)
        sized = isinstance(value, str) and 2 * least <= len(value) <= 2 * most
        if not (sized and _HEX.fullmatch(str(value))):
            raise EvidenceError(
                f"{self._what} {key}: expected {least} to {most} bytes in hexadecimal"
            )
        return bytes.fromhex(str(value))

    def field(self, key: str, size: int) -> bytes:
        """The byte string of `size` bytes in hexadecimal under `key`.

        Raises:
            EvidenceError: If there is anything else.
        """
        return self.octets(key, size, size)

    def time(self, key: str) -> datetime:
        """The time in UTC, to the second, under `key`.

        Raises:
            EvidenceError: If there is anything else.
        """
        value = self.text(key, 32)
        try:
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise EvidenceError(
                f"{self._what} {key}: expected a time as 2026-01-31T00:00:00Z"
            ) from error

    def _array(self, key: str) -> list[object]:
        value = self._fields.get(key)
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            raise EvidenceError(
                f"{self._what} {key}: expected an array of at most {MAX_ENTRIES}"
            )
        return value

    def _word(self, value: object, key: str) -> str:
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise EvidenceError(
                f"{self._what} {key}: expected letters, digits and hyphens, at most 64"
            )
        return value
