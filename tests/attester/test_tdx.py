"""TDX: quotes that bind, the event log, and no sealing key."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest
from tests.attester.conftest import BINDING, BOUND, snp_report, tdx_quote

from blindai.attester import Attester
from blindai.attester.configfs_tsm import SEV_GUEST, TDX_GUEST, ConfigfsTsm
from blindai.attester.tdx import CCEL, TdxAttester
from blindai.errors import HardwareError
from blindai.protocol.attestation import MAX_EVENT_LOG_BYTES, TDX_QUOTE_TYPE
from blindai.testing.devices import FakeConfigfs, FakeFiles, Fault

NO_LOG = "/nowhere/CCEL"


def attester(tree: FakeConfigfs | None = None, event_log: str = NO_LOG) -> TdxAttester:
    tree = tree or FakeConfigfs(TDX_GUEST, lambda bound, _: (tdx_quote(bound), b""))
    return TdxAttester(ConfigfsTsm(files=FakeFiles(tree)), event_log)


def test_it_is_an_attester_without_a_sealing_key() -> None:
    each: Attester = attester()

    assert each.tee == TDX_QUOTE_TYPE
    assert each.sealing is None
    assert each.sealing_key() is None


def test_it_asks_the_kernel_by_default() -> None:
    assert isinstance(TdxAttester()._reports, ConfigfsTsm)
    assert TdxAttester()._event_log == CCEL


@pytest.mark.parametrize("version", [4, 5])
def test_evidence_is_the_quote_and_the_log(tmp_path: Path, version: int) -> None:
    log = tmp_path / "CCEL"
    log.write_bytes(b"events")
    tree = FakeConfigfs(TDX_GUEST, lambda bound, _: (tdx_quote(bound, version), b""))

    evidence = attester(tree, str(log)).attest(BINDING)

    assert evidence.media_type == TDX_QUOTE_TYPE
    assert evidence.evidence == tdx_quote(BOUND, version)
    assert evidence.event_log == b"events"
    assert evidence.endorsements == ()


def test_without_a_log_there_is_evidence_and_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        evidence = attester().attest(BINDING)

    assert evidence.event_log == b""
    assert f"the event log is left out: {NO_LOG}: cannot be read, ENOENT" in caplog.text


def test_a_log_over_the_limit_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "CCEL"
    log.write_bytes(bytes(MAX_EVENT_LOG_BYTES + 1))

    with caplog.at_level(logging.WARNING):
        evidence = attester(event_log=str(log)).attest(BINDING)

    assert evidence.event_log == b""
    assert f"expected at most {MAX_EVENT_LOG_BYTES} bytes" in caplog.text


def test_a_quote_that_binds_other_bytes_is_refused() -> None:
    tree = FakeConfigfs(TDX_GUEST, lambda _, __: (tdx_quote(bytes(64)), b""))

    with pytest.raises(HardwareError, match="bind what the device was given"):
        attester(tree).attest(BINDING)


def test_another_tee_s_report_is_refused() -> None:
    tree = FakeConfigfs(SEV_GUEST, lambda bound, _: (snp_report(bound), b""))

    with pytest.raises(HardwareError, match="expected tdx_guest, got 'sev_guest'"):
        attester(tree).attest(BINDING)


def test_a_host_that_makes_no_quote_is_named() -> None:
    tree = FakeConfigfs(TDX_GUEST, lambda bound, _: (tdx_quote(bound), b""))
    files = FakeFiles(tree, [Fault("read", "outblob", errno.ETIMEDOUT)])

    with pytest.raises(HardwareError, match="quote generation service did not answer"):
        TdxAttester(ConfigfsTsm(files=files), NO_LOG).attest(BINDING)
