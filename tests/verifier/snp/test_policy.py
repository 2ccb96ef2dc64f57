"""The table `[sev-snp]`: what it refuses to mean."""

from __future__ import annotations

import pytest

from blindai.errors import ConfigurationError
from blindai.verifier import MinimumTcb, Policy, SnpPolicy, Tcb

MILAN, TURIN = Tcb(bootloader=4, snp=24, microcode=219), Tcb(fmc=1, snp=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            f'host_data = ["{"ab" * 32}"]',
            "the operator chooses",
            id="host data is no identity",
        ),
        pytest.param(
            "minimum_tcb.Turin = { spl4 = 1 }",
            "policy: sev-snp: minimum_tcb: Turin: unknown key 'spl4'; known: fmc",
            id="unknown level",
        ),
        pytest.param("vmpl = [4]", "vmpl: expected .*0 to 3", id="VMPL 4"),
        pytest.param("vmpl = [true]", "got true", id="VMPL true"),
        pytest.param("vmpl = 0", "expected a list of 1 to", id="no list"),
        pytest.param(
            'measurements = ["abcd"]',
            "measurements: expected 48 bytes in hexadecimal, got a string of 4",
            id="short digest",
        ),
        pytest.param(
            f'measurements = ["{"zz" * 48}"]',
            "expected 48 bytes in hexadecimal",
            id="not hexadecimal",
        ),
        pytest.param(
            f'id_key_digests = ["{"00" * 48}"]',
            "policy: sev-snp: id_key_digests: .* zeros, which stand for none",
            id="zeros",
        ),
        pytest.param(
            'products = ["genoa"]',
            "products: expected one of .*, Turin, got 'genoa'; did you mean 'Genoa'",
            id="unknown product",
        ),
        pytest.param(
            "minimum_tcb.Milan = { snp = 256 }",
            "minimum_tcb: Milan: snp: expected a whole number, 0 to 255, got 256",
            id="level 256",
        ),
        pytest.param(
            "minimum_tcb.Turin = { fmc = 256 }",
            "minimum_tcb: Turin: fmc: expected a whole number, 0 to 255, got 256",
            id="FMC level 256",
        ),
        pytest.param(
            "minimum_tcb.Genoa = { fmc = 0 }",
            "sev-snp: minimum_tcb: expected fmc for Turin only",
            id="FMC of Genoa",
        ),
        pytest.param(
            "minimum_tcb = { snp = 24 }",
            "sev-snp: minimum_tcb: unknown key 'snp'; known: Milan, Genoa, Turin",
            id="a floor for all",
        ),
        pytest.param(
            "minimum_tcb.Milan = { snp = 24 }",
            "sev-snp: minimum_tcb: expected the least firmware of Genoa too, or prod",
            id="no floor for Genoa",
        ),
        pytest.param(
            "products = ['Turin']\nminimum_launch_tcb.Milan = { snp = 24 }",
            "sev-snp: minimum_launch_tcb: expected the least firmware of Turin too",
            id="no floor at launch",
        ),
        pytest.param(
            f"chip_ids = ['{'c1' * 9}']",
            "chip_ids: expected 64 bytes in hexadecimal, or Turin's 8",
            id="chip of 9 bytes",
        ),
        pytest.param(
            f"chip_ids = ['{'00' * 64}']",
            "sev-snp: chip_ids: expected values, got zeros",
            id="hidden chip",
        ),
        pytest.param(
            "signing_keys = ['NONE']",
            "signing_keys: expected one of VCEK, VLEK, got 'NONE'",
            id="unsigned",
        ),
        pytest.param(
            "current_mitigations = 0x10000000000000000",
            "current_mitigations: expected a whole number, 0 to 18446744073709551615",
            id="mitigations of 65 bits",
        ),
        pytest.param(
            "platform.smt = true",
            "sev-snp: platform: unknown key 'smt'",
            id="unknown bit",
        ),
    ],
)
def test_other_tables_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Policy.parse(f"version = 1\n[sev-snp]\n{text}")


@pytest.mark.parametrize(
    "key", ["measurements", "id_key_digests", "author_key_digests"]
)
def test_no_key_has_a_digest_of_zeros(key: str) -> None:
    pins: dict[str, tuple[bytes, ...]] = {key: (b"\xab" * 48, bytes(48))}

    with pytest.raises(ValueError, match=f"{key}: expected values, got zeros"):
        SnpPolicy(**pins)  # type: ignore[arg-type]  # one of many


def test_each_processor_line_has_a_floor_of_its_own() -> None:
    floors = MinimumTcb(milan=MILAN, turin=TURIN)

    policy = SnpPolicy(minimum_tcb=floors, products=("Milan", "Turin"))

    assert policy.minimum_tcb is floors
    assert floors.of("Milan") is MILAN
    assert floors.of("Turin") is TURIN
    assert floors.of("Genoa") is None
    assert floors.of("") is None


@pytest.mark.parametrize("line", ["milan", "genoa"])
def test_turin_alone_has_an_fmc(line: str) -> None:
    with pytest.raises(ValueError, match="expected fmc for Turin only"):
        MinimumTcb(**{line: TURIN})


@pytest.mark.parametrize("key", ["minimum_tcb", "minimum_launch_tcb"])
def test_a_line_that_is_accepted_needs_a_floor_if_another_has_one(key: str) -> None:
    floors: dict[str, MinimumTcb] = {key: MinimumTcb(milan=MILAN)}

    with pytest.raises(ValueError, match=f"^{key}: expected .* Genoa too"):
        SnpPolicy(**floors)  # type: ignore[arg-type]  # one of many


@pytest.mark.parametrize(
    ("level", "reaches"),
    [
        (Tcb(fmc=2, bootloader=2, tee=2, snp=2, microcode=2), True),
        (Tcb(fmc=1, bootloader=2, tee=2, snp=2, microcode=2), False),
        (Tcb(fmc=2, bootloader=1, tee=2, snp=2, microcode=2), False),
        (Tcb(fmc=2, bootloader=2, tee=1, snp=2, microcode=2), False),
        (Tcb(fmc=2, bootloader=2, tee=2, snp=1, microcode=2), False),
        (Tcb(fmc=2, bootloader=2, tee=2, snp=2, microcode=1), False),
        (Tcb(bootloader=2, tee=2, snp=2, microcode=2), False),
    ],
)
def test_every_component_has_to_reach_the_floor(level: Tcb, *, reaches: bool) -> None:
    floor = Tcb(fmc=2, bootloader=2, tee=2, snp=2, microcode=2)

    assert level.reaches(floor) is reaches


def test_a_floor_without_fmc_asks_for_none() -> None:
    assert Tcb(fmc=0).reaches(Tcb())
    assert Tcb().reaches(Tcb(fmc=0))


def test_levels_have_names() -> None:
    assert str(MILAN) == "bootloader 4, tee 0, snp 24, microcode 219"
    assert str(TURIN) == "fmc 1, bootloader 0, tee 0, snp 4, microcode 0"
