"""A trust domain's event log against its registers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.verifier.intel.made_up import INTEL, verify

from blindai.errors import EvidenceError, VerificationError
from blindai.testing.vendors.eventlog import Measurement, write_log
from blindai.testing.vendors.intel import TrustDomain
from blindai.transcript import Check, Status
from blindai.verifier import eventlog

FIRMWARE = (
    Measurement(register=1, data=b"configuration"),
    Measurement(register=2, data=b"kernel"),
    Measurement(register=3, data=b"command line"),
)
LOG = write_log(FIRMWARE, ("sha384",))
REPLAYED = eventlog.parse(LOG).replay("sha384")
RTMR = (REPLAYED[1], REPLAYED[2], REPLAYED[3], bytes(48))
HONEST = TrustDomain(rtmr=RTMR)


def lines(body: TrustDomain, log: bytes) -> dict[str, Check]:
    evidence = replace(INTEL.evidence(body), event_log=log)
    _, procedure = verify(evidence)
    return {
        check.name: check
        for check in procedure.transcript.checks
        if check.name.startswith("event log")
    }


def test_a_log_that_replays_is_accepted() -> None:
    found = lines(HONEST, LOG)

    assert list(found) == [f"event log: RTMR{number}" for number in range(4)]
    assert all(check.status is Status.PASSED for check in found.values())


def test_without_a_log_nothing_is_replayed() -> None:
    (line,) = lines(HONEST, b"").values()

    assert line.status is Status.NOT_EVALUATED
    assert not line.required


def test_a_log_need_not_speak_of_what_others_extend() -> None:
    found = lines(TrustDomain(rtmr=(*RTMR[:3], b"\x03" * 48)), LOG)

    assert found["event log: RTMR3"].status is Status.NOT_EVALUATED
    assert found["event log: RTMR2"].status is Status.PASSED


@pytest.mark.parametrize("number", range(3))
def test_a_log_of_another_boot_is_refused(number: int) -> None:
    registers = list(RTMR)
    registers[number] = b"\xff" * 48

    with pytest.raises(
        VerificationError, match=f"event log: RTMR{number}: expected the register, ff"
    ):
        lines(TrustDomain(rtmr=tuple(registers)), LOG)


def test_events_of_a_register_that_nothing_extended_are_refused() -> None:
    more = write_log((*FIRMWARE, Measurement(register=4, data=b"app")), ("sha384",))

    with pytest.raises(VerificationError, match="event log: RTMR3: expected"):
        lines(HONEST, more)


def test_a_malformed_log_is_refused() -> None:
    with pytest.raises(EvidenceError):
        lines(HONEST, b"x")


def test_a_log_without_sha_384_is_refused() -> None:
    with pytest.raises(EvidenceError, match="expected sha384 digests"):
        lines(HONEST, write_log(FIRMWARE, ("sha256",)))
