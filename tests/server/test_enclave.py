"""The enclave's keys, their evidence and their rotation."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from blindai.attester.simulated import SimulatedAttester
from blindai.errors import HardwareError, OverloadedError
from blindai.protocol import keyset, ohttp
from blindai.protocol.attestation import Evidence, parse_attestation
from blindai.protocol.kem import Kem
from blindai.server.enclave import Enclave, Lifetimes, Measured, QuoteLimit

if TYPE_CHECKING:
    from tests.server.conftest import Clock, MakeEnclave

HOURS = Lifetimes(
    keys=timedelta(hours=24), overlap=timedelta(hours=1), grace=timedelta(minutes=10)
)
MICROSECOND = timedelta(microseconds=1)


class CountingAttester:
    """Simulated hardware that counts its quotes and notes what they bind."""

    def __init__(self, hardware: SimulatedAttester) -> None:
        self._hardware = hardware
        self.tee = hardware.tee
        self.sealing = hardware.sealing
        self.bound: list[keyset.Binding] = []
        self.running = 0
        self.most_running = 0

    def attest(self, binding: keyset.Binding) -> Evidence:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.bound.append(binding)
        evidence = self._hardware.attest(binding)
        self.running -= 1
        return evidence

    def sealing_key(self) -> bytes | None:
        return None


@pytest.fixture
def hardware(attester: SimulatedAttester) -> CountingAttester:
    return CountingAttester(attester)


@pytest.fixture
def enclave(make_enclave: MakeEnclave, hardware: CountingAttester) -> Enclave:
    return make_enclave(lifetimes=HOURS, hardware=hardware)


def ids(enclave: Enclave) -> set[int]:
    configs = ohttp.parse_key_configs(enclave.key_configs())
    return {config.key_id for config in configs}


async def current(enclave: Enclave) -> keyset.Keyset:
    attestation = parse_attestation(await enclave.attestation(None))
    return keyset.parse_keyset(attestation.keyset)


def test_the_keys_on_offer_are_x_wing_and_then_x25519(enclave: Enclave) -> None:
    configs = ohttp.parse_key_configs(enclave.key_configs())

    assert [config.key.kem for config in configs] == [Kem.X_WING, Kem.X25519]
    assert all(config.suites == ohttp.ALL_SUITES for config in configs)


def test_the_keys_on_offer_are_the_keys_that_open(enclave: Enclave) -> None:
    configs = ohttp.parse_key_configs(enclave.key_configs())

    assert {config.key_id: config for config in configs} == {
        key_id: key.config for key_id, key in enclave.keys().items()
    }


def test_two_starts_share_nothing(make_enclave: MakeEnclave) -> None:
    one, other = make_enclave(), make_enclave()

    assert one.instance != other.instance
    assert len(one.instance) == 16
    assert one.key_configs() != other.key_configs()


@pytest.mark.anyio
async def test_evidence_and_key_configurations_agree(
    enclave: Enclave, clock: Clock
) -> None:
    claimed = await current(enclave)

    assert claimed.ohttp_keys == enclave.key_configs()
    assert claimed.instance == enclave.instance
    assert claimed.config_digest == bytes(32)
    assert claimed.build == "blindai test"
    assert claimed.tls_spki is None
    assert claimed.not_before == clock.now - timedelta(minutes=5)
    assert claimed.not_after == clock.now + HOURS.keys


@pytest.mark.anyio
@pytest.mark.parametrize("nonce", [None, bytes(range(32))], ids=["none", "nonce"])
async def test_the_hardware_binds_keyset_purpose_and_nonce(
    enclave: Enclave, hardware: CountingAttester, nonce: bytes | None
) -> None:
    attestation = parse_attestation(await enclave.attestation(nonce))

    statement = keyset.parse_statement(attestation.statement)
    assert statement.purpose is keyset.Purpose.ATTESTATION
    assert statement.keyset_digest == keyset.digest(attestation.keyset)
    assert statement.nonce == nonce
    assert hardware.bound == [keyset.bind(statement)]


class CountingDevices:
    """GPUs that say what they were asked to bind, and never the same twice."""

    def __init__(self) -> None:
        self._times = 0

    def attest(self, nonce: bytes) -> bytes:
        self._times += 1
        return b"GPUs for " + nonce + bytes([self._times])


@pytest.mark.anyio
@pytest.mark.parametrize("nonce", [None, bytes(range(32))], ids=["none", "nonce"])
async def test_the_cpu_signs_which_evidence_its_gpus_gave(
    hardware: CountingAttester, clock: Clock, nonce: bytes | None
) -> None:
    measured = Measured(config_digest=bytes(32), build="blindai test")
    enclave = Enclave(hardware, measured, clock, devices=CountingDevices())

    attestation = parse_attestation(await enclave.attestation(nonce))

    statement = keyset.parse_statement(attestation.statement)
    assert attestation.gpu == b"GPUs for " + keyset.gpu_nonce(statement) + b"\x01"
    assert statement.gpu_digest == keyset.gpu_digest(attestation.gpu)
    assert statement.gpu_digest is not None
    assert hardware.bound == [keyset.bind(statement)]


class DeadDevices:
    """GPUs that fell off their bus."""

    def attest(self, _nonce: bytes, /) -> bytes:
        raise HardwareError("NVML: failed")


@pytest.mark.anyio
@pytest.mark.parametrize("nonce", [None, bytes(range(32))], ids=["none", "nonce"])
async def test_gpus_that_fail_are_not_left_out(
    hardware: CountingAttester, clock: Clock, nonce: bytes | None
) -> None:
    measured = Measured(config_digest=bytes(32), build="blindai test")
    enclave = Enclave(hardware, measured, clock, devices=DeadDevices())

    with pytest.raises(HardwareError, match="NVML: failed"):
        await enclave.attestation(nonce)

    assert hardware.bound == []


@pytest.mark.anyio
async def test_evidence_that_is_kept_is_kept_with_its_gpus(
    hardware: CountingAttester, clock: Clock
) -> None:
    measured = Measured(config_digest=bytes(32), build="blindai test")
    enclave = Enclave(hardware, measured, clock, devices=CountingDevices())
    first = await enclave.attestation(None)
    await enclave.attestation(bytes(32))

    assert await enclave.attestation(None) == first
    attestation = parse_attestation(first)
    statement = keyset.parse_statement(attestation.statement)
    assert statement.gpu_digest == keyset.gpu_digest(attestation.gpu)


@pytest.mark.anyio
async def test_without_gpus_there_is_no_gpu_evidence(enclave: Enclave) -> None:
    attestation = parse_attestation(await enclave.attestation(None))

    assert attestation.gpu == b""
    assert keyset.parse_statement(attestation.statement).gpu_digest is None


@pytest.mark.anyio
async def test_evidence_without_a_nonce_is_made_once_for_all(
    enclave: Enclave, hardware: CountingAttester
) -> None:
    answers = await asyncio.gather(*(enclave.attestation(None) for _ in range(9)))

    assert len(set(answers)) == 1
    assert len(hardware.bound) == 1


@pytest.mark.anyio
async def test_evidence_for_a_nonce_is_made_each_time(
    enclave: Enclave, hardware: CountingAttester
) -> None:
    await enclave.attestation(bytes(32))
    await enclave.attestation(bytes(32))

    assert len(hardware.bound) == 2


@pytest.mark.anyio
async def test_the_hardware_is_asked_for_one_quote_at_a_time(
    enclave: Enclave, hardware: CountingAttester
) -> None:
    nonces = [bytes([number]) * 32 for number in range(9)]

    await asyncio.gather(*map(enclave.attestation, nonces))

    assert hardware.most_running == 1


@pytest.mark.anyio
async def test_quotes_for_a_nonce_are_limited_and_others_are_not(
    make_enclave: MakeEnclave, hardware: CountingAttester
) -> None:
    enclave = make_enclave(hardware=hardware, quotes_per_second=2)
    await enclave.attestation(bytes(32))
    await enclave.attestation(bytes(32))

    with pytest.raises(OverloadedError, match="expected at most 2 quotes a second"):
        await enclave.attestation(bytes(32))

    assert len(hardware.bound) == 2
    await enclave.attestation(None)


def test_a_second_later_there_are_quotes_again() -> None:
    limit = QuoteLimit(2)
    limit.admit(10.0)
    limit.admit(10.5)

    with pytest.raises(OverloadedError):
        limit.admit(10.9)
    limit.admit(11.0)
    with pytest.raises(OverloadedError):
        limit.admit(11.4)


def test_keys_stay_until_their_successors_take_over(
    enclave: Enclave, clock: Clock
) -> None:
    before = enclave.key_configs()

    clock.now += HOURS.keys - HOURS.overlap - MICROSECOND

    assert enclave.key_configs() == before


@pytest.mark.anyio
async def test_successors_take_over_before_clients_stop_sealing(
    enclave: Enclave, clock: Clock
) -> None:
    old = await current(enclave)

    clock.now += HOURS.keys - HOURS.overlap

    new = await current(enclave)
    assert new.ohttp_keys == enclave.key_configs() != old.ohttp_keys
    assert new.proof_key != old.proof_key
    assert new.instance == old.instance
    assert clock.now < old.not_after < new.not_after


def test_rotated_keys_have_new_ids(enclave: Enclave, clock: Clock) -> None:
    seen: set[int] = set()
    for _ in range(20):
        new = ids(enclave)
        assert len(new) == 2
        assert not new & seen, "expected new key ids, got old ones"
        seen |= new
        clock.now += HOURS.keys - HOURS.overlap


def test_key_ids_begin_anew_after_255(make_enclave: MakeEnclave, clock: Clock) -> None:
    lifetimes = Lifetimes(
        keys=timedelta(minutes=1), overlap=timedelta(0), grace=timedelta(0)
    )
    enclave = make_enclave(lifetimes=lifetimes)
    first = ids(enclave)
    for _ in range(128):
        clock.now += timedelta(minutes=1, microseconds=1)
        enclave.keys()

    assert ids(enclave) == first


def test_old_keys_open_through_overlap_and_grace_and_no_longer(
    enclave: Enclave, clock: Clock
) -> None:
    old = ids(enclave)
    end = clock.now + HOURS.keys + HOURS.grace

    clock.now = end - HOURS.grace - HOURS.overlap
    assert old < set(enclave.keys()), "expected old keys beside new ones"
    clock.now = end
    assert old < set(enclave.keys()), "expected old keys to the end of grace"
    clock.now = end + MICROSECOND
    assert not old & set(enclave.keys()), "expected no old keys after grace"
    assert ids(enclave) == set(enclave.keys())


@pytest.mark.anyio
async def test_each_key_has_the_proof_key_of_its_own_keyset(
    enclave: Enclave, clock: Clock
) -> None:
    old, old_ids = await current(enclave), ids(enclave)
    clock.now += HOURS.keys - HOURS.overlap
    new, new_ids = await current(enclave), ids(enclave)

    signers = enclave.signers

    assert signers.keys() == old_ids | new_ids == set(enclave.keys())
    for made, its_ids in ((old, old_ids), (new, new_ids)):
        for each in its_ids:
            assert signers[each].keyset_digest == keyset.digest(made.encode())
            assert signers[each].config_digest == made.config_digest


def test_a_long_pause_makes_one_new_keyset(enclave: Enclave, clock: Clock) -> None:
    clock.now += 30 * HOURS.keys

    assert len(enclave.keys()) == 2
    assert set(enclave.keys()) == ids(enclave)


def test_the_clock_is_the_one_given(enclave: Enclave, clock: Clock) -> None:
    assert enclave.now() == clock.now


def test_private_keys_do_not_show(enclave: Enclave) -> None:
    assert "private" not in repr(list(enclave.keys().values()))
