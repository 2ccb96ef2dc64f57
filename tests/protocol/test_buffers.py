"""The forms of bytes that the protocol takes."""

from __future__ import annotations

import pytest

from blindai.protocol.buffers import Bytes


@pytest.mark.parametrize("data", [b"", bytearray(), memoryview(b"")])
def test_all_of_pythons_forms_are_bytes(data: Bytes) -> None:
    assert isinstance(data, Bytes)
