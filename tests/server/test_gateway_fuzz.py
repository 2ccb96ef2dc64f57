"""Any bytes at the door: a status below 500, and never an exception."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blindai.protocol import ohttp
from blindai.protocol import ohttp_chunked as chunked

if TYPE_CHECKING:
    from tests.server.conftest import Door

WHOLE = ohttp.REQUEST_TYPE
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
PATHS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)


@FUZZ
@given(
    media_type=st.sampled_from([chunked.REQUEST_TYPE, WHOLE]),
    config=st.integers(0, 1),
    kept=st.integers(0, 1127),
    pieces=st.lists(st.binary(), max_size=3),
)
def test_any_bytes_get_a_status_below_500(
    door: Door, media_type: str, config: int, kept: int, pieces: list[bytes]
) -> None:
    header = ohttp.begin_request(door.configs()[config], ohttp.Label.CHUNKED)[0]

    answer = asyncio.run(door.post([header[:kept], *pieces], media_type))

    assert answer.complete, "expected a complete answer"
    assert answer.status == 400, f"expected 400, got {answer.status}"


@FUZZ
@given(pieces=st.lists(st.binary(min_size=1), max_size=2), last=st.binary())
def test_any_sealed_bytes_get_a_sealed_refusal(
    door: Door, pieces: list[bytes], last: bytes
) -> None:
    opened = asyncio.run(door.send(door.seal(*pieces, last)))

    assert opened.problem[1] in {"malformed-message", "date", "too-large"}


@FUZZ
@given(
    path=PATHS.map(lambda text: "/" + text.replace("#", "")),
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "BREW"]),
    content=st.binary(),
)
def test_any_path_and_content_reach_the_application_or_are_refused(
    door: Door, path: str, method: str, content: bytes
) -> None:
    opened = asyncio.run(door.ask(method, path, content))

    assert opened.status in {200, 400}, f"expected 200 or 400, got {opened.status}"
