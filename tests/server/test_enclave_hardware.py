"""Hardware that fails or is busy while the server serves: refused, logged, mended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from tests.server.conftest import MakeDoor, MakeEnclave

from blindai.attester.simulated import SimulatedAttester
from blindai.errors import HardwareBusyError, HardwareError, OverloadedError
from blindai.protocol.attestation import Evidence
from blindai.protocol.keyset import Binding
from blindai.protocol.names import ATTESTATION_PATH
from blindai.server import enclave as enclaves
from blindai.server.asgi import App

NONCE = bytes(range(32))


class Hardware(SimulatedAttester):
    """Simulated hardware that fails as often as it is told to."""

    def __init__(self, *failures: HardwareError) -> None:
        super().__init__()
        self.failures = list(failures)
        self.asked = 0

    def attest(self, binding: Binding) -> Evidence:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return super().attest(binding)


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A monotonic clock for the enclave that passes when a test says so."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


@pytest.mark.anyio
async def test_a_failure_is_logged_with_its_reason_and_answered_503(
    make_door: MakeDoor,
    make_enclave: MakeEnclave,
    echo: App,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hardware = Hardware(HardwareError("outblob: cannot be read, EIO; is its QGS up?"))
    door = make_door(echo, make_enclave(hardware=hardware))

    answer = await door.call("GET", ATTESTATION_PATH)

    assert (answer.status, answer.body) == (503, b"")
    (record,) = caplog.records
    assert record.getMessage() == (
        "no evidence for 1 s: outblob: cannot be read, EIO; is its QGS up?"
    )
    assert record.exc_info is None


@pytest.mark.anyio
async def test_within_the_pause_the_hardware_is_not_asked_and_nothing_is_logged(
    make_door: MakeDoor,
    make_enclave: MakeEnclave,
    echo: App,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hardware = Hardware(HardwareError("failed"))
    door = make_door(echo, make_enclave(hardware=hardware))

    answers = [await door.call("GET", ATTESTATION_PATH) for _ in range(5)]

    assert [answer.status for answer in answers] == [503] * 5
    assert hardware.asked == 1
    assert len(caplog.records) == 1


@pytest.mark.anyio
async def test_after_the_pause_there_is_evidence_again(
    make_enclave: MakeEnclave, passing: Callable[[float], None]
) -> None:
    hardware = Hardware(HardwareError("one"), HardwareError("two"))
    enclave = make_enclave(hardware=hardware)

    for pause_s in (1, 2):
        with pytest.raises(HardwareError):
            await enclave.attestation(NONCE)
        passing(pause_s - 0.01)
        with pytest.raises(HardwareError, match="is asked again in"):
            await enclave.attestation(NONCE)
        passing(0.02)

    assert await enclave.attestation(NONCE)
    assert hardware.asked == 3


@pytest.mark.anyio
async def test_an_answer_ends_the_doubling(
    make_enclave: MakeEnclave,
    passing: Callable[[float], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    hardware = Hardware(HardwareError("one"))
    enclave = make_enclave(hardware=hardware)
    with pytest.raises(HardwareError):
        await enclave.attestation(NONCE)
    passing(1.1)
    await enclave.attestation(NONCE)
    hardware.failures.append(HardwareError("two"))

    with pytest.raises(HardwareError):
        await enclave.attestation(NONCE)

    assert [each.getMessage() for each in caplog.records] == [
        "no evidence for 1 s: one",
        "no evidence for 1 s: two",
    ]


@pytest.mark.anyio
async def test_busy_hardware_is_429_and_is_asked_again_at_once(
    make_door: MakeDoor, make_enclave: MakeEnclave, echo: App
) -> None:
    hardware = Hardware(HardwareBusyError("busy"))
    door = make_door(echo, make_enclave(hardware=hardware))

    assert (await door.call("GET", ATTESTATION_PATH)).status == 429
    assert (await door.call("GET", ATTESTATION_PATH)).status == 200


@pytest.mark.anyio
async def test_those_who_wait_are_refused_with_the_first_that_fails(
    make_enclave: MakeEnclave,
) -> None:
    hardware = Hardware(HardwareError("failed"))
    enclave = make_enclave(hardware=hardware)

    answers = await asyncio.gather(
        *(enclave.attestation(NONCE) for _ in range(9)), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [HardwareError] * 9
    assert hardware.asked == 1


@pytest.mark.anyio
async def test_only_so_many_wait(
    make_enclave: MakeEnclave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enclaves, "MAX_WAITING", 2)
    gate = threading.Event()

    class Slow(SimulatedAttester):
        def attest(self, binding: Binding) -> Evidence:
            gate.wait(10)
            return super().attest(binding)

    enclave = make_enclave(hardware=Slow())
    waiting = [asyncio.create_task(enclave.attestation(NONCE)) for _ in range(2)]
    await asyncio.sleep(0.01)

    for nonce in (NONCE, None):
        with pytest.raises(OverloadedError, match="at most 2 who wait"):
            await enclave.attestation(nonce)
    gate.set()
    await asyncio.gather(*waiting)

    assert await enclave.attestation(NONCE)


@pytest.mark.anyio
async def test_waiting_does_not_keep_finished_evidence_back(
    make_enclave: MakeEnclave, monkeypatch: pytest.MonkeyPatch
) -> None:
    enclave = make_enclave()
    made = await enclave.attestation(None)
    monkeypatch.setattr(enclaves, "MAX_WAITING", 0)

    assert await enclave.attestation(None) == made


@pytest.mark.anyio
async def test_evidence_without_a_nonce_is_made_again_after_ten_minutes(
    make_enclave: MakeEnclave, passing: Callable[[float], None]
) -> None:
    hardware = Hardware()
    enclave = make_enclave(hardware=hardware)
    made = await enclave.attestation(None)
    passing(599.9)

    assert await enclave.attestation(None) == made
    passing(0.2)
    assert await enclave.attestation(None) != made
    assert hardware.asked == 2
