"""The SEV-SNP report's layout, written by one module and read by another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.attester.simulated_report import SimulatedPlatform, write_report
from blindai.errors import EvidenceError
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
            version=5,
            guest_svn=7,
            family_id=b"f" * 16,
            image_id=b"i" * 16,
            vmpl=3,
            signature_algorithm=1,
            current_tcb=b"currentT",
            flags=0b00101,
            measurement=b"m" * 48,
            host_data=b"h" * 32,
            id_key_digest=b"k" * 48,
            author_key_digest=b"a" * 48,
            report_id=b"r" * 32,
            report_id_ma=b"M" * 32,
            tcb=b"reported",
            cpuid=(0x19, 0x11, 0x01),
            chip_id=b"c" * 64,
            committed_tcb=b"committe",
            current_version=(1, 58, 3),
            committed_version=(1, 55, 40),
            launch_tcb=b"launchTC",
            launch_mitigations=0x0102030405060708,
            current_mitigations=0x1112131415161718,
        )
    )

    assert parsed.version == 5
    assert parsed.guest_svn == 7
    assert parsed.family_id == b"f" * 16
    assert parsed.image_id == b"i" * 16
    assert parsed.vmpl == 3
    assert parsed.signature_algorithm == 1
    assert parsed.current_tcb == b"currentT"
    assert parsed.signing_key == 1
    assert parsed.author_key_enabled
    assert not parsed.mask_chip_key
    assert parsed.report_data == REPORT_DATA
    assert parsed.measurement == b"m" * 48
    assert parsed.host_data == b"h" * 32
    assert parsed.id_key_digest == b"k" * 48
    assert parsed.author_key_digest == b"a" * 48
    assert parsed.report_id == b"r" * 32
    assert parsed.report_id_ma == b"M" * 32
    assert parsed.reported_tcb == b"reported"
    assert parsed.cpuid == (0x19, 0x11, 0x01)
    assert parsed.chip_id == b"c" * 64
    assert parsed.committed_tcb == b"committe"
    assert parsed.current_version == (1, 58, 3)
    assert parsed.committed_version == (1, 55, 40)
    assert parsed.launch_tcb == b"launchTC"
    assert parsed.launch_mitigations == 0x0102030405060708
    assert parsed.current_mitigations == 0x1112131415161718
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
    bits = 1 << 17 | 1 << bit | 0x0201

    policy = parse_report(report(version=5, guest_policy=bits)).guest_policy

    switches = {key for key in POLICY_BITS if getattr(policy, key)}
    assert switches == {name}
    assert policy.abi_major == 2
    assert policy.abi_minor == 1
    assert policy.debug is (name == "debug")


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


@pytest.mark.parametrize(
    ("bit", "name"),
    [
        (0, "smt"),
        (1, "tsme"),
        (2, "ecc"),
        (3, "rapl_dis"),
        (4, "ciphertext_hiding_dram"),
        (5, "alias_check"),
        (7, "tio"),
    ],
)
def test_each_bit_of_the_platform_has_its_name(bit: int, name: str) -> None:
    platform = parse_report(report(version=5, platform_info=1 << bit)).platform

    switches = {key for key in PLATFORM_BITS if getattr(platform, key)}
    assert switches == {name}
    assert platform.others == 0


PLATFORM_BITS = (
    "smt",
    "tsme",
    "ecc",
    "rapl_dis",
    "ciphertext_hiding_dram",
    "alias_check",
    "tio",
)


@pytest.mark.parametrize(
    ("version", "alias_check", "tio", "others"),
    [
        (2, None, None, ~0x1F),
        (3, True, None, ~0x3F),
        (4, True, None, ~0x3F),
        (5, True, True, ~0xBF),
    ],
)
def test_a_platforms_bits_count_from_the_version_that_names_them(
    version: int, alias_check: object, tio: object, others: int
) -> None:
    cpuid = (0, 0, 0) if version == 2 else PLATFORM.cpuid
    written = report(version=version, cpuid=cpuid, platform_info=2**64 - 1)

    platform = parse_report(written).platform

    assert platform.alias_check is alias_check
    assert platform.tio is tio
    assert platform.others == others & 2**64 - 1


def test_flags_are_no_bits_of_the_platform() -> None:
    assert parse_report(report(flags=0x03)).platform.others == 0


def test_version_2_names_no_processor() -> None:
    assert parse_report(report(version=2, cpuid=(0, 0, 0))).cpuid is None


@pytest.mark.parametrize("version", [3, 4, 5])
def test_later_versions_name_the_processor(version: int) -> None:
    assert parse_report(report(version=version)).cpuid == PLATFORM.cpuid


@pytest.mark.parametrize("version", [3, 4])
def test_mitigations_are_not_known_before_version_5(version: int) -> None:
    parsed = parse_report(report(version=version))

    assert parsed.launch_mitigations is None
    assert parsed.current_mitigations is None


def test_nothing_is_expected_where_version_4_is_not_published() -> None:
    written = report(
        version=4, launch_mitigations=1, current_mitigations=2, guest_policy=0x2020000
    )

    parsed = parse_report(written)

    assert parsed.launch_mitigations is None
    assert parsed.current_mitigations is None
    assert parsed.guest_policy.page_swap_disable


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(report()[:-1], "expected 1184 bytes, got 1183", id="short"),
        pytest.param(report() + b"\x00", "expected 1184 bytes, got 1185", id="long"),
        pytest.param(
            report(version=1), "version: expected 2 to 5, got 1", id="version 1"
        ),
        pytest.param(report(version=6), "expected 2 to 5, got 6", id="version 6"),
        pytest.param(patched(0x04C, b"\x01"), "after the flags", id="04C"),
        pytest.param(patched(0x18B, b"\x01"), "after the CPUID", id="18B"),
        pytest.param(patched(0x19F, b"\x01"), "after the CPUID", id="19F"),
        pytest.param(patched(0x1EB, b"\x01"), "after the current", id="1EB"),
        pytest.param(patched(0x1EF, b"\x01"), "after the committed", id="1EF"),
        pytest.param(patched(0x1F8, b"\x01"), "of mitigation", id="1F8"),
        pytest.param(patched(0x207, b"\x01"), "of mitigation", id="207"),
        pytest.param(patched(0x208, b"\x01"), "version 3: .* at the end", id="208"),
        pytest.param(
            patched(0x208, b"\x01", report(version=4)), "version 4: .*end", id="208, 4"
        ),
        pytest.param(
            patched(0x29F, b"\x01", report(version=5)), "version 5: .*end", id="29F"
        ),
        pytest.param(
            patched(0x04C, b"\x01", report(version=2, cpuid=(0, 0, 0))),
            "version 2: .*after the flags",
            id="04C, 2",
        ),
        pytest.param(report(version=2), "version 2: .*of a CPUID", id="CPUID"),
        pytest.param(
            report(version=2, cpuid=(1, 0, 0)), "version 2: .*of a CPUID", id="family"
        ),
        pytest.param(
            report(version=2, cpuid=(0, 0, 1)), "version 2: .*of a CPUID", id="stepping"
        ),
        pytest.param(report(flags=1 << 5), "report flags", id="flags"),
        pytest.param(report(guest_policy=0), "guest policy", id="policy bit 17"),
        pytest.param(
            report(guest_policy=0x2020000), "guest policy", id="policy bit 25"
        ),
        pytest.param(
            report(version=5, guest_policy=0x4020000), "guest policy", id="bit 26"
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


@given(st.integers(2, 5), st.integers(0, 0x460), st.binary(max_size=64))
def test_any_changed_bytes_give_a_report_or_the_one_error(
    version: int, offset: int, patch: bytes
) -> None:
    data = patched(offset, patch, report(version=version))
    try:
        parsed = parse_report(data[:REPORT_BYTES])
    except EvidenceError:
        return

    assert isinstance(parsed, Report)
