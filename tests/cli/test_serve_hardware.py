"""`blindai serve` on hardware: which TEE, what it says of itself, and what it lacks."""

from __future__ import annotations

import errno
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.attester.conftest import snp_report, tdx_quote
from typer.testing import Result

from blindai.attester import Attester, detection
from blindai.attester.configfs_tsm import SEV_GUEST, TDX_GUEST, ConfigfsTsm
from blindai.attester.sev_guest import read_derived_key
from blindai.attester.sev_snp import SevSnpAttester
from blindai.attester.simulated import default_measurement
from blindai.attester.tdx import TdxAttester
from blindai.cli import foreground, serve
from blindai.endorsements.sources import Addresses
from blindai.server import serve as parts
from blindai.server.gateway import Gateway
from blindai.server.settings import Settings
from blindai.server.stapling import Endorsing
from blindai.testing.devices import FakeConfigfs, FakeFiles, FakeSevGuest, Fault

Run = Callable[..., Result]


def sev_snp(*faults: Fault) -> SevSnpAttester:
    device = FakeSevGuest()
    tree = FakeConfigfs(SEV_GUEST, lambda bound, _: (snp_report(bound), b""))

    def read_key(vmpl: int) -> bytes:
        return read_derived_key(vmpl, files=FakeFiles(device, faults), calls=device)

    return SevSnpAttester(
        reports=ConfigfsTsm(files=FakeFiles(tree, faults)), read_key=read_key
    )


def tdx() -> TdxAttester:
    tree = FakeConfigfs(TDX_GUEST, lambda bound, _: (tdx_quote(bound), b""))
    return TdxAttester(ConfigfsTsm(files=FakeFiles(tree)))


@pytest.fixture(autouse=True)
def _ends_when_ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End each server once it is ready, and give the loggers back as they were."""
    printing = serve._print_facts

    def announce(facts: Mapping[str, str], next_steps: tuple[str, ...]) -> None:
        printing(facts, next_steps)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(serve, "_print_facts", announce)
    before = {
        name: (logging.getLogger(name).handlers, logging.getLogger(name).propagate)
        for name in foreground.LOGGERS
    }
    yield
    for name, (handlers, propagate) in before.items():
        logging.getLogger(name).handlers = handlers
        logging.getLogger(name).propagate = propagate


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Attester], None]:
    """A machine with this TEE."""

    def on(attester: Attester) -> None:
        monkeypatch.setattr(detection, "detect", lambda: attester)
        monkeypatch.setattr(detection, "named", lambda tee: {"this": attester}[tee])

    return on


@pytest.mark.parametrize("named", [(), ("--tee", "this")], ids=["found", "named"])
def test_it_says_which_tee_it_is_and_nothing_of_simulation(
    run: Run, on: Callable[[Attester], None], named: tuple[str, ...]
) -> None:
    on(sev_snp())

    result = run("serve", "--offline", "--port", "0", *named)

    assert result.exit_code == 0, result.stderr
    assert "\nTEE            sev-snp-report\n" in result.stdout
    assert f"\nmeasurement    {default_measurement().hex()}\n" in result.stdout
    assert "\nmodels         end with the server (no --data-dir)\n" in result.stdout
    assert "--policy policy.toml" in result.stdout
    assert "simulat" not in (result.stdout + result.stderr).lower()


def test_it_says_under_which_key_models_are_kept(
    run: Run, on: Callable[[Attester], None], tmp_path: Path
) -> None:
    on(sev_snp())

    result = run("serve", "--offline", "--port", "0", "--data-dir", tmp_path / "data")

    assert result.exit_code == 0, result.stderr
    assert f"models         kept in {tmp_path / 'data'}, sealed under a key" in (
        result.stdout
    )
    assert "derived by AMD's secure processor" in result.stdout


def test_it_says_that_a_tee_without_a_sealing_key_keeps_nothing(
    run: Run, on: Callable[[Attester], None], tmp_path: Path
) -> None:
    on(tdx())

    result = run("serve", "--offline", "--port", "0", "--data-dir", tmp_path / "data")

    assert result.exit_code == 0, result.stderr
    assert "models         end with the server: this TEE derives no" in result.stdout
    assert not (tmp_path / "data").exists()


def test_hardware_that_makes_no_evidence_stops_the_start(
    run: Run, on: Callable[[Attester], None]
) -> None:
    on(sev_snp(Fault("read", "outblob", errno.EIO)))

    result = run("serve", "--offline", "--port", "0")

    assert result.exit_code == 1
    assert "outblob: cannot be read, EIO" in result.stderr
    assert "listening on" not in result.stdout


def test_a_sealing_key_that_cannot_be_derived_stops_the_start(
    run: Run, on: Callable[[Attester], None], tmp_path: Path
) -> None:
    on(sev_snp(Fault("open", "sev-guest", errno.ENOENT)))

    result = run("serve", "--offline", "--port", "0", "--data-dir", tmp_path)

    assert result.exit_code == 1
    assert "modprobe sev-guest" in result.stderr


def test_evidence_of_which_only_a_verifier_knows_the_measurement(
    run: Run, on: Callable[[Attester], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindai.server.serve.measurement", lambda _: None)
    on(sev_snp())

    assert (
        "\nmeasurement    in the evidence\n"
        in run("serve", "--offline", "--port", "0").stdout
    )


@pytest.mark.parametrize("tee", list(detection.PROBES))
def test_a_tee_that_is_named_and_absent_is_an_error_that_says_what_it_needs(
    run: Run, tee: str
) -> None:
    result = run("serve", "--tee", tee)

    assert result.exit_code == 1
    assert "error: /" in result.stderr
    assert "docs/deploy.md" in result.stderr


class TestEndorsements:
    """Where vendors' endorsements come from is the operator's choice."""

    @pytest.fixture
    def chosen(
        self, on: Callable[[Attester], None], monkeypatch: pytest.MonkeyPatch
    ) -> list[Endorsing | None]:
        """What each start of a server was given."""
        given: list[Endorsing | None] = []
        building = parts.build_app

        def build(
            settings: Settings,
            attester: Attester,
            *,
            data_dir: Path | None,
            tls_spki: bytes | None,
            endorsing: Endorsing | None,
        ) -> Gateway:
            given.append(endorsing)
            return building(settings, attester, data_dir=data_dir, tls_spki=tls_spki)

        monkeypatch.setattr(parts, "build_app", build)
        on(sev_snp())
        return given

    def test_they_are_fetched_from_the_vendors_and_kept_nowhere(
        self, run: Run, chosen: list[Endorsing | None]
    ) -> None:
        run("serve", "--port", "0")

        assert chosen == [Endorsing(addresses=Addresses(), cache=None, required=False)]

    def test_they_are_kept_in_the_data_directory(
        self, run: Run, chosen: list[Endorsing | None], tmp_path: Path
    ) -> None:
        run("serve", "--port", "0", "--data-dir", tmp_path)

        assert chosen == [Endorsing(cache=tmp_path / "endorsements")]

    def test_addresses_and_folder_can_be_named(
        self, run: Run, chosen: list[Endorsing | None], tmp_path: Path
    ) -> None:
        amd, intel = "https://kds.example", "https://pccs.example:8081"
        words = ("--amd-kds", amd, "--intel-pccs", intel, "--require-endorsements")

        run("serve", "--port", "0", "--endorsements-dir", tmp_path, *words)

        addresses = Addresses(amd=amd, intel=intel)
        assert chosen == [Endorsing(addresses=addresses, cache=tmp_path, required=True)]

    def test_an_address_without_https_is_refused(
        self, run: Run, chosen: list[Endorsing | None]
    ) -> None:
        result = run("serve", "--port", "0", "--amd-kds", "http://kds.example")

        assert result.exit_code == 2
        assert chosen == []

    def test_offline_fetches_none(
        self, run: Run, chosen: list[Endorsing | None]
    ) -> None:
        run("serve", "--port", "0", "--offline")

        assert chosen == [None]

    def test_offline_and_where_to_fetch_are_not_both_meant(self, run: Run) -> None:
        for words in (
            ("--amd-kds", "https://kds.example"),
            ("--require-endorsements",),
        ):
            result = run("serve", "--simulation", "--offline", *words)

            assert result.exit_code == 2
            assert "expected --offline or where to fetch them" in result.stderr
