"""A client may bring its own endorsements."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.endorsements.conftest import amd_chain, revoked

import blindai
from blindai.attester.simulated import SimulatedAttester
from blindai.client.endorsements import choose_endorsements, load_endorsements
from blindai.errors import ConfigurationError, EvidenceError
from blindai.protocol.attestation import (
    CRL_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.endorsements import MAX_FILE_BYTES, encode_endorsements
from blindai.protocol.keyset import Binding
from blindai.testing import SimulatedEnclave

CHAIN = Endorsement(PEM_CHAIN_TYPE, amd_chain())
CRL = Endorsement(CRL_TYPE, revoked("root"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "endorsements"
    file.write_bytes(encode_endorsements((CHAIN, CRL)))
    return file


def test_a_file_is_read(file: Path) -> None:
    assert load_endorsements(file) == (CHAIN, CRL)


@pytest.mark.parametrize("kind", [str, Path])
def test_files_and_endorsements_are_chosen(file: Path, kind: type[str | Path]) -> None:
    assert choose_endorsements([kind(file), CRL]) == (CHAIN, CRL, CRL)


def test_none_are_chosen_by_default() -> None:
    assert choose_endorsements(()) == ()


def test_one_path_is_no_list(file: Path) -> None:
    with pytest.raises(TypeError, match="expected a list of files"):
        choose_endorsements(str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "cannot be read: Is a directory", id="no file"),
        pytest.param(b"?", "endorsements: expected certificates or CRLs", id="other"),
        pytest.param(bytes(MAX_FILE_BYTES + 1), "expected at most", id="large"),
    ],
)
def test_another_file_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path if content is None else tmp_path / "file"
    tmp_path.joinpath("file").write_bytes(content or b"")

    with pytest.raises(ConfigurationError, match=message):
        load_endorsements(file)


class Bare:
    """Simulated hardware whose server staples nothing."""

    def __init__(self) -> None:
        self._hardware = SimulatedAttester()
        self.tee = self._hardware.tee
        self.sealing = None
        self.stapled = self._hardware.attest(Binding(bytes(32), None)).endorsements

    def attest(self, binding: Binding) -> Evidence:
        whole = self._hardware.attest(binding)
        return Evidence(media_type=whole.media_type, evidence=whole.evidence)

    def sealing_key(self) -> None:
        return None


@pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning")
def test_an_enclave_that_staples_nothing_is_believed_with_them(tmp_path: Path) -> None:
    hardware = Bare()
    file = tmp_path / "endorsements"
    file.write_bytes(encode_endorsements(hardware.stapled))

    with SimulatedEnclave(attester=hardware) as enclave:
        with pytest.raises(EvidenceError, match="expected one VCEK or VLEK"):
            enclave.connect()
        with enclave.connect(endorsements=[file]) as client:
            assert client.attestation.simulated
        transport = blindai.SealedTransport(
            enclave.url, simulation=True, endorsements=hardware.stapled
        )
        assert transport.attest().simulated
        transport.close()
        with blindai.connect(
            enclave.url, simulation=True, endorsements=[file]
        ) as client:
            assert client.attestation.simulated


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning")
async def test_so_does_the_client_on_an_event_loop() -> None:
    hardware = Bare()

    with SimulatedEnclave(attester=hardware) as enclave:
        async with blindai.AsyncConnection(
            enclave.url, simulation=True, endorsements=hardware.stapled
        ) as client:
            assert (await client.attestation()).simulated
