"""SEV-SNP: reports that bind, certificates of the host's, a key of this guest's."""

from __future__ import annotations

import logging

import pytest
from tests.attester.conftest import BINDING, BOUND, snp_report, tdx_quote
from tests.attester.test_certificate_table import table

from blindai.attester import Attester, certificate_table
from blindai.attester.configfs_tsm import SEV_GUEST, TDX_GUEST, ConfigfsTsm
from blindai.attester.sev_guest import read_derived_key
from blindai.attester.sev_snp import SevSnpAttester
from blindai.errors import HardwareError
from blindai.protocol.attestation import PEM_CHAIN_TYPE, SEV_SNP_REPORT_TYPE
from blindai.testing.devices import FakeConfigfs, FakeFiles, FakeSevGuest

TABLE = table(
    (certificate_table.VCEK, b"leaf"),
    (certificate_table.ASK, b"ask"),
    (certificate_table.ARK, b"ark"),
)


def quote(bound: bytes, vmpl: int) -> tuple[bytes, bytes]:
    assert vmpl == 0
    return snp_report(bound), TABLE


def attester(
    tree: FakeConfigfs | None = None, vmpl: int | None = None
) -> SevSnpAttester:
    tree = tree or FakeConfigfs(SEV_GUEST, quote)
    return SevSnpAttester(vmpl, ConfigfsTsm(files=FakeFiles(tree)))


def test_it_is_an_attester() -> None:
    each: Attester = attester()

    assert each.tee == SEV_SNP_REPORT_TYPE
    assert each.sealing is not None
    assert "this measurement" in each.sealing


def test_it_asks_the_kernel_by_default() -> None:
    assert isinstance(SevSnpAttester()._reports, ConfigfsTsm)
    assert SevSnpAttester()._read_key is read_derived_key


def test_evidence_is_the_report_and_the_host_s_certificates() -> None:
    evidence = attester().attest(BINDING)

    assert evidence.media_type == SEV_SNP_REPORT_TYPE
    assert evidence.evidence == snp_report(BOUND)
    (chain,) = evidence.endorsements
    assert chain.media_type == PEM_CHAIN_TYPE
    assert chain.content.count(b"BEGIN CERTIFICATE") == 3


def test_a_host_that_gives_no_certificates_gives_none() -> None:
    tree = FakeConfigfs(SEV_GUEST, lambda bound, _: (snp_report(bound), b""))

    assert attester(tree).attest(BINDING).endorsements == ()


def test_a_malformed_table_is_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tree = FakeConfigfs(SEV_GUEST, lambda bound, _: (snp_report(bound), TABLE[:24]))

    with caplog.at_level(logging.WARNING):
        evidence = attester(tree).attest(BINDING)

    assert evidence.endorsements == ()
    assert "the host's certificates are left out: certificate table" in caplog.text


@pytest.mark.parametrize("size", [0, 1183, 1185])
def test_a_report_of_another_size_is_refused(size: int) -> None:
    tree = FakeConfigfs(SEV_GUEST, lambda _, __: (bytes(size), b""))

    with pytest.raises(HardwareError, match=f"expected 1184 bytes, got {size}"):
        attester(tree).attest(BINDING)


def test_a_report_that_binds_other_bytes_is_refused() -> None:
    tree = FakeConfigfs(SEV_GUEST, lambda _, __: (snp_report(bytes(64)), b""))

    with pytest.raises(HardwareError, match="bind what the device was given"):
        attester(tree).attest(BINDING)


def test_another_tee_s_quote_is_refused() -> None:
    tree = FakeConfigfs(TDX_GUEST, lambda bound, _: (tdx_quote(bound), b""))

    with pytest.raises(HardwareError, match="expected sev_guest"):
        attester(tree, vmpl=0).attest(BINDING)


@pytest.mark.parametrize(
    ("named", "floor", "asked"), [(None, 0, 0), (None, 2, 2), (3, 0, 3)]
)
def test_the_vmpl_is_the_one_named_or_the_guest_s_own(
    named: int | None, floor: int, asked: int
) -> None:
    asked_for: list[int] = []

    def note(bound: bytes, vmpl: int) -> tuple[bytes, bytes]:
        asked_for.append(vmpl)
        return snp_report(bound), b""

    tree = FakeConfigfs(SEV_GUEST, note, privlevel_floor=floor)
    each = attester(tree, named)

    each.attest(BINDING)
    each.attest(BINDING)

    assert asked_for == [asked, asked]


def test_a_vmpl_below_the_guest_s_own_is_refused() -> None:
    tree = FakeConfigfs(SEV_GUEST, quote, privlevel_floor=2)

    with pytest.raises(HardwareError, match="is the VMPL one that this guest has"):
        attester(tree, 1).attest(BINDING)


@pytest.mark.parametrize("vmpl", [-1, 4])
def test_a_vmpl_is_0_to_3(vmpl: int) -> None:
    with pytest.raises(ValueError, match=f"expected 0 to 3, got {vmpl}"):
        SevSnpAttester(vmpl)


class TestSealingKey:
    """The key is the firmware's, for this guest, and parted from other uses."""

    @staticmethod
    def key(vmpl: int, device: FakeSevGuest) -> bytes | None:
        def read(vmpl: int) -> bytes:
            return read_derived_key(vmpl, files=FakeFiles(device), calls=device)

        reports = ConfigfsTsm(files=FakeFiles(FakeConfigfs(SEV_GUEST, quote)))
        return SevSnpAttester(vmpl, reports, read).sealing_key()

    def test_it_is_found_again(self) -> None:
        key = self.key(0, FakeSevGuest())

        assert key is not None
        assert len(key) == 32
        assert self.key(0, FakeSevGuest()) == key

    def test_it_is_not_the_firmware_s_own(self) -> None:
        device = FakeSevGuest()

        raw = read_derived_key(0, files=FakeFiles(device), calls=device)

        assert self.key(0, device) != raw

    @pytest.mark.parametrize(
        ("vmpl", "device"),
        [
            (0, FakeSevGuest(measurement=b"o" * 48)),
            (0, FakeSevGuest(guest_policy=0x30000 | 1 << 19)),
            (0, FakeSevGuest(chip_secret=b"other")),
            (1, FakeSevGuest()),
        ],
        ids=["measurement", "debug", "chip", "vmpl"],
    )
    def test_it_is_another_for_another(self, vmpl: int, device: FakeSevGuest) -> None:
        assert self.key(vmpl, device) != self.key(0, FakeSevGuest())

    def test_the_label_holds_the_vmpl(self) -> None:
        def read(_: int) -> bytes:
            return bytes(32)

        assert (
            SevSnpAttester(0, read_key=read).sealing_key()
            != SevSnpAttester(1, read_key=read).sealing_key()
        )

    def test_without_a_name_it_is_for_the_guest_s_own_vmpl(self) -> None:
        tree = FakeConfigfs(SEV_GUEST, quote, privlevel_floor=2)
        asked: list[int] = []

        def read(vmpl: int) -> bytes:
            asked.append(vmpl)
            return bytes(32)

        SevSnpAttester(
            reports=ConfigfsTsm(files=FakeFiles(tree)), read_key=read
        ).sealing_key()

        assert asked == [2]
