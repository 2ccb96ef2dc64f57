"""The policy file: what it says is kept, what it does not is an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import ConfigurationError
from blindai.tables import MAX_CHARACTERS, Key, count, size
from blindai.verifier import (
    EnclavePolicy,
    EvidencePolicy,
    Policy,
    SnpPolicy,
    Tcb,
)

PIN = "ab" * 48
RELEASE = f"""
version = 1
[sev-snp]
measurements = ["{PIN}"]
"""
FULL = f"""
version = 1
insecure_accept_simulation = true

[evidence]
max_age_s = 3600

[enclave]
config_digests = ["{"c0" * 32}"]
builds = ["blindai 0.1.0"]

[sev-snp]
measurements = ["{"0A" * 48}", "{"0b" * 48}"]
id_key_digests = ["{"1d" * 48}"]
author_key_digests = ["{"a0" * 48}"]
host_data = ["{"00" * 32}"]
minimum_tcb = {{ bootloader = 4, snp = 24, microcode = 217 }}
minimum_guest_svn = 3
vmpl = [0, 1]
products = ["Genoa"]
allow_smt = false
allow_migration = true
insecure_allow_debug = true
"""


def test_every_key_is_kept() -> None:
    assert Policy.parse(FULL) == Policy(
        insecure_accept_simulation=True,
        evidence=EvidencePolicy(max_age_s=3600),
        enclave=EnclavePolicy(
            config_digests=(b"\xc0" * 32,), builds=("blindai 0.1.0",)
        ),
        sev_snp=SnpPolicy(
            measurements=(b"\x0a" * 48, b"\x0b" * 48),
            id_key_digests=(b"\x1d" * 48,),
            author_key_digests=(b"\xa0" * 48,),
            host_data=(bytes(32),),
            minimum_tcb=Tcb(bootloader=4, tee=0, snp=24, microcode=217),
            minimum_guest_svn=3,
            vmpl=(0, 1),
            products=("Genoa",),
            allow_smt=False,
            allow_migration=True,
            insecure_allow_debug=True,
        ),
    )


def test_what_is_not_said_is_strict() -> None:
    policy = Policy.parse(RELEASE)

    assert not policy.insecure_accept_simulation
    assert policy.evidence == EvidencePolicy(max_age_s=None)
    assert policy.enclave == EnclavePolicy(config_digests=(), builds=())
    assert policy.sev_snp == SnpPolicy(
        measurements=(b"\xab" * 48,),
        vmpl=(0,),
        products=("Milan", "Genoa"),
        allow_smt=True,
        allow_migration=False,
        insecure_allow_debug=False,
    )


@pytest.mark.parametrize(
    "key", ["measurements", "id_key_digests", "author_key_digests"]
)
def test_a_release_policy_pins_any_one_identity(key: str) -> None:
    policy = Policy.parse(f'version = 1\n[sev-snp]\n{key} = ["{PIN}"]')

    assert policy.tees == ("sev-snp",)


def test_the_policy_for_simulation_accepts_no_genuine_tee() -> None:
    policy = Policy.for_simulation()

    assert policy.insecure_accept_simulation
    assert policy.tees == ()
    assert Policy.parse("version = 1\ninsecure_accept_simulation = true") == policy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "policy: expected the key 'version'", id="empty"),
        pytest.param(
            "version = 2", "policy: version: expected 1, got 2", id="version 2"
        ),
        pytest.param(
            "version = true", "policy: version: expected 1, got true", id="true"
        ),
        pytest.param(
            "version = 1",
            r"policy: .* at least one TEE, \[sev-snp\], .*got none",
            id="no TEE",
        ),
        pytest.param(
            "version = 1\n[sev-snp]",
            "policy: sev-snp: expected measurements or .*the operator chooses",
            id="no pin",
        ),
        pytest.param(
            f'version = 1\n[sev-snp]\nhost_data = ["{"ab" * 32}"]',
            "the operator chooses",
            id="host data is no identity",
        ),
        pytest.param("version = ", "policy: expected TOML", id="no TOML"),
        pytest.param("x = " + "[" * 2000, "policy: expected TOML", id="too deep"),
        pytest.param(
            "#" * (MAX_CHARACTERS + 1), f"at most {MAX_CHARACTERS}", id="too long"
        ),
        pytest.param(
            "version = 1\ninsecure_accept_simulatoin = true",
            "did you mean 'insecure_accept_simulation'",
            id="unknown key",
        ),
        pytest.param(
            "version = 1\nzzz = 1",
            "policy: unknown key 'zzz'; known: version, ",
            id="nothing near",
        ),
        pytest.param(
            "version = 1\n[sev-snp]\nmeasurement = []",
            "policy: sev-snp: unknown key 'measurement'; did you mean 'measurements'",
            id="unknown key in a table",
        ),
        pytest.param(
            "version = 1\n[cca]",
            r"policy: unknown key 'cca'; known: .*, sev-snp, ",
            id="unknown TEE",
        ),
        pytest.param(
            "version = 1\n[enclave]\nbuild = []", "did you mean 'builds'", id="enclave"
        ),
        pytest.param(
            "version = 1\n[evidence]\nmax_age = 1", "'max_age_s'", id="evidence"
        ),
        pytest.param(
            "version = 1\n[sev-snp]\nminimum_tcb = { fmc = 1 }",
            "policy: sev-snp: minimum_tcb: unknown key 'fmc'; known: boot",
            id="unknown level",
        ),
        pytest.param(
            "version = 1\nsev-snp = 1",
            "policy: sev-snp: expected a table",
            id="no table",
        ),
        pytest.param(
            "version = 1\ninsecure_accept_simulation = 1",
            "insecure_accept_simulation: expected true or false, got 1",
            id="no boolean",
        ),
        pytest.param(
            "version = 1\n[evidence]\nmax_age_s = -1",
            "evidence: max_age_s: expected a whole number, 0 to 4294967295, got -1",
            id="negative",
        ),
        pytest.param(
            "version = 1\n[evidence]\nmax_age_s = 1.5",
            "max_age_s: .*got 1.5",
            id="float",
        ),
        pytest.param(
            "version = 1\n[evidence]\nmax_age_s = 2024-01-01",
            "max_age_s: .*got a date",
            id="date",
        ),
        pytest.param(
            "version = 1\n[sev-snp]\nvmpl = [4]", "vmpl: expected .*0 to 3", id="VMPL 4"
        ),
        pytest.param(
            "version = 1\n[sev-snp]\nvmpl = [true]", "got true", id="VMPL true"
        ),
        pytest.param(
            "version = 1\n[sev-snp]\nvmpl = 0", "expected a list of 1 to", id="no list"
        ),
        pytest.param(
            "version = 1\n[sev-snp]\nmeasurements = []",
            "measurements: expected a list of 1 to 1024 values, got a list of 0",
            id="empty list",
        ),
        pytest.param(
            "version = 1\n[enclave]\nbuilds = [" + 1025 * '"b",' + "]",
            "got a list of 1025",
            id="long list",
        ),
        pytest.param(
            "version = 1\n[enclave]\nbuilds = [1]",
            "policy: enclave: builds: expected text, got 1",
            id="build",
        ),
        pytest.param(
            'version = 1\n[sev-snp]\nmeasurements = ["abcd"]',
            "measurements: expected 48 bytes in hexadecimal, got a string of 4",
            id="short digest",
        ),
        pytest.param(
            f'version = 1\n[sev-snp]\nmeasurements = ["{"zz" * 48}"]',
            "expected 48 bytes in hexadecimal",
            id="not hexadecimal",
        ),
        pytest.param(
            f'version = 1\n[sev-snp]\nid_key_digests = ["{"00" * 48}"]',
            "policy: sev-snp: id_key_digests: .* zeros, which stand for none",
            id="zeros",
        ),
        pytest.param(
            'version = 1\n[sev-snp]\nproducts = ["genoa"]',
            "products: expected one of Milan, Genoa, got 'genoa'; did you mean 'Genoa'",
            id="unknown product",
        ),
        pytest.param(
            "version = 1\n[sev-snp]\nminimum_tcb = { snp = 256 }",
            "minimum_tcb: snp: expected a whole number, 0 to 255, got 256",
            id="level 256",
        ),
        pytest.param(
            "version = 1\n[sev-snp]\nallow_smt = {}",
            "allow_smt: expected true or false, got a table",
            id="a table instead",
        ),
    ],
)
def test_other_policies_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Policy.parse(text)


def test_a_policy_that_accepts_nothing_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"at least one TEE, \[sev-snp\], .*got none"):
        Policy()


@pytest.mark.parametrize(
    "key", ["measurements", "id_key_digests", "author_key_digests"]
)
def test_no_key_has_a_digest_of_zeros(key: str) -> None:
    pins: dict[str, tuple[bytes, ...]] = {key: (b"\xab" * 48, bytes(48))}

    with pytest.raises(ValueError, match=f"{key}: expected digests, got zeros"):
        SnpPolicy(**pins)  # type: ignore[arg-type]  # one of many


def test_a_policy_is_written_out_as_json() -> None:
    assert Policy.parse(FULL).to_json() == {
        "version": 1,
        "insecure_accept_simulation": True,
        "insecure_roots": [],
        "evidence": {"max_age_s": 3600, "require_revocation": False},
        "enclave": {"config_digests": ["c0" * 32], "builds": ["blindai 0.1.0"]},
        "sev-snp": {
            "measurements": ["0a" * 48, "0b" * 48],
            "id_key_digests": ["1d" * 48],
            "author_key_digests": ["a0" * 48],
            "host_data": ["00" * 32],
            "minimum_tcb": {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 217},
            "minimum_guest_svn": 3,
            "vmpl": [0, 1],
            "products": ["Genoa"],
            "allow_smt": False,
            "allow_migration": True,
            "insecure_allow_debug": True,
        },
    }


def test_what_is_not_pinned_is_not_in_the_json() -> None:
    assert "sev-snp" not in Policy.for_simulation().to_json()
    release = Policy.parse(RELEASE).to_json()["sev-snp"]
    assert isinstance(release, dict)
    assert "minimum_tcb" not in release


def test_a_digest_names_a_policy() -> None:
    written_out = (
        f"version = 1\n[sev-snp]\nvmpl = [0]\nmeasurements = ['{PIN.upper()}']"
    )

    assert Policy.parse(written_out).digest == Policy.parse(RELEASE).digest
    assert Policy.parse(FULL).digest != Policy.parse(RELEASE).digest
    assert Policy.for_simulation().digest.hex() == (
        "0967c7e3cdc7a91e52fa6c07567bdb34d4cfc4e4a97c2b7dc0f357e289c5ef54"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnotherTeePolicy:
    signers: Annotated[tuple[Annotated[bytes, size(2)], ...], count(1, 9)] = ()

    @property
    def identity(self) -> dict[str, tuple[bytes, ...]]:
        return {"signers": self.signers}


@dataclass(frozen=True, slots=True, kw_only=True)
class WiderPolicy(Policy):
    another_tee: Annotated[AnotherTeePolicy | None, Key("another-tee")] = None


class TestTheTableOfAnotherTee:
    """It takes a dataclass and a field, nothing else."""

    def test_it_is_read_and_written(self) -> None:
        policy = WiderPolicy.parse('version = 1\n[another-tee]\nsigners = ["abcd"]')

        assert policy.another_tee == AnotherTeePolicy(signers=(b"\xab\xcd",))
        assert policy.tees == ("another-tee",)
        assert policy.to_json()["another-tee"] == {"signers": ["abcd"]}

    def test_it_counts_in_the_digest(self) -> None:
        one, other = (
            WiderPolicy(another_tee=AnotherTeePolicy(signers=(signer,)))
            for signer in (b"ab", b"cd")
        )

        assert one.digest != other.digest

    def test_it_has_to_pin_an_identity(self) -> None:
        pinned = SnpPolicy(measurements=(b"\xab" * 48,))

        with pytest.raises(ValueError, match="another-tee: expected signers, got none"):
            WiderPolicy(sev_snp=pinned, another_tee=AnotherTeePolicy())

    def test_a_policy_without_any_names_both(self) -> None:
        with pytest.raises(
            ValueError, match=r"\[sev-snp\], .*\[another-tee\], got none"
        ):
            WiderPolicy()


@given(st.text(max_size=100))
def test_any_text_is_refused_with_the_one_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Policy.parse(text)
