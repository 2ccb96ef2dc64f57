"""The SEV-SNP report's layout, written by one module and read by another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.attester.simulated import SimulatedPlatform, write_report
from blindai.errors import EvidenceError
from blindai.verifier import Tcb
from blindai.verifier.snp.report import REPORT_BYTES, Report, parse_report

PLATFORM = SimulatedPlatform()
REPORT_DATA = bytes(range(64))


def report(**changes: object) -> bytes:
    platform = replace(PLATFORM, **changes)  # type: ignore[arg-type]  # one of many
    return write_report(platform, REPORT_DATA).ljust(REPORT_BYTES, b"\x00")


def patched(offset: int, patch: bytes, data: bytes | None = None) -> bytes:
    data = data or report()
    return data[:offset] + patch + data[offset + len(patch) :]


def test_every_field_is_read_where_it_was_written() -> None:
    parsed = parse_report(
        report(
            measurement=b"m" * 48,
            guest_svn=7,
            family_id=b"f" * 16,
            image_id=b"i" * 16,
            vmpl=3,
            host_data=b"h" * 32,
            id_key_digest=b"k" * 48,
            author_key_digest=b"a" * 48,
            chip_id=b"c" * 64,
            tcb=bytes([1, 2, 3, 4, 5, 6, 7, 8]),
            committed_tcb=bytes([11, 12, 0, 0, 0, 0, 17, 18]),
            current_tcb=bytes([21, 22, 0, 0, 0, 0, 27, 28]),
            cpuid=(0x19, 0x11, 0x01),
            flags=0b00101,
            signature_algorithm=1,
        )
    )

    claims = parsed.claims
    assert parsed.measurement == b"m" * 48
    assert parsed.report_data == REPORT_DATA
    assert claims.guest_svn == 7
    assert claims.family_id == b"f" * 16
    assert claims.image_id == b"i" * 16
    assert claims.vmpl == 3
    assert claims.host_data == b"h" * 32
    assert claims.id_key_digest == b"k" * 48
    assert claims.author_key_digest == b"a" * 48
    assert claims.chip_id == b"c" * 64
    assert claims.tcb == Tcb(bootloader=1, tee=2, snp=7, microcode=8)
    assert claims.committed_tcb == Tcb(bootloader=11, tee=12, snp=17, microcode=18)
    assert parsed.current_tcb == Tcb(bootloader=21, tee=22, snp=27, microcode=28)
    assert parsed.reported_tcb == bytes([1, 2, 3, 4, 5, 6, 7, 8])
    assert parsed.cpuid == (0x19, 0x11, 0x01)
    assert parsed.signing_key == 1
    assert parsed.author_key_enabled
    assert not parsed.mask_chip_key
    assert parsed.signature_algorithm == 1
    assert len(parsed.signed) == 672
    assert len(parsed.signature) == 512


@pytest.mark.parametrize(
    ("bit", "name"),
    [
        (16, "smt"),
        (18, "migrate_ma"),
        (19, "debug"),
        (20, "single_socket"),
        (21, "cxl_allow"),
        (22, "mem_aes_256_xts"),
        (23, "rapl_dis"),
        (24, "ciphertext_hiding_dram"),
        (25, "page_swap_disable"),
    ],
)
def test_each_bit_of_the_guest_policy_has_its_name(bit: int, name: str) -> None:
    claims = parse_report(report(guest_policy=1 << 17 | 1 << bit | 0x0201)).claims

    switches = {key for key in POLICY_BITS if getattr(claims.guest_policy, key)}
    assert switches == {name}
    assert claims.guest_policy.abi_major == 2
    assert claims.guest_policy.abi_minor == 1
    assert claims.guest_policy.debug is (name == "debug")


POLICY_BITS = (
    "smt",
    "migrate_ma",
    "debug",
    "single_socket",
    "cxl_allow",
    "mem_aes_256_xts",
    "rapl_dis",
    "ciphertext_hiding_dram",
    "page_swap_disable",
)


def test_version_2_names_no_processor() -> None:
    assert parse_report(report(version=2, cpuid=(0, 0, 0))).cpuid is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(report()[:-1], "expected 1184 bytes, got 1183", id="short"),
        pytest.param(report() + b"\x00", "expected 1184 bytes, got 1185", id="long"),
        pytest.param(report(version=1), "expected 2 or 3, got 1", id="version 1"),
        pytest.param(report(version=5), "expected 2 or 3, got 5", id="version 5"),
        pytest.param(patched(0x04C, b"\x01"), "after the flags", id="04C"),
        pytest.param(patched(0x18B, b"\x01"), "after the CPUID", id="18B"),
        pytest.param(patched(0x19F, b"\x01"), "after the CPUID", id="19F"),
        pytest.param(patched(0x1EB, b"\x01"), "after the current", id="1EB"),
        pytest.param(patched(0x1EF, b"\x01"), "after the committed", id="1EF"),
        pytest.param(patched(0x1F8, b"\x01"), "after the launch", id="1F8"),
        pytest.param(patched(0x29F, b"\x01"), "after the launch", id="29F"),
        pytest.param(report(version=2), "no CPUID in version 2", id="CPUID"),
        pytest.param(report(flags=1 << 5), "report flags", id="flags"),
        pytest.param(report(guest_policy=0), "guest policy", id="policy bit 17"),
        pytest.param(
            report(guest_policy=0x4020000), "guest policy", id="policy bit 26"
        ),
        pytest.param(report(vmpl=4), "VMPL: expected 0 to 3, got 4", id="VMPL"),
    ],
)
def test_other_reports_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_report(data)


@given(st.binary(max_size=32))
def test_any_bytes_give_a_report_or_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_report(data)


@given(st.integers(0, 0x460), st.binary(max_size=64))
def test_any_changed_bytes_give_a_report_or_the_one_error(
    offset: int, patch: bytes
) -> None:
    try:
        parsed = parse_report(patched(offset, patch)[:REPORT_BYTES])
    except EvidenceError:
        return

    assert isinstance(parsed, Report)
