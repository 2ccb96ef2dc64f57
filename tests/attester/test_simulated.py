"""The simulated TEE: shaped like hardware, and loud about not being it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from blindai.attester import Attester
from blindai.attester.simulated import (
    SimulatedAttester,
    SimulatedPlatform,
    default_measurement,
    insecure_ark_key,
    insecure_ask_key,
)
from blindai.errors import ConfigurationError
from blindai.protocol.attestation import (
    PEM_CHAIN_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
)
from blindai.protocol.keyset import Binding

BINDING = Binding(bytes(range(32)), None)
FOLDER = Path(__file__).parents[2] / "src/blindai/attester/insecure_simulation"


def test_it_is_an_attester() -> None:
    attester: Attester = SimulatedAttester()

    assert attester.tee == SIMULATED_SEV_SNP_REPORT_TYPE


def test_evidence_binds_what_it_is_given() -> None:
    evidence = SimulatedAttester().attest(BINDING)

    assert evidence.media_type == SIMULATED_SEV_SNP_REPORT_TYPE
    assert len(evidence.evidence) == 1184
    assert evidence.evidence[0x50:0x90] == BINDING.report_data


def test_endorsements_are_leaf_ask_and_ark_and_each_says_what_it_is() -> None:
    (endorsement,) = SimulatedAttester().attest(BINDING).endorsements

    leaf, ask, ark = x509.load_pem_x509_certificates(endorsement.content)
    assert endorsement.media_type == PEM_CHAIN_TYPE
    assert leaf.issuer == ask.subject
    assert ask.issuer == ark.subject == ark.issuer
    for certificate in (leaf, ask, ark):
        assert "INSECURE SIMULATION" in certificate.subject.rfc4514_string()


def test_one_start_has_one_leaf() -> None:
    attester = SimulatedAttester()

    first, second = attester.attest(BINDING), attester.attest(BINDING)

    assert first.endorsements == second.endorsements
    assert first.endorsements != SimulatedAttester().attest(BINDING).endorsements


@pytest.mark.parametrize("name", ["ark", "ask"])
def test_private_keys_shout_that_they_are_public(name: str) -> None:
    path = FOLDER / f"INSECURE_PUBLIC_{name}_key.pem"

    first = path.read_text().splitlines()[0]

    assert first.startswith("# INSECURE")
    assert "PUBLIC" in first


def test_the_keys_belong_to_the_certificates() -> None:
    (endorsement,) = SimulatedAttester().attest(BINDING).endorsements
    _, ask, ark = x509.load_pem_x509_certificates(endorsement.content)

    assert insecure_ask_key().public_key() == ask.public_key()
    assert insecure_ark_key().public_key() == ark.public_key()


def test_the_measurement_is_that_of_the_installed_package() -> None:
    assert SimulatedPlatform().measurement == default_measurement()
    assert len(default_measurement()) == 48


def test_evidence_does_not_show_what_it_holds() -> None:
    evidence = SimulatedAttester().attest(BINDING)

    assert repr(evidence) == f"Evidence(media_type='{SIMULATED_SEV_SNP_REPORT_TYPE}')"


class TestSealingKey:
    def test_there_is_none_without_a_file(self) -> None:
        assert SimulatedAttester().sealing_key() is None
        assert SimulatedAttester().sealing is None

    def test_its_words_shout_too(self, tmp_path: Path) -> None:
        words = SimulatedAttester(sealing_key_file=tmp_path / "key").sealing

        assert words == f"the file {tmp_path / 'key'}, which protects nothing"

    def test_it_is_found_again(self, tmp_path: Path) -> None:
        path = tmp_path / "key"

        first = SimulatedAttester(sealing_key_file=path).sealing_key()

        assert first is not None
        assert len(first) == 32
        assert SimulatedAttester(sealing_key_file=path).sealing_key() == first

    def test_the_file_is_its_owner_s_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "key"

        SimulatedAttester(sealing_key_file=path).sealing_key()

        assert path.stat().st_mode & 0o777 == 0o600

    def test_it_is_another_for_another_measurement(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        other = SimulatedPlatform(measurement=b"o" * 48)

        key = SimulatedAttester(sealing_key_file=path).sealing_key()

        assert SimulatedAttester(other, path).sealing_key() != key

    def test_it_is_another_for_another_file(self, tmp_path: Path) -> None:
        key = SimulatedAttester(sealing_key_file=tmp_path / "a").sealing_key()

        assert SimulatedAttester(sealing_key_file=tmp_path / "b").sealing_key() != key

    def test_it_is_not_what_the_file_holds(self, tmp_path: Path) -> None:
        path = tmp_path / "key"

        assert (
            SimulatedAttester(sealing_key_file=path).sealing_key() != path.read_bytes()
        )

    def test_a_file_that_others_may_read_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_bytes(bytes(32))
        path.chmod(0o644)

        with pytest.raises(ConfigurationError, match="expected mode 0600"):
            SimulatedAttester(sealing_key_file=path).sealing_key()

    def test_a_file_of_another_size_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_bytes(bytes(31))
        path.chmod(0o600)

        with pytest.raises(ConfigurationError, match="expected 32 bytes, got 31"):
            SimulatedAttester(sealing_key_file=path).sealing_key()
