"""A JPEG that a decoder could not go by is refused before it sees it.

Each case breaks one rule. The decoder would end its process on most of them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipelines.running import WITHOUT, file_of, photograph, ready
from tests.pipelines.test_image import decoder
from tests.pipelines.test_image_files import DAMAGED, looker

from blindai.errors import InvalidRequestError
from blindai.pipelines import Pipeline
from blindai.pipelines.jpeg_files import MAX_SCANS, look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Change = Callable[["list[Segment]"], "list[Segment]"]

PHOTO = photograph(48, 64)
COLOURS, GREY = PHOTO, PHOTO[..., 0]
FRAME, EXTENDED, PROGRESSIVE, SCAN = 0xC0, 0xC1, 0xC2, 0xDA
CODES, DIVISORS, RESTARTS, NOTE = 0xC4, 0xDB, 0xDD, 0xFE
IN_SCANS = (0, *range(0xD0, 0xD8), 0xFF)


@dataclass(frozen=True)
class Segment:
    """A segment, with what follows the head of a scan."""

    kind: int
    content: bytes
    data: bytes = b""

    def encode(self, length: int | None = None) -> bytes:
        size = len(self.content) + 2 if length is None else length
        head = struct.pack(">BBH", 0xFF, self.kind, size)
        return head + self.content + self.data

    def set(self, at: int, *values: int) -> Segment:
        content = self.content[:at] + bytes(values) + self.content[at + len(values) :]
        return replace(self, content=content)


def parse(file: bytes) -> list[Segment]:
    found, at = [], 2
    while file[at + 1] != 0xD9:
        kind, size = file[at + 1], int.from_bytes(file[at + 2 : at + 4], "big")
        content, at = file[at + 4 : at + 2 + size], at + 2 + size
        end = at
        while kind == SCAN and not (
            file[end] == 0xFF and file[end + 1] not in IN_SCANS
        ):
            end += 1
        found.append(Segment(kind, content, file[at:end]))
        at = end
    return found


def encode(segments: Sequence[Segment]) -> bytes:
    return b"\xff\xd8" + b"".join(each.encode() for each in segments) + b"\xff\xd9"


BASELINE = parse(file_of(COLOURS, "JPEG"))
GREYS = parse(file_of(GREY, "JPEG"))
PARTS = parse(file_of(COLOURS, "JPEG", progressive=True))


def changed(
    kind: int,
    change: Callable[[Segment], Segment],
    number: int = 0,
    of: list[Segment] = BASELINE,
) -> list[Segment]:
    """A file with another one in place of its first segment of a kind, or the next."""
    places = [place for place, each in enumerate(of) if each.kind == kind]
    place = places[number]
    return [*of[:place], change(of[place]), *of[place + 1 :]]


def put(
    kind: int, at: int, *values: int, number: int = 0, of: list[Segment] = BASELINE
) -> list[Segment]:
    return changed(kind, lambda each: each.set(at, *values), number, of)


def longer(kind: int, of: list[Segment] = BASELINE) -> list[Segment]:
    return changed(
        kind, lambda each: replace(each, content=each.content + b"\0"), of=of
    )


def without(kind: int, of: list[Segment] = BASELINE) -> list[Segment]:
    return [each for each in of if each.kind != kind]


def frame(*names: int, scan: tuple[int, ...]) -> list[Segment]:
    """A file whose channels have other names."""
    file = BASELINE
    for place, name in enumerate(names):
        file = put(FRAME, 6 + 3 * place, name, of=file)
    return changed(SCAN, lambda each: replace(each, content=bytes(scan)), of=file)


def sampled(first: int, second: int) -> list[Segment]:
    return put(FRAME, 10, second, of=put(FRAME, 7, first))


def first(kind: int, content: bytes) -> list[Segment]:
    return [Segment(kind, content), *BASELINE]


def dropped(kind: int, number: int) -> list[Segment]:
    place = [place for place, each in enumerate(BASELINE) if each.kind == kind][number]
    return [*BASELINE[:place], *BASELINE[place + 1 :]]


def table(which: int, counts: Sequence[int], meaning: int = 0) -> bytes:
    """Codes: how many of each length from 1 on, all of one meaning."""
    sixteen = [*counts, *(16 - len(counts)) * [0]]
    return bytes([which, *sixteen, *sum(counts) * [meaning]])


# Its bytes are those of a frame's channels, if a frame were where the file begins.
LIKE_A_FRAME = Segment(NOTE, bytes([0, 0, 0, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]))

BROKEN = {
    "frame: length": longer(FRAME),
    "frame: two channels of a name": frame(1, 1, 3, scan=(2, 1, 0, 9, 0, 0, 63, 0)),
    "frame: no samples across": put(FRAME, 7, 0x02),
    "frame: no samples down": put(FRAME, 7, 0x20),
    "frame: five samples across": put(FRAME, 7, 0x51),
    "frame: five samples down": put(FRAME, 7, 0x15),
    "frame: two samples for three, across": sampled(0x31, 0x21),
    "frame: two samples for three, down": sampled(0x13, 0x12),
    "frame: another behind it": [*BASELINE[:4], *BASELINE[3:]],
    "frame: none": without(FRAME),
    "frame: none, but a note like one": [LIKE_A_FRAME, *without(FRAME)],
    "scan: length": longer(SCAN),
    "scan: no channels": [*PARTS, Segment(SCAN, b"\0\0\0\1")],
    "scan: a channel of no frame": put(SCAN, 1, 9),
    "scan: a channel twice": put(SCAN, 3, 1),
    "scan: too many blocks together": sampled(0x42, 0x21),
    "scan: no divisors": dropped(DIVISORS, 1),
    "scan: no codes of means": dropped(CODES, 0),
    "scan: no codes of the rest": dropped(CODES, 1),
    "scan: a table beyond the last": put(
        SCAN, 2, 0x70, of=first(CODES, table(0x03, [1]))
    ),
    "scan: part of a block in an extended file": put(
        SCAN, 8, 62, of=changed(FRAME, lambda each: replace(each, kind=EXTENDED))
    ),
    "part: means and more": put(SCAN, 8, 5, of=PARTS),
    "part: ends before it begins": put(SCAN, 3, 6, number=1, of=PARTS),
    "part: ends behind the last": put(SCAN, 4, 64, number=1, of=PARTS),
    "part: the rest of two channels": changed(
        SCAN,
        lambda each: replace(each, content=bytes([2, 1, 0, 2, 0, 1, 5, 2])),
        1,
        PARTS,
    ),
    "part: no codes of means": put(SCAN, 2, 0x20, of=PARTS),
    "part: no codes of the rest": put(SCAN, 2, 0x02, number=1, of=PARTS),
    "part: finer by two steps": put(SCAN, 5, 0x31, number=5, of=PARTS),
    "part: shifted too far": put(SCAN, 9, 14, of=PARTS),
    "codes: a third kind": first(CODES, table(0x20, [1])),
    "codes: a fifth table": first(CODES, table(0x14, [1])),
    "codes: too many": first(CODES, table(0x13, [*14 * [0], 2, 255])),
    "codes: no room": first(CODES, table(0x13, [2])),
    "codes: too long a difference": first(CODES, table(0x03, [1], 16)),
    "codes: length": longer(CODES),
    "codes: too short": first(CODES, table(0x13, [1])[:-1]),
    "codes: none": first(CODES, b""),
    "codes: too many tables": first(CODES, 17 * table(0x13, [1])),
    "divisors: of three bytes": first(DIVISORS, b"\x23" + bytes(192)),
    "divisors: a sixth table": first(DIVISORS, b"\x05" + bytes(64)),
    "divisors: length": longer(DIVISORS),
    "restarts: length": first(RESTARTS, b"\0\0\0"),
    "behind the last scan: codes": [*BASELINE, BASELINE[4]],
    "behind the last scan: a scan": [*BASELINE, BASELINE[-1]],
    "a marker that nothing has": first(0xF0, b""),
    "a marker of arithmetic codes": first(0xCC, b"\x20\1"),
    "a marker within a scan": changed(
        SCAN, lambda each: replace(each, data=each.data + b"\xff\x02")
    ),
}


@pytest.mark.parametrize("file", BROKEN.values(), ids=BROKEN)
def test_what_a_decoder_cannot_go_by_is_refused(file: list[Segment]) -> None:
    with pytest.raises(InvalidRequestError, match=DAMAGED):
        looker()(file=encode(file))


WHOLE = {
    "colours": BASELINE,
    "grey": GREYS,
    "in parts": PARTS,
    "with restarts": parse(file_of(COLOURS, "JPEG", restart_marker_blocks=1)),
    "extended": changed(FRAME, lambda each: replace(each, kind=EXTENDED)),
    "tables in one segment": [
        Segment(
            CODES, b"".join(each.content for each in BASELINE if each.kind == CODES)
        ),
        *without(CODES),
    ],
    "divisors of two bytes": first(DIVISORS, b"\x13" + bytes(range(128))),
    "notes behind the last scan": [*BASELINE, Segment(NOTE, b"by me")],
    "a baseline file that says nothing of frequencies": put(SCAN, 7, 0, 0, 0),
    "codes that leave room": first(CODES, table(0x13, [1, 1, 1])),
    "as many scans as may be": [*PARTS, *(MAX_SCANS - 10) * [PARTS[-1]]],
}


@pytest.mark.parametrize("file", WHOLE.values(), ids=WHOLE)
def test_what_a_decoder_can_go_by_is_decoded(file: list[Segment]) -> None:
    assert decoder()(file=encode(file))[0].shape == PHOTO.shape


def test_scans_without_end_are_refused_and_not_looked_at() -> None:
    file = encode([*PARTS, *2000 * [PARTS[-1]]])
    pipeline = Pipeline()
    graph = (given := pipeline.input("file", "UINT8", [None])).graph
    jpeg = look(graph, given, graph.op("Size", given), graph.op("Equal", 1, [1]))
    pipeline.give(scans=jpeg.scans)

    assert ready(pipeline, WITHOUT)(file=file)[0] == MAX_SCANS + 1
    with pytest.raises(InvalidRequestError, match="at most 64 scans in a JPEG file"):
        looker()(file=file)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file with bytes changed, and segments twice, left out or renamed."""
    file = list(draw(st.sampled_from([BASELINE, GREYS, PARTS])))
    kinds = st.sampled_from(
        sorted({each.kind for each in PARTS + BASELINE} | {EXTENDED})
    )
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(file) - 1))
        one = file[place]
        match draw(st.sampled_from(["byte", "byte", "byte", "twice", "away", "kind"])):
            case "byte":
                at = draw(st.integers(0, max(0, len(one.content) - 1)))
                file[place] = one.set(at, draw(st.integers(0, 255)))
            case "twice":
                file.insert(draw(st.integers(0, len(file))), one)
            case "away" if len(file) > 1:
                del file[place]
            case _:
                file[place] = replace(one, kind=draw(kinds))
    return encode(file)


@given(damaged())
def test_whatever_is_changed_no_decoder_ends_its_process(file: bytes) -> None:
    try:
        (pixels,) = decoder()(file=file)
    except InvalidRequestError as refused:
        assert refused.message.startswith("image: expected ")  # noqa: PT017  or not
    else:
        assert pixels.shape[2] == 3
