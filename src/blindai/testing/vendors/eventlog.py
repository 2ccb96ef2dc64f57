"""A made-up firmware that measures, and writes down what it measured.

    log = write_log([Measurement(4, EventType.EFI_ACTION, b"boot")], ("sha256",))

For PCRs and, with the header that TDX firmware writes, for CCEL.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.protocol.tpm import HASH_NUMBERS
from blindai.verifier.eventlog import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One event; its digests are those of its data, unless others are given.

    Attributes:
        register: The register that it extends.
        type: What kind it is.
        data: What is written beside it.
        digests: Digests of something else, by the algorithm's name.
    """

    register: int
    type: int = EventType.EFI_ACTION
    data: bytes = b""
    digests: Mapping[str, bytes] = field(default_factory=dict)

    def digest(self, algorithm: str) -> bytes:
        """What is extended; zeros where nothing is (EV_NO_ACTION)."""
        if self.type == EventType.NO_ACTION:
            return bytes(hashlib.new(algorithm).digest_size)
        made = hashlib.new(algorithm, self.data).digest()
        return self.digests.get(algorithm, made)


def startup_locality(locality: int) -> Measurement:
    """The event that says from which locality the TPM was started."""
    data = b"StartupLocality\x00" + bytes([locality])
    return Measurement(register=0, type=EventType.NO_ACTION, data=data)


def write_header(algorithms: Sequence[str], register: int = 0) -> bytes:
    """The Spec ID event; `register` is 1 in CCEL."""
    body = b"Spec ID Event03\x00" + struct.pack("<IBBBB", 0, 0, 2, 0, 2)
    body += struct.pack("<I", len(algorithms))
    for name in algorithms:
        body += struct.pack("<HH", HASH_NUMBERS[name], hashlib.new(name).digest_size)
    body += b"\x00"
    return struct.pack("<II20xI", register, EventType.NO_ACTION, len(body)) + body


def write_event(measurement: Measurement, algorithms: Sequence[str]) -> bytes:
    """One event, with a digest of each algorithm."""
    event = struct.pack("<III", measurement.register, measurement.type, len(algorithms))
    for name in algorithms:
        event += struct.pack("<H", HASH_NUMBERS[name]) + measurement.digest(name)
    return event + struct.pack("<I", len(measurement.data)) + measurement.data


def write_log(
    measurements: Iterable[Measurement],
    algorithms: Sequence[str] = ("sha256",),
    *,
    ccel: bool = False,
) -> bytes:
    """A whole log."""
    events = (write_event(each, algorithms) for each in measurements)
    return write_header(algorithms, register=int(ccel)) + b"".join(events)
