"""How a connection is made, proved and shared, against a whole enclave."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

import blindai
from blindai.client.policies import SimulationWarning
from blindai.errors import (
    ConfigurationError,
    ForbiddenError,
    TransportError,
    UnauthenticatedError,
)
from blindai.server.asgi import App, Receive, Scope, Send
from blindai.server.settings import ApiKey, Settings
from blindai.testing import SimulatedEnclave

ONES = np.ones(3, np.float32)


def test_the_configuration_is_the_attested_one(client: blindai.Connection) -> None:
    assert client.configuration()["models"]["max_count"] == 4096


def test_a_verified_connection_says_why(client: blindai.Connection) -> None:
    assert client.attestation.simulated
    assert client.attestation is client.attestation
    with pytest.warns(SimulationWarning):
        assert client.attest() is client.attestation


def test_connect_verifies_and_warns_each_time(enclave: SimulatedEnclave) -> None:
    for _ in range(2):
        with pytest.warns(SimulationWarning, match="SIMULATED"):
            blindai.connect(enclave.url, simulation=True).close()


def test_an_enclave_that_does_not_answer_is_the_networks_fault(
    enclave: SimulatedEnclave,
) -> None:
    closed = httpx.URL(enclave.url).copy_with(port=9)
    with pytest.raises(TransportError, match="network: ConnectError"):
        blindai.connect(str(closed), simulation=True)
    connection = blindai.Connection(str(closed), simulation=True)
    with pytest.raises(TransportError, match="network: ConnectError"):
        connection.models()


def test_the_timeout_holds_for_attesting_too(
    serve: Callable[[App], SimulatedEnclave],
) -> None:
    async def silent(_: Scope, receive: Receive, __: Send) -> None:
        while (await receive())["type"] == "http.request":
            pass

    hanging = serve(silent)
    with pytest.raises(TransportError, match="network: ReadTimeout"):
        hanging.connect(timeout=0.2)


@pytest.fixture
def guarded() -> Iterator[SimulatedEnclave]:
    """An enclave that knows API keys: `tester-key` and `reader-key`."""
    keys = (
        ApiKey(
            name="tester",
            sha256=hashlib.sha256(b"tester-key").hexdigest(),
            scopes=("infer", "upload"),
        ),
        ApiKey(
            name="reader",
            sha256=hashlib.sha256(b"reader-key").hexdigest(),
            scopes=("infer",),
        ),
    )
    with SimulatedEnclave(Settings(api_keys=keys)) as running:
        yield running


def test_an_api_key_is_who_one_is(
    guarded: SimulatedEnclave,
    identity: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with guarded.connect(api_key="tester-key") as owner:
        assert owner.upload_model(identity(), "m").owner_token is None
    monkeypatch.setenv("BLINDAI_API_KEY", "reader-key")
    with guarded.connect() as reader:
        assert reader.predict("m", ONES).output[0].as_flat() == [1, 1, 1]
        with pytest.raises(ForbiddenError, match="scope: expected upload, got infer"):
            reader.delete_model("m")
    with guarded.connect(api_key="tester-key") as owner:
        owner.delete_model("m")
        assert owner.models() == ()


@pytest.mark.parametrize("key", ["", "wrong-key"])
def test_without_a_known_api_key_nothing_is_answered(
    guarded: SimulatedEnclave, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("BLINDAI_API_KEY", key)
    with guarded.connect() as nobody, pytest.raises(UnauthenticatedError) as caught:
        nobody.models()
    assert "wrong-key" not in str(caught.value)


def test_the_address_comes_from_the_environment(
    enclave: SimulatedEnclave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDAI_ADDR", enclave.url)
    with pytest.warns(SimulationWarning), blindai.connect(simulation=True) as client:
        assert isinstance(client.models(), tuple)


def test_without_an_address_there_is_nothing_to_connect_to() -> None:
    with pytest.raises(ConfigurationError, match="address: expected https://"):
        blindai.connect(simulation=True)


def test_many_threads_share_a_connection(client: blindai.Connection, pair: str) -> None:
    def work(thread: int) -> list[list[float]]:
        return [
            client.predict(pair, [[thread * 1000.0], [float(index)]])
            .outputs["sum"]
            .as_flat()
            for index in range(50)
        ]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [
        [[thread * 1000.0 + index] for index in range(50)] for thread in range(8)
    ]


def test_torch_is_not_imported(enclave: SimulatedEnclave) -> None:
    program = f"""
import sys, warnings
warnings.simplefilter("ignore")
import blindai
with blindai.connect({enclave.url!r}, simulation=True) as client:
    client.models()
assert not {{"torch", "onnx", "starlette", "uvicorn", "onnxruntime"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  our own
