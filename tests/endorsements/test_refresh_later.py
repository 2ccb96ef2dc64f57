"""What becomes of endorsements while the server runs, and over restarts."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.endorsements.conftest import (
    NOW,
    SOON,
    TCB,
    Clock,
    Make,
    Reply,
    Vendor,
    Waits,
    amd_chain,
    pem,
    report,
    revoked,
    run,
    sgx,
    snp,
    stapled,
    vcek,
)

from blindai.endorsements.refresh import MAX_FOLLOWED, Timing, wait_for_change
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
)

pytestmark = pytest.mark.anyio

CRL_PATH = "/vcek/v1/Genoa/crl"
CHAIN_PATH = "/vcek/v1/Genoa/cert_chain"
DAY = timedelta(days=1)


# ---------------------------------------------------------------------- refreshing


async def test_what_is_revised_is_fetched_once_a_day_and_the_rest_is_not(
    make: Make, vendor: Vendor, waits: Waits
) -> None:
    vendor.serve_amd()
    refresher = make()
    await refresher.start(snp(), required=True)

    await run(refresher, waits, 48)

    assert set(waits.seconds) == {3600}
    assert vendor.asked[3:] == [CRL_PATH] * 2


async def test_a_newer_one_is_stapled_as_soon_as_it_came(
    make: Make, vendor: Vendor, waits: Waits
) -> None:
    vendor.serve_amd()
    refresher = make()
    await refresher.start(snp(), required=True)
    newer = revoked("ARK-Genoa", next_update=SOON + DAY)
    vendor.replies[CRL_PATH] = Reply(newer)

    await run(refresher, waits, 24)

    assert refresher.endorse(snp()).endorsements[1].content == newer


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(b"no", status=500), id="an error"),
        pytest.param(Reply(b"<html>"), id="a page"),
        pytest.param(Reply(revoked("Another")), id="another CRL"),
        pytest.param(Reply(revoked("ARK-Genoa", next_update=NOW)), id="an expired one"),
    ],
)
async def test_a_failed_refresh_keeps_the_old_one_and_warns(
    make: Make,
    vendor: Vendor,
    waits: Waits,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
) -> None:
    vendor.serve_amd()
    refresher = make()
    await refresher.start(snp(), required=True)
    vendor.replies[CRL_PATH] = reply

    await run(refresher, waits, 24 + 3)

    assert refresher.endorse(snp()).endorsements[1].content == revoked("ARK-Genoa")
    assert waits.seconds[24:] == [10, 20, 40]
    assert all("; the old one stays, until 2026-07-01" in m for m in caplog.messages)
    assert len(caplog.messages) == 4


async def test_after_a_success_waits_begin_anew(
    make: Make, vendor: Vendor, waits: Waits
) -> None:
    vendor.serve_amd()
    refresher = make()
    await refresher.start(snp(), required=True)
    vendor.replies[CRL_PATH] = Reply(status=500)
    await run(refresher, waits, 24 + 5)
    vendor.replies[CRL_PATH] = Reply(revoked("ARK-Genoa"))
    await run(refresher, waits, 1)
    vendor.replies[CRL_PATH] = Reply(status=500)

    await run(refresher, waits, 24 + 2)

    assert waits.seconds[24:30] == [10, 20, 40, 80, 160, 320]
    assert waits.seconds[-3:] == [3600, 10, 20]


async def test_a_list_that_has_expired_is_not_stapled_for_it_would_refuse_the_enclave(
    make: Make, vendor: Vendor, clock: Clock
) -> None:
    vendor.serve_amd()
    refresher = make()
    await refresher.start(snp(), required=True)
    vendor.replies.clear()
    clock.now = SOON + DAY

    await refresher.refresh()

    assert stapled(refresher) == [PEM_CHAIN_TYPE]
    assert refresher.missing() == ("AMD Genoa CRL",)


async def test_collateral_stays_when_it_expires_for_it_says_why(
    make: Make, vendor: Vendor, clock: Clock
) -> None:
    vendor.serve_intel()
    refresher = make()
    await refresher.start(sgx(), required=True)
    vendor.replies.clear()
    clock.now = SOON + DAY

    await refresher.refresh()

    assert stapled(refresher, sgx()) == [INTEL_COLLATERAL_TYPE]
    assert len(refresher.missing()) == 4


async def test_a_busy_vendor_is_left_alone_as_long_as_it_asked(
    make: Make, vendor: Vendor, waits: Waits
) -> None:
    vendor.serve_amd()
    served = dict(vendor.replies)
    vendor.replies[CHAIN_PATH] = Reply(status=429, fields={"retry-after": "100"})
    refresher = make()
    await refresher.start(snp(), required=False)
    first = list(vendor.asked)
    vendor.replies = served

    await run(refresher, waits, 1)

    assert first[1:] == [CHAIN_PATH], "the CRL is not asked for either"
    assert waits.seconds == [100]
    assert vendor.asked[2:] == [CHAIN_PATH, CRL_PATH]
    assert refresher.missing() == ()


async def test_chance_moves_a_refresh(make: Make, vendor: Vendor, waits: Waits) -> None:
    vendor.serve_amd()
    make.timing = replace(make.timing, chance=lambda: 1.0)
    refresher = make()
    await refresher.start(snp(), required=True)

    await run(refresher, waits, 20)

    assert sum(waits.seconds) == pytest.approx(0.8 * 86400)


async def test_new_firmware_has_its_key_fetched_in_the_background(
    make: Make, vendor: Vendor, waits: Waits
) -> None:
    vendor.serve_amd()
    refresher = make()
    await refresher.start(snp(), required=True)
    await run(refresher, waits, 0)
    newer = snp(report(tcb=bytes.fromhex("0b01020304051783")))
    vendor.serve_amd(levels="blSPL=11&teeSPL=01&snpSPL=23&ucodeSPL=131")

    before = stapled(refresher, newer)
    await run(refresher, waits, 0)

    assert before == [PEM_CHAIN_TYPE, CRL_TYPE], "the chain is there, its leaf is not"
    assert waits.woken == 2
    assert len(vendor.asked) == 4
    assert refresher.endorse(newer).endorsements[0].content.startswith(pem(vcek()))


async def test_evidence_from_before_an_update_keeps_its_endorsements(
    make: Make, vendor: Vendor
) -> None:
    vendor.serve_amd()
    vendor.serve_amd(levels="blSPL=11&teeSPL=01&snpSPL=23&ucodeSPL=131")
    refresher = make()
    newer = snp(report(tcb=bytes.fromhex("0b01020304051783")))
    for evidence in (snp(), newer):
        await refresher.start(evidence, required=True)
    vendor.asked.clear()

    for evidence in (snp(), newer, snp(), newer):
        assert stapled(refresher, evidence) == [PEM_CHAIN_TYPE, CRL_TYPE]
        await refresher.refresh()

    assert vendor.asked == []


async def test_of_many_updates_the_last_two_count(make: Make, vendor: Vendor) -> None:
    vendor.serve_amd()
    refresher = make()
    await refresher.start(snp(), required=True)

    for level in range(20, 20 + MAX_FOLLOWED):
        refresher.endorse(snp(report(tcb=bytes([level, *TCB[1:]]))))

    assert len(refresher._states) == MAX_FOLLOWED + 2, "a leaf each, chain and CRL"
    before = refresher.endorse(snp()).endorsements[0]
    assert before == Endorsement(PEM_CHAIN_TYPE, amd_chain()), "its leaf is forgotten"


async def test_without_a_plan_it_waits_an_hour_at_a_time(
    make: Make, waits: Waits
) -> None:
    await run(make(), waits, 2)

    assert waits.seconds == [3600, 3600]


# ------------------------------------------------------------------------- the cache


async def test_a_restart_asks_nobody(
    make: Make, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.serve_amd()
    await make(tmp_path).start(snp(), required=True)
    vendor.replies.clear()
    refresher = make(tmp_path)

    await refresher.start(snp(), required=True)

    assert stapled(refresher) == [PEM_CHAIN_TYPE, CRL_TYPE]
    assert len(vendor.asked) == 3


async def test_after_a_restart_what_is_due_is_fetched(
    make: Make, vendor: Vendor, tmp_path: Path, clock: Clock
) -> None:
    vendor.serve_amd()
    await make(tmp_path).start(snp(), required=True)
    clock.now += 2 * DAY

    await make(tmp_path).start(snp(), required=True)

    assert vendor.asked[3:] == [CRL_PATH]


async def test_what_is_dated_later_than_now_is_fetched_again(
    make: Make, vendor: Vendor, tmp_path: Path, clock: Clock
) -> None:
    vendor.serve_amd()
    clock.now += 10 * DAY
    await make(tmp_path).start(snp(), required=True)
    clock.now -= 10 * DAY
    refresher = make(tmp_path)

    await refresher.start(snp(), required=True)

    assert vendor.asked[3:] == vendor.asked[:3]


async def test_without_network_what_is_in_the_cache_is_stapled(
    make: Make, vendor: Vendor, tmp_path: Path, clock: Clock
) -> None:
    vendor.serve_amd()
    await make(tmp_path).start(snp(), required=True)
    vendor.replies.clear()
    clock.now += 2 * DAY
    refresher = make(tmp_path)

    await refresher.start(snp(), required=True)

    assert stapled(refresher) == [PEM_CHAIN_TYPE, CRL_TYPE]


def truncate_all(folder: Path) -> None:
    for file in folder.iterdir():
        os.truncate(file, 100)


async def test_a_corrupted_entry_is_fetched_again(
    make: Make, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.serve_amd()
    await make(tmp_path).start(snp(), required=True)
    truncate_all(tmp_path)

    await make(tmp_path).start(snp(), required=True)
    third = make(tmp_path)
    await third.start(snp(), required=True)

    assert len(vendor.asked) == 6
    assert stapled(third) == [PEM_CHAIN_TYPE, CRL_TYPE]


# -------------------------------------------------------------------------- waiting


async def test_a_wait_ends_in_time_or_when_something_changed() -> None:
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    started = loop.time()

    await wait_for_change(changed, 0.02)
    passed = loop.time() - started
    changed.set()
    await wait_for_change(changed, 1000)

    assert passed >= 0.019
    assert loop.time() - started < 5


def test_chance_is_drawn_anew(clock: Clock) -> None:
    timing = Timing(clock=clock)

    drawn = {timing.chance() for _ in range(5)}

    assert len(drawn) > 1
    assert all(0 <= each < 1 for each in drawn)
