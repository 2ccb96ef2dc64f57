"""The connection on an event loop does what the other does."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

import httpx
import numpy as np
import pytest

from blindai import AsyncConnection
from blindai.client.policies import SimulationWarning
from blindai.errors import (
    AppraisalError,
    ConfigurationError,
    ForbiddenError,
    NotFoundError,
    SealingError,
    TensorError,
    TransportError,
)
from blindai.testing import SimulatedEnclave
from blindai.verifier import Policy, SnpPolicy

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning"),
]
ONES = np.ones(3, np.float32)
RELEASE = Policy(sev_snp=SnpPolicy(measurements=(b"\x01" * 48,)))


class Wire(httpx.AsyncBaseTransport):
    """Counts what goes by, and may change an answer."""

    def __init__(self, change: Callable[[bytes], bytes] = bytes) -> None:
        self.methods: list[str] = []
        self.closed = False
        self._change = change
        self._inner = httpx.AsyncHTTPTransport(verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.methods.append(request.method)
        answer = await self._inner.handle_async_request(request)
        content = await answer.aread()
        await answer.aclose()
        if request.method == "POST":
            content = self._change(content)
        return httpx.Response(
            answer.status_code, headers=answer.headers, content=content
        )

    async def aclose(self) -> None:
        self.closed = True
        await self._inner.aclose()


@pytest.fixture
async def aclient(enclave: SimulatedEnclave) -> AsyncIterator[AsyncConnection]:
    async with AsyncConnection(enclave.url, simulation=True) as connection:
        yield connection


async def test_models_are_uploaded_run_listed_and_deleted(
    aclient: AsyncConnection, identity: Callable[..., bytes], name: str
) -> None:
    uploaded = await aclient.upload_model(identity(), name)
    assert uploaded.digest == hashlib.sha256(identity()).hexdigest()
    response = await aclient.predict(name, [1, 2], "FP32", (2,), timeout=30)
    assert response.output[0].as_flat() == [1, 2]
    assert name in {each.name for each in await aclient.models()}
    await aclient.delete_model(name)
    with pytest.raises(NotFoundError):
        await aclient.predict(name, ONES)


async def test_a_large_input_goes_there_and_back(
    aclient: AsyncConnection, identity: Callable[..., bytes], name: str
) -> None:
    await aclient.upload_model(identity(), name)
    array = np.arange(1 << 19, dtype=np.float32)
    response = await aclient.predict(name, array)
    assert np.array_equal(response.output[0].as_numpy(), array)


async def test_wrong_inputs_are_refused(
    aclient: AsyncConnection, arithmetic: bytes, name: str
) -> None:
    await aclient.upload_model(arithmetic, name)
    with pytest.raises(TensorError, match=r"expected 2 \(a, b\), got 1"):
        await aclient.predict(name, ONES)


async def test_somebody_elses_model_is_not_deleted(
    enclave: SimulatedEnclave,
    aclient: AsyncConnection,
    identity: Callable[..., bytes],
    name: str,
) -> None:
    uploaded = await aclient.upload_model(identity(), name)
    async with AsyncConnection(enclave.url, simulation=True) as other:
        with pytest.raises(ForbiddenError):
            await other.delete_model(name)
        await other.delete_model(name, owner_token=uploaded.owner_token)


async def test_the_configuration_is_the_attested_one(aclient: AsyncConnection) -> None:
    assert (await aclient.configuration())["models"]["max_count"] == 4096


async def test_twenty_predictions_at_once_do_not_mix(
    aclient: AsyncConnection, identity: Callable[..., bytes], name: str
) -> None:
    await aclient.upload_model(identity(), name)
    answers = await asyncio.gather(
        *(aclient.predict(name, [float(index)]) for index in range(20))
    )
    assert [each.output[0].as_flat() for each in answers] == [[n] for n in range(20)]


async def test_many_first_requests_attest_once(enclave: SimulatedEnclave) -> None:
    wire = Wire()
    connection = AsyncConnection(enclave.url, simulation=True, wire=wire)
    await asyncio.gather(*(connection.models() for _ in range(20)))
    await connection.close()
    assert wire.methods.count("GET") == 1


async def test_it_warns_of_simulation(enclave: SimulatedEnclave) -> None:
    with pytest.warns(SimulationWarning):
        async with AsyncConnection(enclave.url, simulation=True) as connection:
            assert (await connection.attestation()).simulated


async def test_it_may_attest_again(aclient: AsyncConnection) -> None:
    before = await aclient.attestation()
    assert await aclient.attest() is not before


async def test_an_enclave_that_is_refused_gets_nothing_and_the_wire_is_closed(
    enclave: SimulatedEnclave,
) -> None:
    wire = Wire()
    with pytest.raises(AppraisalError):
        async with AsyncConnection(enclave.url, policy=RELEASE, wire=wire):
            pass
    assert (wire.methods, wire.closed) == (["GET"], True)


async def test_without_a_policy_there_is_no_connection() -> None:
    with pytest.raises(ConfigurationError, match="policy: expected"):
        AsyncConnection("https://enclave.example")


async def test_what_the_network_does_wrong_is_its_fault() -> None:
    connection = AsyncConnection("http://127.0.0.1:9", simulation=True)
    with pytest.raises(TransportError, match="network: ConnectError"):
        await connection.attest()
    with pytest.raises(TransportError, match="network: ConnectError"):
        await connection.models()
    await connection.close()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda answer: answer[:-1], id="cut"),
        pytest.param(lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]), id="bit"),
        pytest.param(lambda _: b"", id="nothing"),
    ],
)
async def test_an_answer_that_was_changed_does_not_open(
    enclave: SimulatedEnclave, change: Callable[[bytes], bytes]
) -> None:
    wire = Wire(change)
    async with AsyncConnection(enclave.url, simulation=True, wire=wire) as connection:
        with pytest.raises(SealingError):
            await connection.models()


async def test_a_request_that_is_cancelled_leaves_the_connection_usable(
    aclient: AsyncConnection,
) -> None:
    task = asyncio.create_task(aclient.models())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(await aclient.models(), tuple)


async def test_evidence_over_the_limit_is_refused_unread() -> None:
    class Large(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=bytes((1 << 20) + 1))

    connection = AsyncConnection("http://e", simulation=True, wire=Large())
    with pytest.raises(Exception, match="evidence: expected at most"):
        await connection.attest()
