"""Documents on disk."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.endorsements.conftest import (
    FMSPC,
    NOW,
    a_request,
    certificate,
    pem,
    revoked,
    tcb_info,
)

from blindai.endorsements.cache import Cache, Kept
from blindai.endorsements.documents import Kind, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from blindai.endorsements.documents import Request

REQUEST = a_request()
KEPT = Kept(read_answer(REQUEST, revoked("Root"), {}), NOW)
CORRUPTED = "the CRL: the cache is corrupted, it is fetched again"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a" / "cache"


@pytest.fixture
def cache(folder: Path) -> Cache:
    return Cache(folder)


@pytest.fixture
def file(cache: Cache, folder: Path) -> Path:
    cache.save(REQUEST, KEPT)
    (found,) = folder.iterdir()
    return found


def test_nothing_is_there_at_first(
    cache: Cache, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert cache.load(REQUEST) is None
    assert not folder.exists()
    assert caplog.messages == []


@pytest.mark.usefixtures("file")
def test_what_was_kept_is_found(folder: Path) -> None:
    assert Cache(folder).load(REQUEST) == KEPT


def test_issuers_are_kept_too(cache: Cache) -> None:
    request = replace(
        a_request(kind=Kind.SIGNED_JSON, mentions=FMSPC.encode()),
        issuer_headers=("a", "b"),
    )
    answer = read_answer(request, tcb_info(), {"b": pem(certificate("x")).decode()})
    cache.save(request, Kept(answer, NOW))

    assert cache.load(request) == Kept(answer, NOW)


def test_only_the_owner_may_read_it(folder: Path, file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_newer_one_takes_the_place_of_an_older(cache: Cache, folder: Path) -> None:
    newer = replace(KEPT, fetched_at=NOW + timedelta(days=1))
    cache.save(REQUEST, KEPT)
    cache.save(REQUEST, newer)

    assert cache.load(REQUEST) == newer
    assert len(list(folder.iterdir())) == 1


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    "other",
    [a_request("https://vendor.test/other"), a_request(kind=Kind.CERTIFICATE)],
)
def test_another_request_has_another_file(cache: Cache, other: Request) -> None:
    assert cache.load(other) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda data: data[:-1], id="cut short"),
        pytest.param(lambda data: data + b"x", id="more after it"),
        pytest.param(lambda data: data[:99] + b"\0" + data[100:], id="changed"),
        pytest.param(lambda data: data * 2000, id="large"),
    ],
)
def test_a_corrupted_file_counts_as_none_and_is_warned_of(
    cache: Cache,
    file: Path,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[bytes], bytes],
) -> None:
    file.write_bytes(change(file.read_bytes()))

    assert cache.load(REQUEST) is None
    assert caplog.messages == [CORRUPTED]


def test_a_file_of_another_request_counts_as_none(
    cache: Cache, file: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = a_request("https://vendor.test/other")
    cache.save(other, KEPT)
    content = next(each for each in folder.iterdir() if each != file).read_bytes()
    file.write_bytes(content)

    assert cache.load(REQUEST) is None
    assert caplog.messages == [CORRUPTED]


@pytest.mark.usefixtures("file")
def test_what_does_not_fit_the_request_any_more_counts_as_none(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    assert cache.load(a_request(mentions=b"another")) is None
    assert caplog.messages == [CORRUPTED]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_file_gives_none(cache: Cache, file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert cache.load(REQUEST) is None


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "idle pipe"])
def test_what_is_no_file_counts_as_none(
    cache: Cache, file: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    kept = file.rename(file.with_name("kept"))
    makers: dict[str, Callable[[], None]] = {
        "folder": file.mkdir,
        "link": lambda: file.symlink_to(kept),
        "pipe": lambda: os.mkfifo(file),
        "idle pipe": lambda: os.mkfifo(file),
    }
    makers[kind]()
    writers = [os.open(file, os.O_RDWR | os.O_NONBLOCK)] if kind == "idle pipe" else []

    assert cache.load(REQUEST) is None
    for writer in writers:
        os.close(writer)
    assert len(caplog.messages) == 1


def test_a_disk_that_fails_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")

    Cache(tmp_path / "file" / "cache").save(REQUEST, KEPT)

    assert caplog.messages == ["the CRL: not kept in the cache: Not a directory"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    cache: Cache,
    file: Path,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)

    cache.save(REQUEST, replace(KEPT, fetched_at=NOW + timedelta(days=1)))

    assert list(folder.iterdir()) == [file]
    assert cache.load(REQUEST) == KEPT
    assert caplog.messages == [
        "the CRL: not kept in the cache: No space left on device"
    ]
