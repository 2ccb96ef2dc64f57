"""What is stapled, and when it is fetched."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.endorsements.conftest import (
    NOW,
    SOON,
    Clock,
    Reply,
    Vendor,
    amd_chain,
    certificate,
    pem,
    report,
    revoked,
    sgx,
    snp,
    vcek,
)

from blindai.endorsements import refresh
from blindai.endorsements.cache import Cache
from blindai.endorsements.fetch import HttpFetch
from blindai.endorsements.refresh import Refresher, Timing, wait_for_change
from blindai.endorsements.sources import Addresses
from blindai.errors import ConfigurationError
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    NITRO_DOCUMENT_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
    Evidence,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

CRL_PATH = "/vcek/v1/Genoa/crl"
CHAIN_PATH = "/vcek/v1/Genoa/cert_chain"
DAY = timedelta(days=1)


class Waits:
    """Passes time instead of waiting, and ends after some waits.

    Attributes:
        seconds: How long each wait was to be.
        limit: After how many waits to end.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.seconds: list[float] = []
        self.limit = 0
        self.woken = 0

    async def __call__(self, changed: asyncio.Event, seconds: float) -> None:
        if changed.is_set():
            self.woken += 1
            return
        if len(self.seconds) >= self.limit:
            raise asyncio.CancelledError
        self.seconds.append(seconds)
        self.clock.now += timedelta(seconds=seconds)


@pytest.fixture
def waits(clock: Clock) -> Waits:
    return Waits(clock)


class Make:
    """Makes refreshers that ask the local server."""

    def __init__(self, fetch: HttpFetch, vendor: Vendor, timing: Timing) -> None:
        self.fetch = fetch
        self.vendor = vendor
        self.timing = timing

    def __call__(self, folder: Path | None = None) -> Refresher:
        addresses = Addresses(amd=self.vendor.url, intel=self.vendor.url)
        cache = None if folder is None else Cache(folder)
        return Refresher(self.fetch, addresses, self.timing, cache)


@pytest.fixture
async def make(vendor: Vendor, clock: Clock, waits: Waits) -> AsyncIterator[Make]:
    timing = Timing(clock=clock, wait=waits, chance=lambda: 0.0)
    async with HttpFetch(clock, timeout_s=5) as fetch:
        yield Make(fetch, vendor, timing)


async def run(refresher: Refresher, waits: Waits, times: int) -> None:
    """Let it refresh in the background, for so many waits."""
    waits.limit = len(waits.seconds) + times
    with pytest.raises(asyncio.CancelledError):
        await refresher.run()


def stapled(refresher: Refresher, evidence: Evidence | None = None) -> list[str]:
    """The media types of what is stapled."""
    endorsed = refresher.endorse(evidence or snp())
    return [each.media_type for each in endorsed.endorsements]


async def test_at_start_all_that_belongs_to_the_evidence_is_fetched(
    make: Make, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.serve_amd()
    refresher = make()

    await refresher.start(snp(), required=True)

    assert refresher.endorse(snp()).endorsements == (
        Endorsement(PEM_CHAIN_TYPE, pem(vcek()) + amd_chain()),
        Endorsement(CRL_TYPE, revoked("ARK-Genoa")),
    )
    assert refresher.missing() == ()
    assert len(vendor.asked) == 3
    assert caplog.messages == []


async def test_intels_collateral_is_stapled_to_a_quote(
    make: Make, vendor: Vendor
) -> None:
    vendor.serve_intel()
    refresher = make()

    await refresher.start(sgx(), required=True)

    assert stapled(refresher, sgx()) == [INTEL_COLLATERAL_TYPE]


async def test_the_evidences_own_endorsements_come_first_and_stay(
    make: Make, vendor: Vendor
) -> None:
    vendor.serve_amd()
    refresher = make()
    own = Endorsement(
        PEM_CHAIN_TYPE,
        pem(vcek(), certificate("SEV-Genoa"), certificate("ARK-Genoa")),
    )

    await refresher.start(snp(report(), own), required=True)

    endorsed = refresher.endorse(snp(report(), own))
    assert endorsed.endorsements == (own, Endorsement(CRL_TYPE, revoked("ARK-Genoa")))
    assert vendor.asked == [CRL_PATH]


async def test_evidence_that_needs_nothing_is_left_as_it_is(
    make: Make, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    evidence = Evidence(media_type=NITRO_DOCUMENT_TYPE, evidence=b"document")
    refresher = make()

    await refresher.start(evidence, required=True)

    assert refresher.endorse(evidence) is evidence
    assert (vendor.asked, caplog.messages) == ([], [])


async def test_before_anything_was_fetched_nothing_is_stapled(make: Make) -> None:
    refresher = make()

    assert refresher.endorse(snp()) == snp()
    assert refresher.missing() == ("AMD Genoa VCEK", "AMD Genoa chain", "AMD Genoa CRL")


async def test_without_network_and_cache_it_starts_and_says_so_loudly(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    refresher = make()

    await refresher.start(snp(), required=False)

    assert stapled(refresher) == []
    assert caplog.messages[-1] == (
        "ENDORSEMENTS ARE MISSING: AMD Genoa VCEK, AMD Genoa chain, AMD Genoa CRL. "
        "Until they are fetched, clients have to bring their own (blindai "
        "endorsements fetch)"
    )


async def test_where_they_are_required_it_tries_again_and_then_starts(
    make: Make, vendor: Vendor, waits: Waits
) -> None:
    vendor.serve_amd()
    crl = vendor.replies.pop(CRL_PATH)
    refresher = make()
    waits.limit = 2
    passing = waits.__call__

    async def wait(changed: asyncio.Event, seconds: float) -> None:
        await passing(changed, seconds)
        if waits.seconds:
            vendor.replies[CRL_PATH] = crl

    make.timing = replace(make.timing, wait=wait)
    refresher = make()

    await refresher.start(snp(), required=True)

    assert stapled(refresher) == [PEM_CHAIN_TYPE, CRL_TYPE]
    assert waits.seconds == [10]


async def test_where_they_are_required_and_stay_away_it_does_not_start(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "REQUIRED_TIMEOUT_S", 0.1)
    make.timing = replace(make.timing, wait=wait_for_change)
    refresher = make()

    with pytest.raises(ConfigurationError, match="missing: AMD Genoa VCEK, AMD"):
        await refresher.start(snp(), required=True)


async def test_a_slow_vendor_does_not_hold_up_the_start(
    make: Make, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "START_TIMEOUT_S", 0.2)
    vendor.serve_amd()
    for reply in vendor.replies.values():
        reply.pause_s = 30
    refresher = make()

    await refresher.start(snp(), required=False)

    assert len(refresher.missing()) == 3


@pytest.mark.parametrize("required", [True, False])
async def test_evidence_that_does_not_say_what_it_needs_is_warned_of_once(
    make: Make, caplog: pytest.LogCaptureFixture, *, required: bool
) -> None:
    hidden = snp(report(chip_id=bytes(64)))
    refresher = make()

    outcome = "none"
    try:
        await refresher.start(hidden, required=required)
    except ConfigurationError as error:
        outcome = error.message
    again = refresher.endorse(hidden)

    assert again is hidden
    assert ("MASK_CHIP_ID" in outcome) is required
    refusals = [each for each in caplog.messages if "cannot be fetched" in each]
    assert len(refusals) == 1


async def test_what_one_answer_lacks_does_not_keep_the_others_away(
    make: Make, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.serve_amd()
    vendor.replies[CRL_PATH] = Reply(b"no", status=500)
    refresher = make()

    await refresher.start(snp(), required=False)

    assert stapled(refresher) == [PEM_CHAIN_TYPE]
    assert caplog.messages[0] == (
        "endorsements: AMD Genoa CRL: expected status 200, got 500; there is none yet"
    )


async def test_a_report_of_version_2_finds_its_product(
    make: Make, vendor: Vendor
) -> None:
    vendor.serve_amd("Genoa")
    refresher = make()
    old = snp(report(version=2, cpuid=(0, 0)))

    await refresher.start(old, required=True)

    assert stapled(refresher, old) == [PEM_CHAIN_TYPE, CRL_TYPE]
    assert [path.split("/")[3] for path in vendor.asked] == ["Milan", *["Genoa"] * 3]


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
    newer = snp(report(tcb=bytes.fromhex("0b0102030405171d")))
    vendor.serve_amd(levels="blSPL=11&teeSPL=01&snpSPL=23&ucodeSPL=29")

    before = stapled(refresher, newer)
    await run(refresher, waits, 0)

    assert before == [PEM_CHAIN_TYPE, CRL_TYPE], "the chain is there, its leaf is not"
    assert waits.woken == 2
    assert len(vendor.asked) == 4
    assert refresher.endorse(newer).endorsements[0].content.startswith(pem(vcek()))


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
