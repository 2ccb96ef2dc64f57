"""Endorsements beside the enclave."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.endorsements.conftest import (
    NOW,
    Vendor,
    amd_chain,
    pem,
    report,
    revoked,
    snp,
    vcek,
    vendor,
)

from blindai.attester.simulated import SimulatedAttester
from blindai.endorsements import refresh
from blindai.endorsements.refresh import Refresher
from blindai.endorsements.sources import Addresses
from blindai.errors import BlindAIError, ConfigurationError
from blindai.protocol.attestation import (
    CRL_TYPE,
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    Endorsement,
    Evidence,
    parse_attestation,
)
from blindai.protocol.names import ATTESTATION_PATH
from blindai.server import stapling
from blindai.server.serve import build_app
from blindai.server.settings import Settings
from blindai.server.stapling import Endorsing
from blindai.testing import SimulatedEnclave

if TYPE_CHECKING:
    from tests.server.conftest import MakeEnclave

    from blindai.protocol.keyset import Binding
    from blindai.server.gateway import Gateway

pytestmark = pytest.mark.anyio
__all__ = ["vendor"]  # a fixture

NONCE = bytes(32)
WHOLE = (
    Endorsement(PEM_CHAIN_TYPE, pem(vcek()) + amd_chain()),
    Endorsement(CRL_TYPE, revoked("ARK-Genoa")),
)


class Hardware:
    """SEV-SNP hardware, as far as its report says what it needs.

    Attributes:
        evidence: What it answers.
        quotes: How often it was asked.
        fault: What it raises instead.
    """

    tee = SEV_SNP_REPORT_TYPE
    sealing = None

    def __init__(self) -> None:
        self.evidence = snp()
        self.quotes = 0
        self.fault: BlindAIError | None = None

    def attest(self, _: Binding) -> Evidence:
        self.quotes += 1
        if self.fault is not None:
            raise self.fault
        return self.evidence

    def sealing_key(self) -> None:
        return None


@pytest.fixture
def hardware() -> Hardware:
    return Hardware()


class Serve:
    """Makes servers whose vendors are this machine's."""

    def __init__(self, hardware: Hardware, vendor: Vendor) -> None:
        self.hardware = hardware
        self.endorsing = Endorsing(
            addresses=Addresses(amd=vendor.url, intel=vendor.url)
        )

    def __call__(self, *, required: bool = False, cache: Path | None = None) -> Gateway:
        chosen = replace(self.endorsing, required=required, cache=cache)
        return build_app(Settings(), self.hardware, endorsing=chosen)


@pytest.fixture
def serve(hardware: Hardware, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Serve:
    monkeypatch.setattr("blindai.server.serve.now", lambda: NOW)
    return Serve(hardware, vendor)


def living(app: Gateway) -> AbstractAsyncContextManager[object]:
    """The life of a server from its start to its end."""
    inside = app._app
    context: AbstractAsyncContextManager[object] = inside.router.lifespan_context(  # type: ignore[attr-defined]  # Starlette's
        inside
    )
    return context


async def stapled(app: Gateway, nonce: bytes | None = NONCE) -> tuple[Endorsement, ...]:
    collection = await app._enclave.attestation(nonce)
    return parse_attestation(collection).evidence.endorsements


async def test_what_a_client_needs_is_stapled_from_the_first_answer_on(
    serve: Serve, vendor: Vendor
) -> None:
    vendor.serve_amd()
    app = serve(required=True)

    async with living(app):
        assert await stapled(app) == WHOLE
        assert await stapled(app, None) == WHOLE


async def test_a_server_on_the_network_staples_them(
    serve: Serve, vendor: Vendor
) -> None:
    vendor.serve_amd()

    with SimulatedEnclave(app=serve(required=True)) as enclave:
        response = await asyncio.to_thread(httpx.get, enclave.url + ATTESTATION_PATH)

    assert parse_attestation(response.content).evidence.endorsements == WHOLE


async def test_evidence_without_a_nonce_is_made_once_and_stapled_anew(
    serve: Serve, vendor: Vendor, hardware: Hardware
) -> None:
    app = serve()

    async with living(app):
        before = await stapled(app, None)
        vendor.serve_amd()
        for state in refresher_of(app)._states.values():
            state.due = refresh._PAST
        await refresher_of(app).refresh()
        after = await stapled(app, None)

    assert (before, after) == ((), WHOLE)
    assert hardware.quotes == 1


def refresher_of(app: Gateway) -> Refresher:
    refresher: Refresher = app._enclave._endorse.__self__._refresher  # type: ignore[attr-defined]  # a bound method
    return refresher


async def test_what_the_attester_brings_comes_first(
    serve: Serve, vendor: Vendor, hardware: Hardware
) -> None:
    vendor.serve_amd()
    own = Endorsement(PEM_CHAIN_TYPE, pem(vcek()) + amd_chain())
    hardware.evidence = snp(report(), own)
    app = serve(required=True)

    async with living(app):
        assert await stapled(app) == (own, WHOLE[1])


async def test_what_is_kept_on_disk_outlives_the_server(
    serve: Serve, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.serve_amd()
    async with living(serve(required=True, cache=tmp_path / "cache")):
        pass
    vendor.replies.clear()
    app = serve(required=True, cache=tmp_path / "cache")

    async with living(app):
        assert await stapled(app) == WHOLE


async def test_without_vendors_it_starts_and_says_so(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app = serve()

    async with living(app):
        assert await stapled(app) == ()

    assert "ENDORSEMENTS ARE MISSING: AMD Genoa VCEK" in caplog.text


async def test_where_they_are_required_it_does_not_start_and_says_why(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "REQUIRED_TIMEOUT_S", 0.1)

    with pytest.raises(ConfigurationError, match="required, but missing: AMD Genoa"):
        async with living(serve(required=True)):
            pass

    assert "not started: endorsements: required, but missing" in caplog.text


async def test_a_slow_vendor_blocks_nobody(
    serve: Serve, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "START_TIMEOUT_S", 0.1)
    vendor.serve_amd()
    for reply in vendor.replies.values():
        reply.pause_s = 30
    app = serve()

    async with living(app):
        await asyncio.sleep(0.1)  # the refresher now waits for an answer
        started = time.monotonic()
        assert await stapled(app) == ()
        took = time.monotonic() - started
        stopping = time.monotonic()

    assert took < 1
    assert time.monotonic() - stopping < 5, "nor is the end held up"


async def test_hardware_that_fails_at_first_does_not_stop_the_start(
    serve: Serve, vendor: Vendor, hardware: Hardware, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.serve_amd()
    hardware.fault = BlindAIError("device: busy")
    app = serve()

    async with living(app):
        hardware.fault = None
        await stapled(app)  # from now on it is known what is needed
        await refresher_of(app).refresh()
        assert await stapled(app) == WHOLE

    assert "endorsements are not fetched yet: device: busy" in caplog.text


async def test_unless_they_are_required(serve: Serve, hardware: Hardware) -> None:
    hardware.fault = BlindAIError("device: busy")

    with pytest.raises(BlindAIError, match="device: busy"):
        async with living(serve(required=True)):
            pass


async def test_a_fault_of_the_refresher_is_logged_and_it_goes_on(
    serve: Serve,
    vendor: Vendor,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor.serve_amd()
    runs: list[Refresher] = []
    again = asyncio.Event()

    async def run(self: Refresher) -> None:
        runs.append(self)
        if len(runs) == 1:
            raise RuntimeError("a fault")
        again.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Refresher, "run", run)
    monkeypatch.setattr(stapling, "_PAUSE_S", 0)

    async with living(serve()), asyncio.timeout(5):
        await again.wait()

    assert "refreshing endorsements failed" in caplog.messages
    assert caplog.records[-1].levelno == logging.ERROR


async def test_a_tee_that_needs_nothing_asks_nobody(
    vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = Endorsing(
        addresses=Addresses(amd=vendor.url, intel=vendor.url), required=True
    )
    app = build_app(Settings(), SimulatedAttester(), endorsing=chosen)

    async with living(app):
        assert len(await stapled(app)) == 1

    assert (vendor.asked, caplog.messages) == ([], [])


async def test_without_a_choice_only_the_attesters_own_are_stapled(
    make_enclave: MakeEnclave, hardware: Hardware
) -> None:
    hardware.evidence = snp(report(), WHOLE[0])

    made = parse_attestation(await make_enclave(hardware=hardware).attestation(None))

    assert made.evidence.endorsements == WHOLE[:1]
