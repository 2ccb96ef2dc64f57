"""Whether there is a TPM, and whose."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from tests.attester.test_azure_metadata import Service, address, service
from tests.attester.tpm.test_attester import BINDING, azure

from blindai.attester.tpm import Tpm, TpmDevice, probe_azure, probe_tpm
from blindai.attester.tpm.attester import Sources
from blindai.errors import HardwareAbsentError, HardwareError
from blindai.protocol.attestation import PEM_CHAIN_TYPE, Endorsement
from blindai.protocol.tpm import parse_azure_tdx_evidence
from blindai.testing.vendors.azure import TDX

__all__ = ["service"]  # a fixture
NOWHERE = "127.0.0.1:1"


def test_a_tpm_is_found(swtpm: Tpm) -> None:
    attester = probe_tpm(swtpm.transport)

    assert attester.attest(BINDING).media_type.endswith("tpm-quote+cbor")


@pytest.mark.parametrize("probe", [probe_tpm, probe_azure])
def test_a_machine_without_a_tpm_has_none(probe: Callable[..., object]) -> None:
    with pytest.raises(HardwareAbsentError, match="has no TPM"):
        probe(TpmDevice("/dev/no-such-tpm"))


def test_a_tpm_without_the_bank_cannot_be_used() -> None:
    class Empty:
        def transmit(self, _command: bytes) -> bytes:
            body = struct.pack(">BII", 0, 5, 0)
            return struct.pack(">HII", 0x8001, 10 + len(body), 0) + body

    with pytest.raises(HardwareError, match="a bank of sha256"):
        probe_tpm(Empty())


def test_azures_certificates_come_from_its_service(
    swtpm: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
    service: Service,
) -> None:
    azure(swtpm, write_nv, make_persistent)
    service.answer = b'{"vcekCert": "leaf", "certificateChain": "chain"}'

    evidence = probe_azure(swtpm.transport, address=address(service)).attest(BINDING)

    assert evidence.endorsements == (Endorsement(PEM_CHAIN_TYPE, b"leaf\nchain\n"),)


def test_azures_certificates_may_be_given(
    swtpm: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
) -> None:
    chain = azure(swtpm, write_nv, make_persistent)
    sources = Sources(endorsements=(chain,))

    evidence = probe_azure(swtpm.transport, sources, NOWHERE).attest(BINDING)

    assert evidence.endorsements == (chain,)


def test_azures_certificates_may_be_missing(
    swtpm: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    azure(swtpm, write_nv, make_persistent)

    evidence = probe_azure(swtpm.transport, address=NOWHERE).attest(BINDING)

    assert evidence.endorsements == ()
    assert "no certificates of the processor" in caplog.text


def test_a_td_of_azures_gets_its_quote_from_the_service(
    swtpm: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
    service: Service,
) -> None:
    azure(swtpm, write_nv, make_persistent, report_type=TDX)
    service.answer = b'{"quote": "cXVvdGU"}'

    evidence = probe_azure(swtpm.transport, address=address(service)).attest(BINDING)

    assert parse_azure_tdx_evidence(evidence.evidence).td_quote == b"quote"
