"""A store that is older than one that was seen before is noticed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import blindai
from blindai.attester.simulated import SimulatedAttester
from blindai.client.stores import (
    SeenStores,
    StateWarning,
    require_newest,
    state_folder,
)
from blindai.errors import (
    BlindAIError,
    ConfigurationError,
    ProtocolError,
    RollbackError,
)
from blindai.protocol.store_mark import StoreMark
from blindai.server.asgi import App, Receive, Scope, Send
from blindai.server.settings import InferenceSettings, Settings
from blindai.testing import SimulatedEnclave

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)
SETTINGS = Settings(inference=InferenceSettings(isolation="thread"))
STORE, OTHER = b"s" * 16, b"o" * 16
SEEN = StoreMark(STORE, 5, b"5" * 32, b"4" * 32)


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(SEEN, id="the same"),
        pytest.param(StoreMark(STORE, 6, b"6" * 32, SEEN.index), id="the next"),
        pytest.param(StoreMark(STORE, 9, b"9" * 32, b"8" * 32), id="a later one"),
        pytest.param(StoreMark(OTHER, 1, b"1" * 32, bytes(32)), id="another store"),
    ],
)
def test_what_is_not_older_is_accepted(mark: StoreMark) -> None:
    require_newest({STORE: SEEN}, mark, "advice")


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        pytest.param(replace(SEEN, epoch=4), "expected epoch 5 or later", id="older"),
        pytest.param(replace(SEEN, index=b"x" * 32), "another", id="another history"),
        pytest.param(
            StoreMark(STORE, 6, b"6" * 32, b"x" * 32), "another", id="another next"
        ),
    ],
)
def test_what_is_older_or_has_another_history_is_refused(
    mark: StoreMark, words: str
) -> None:
    with pytest.raises(RollbackError, match=f"{words}.*advice"):
        require_newest({STORE: SEEN}, mark, "advice")


# ---------------------------------------------------------------------- what is kept


def test_the_newest_is_kept_for_the_next_time(tmp_path: Path) -> None:
    for mark in (replace(SEEN, epoch=3), SEEN, replace(SEEN, epoch=4)):
        SeenStores(tmp_path).note("tee-aa", mark)

    assert SeenStores(tmp_path).recall("tee-aa") == {STORE: SEEN}
    assert SeenStores(tmp_path).recall("tee-bb") == {}
    (file,) = (tmp_path / "stores" / "tee-aa").iterdir()
    assert file.read_text() == f"{SEEN.encode()}\n"


def test_without_a_folder_it_is_kept_in_memory() -> None:
    stores = SeenStores(None)
    stores.note("tee-aa", SEEN)

    assert stores.recall("tee-aa") == {STORE: SEEN}
    assert SeenStores(None).recall("tee-aa") == {}


def test_what_another_process_saw_meanwhile_is_not_lost(tmp_path: Path) -> None:
    stores = SeenStores(tmp_path)
    stores.note("tee-aa", replace(SEEN, epoch=1))
    SeenStores(tmp_path).note("tee-aa", SEEN)

    stores.note("tee-aa", replace(SEEN, epoch=2))

    assert SeenStores(tmp_path).recall("tee-aa") == {STORE: SEEN}


@pytest.mark.parametrize("data", [b"", b"\xff", b"epoch=9"])
def test_a_file_that_is_something_else_is_an_error(tmp_path: Path, data: bytes) -> None:
    SeenStores(tmp_path).note("tee-aa", SEEN)
    (file,) = (tmp_path / "stores" / "tee-aa").iterdir()
    file.write_bytes(data)

    with pytest.raises(ConfigurationError, match="remove it to forget that"):
        SeenStores(tmp_path).recall("tee-aa")


def test_a_folder_that_cannot_be_written_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    stores = SeenStores(tmp_path / "file")

    with pytest.warns(StateWarning, match="cannot be kept"):
        stores.note("tee-aa", SEEN)
    assert stores.recall("tee-aa") == {STORE: SEEN}


def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)

    with pytest.warns(StateWarning, match="No space left"):
        SeenStores(tmp_path).note("tee-aa", SEEN)
    assert list((tmp_path / "stores" / "tee-aa").iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"BLINDAI_STATE_DIR": "/state"}, "/state"),
        ({"BLINDAI_STATE_DIR": ""}, None),
        ({"XDG_STATE_HOME": "/xdg"}, "/xdg/blindai"),
        ({"HOME": "/home/a"}, "/home/a/.local/state/blindai"),
    ],
)
def test_the_folder_is_the_users(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str | None
) -> None:
    for name in ("BLINDAI_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert state_folder() == (None if expected is None else Path(expected))


def test_a_user_without_a_home_has_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("no home")

    for name in ("BLINDAI_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", fail)

    assert state_folder() is None


# ------------------------------------------------------- an operator who turns it back


@contextmanager
def started(path: Path) -> Iterator[SimulatedEnclave]:
    attester = SimulatedAttester(sealing_key_file=path / "key")
    with SimulatedEnclave(SETTINGS, attester=attester, data_dir=path) as enclave:
        yield enclave


@pytest.fixture
def turned_back(tmp_path: Path, identity: Callable[..., bytes]) -> Path:
    """A folder whose store was put back, after a client had seen a deletion."""
    path, copy = tmp_path / "data", tmp_path / "copy"
    path.mkdir()
    with started(path) as enclave, enclave.connect(remember_stores=True) as client:
        client.upload_model(identity(), "m")
        shutil.copytree(path, copy)
        client.delete_model("m")
    shutil.rmtree(path)
    copy.rename(path)
    return path


def test_a_store_that_was_put_back_is_refused_by_who_saw_it_newer(
    turned_back: Path,
) -> None:
    with started(turned_back) as enclave:
        with (
            enclave.connect(remember_stores=True) as client,
            pytest.raises(RollbackError, match=r"expected epoch 3 or later.*got 2"),
        ):
            client.models()
        with enclave.connect() as stranger:
            assert [model.name for model in stranger.models()] == ["m"]


@pytest.mark.anyio
async def test_so_it_is_by_an_asynchronous_client(turned_back: Path) -> None:
    with started(turned_back) as enclave:
        async with blindai.AsyncConnection(enclave.url, simulation=True) as client:
            with pytest.raises(RollbackError):
                await client.predict("m", [1.0])


def test_the_message_says_how_to_go_on(turned_back: Path) -> None:
    with started(turned_back) as enclave:
        with (
            enclave.connect(remember_stores=True) as client,
            pytest.raises(RollbackError) as refused,
        ):
            client.models()
        file = refused.value.message.partition("remove ")[2].partition(" to go on")[0]
        Path(file).unlink()
        with enclave.connect(remember_stores=True) as client:
            assert [model.name for model in client.models()] == ["m"]


def test_within_a_connection_nothing_has_to_be_kept(
    tmp_path: Path, identity: Callable[..., bytes]
) -> None:
    stores = SeenStores(None)
    with started(tmp_path) as enclave, enclave.connect() as client:
        client._transport._door._stores = stores
        client.upload_model(identity(), "m")
        ((enclave_name, store),) = stores._marks
        seen = stores._marks[enclave_name, store]
        stores._marks[enclave_name, store] = replace(seen, epoch=seen.epoch + 1)
        client.attest()

        with pytest.raises(RollbackError, match="connect anew"):
            client.models()


def test_an_honest_restart_is_not_refused(
    tmp_path: Path, identity: Callable[..., bytes]
) -> None:
    with started(tmp_path) as enclave, enclave.connect(remember_stores=True) as client:
        client.upload_model(identity(), "m")
    with started(tmp_path) as enclave, enclave.connect(remember_stores=True) as client:
        assert [model.name for model in client.models()] == ["m"]


def test_a_mark_that_is_none_is_refused(
    serve: Callable[[App], SimulatedEnclave], gateway: Callable[[App], App]
) -> None:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"blindai-store", b"nonsense")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"[]"})

    with (
        serve(gateway(app)).connect() as client,
        pytest.raises(ProtocolError, match="store mark"),
    ):
        client.models()


def test_the_refusal_is_one_of_ours() -> None:
    assert issubclass(RollbackError, BlindAIError)
