"""What firmware and boot loader say they measured: a TCG event log, replayed.

TCG PC Client Platform Firmware Profile (PFP) 1.05 revision 23, chapter 10; for TDX the
same format as CCEL (UEFI 2.11, 38.4.1, Confidential Computing Measurement). Numbers are
little-endian.

    header (TCG_PCClientPCREvent)         event (TCG_PCR_EVENT2)
    pcrIndex u32                          pcrIndex u32
    eventType u32, EV_NO_ACTION           eventType u32
    digest 20, zeros                      count u32, as many as the header lists
    eventDataSize u32                     each: hashAlg u16, digest
    TCG_EfiSpecIdEvent:                   eventSize u32
      signature 16 "Spec ID Event03"      event
      platformClass u32
      minor, major, errata, uintn u8
      numberOfAlgorithms u32
      each: algorithmId u16, size u16
      vendorInfoSize u8, vendorInfo

Nothing signs a log. What counts is that its digests, replayed, give the registers that
the hardware signed; then the digests are authentic, and the order within a register.
An event's type and data are authentic only where the digest is that of the data:
`Event.measured` says so. Registers of a TPM are PCRs; of CCEL, 0 is MRTD and 1 to 4 are
RTMR0 to RTMR3. Both start at zero.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.protocol.attestation import MAX_EVENT_LOG_BYTES
from blindai.protocol.tpm import HASH_BYTES, HASHES, PCR_COUNT
from blindai.verifier.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


MAX_EVENTS: Final = 4096
MAX_ALGORITHMS: Final = 8

_MAX_DIGEST_BYTES: Final = 64

_SPEC_ID: Final = b"Spec ID Event03\x00"
_SPEC_ID_EVENT: Final = 28
_SEPARATORS: Final = (bytes(4), b"\xff" * 4)
_STARTUP_LOCALITY: Final = b"StartupLocality\x00"
_LOCALITIES: Final = (b"\x00", b"\x03", b"\x04")


class EventType(IntEnum):
    """Types with a name here (PFP 10.4.1); a log may have others."""

    POST_CODE = 0x00000001
    NO_ACTION = 0x00000003
    SEPARATOR = 0x00000004
    ACTION = 0x00000005
    EVENT_TAG = 0x00000006
    S_CRTM_CONTENTS = 0x00000007
    S_CRTM_VERSION = 0x00000008
    PLATFORM_CONFIG_FLAGS = 0x0000000A
    COMPACT_HASH = 0x0000000C
    IPL = 0x0000000D
    NONHOST_INFO = 0x00000011
    EFI_VARIABLE_DRIVER_CONFIG = 0x80000001
    EFI_VARIABLE_BOOT = 0x80000002
    EFI_BOOT_SERVICES_APPLICATION = 0x80000003
    EFI_BOOT_SERVICES_DRIVER = 0x80000004
    EFI_GPT_EVENT = 0x80000006
    EFI_ACTION = 0x80000007
    EFI_PLATFORM_FIRMWARE_BLOB = 0x80000008
    EFI_HANDOFF_TABLES = 0x80000009
    EFI_PLATFORM_FIRMWARE_BLOB2 = 0x8000000A
    EFI_VARIABLE_AUTHORITY = 0x800000E0


# The digest is that of the event data (PFP 10.4.1).
_DIGEST_OF_DATA: Final = frozenset(
    {
        EventType.SEPARATOR,
        EventType.ACTION,
        EventType.S_CRTM_VERSION,
        EventType.NONHOST_INFO,
        EventType.EFI_VARIABLE_DRIVER_CONFIG,
        EventType.EFI_GPT_EVENT,
        EventType.EFI_ACTION,
        EventType.EFI_VARIABLE_AUTHORITY,
    }
)


class Measured(Enum):
    """What an event's digest is of."""

    DATA = "the event's data, which the register therefore vouches for"
    OTHER = "something else, although its type promises the event's data"
    UNDEFINED = "something that the event's type does not say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One measurement, as the log tells it.

    Attributes:
        register: The register that it extended, 0 to 23; any where it extended none.
        type: What kind it is; see `EventType`.
        digests: What was extended, by the algorithm's name.
        data: What the measurer wrote beside it; nobody vouches for it (`measured`).
    """

    register: int
    type: int
    digests: Mapping[str, bytes]
    data: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The type's name, or its number."""
        try:
            return f"EV_{EventType(self.type).name}"
        except ValueError:
            return f"{self.type:#010x}"

    @property
    def extends(self) -> bool:
        """Whether it extended its register (PFP 10.4.5, EV_NO_ACTION)."""
        return self.type != EventType.NO_ACTION

    def measured(self, algorithm: str) -> Measured:
        """What the digest is of. It says nothing before the log has been replayed.

        Args:
            algorithm: Of the bank that was replayed, one that the log has.
        """
        if self.type not in _DIGEST_OF_DATA:
            return Measured.UNDEFINED
        digest = hashlib.new(algorithm, self.data).digest()
        return Measured.DATA if digest == self.digests[algorithm] else Measured.OTHER


@dataclass(frozen=True, slots=True)
class EventLog:
    """A log, cut into events but not believed.

    Attributes:
        algorithms: Names of the algorithms that each event has digests of.
        events: All events after the header, in order.
    """

    algorithms: tuple[str, ...]
    events: tuple[Event, ...]

    def replay(self, algorithm: str) -> dict[int, bytes]:
        """The registers that the log accounts for, as they would stand after it.

        Args:
            algorithm: Name of the bank: "sha1", "sha256", "sha384" or "sha512".

        Raises:
            EvidenceError: If the log has no digests of that algorithm.
            ValueError: If there is no such algorithm.
        """
        size = HASH_BYTES.get(algorithm)
        if size is None:
            raise ValueError(f"algorithm: expected {', '.join(HASH_BYTES)}")
        if algorithm not in self.algorithms:
            raise EvidenceError(f"event log: expected {algorithm} digests, got none")
        registers = dict(self._start(size))
        for event in filter(lambda event: event.extends, self.events):
            before = registers.get(event.register, bytes(size))
            extended = before + event.digests[algorithm]
            registers[event.register] = hashlib.new(algorithm, extended).digest()
        return registers

    def from_firmware(self, register: int, algorithm: str) -> tuple[Event, ...]:
        """What firmware measured into a register, if the log replays to its value.

        Whatever runs later can extend the register too, with the digest of any data it
        likes, and call it any type in the log. Only firmware comes before the
        separator, which is known by its digest (PFP 10.4.1, EV_SEPARATOR).

        Args:
            register: Which one.
            algorithm: Of the bank that was replayed, one that the log has.

        Returns:
            The events before the separator; none if there is no separator.
        """
        separators = {hashlib.new(algorithm, each).digest() for each in _SEPARATORS}
        events = [e for e in self.events if e.register == register and e.extends]
        for place, event in enumerate(events):
            if event.digests[algorithm] in separators:
                return tuple(events[:place])
        return ()

    def _start(self, size: int) -> Iterator[tuple[int, bytes]]:
        """PCR 0 as the locality leaves it that started the TPM (PFP 10.4.5.3)."""
        for event in self.events:
            if not event.extends and event.data.startswith(_STARTUP_LOCALITY):
                yield 0, event.data[-1:].rjust(size, b"\x00")


EMPTY: Final = EventLog((), ())
"""The log of a machine that sent none."""


def parse(data: bytes) -> EventLog:
    """Cut a log into events.

    A log that lies in a fixed area, as CCEL does, may end in padding: nothing but FFh,
    or nothing but zeros. It has no meaning.

    Raises:
        EvidenceError: If the bytes are not a crypto-agile log, or pass a limit.
    """
    if len(data) > MAX_EVENT_LOG_BYTES:
        raise EvidenceError(
            f"event log: expected at most {MAX_EVENT_LOG_BYTES} bytes, got {len(data)}"
        )
    reader = Reader(data, "event log", "little")
    sizes = _header(reader)
    padding = min(len(data.rstrip(b"\xff")), len(data.rstrip(b"\x00")))
    events: list[Event] = []
    while reader.offset < padding:
        if len(events) == MAX_EVENTS:
            raise EvidenceError(f"event log: expected at most {MAX_EVENTS} events")
        events.append(_event(reader, sizes))
    _require_one_start(events)
    return EventLog(tuple(map(_name, sizes)), tuple(events))


def _header(reader: Reader) -> dict[int, int]:
    """The digest size of each algorithm the log has.

    Raises:
        EvidenceError: If the log does not begin with a Spec ID event.
    """
    reader.number(4)  # the TPM's PCR 0; CCEL has 1 here
    kind, digest = reader.number(4), reader.take(20)
    body = reader.sized(4, MAX_EVENT_LOG_BYTES)
    specification = Reader(body, "event log header", "little")
    signed_as = specification.take(16)
    if kind != EventType.NO_ACTION or any(digest) or signed_as != _SPEC_ID:
        raise EvidenceError("event log: expected the header of a crypto-agile log")
    specification.take(8)
    count = specification.number(4)
    if not 1 <= count <= MAX_ALGORITHMS:
        raise EvidenceError(f"event log: expected 1 to {MAX_ALGORITHMS} algorithms")
    pairs = [(specification.number(2), specification.number(2)) for _ in range(count)]
    specification.sized(1, 0xFF)
    specification.end()
    sizes = dict(pairs)
    if len(sizes) != count or not all(map(_fits, *zip(*pairs, strict=True))):
        raise EvidenceError("event log: expected each algorithm once, with its size")
    return sizes


def _fits(algorithm: int, size: int) -> bool:
    if algorithm in HASHES:
        return size == HASH_BYTES[HASHES[algorithm]]
    return 1 <= size <= _MAX_DIGEST_BYTES


def _event(reader: Reader, sizes: Mapping[int, int]) -> Event:
    register, kind, count = reader.number(4), reader.number(4), reader.number(4)
    if count != len(sizes):
        raise EvidenceError(f"event: expected {len(sizes)} digests, got {count}")
    digests: dict[str, bytes] = {}
    for _ in range(count):
        algorithm = reader.number(2)
        if algorithm not in sizes or _name(algorithm) in digests:
            raise EvidenceError("event: expected one digest of each algorithm")
        digests[_name(algorithm)] = reader.take(sizes[algorithm])
    data = reader.sized(4, MAX_EVENT_LOG_BYTES)
    if kind != EventType.NO_ACTION and register >= PCR_COUNT:
        raise EvidenceError(
            f"event: expected a register up to {PCR_COUNT - 1}, got {register}"
        )
    return Event(
        register=register, type=kind, digests=MappingProxyType(digests), data=data
    )


def _require_one_start(events: list[Event]) -> None:
    """The TPM starts once, before anything is measured into PCR 0 (PFP 10.4.5.3).

    Raises:
        EvidenceError: If the log has it otherwise.
    """
    first = [event for event in events if event.register == 0][:1]
    for event in events:
        if event.extends or not event.data.startswith(_STARTUP_LOCALITY):
            continue
        locality = event.data[len(_STARTUP_LOCALITY) :]
        if locality not in _LOCALITIES or first != [event]:
            raise EvidenceError(
                "event log: expected one start-up locality, 0, 3 or 4, before all else"
            )
        first = []


def _name(algorithm: int) -> str:
    return HASHES.get(algorithm, f"algorithm {algorithm:04x}")
