"""Each thing about an SEV-SNP machine that a policy may refuse, on made-up ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blindai.attester.simulated import SimulatedPlatform
from blindai.testing import NOW
from blindai.testing.vendors.amd import MadeUpAmd
from blindai.transcript import Check, Status
from blindai.verifier import (
    MinimumTcb,
    Policy,
    RequiredGuestPolicy,
    RequiredPlatform,
    SnpPolicy,
    Tcb,
    snp,
)
from blindai.verifier.procedure import Procedure

GENOA, TURIN = MadeUpAmd("Genoa"), MadeUpAmd("Turin")
PLATFORM = replace(
    TURIN.platform(),
    guest_policy=0x3D30000,
    platform_info=0x3E,
    launch_mitigations=0x5,
    current_mitigations=0x7,
)
CLOUD = TURIN.provider_platform("CN=a.cloud.example")
CHIP = PLATFORM.chip_id[:8]
NOT_SAID = "not said in a report of this version"


def lines(
    machine: SimulatedPlatform, amd: MadeUpAmd = TURIN, /, **changes: object
) -> dict[str, Check]:
    """All lines about a machine, under a policy with these keys."""
    accepted = SnpPolicy(measurements=(machine.measurement,), **changes)  # type: ignore[arg-type]  # one of many
    policy = Policy(sev_snp=accepted, insecure_roots=(amd.insecure_root,))
    verified = snp.verify(amd.evidence_of(machine), Procedure(), NOW, policy.anchors)
    return {check.name: check for check in snp.appraise(verified, policy)}


def failed(found: dict[str, Check]) -> list[str]:
    return [str(check) for check in found.values() if check.status is Status.FAILED]


def turin(**levels: int) -> dict[str, object]:
    return {
        "minimum_tcb": MinimumTcb(turin=Tcb(**levels)),
        "products": ("Turin",),
    }


def at_launch(**levels: int) -> dict[str, object]:
    floor = MinimumTcb(turin=Tcb(**levels))
    return {"minimum_launch_tcb": floor, "products": ("Turin",)}


@pytest.mark.parametrize(
    ("platform", "policy"),
    [
        pytest.param(PLATFORM, {}, id="nothing asked"),
        pytest.param(PLATFORM, {"signing_keys": ("VCEK",)}, id="chip's key"),
        pytest.param(CLOUD, {"signing_keys": ("VLEK",)}, id="provider's key"),
        pytest.param(CLOUD, {"csp_ids": ("x", "CN=a.cloud.example")}, id="provider"),
        pytest.param(PLATFORM, {"chip_ids": (CHIP,)}, id="8 bytes"),
        pytest.param(PLATFORM, {"chip_ids": (PLATFORM.chip_id,)}, id="64 bytes"),
        pytest.param(PLATFORM, turin(fmc=1, bootloader=2, snp=4), id="floor"),
        pytest.param(PLATFORM, at_launch(fmc=1, microcode=72), id="floor at launch"),
        pytest.param(PLATFORM, {"launch_mitigations": 0x5}, id="at launch"),
        pytest.param(PLATFORM, {"current_mitigations": 0x2}, id="mitigations"),
        pytest.param(
            replace(PLATFORM, guest_policy=0x220000), {"allow_cxl": True}, id="CXL"
        ),
        pytest.param(replace(PLATFORM, platform_info=0x81), {}, id="SMT and SEV-TIO"),
    ],
)
def test_a_machine_that_is_accepted(
    platform: SimulatedPlatform, policy: dict[str, object]
) -> None:
    assert failed(lines(platform, **policy)) == []


@pytest.mark.parametrize(
    ("platform", "policy", "line"),
    [
        pytest.param(
            PLATFORM,
            {"products": ("Milan", "Genoa")},
            "product: expected Milan or Genoa, got Turin",
            id="product",
        ),
        pytest.param(
            PLATFORM,
            {"signing_keys": ("VLEK",)},
            "kind of signing key: expected VLEK, got VCEK",
            id="a chip's key",
        ),
        pytest.param(
            CLOUD,
            {"signing_keys": ("VCEK",)},
            "kind of signing key: expected VCEK, got VLEK",
            id="a provider's key",
        ),
        pytest.param(
            CLOUD,
            {"csp_ids": ("CN=b.cloud.example",)},
            "cloud provider: expected 'CN=b.cloud.example', got 'CN=a.cloud.example'",
            id="another provider",
        ),
        pytest.param(
            PLATFORM,
            {"csp_ids": ("CN=a.cloud.example",)},
            "cloud provider: expected 'CN=a.cloud.example',"
            " got none: the key is a chip's",
            id="no provider",
        ),
        pytest.param(
            PLATFORM,
            {"chip_ids": (b"c" * 8,)},
            f"chip: expected {(b'c' * 8).hex()}{'00' * 56},"
            f" got {CHIP.hex()}{'00' * 56}",
            id="another chip",
        ),
        pytest.param(
            CLOUD,
            {"chip_ids": (CHIP,)},
            f"chip: expected {CHIP.hex()}{'00' * 56}, got {'00' * 64}",
            id="hidden chip",
        ),
        pytest.param(
            replace(PLATFORM, guest_policy=0x220000),
            {},
            "CXL: expected off, got on",
            id="CXL",
        ),
        pytest.param(
            replace(PLATFORM, guest_policy=0x20000, platform_info=1),
            {"allow_smt": False},
            "platform: simultaneous multithreading: expected off, got on",
            id="SMT of the machine",
        ),
        pytest.param(
            PLATFORM,
            turin(fmc=2),
            "platform TCB: expected at least fmc 2, bootloader 0, tee 0, snp 0,"
            " microcode 0, got fmc 1, bootloader 2, tee 0, snp 4, microcode 72",
            id="firmware",
        ),
        pytest.param(
            replace(PLATFORM, launch_tcb=bytes([1, 2, 0, 3, 0, 0, 0, 72])),
            at_launch(snp=4),
            "launch TCB: expected at least bootloader 0, tee 0, snp 4,"
            " microcode 0, got fmc 1, bootloader 2, tee 0, snp 3, microcode 72",
            id="firmware at launch",
        ),
        pytest.param(
            PLATFORM,
            {"launch_mitigations": 0x7},
            "launch mitigations: expected all bits of 0000000000000007,"
            " got 0000000000000005",
            id="mitigations at launch",
        ),
        pytest.param(
            PLATFORM,
            {"current_mitigations": 0x8},
            "current mitigations: expected all bits of 0000000000000008,"
            " got 0000000000000007",
            id="mitigations",
        ),
        pytest.param(
            PLATFORM,
            {"family_ids": (b"f" * 16,)},
            f"family ID: expected {'66' * 16}, got {'00' * 16}",
            id="family",
        ),
        pytest.param(
            PLATFORM,
            {"image_ids": (b"f" * 16,)},
            f"image ID: expected {'66' * 16}, got {'00' * 16}",
            id="image",
        ),
    ],
)
def test_one_thing_that_is_not_accepted_is_refused_alone(
    platform: SimulatedPlatform, policy: dict[str, object], line: str
) -> None:
    assert failed(lines(platform, **policy)) == [line]


GUEST_POLICY = {
    "single_socket": (20, "guest policy: one socket"),
    "mem_aes_256_xts": (22, "guest policy: AES-256-XTS"),
    "rapl_dis": (23, "guest policy: no power metering"),
    "ciphertext_hiding_dram": (24, "guest policy: hidden ciphertext"),
    "page_swap_disable": (25, "guest policy: no page swapping"),
}
MACHINE = {
    "tsme": (1, "platform: TSME"),
    "ecc": (2, "platform: ECC"),
    "rapl_dis": (3, "platform: no power metering"),
    "ciphertext_hiding_dram": (4, "platform: hidden ciphertext"),
    "alias_check": (5, "platform: alias check"),
}


@pytest.mark.parametrize("key", GUEST_POLICY)
def test_what_the_owner_has_to_have_asked(key: str) -> None:
    bit, name = GUEST_POLICY[key]
    without = replace(PLATFORM, guest_policy=PLATFORM.guest_policy & ~(1 << bit))
    required = {"guest_policy": RequiredGuestPolicy(**{key: True})}

    assert lines(PLATFORM, **required)[name].status is Status.PASSED
    assert lines(without)[name].status is Status.NOT_EVALUATED
    assert failed(lines(without, **required)) == [f"{name}: expected on, got off"]


@pytest.mark.parametrize("key", MACHINE)
def test_how_the_machine_has_to_be_set_up(key: str) -> None:
    bit, name = MACHINE[key]
    without = replace(PLATFORM, platform_info=PLATFORM.platform_info & ~(1 << bit))
    required = {"platform": RequiredPlatform(**{key: True})}

    assert lines(PLATFORM, **required)[name].status is Status.PASSED
    assert lines(without)[name].status is Status.NOT_EVALUATED
    assert failed(lines(without, **required)) == [f"{name}: expected on, got off"]


@pytest.mark.parametrize(
    ("version", "policy", "name"),
    [
        (2, {"platform": RequiredPlatform(alias_check=True)}, "platform: alias check"),
        (3, {"launch_mitigations": 1}, "launch mitigations"),
        (4, {"current_mitigations": 1}, "current mitigations"),
    ],
)
def test_what_a_version_does_not_say_does_not_count(
    version: int, policy: dict[str, object], name: str
) -> None:
    cpuid = (0, 0, 0) if version == 2 else (0x19, 0x11, 0x01)
    platform = GENOA.platform(
        version=version, cpuid=cpuid, guest_policy=0x20000, platform_info=0x3E
    )

    found = lines(platform, GENOA, **policy)

    (line,) = failed(found)
    assert line.startswith(f"{name}: expected ")
    assert found[name].actual == NOT_SAID
    assert lines(platform, GENOA)[name].actual == NOT_SAID


@pytest.mark.parametrize(
    ("bits", "devices", "others"),
    [(0x1080, "on", 0x1000), (0x40, "off", 0x40), (1 << 63, "off", 1 << 63)],
)
def test_trusted_devices_and_bits_without_a_name_are_shown(
    bits: int, devices: str, others: int
) -> None:
    found = lines(replace(PLATFORM, platform_info=bits))

    named = found["platform: trusted devices (SEV-TIO)"]
    unnamed = found["platform: other bits"]
    assert (named.status, named.actual) == (Status.NOT_EVALUATED, devices)
    assert unnamed.status is Status.NOT_EVALUATED
    assert unnamed.actual == f"{others:016x}"


def test_a_line_without_a_floor_is_refused_twice() -> None:
    floor = MinimumTcb(genoa=Tcb(snp=1))

    found = lines(PLATFORM, minimum_tcb=floor, products=("Genoa",))

    product, firmware = failed(found)
    assert product == "product: expected Genoa, got Turin"
    assert firmware.startswith("platform TCB: expected no Turin, without a floor,")
