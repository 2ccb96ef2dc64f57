"""What attesters are asked to bind, and reports that bind it, of no vendor at all."""

from __future__ import annotations

import struct

import pytest

from blindai.attester.simulated_report import SimulatedPlatform, write_report
from blindai.protocol.keyset import Binding

BINDING = Binding(bytes(range(32)), None)
BOUND = BINDING.report_data


def snp_report(bound: bytes) -> bytes:
    """Laid out as a report, and signed by nobody."""
    return write_report(SimulatedPlatform(), bound).ljust(1184, b"\x00")


def sgx_quote(bound: bytes) -> bytes:
    """A quote's header, an enclave report that binds `bound`, and no signature."""
    body = bytes(64) + b"\x0e" * 32 + bytes(320 - 96) + bound
    return struct.pack("<H", 3).ljust(48, b"\x00") + body


def tdx_quote(bound: bytes, version: int = 4) -> bytes:
    """A quote's header, a TD report that binds `bound`, and no signature."""
    header = struct.pack("<H", version).ljust(48, b"\x00")
    descriptor = struct.pack("<HI", 2, 584) if version == 5 else b""
    body = bytes(136) + b"\x7d" * 48 + bytes(520 - 184) + bound
    return header + descriptor + body


class Pauses:
    """A clock that does not wait, and notes for how long it did not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()
