"""Which TEE is taken: the first that is there, never one in another's place."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.attester.conftest import sgx_quote, snp_report

from blindai.attester import Attester
from blindai.attester.configfs_tsm import SEV_GUEST, TDX_GUEST, ConfigfsTsm
from blindai.attester.detection import (
    ONLY_NAMED,
    PROBES,
    NoTeeError,
    _tpm_sources,
    detect,
    named,
    probe_nitro,
    probe_sev_snp,
    probe_sgx,
    probe_tdx,
)
from blindai.attester.gramine import GramineAttester
from blindai.attester.nsm import NsmAttester
from blindai.attester.sev_snp import SevSnpAttester
from blindai.attester.simulated import SimulatedAttester
from blindai.attester.tdx import TdxAttester
from blindai.attester.tpm import TpmDevice
from blindai.errors import ConfigurationError, HardwareAbsentError, HardwareError
from blindai.testing import NOW
from blindai.testing.devices import FakeConfigfs, FakeFiles, FakeGramine, Fault
from blindai.testing.devices.nsm import Nsm
from blindai.testing.vendors.aws import Aws

Probe = Callable[[ConfigfsTsm], Attester]


def reports(provider: str | None, *faults: Fault) -> ConfigfsTsm:
    tree = FakeConfigfs(provider, lambda bound, _: (snp_report(bound), b""))
    return ConfigfsTsm(files=FakeFiles(tree, faults))


def there(_: Path | None) -> Attester:
    return SimulatedAttester()


def absent(_: Path | None) -> Attester:
    raise HardwareAbsentError("/dev/one: cannot be read, ENOENT; buy a new one")


def broken(_: Path | None) -> Attester:
    raise HardwareError("/dev/two: cannot be read, EACCES; run the server as root")


def test_the_first_that_is_there_is_taken() -> None:
    assert isinstance(
        detect(probes={"a": absent, "b": there, "c": broken}), SimulatedAttester
    )


def test_one_that_cannot_be_used_is_not_passed_over() -> None:
    with pytest.raises(HardwareError, match="run the server as root"):
        detect(probes={"a": broken, "b": there})


def test_where_there_is_none_it_says_what_was_seen() -> None:
    with pytest.raises(NoTeeError) as raised:
        detect(probes={"a": absent, "b": absent})

    assert raised.value.seen.keys() == {"a", "b"}
    assert raised.value.message == (
        "TEE: looked for a (/dev/one: cannot be read, ENOENT);"
        " b (/dev/one: cannot be read, ENOENT)"
    )
    assert "blindai serve --simulation" in raised.value.next_step


def test_a_tpm_alone_is_never_found() -> None:
    with pytest.raises(NoTeeError, match=r"tpm \(not looked for: name it with --tee"):
        detect(probes={"tpm": there})

    assert isinstance(named("tpm", probes={"tpm": there}), SimulatedAttester)
    assert frozenset({"tpm"}) == ONLY_NAMED


def test_simulation_is_no_tee() -> None:
    assert not any("sim" in name for name in PROBES)


def test_a_name_is_one_of_those_known() -> None:
    with pytest.raises(ConfigurationError, match="expected one of a, b, got 'c'"):
        named("c", probes={"a": there, "b": there})


def test_a_name_that_is_absent_says_why() -> None:
    with pytest.raises(HardwareAbsentError, match="ENOENT"):
        named("a", probes={"a": absent})


@pytest.mark.parametrize("tee", ["sgx", "sev-snp", "tdx", "nitro", "azure", "tpm"])
def test_on_this_machine_there_is_none(tee: str) -> None:
    with pytest.raises(HardwareError):
        named(tee)


def test_the_order_is_fixed() -> None:
    assert list(PROBES) == ["sgx", "sev-snp", "tdx", "nitro", "azure", "tpm"]


class TestProbes:
    """Each TEE is known by what its own interface says."""

    def test_sgx_is_known_by_gramines_files(self) -> None:
        files = FakeFiles(FakeGramine(sgx_quote))

        assert isinstance(probe_sgx(GramineAttester(files=files)), GramineAttester)

    def test_sgx_that_makes_no_dcap_quotes_is_not_absent(self) -> None:
        files = FakeFiles(FakeGramine(sgx_quote, attestation_type=b"none"))

        with pytest.raises(HardwareError, match="expected dcap") as raised:
            probe_sgx(GramineAttester(files=files))

        assert not isinstance(raised.value, HardwareAbsentError)

    def test_nitro_is_known_by_its_module(self) -> None:
        module = Nsm(aws=Aws(), clock=lambda: NOW)

        assert isinstance(probe_nitro(NsmAttester(module)), NsmAttester)

    def test_sev_snp_is_known_by_its_provider_of_reports(self) -> None:
        assert isinstance(probe_sev_snp(reports(SEV_GUEST)), SevSnpAttester)

    def test_tdx_is_known_by_its_provider_of_reports(self) -> None:
        assert isinstance(probe_tdx(reports(TDX_GUEST)), TdxAttester)

    @pytest.mark.parametrize(
        ("probe", "provider"),
        [
            (probe_sev_snp, TDX_GUEST),
            (probe_tdx, SEV_GUEST),
            (probe_sev_snp, None),
            (probe_tdx, None),
        ],
    )
    def test_another_s_driver_or_none_is_absence(
        self, probe: Probe, provider: str | None
    ) -> None:
        with pytest.raises(HardwareAbsentError):
            probe(reports(provider))

    def test_an_interface_that_may_not_be_used_is_not_absence(self) -> None:
        denied = reports(SEV_GUEST, Fault("mkdir", "", errno.EACCES))

        with pytest.raises(HardwareError, match="run the server as root") as raised:
            probe_sev_snp(denied)

        assert not isinstance(raised.value, HardwareAbsentError)


def test_a_tpm_s_sealed_secret_lies_in_the_data_folder(tmp_path: Path) -> None:
    device = TpmDevice()

    assert _tpm_sources(device, None).sealed is None
    sealed = _tpm_sources(device, tmp_path).sealed
    assert sealed is not None
    assert sealed._path == tmp_path / "tpm_sealed_key"
