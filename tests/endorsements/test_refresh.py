"""What is stapled, and when it is fetched."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.endorsements.conftest import (
    Make,
    Reply,
    Vendor,
    Waits,
    amd_chain,
    certificate,
    pem,
    report,
    revoked,
    sgx,
    snp,
    stapled,
    vcek,
)

from blindai.endorsements import refresh
from blindai.endorsements.refresh import wait_for_change
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
    pass

pytestmark = pytest.mark.anyio

CRL_PATH = "/vcek/v1/Genoa/crl"
CHAIN_PATH = "/vcek/v1/Genoa/cert_chain"
DAY = timedelta(days=1)


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


async def test_of_a_report_of_version_2_that_nobody_knows_each_leaf_is_asked_for(
    make: Make, vendor: Vendor
) -> None:
    refresher = make()

    await refresher.start(snp(report(version=2, cpuid=(0, 0))), required=False)

    assert [path.split("/")[3] for path in vendor.asked] == ["Milan", "Genoa"]
    assert refresher.missing()[0] == "AMD Milan VCEK"
