"""The table `[tpm]` of a policy file."""

from __future__ import annotations

import pytest

from blindai.errors import ConfigurationError
from blindai.verifier import Policy
from blindai.verifier.tpm.policy import PcrPin, TpmPolicy

DIGEST = "ab" * 32
PIN = f'[[tpm.pcrs]]\nindex = 4\ndigests = ["{DIGEST}"]\n'


def parse(table: str) -> TpmPolicy:
    policy = Policy.parse(f"version = 1\n{table}")
    assert policy.tpm is not None
    return policy.tpm


def test_a_register_is_pinned() -> None:
    policy = parse(PIN)

    assert policy.pcrs == (PcrPin(index=4, digests=(bytes.fromhex(DIGEST),)),)
    assert policy.identity == {"pcrs": (bytes.fromhex(DIGEST),)}


def test_all_keys_are_read() -> None:
    policy = parse(
        f"""
[tpm]
ak_sources = ["certificate", "hardware-report"]
minimum_firmware = 18446744073709551615
require_safe_clock = true
event_log_pcrs = [0, 7]
require_secure_boot = true
google_projects = ["a-project"]
google_zones = ["europe-west4-a"]
google_technologies = ["sev-snp", "tdx"]
allow_console = false
[[tpm.pcrs]]
bank = "sha384"
index = 4
digests = ["{"cd" * 48}"]
{PIN}"""
    )

    assert policy.ak_sources == ("certificate", "hardware-report")
    assert policy.minimum_firmware == 2**64 - 1
    assert policy.require_safe_clock
    assert policy.event_log_pcrs == (0, 7)
    assert policy.require_secure_boot
    assert policy.google_projects == ("a-project",)
    assert policy.google_zones == ("europe-west4-a",)
    assert policy.google_technologies == ("sev-snp", "tdx")
    assert not policy.allow_console
    assert [(pin.bank, pin.index) for pin in policy.pcrs] == [
        ("sha384", 4),
        ("sha256", 4),
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param("[tpm]", "tpm: expected pcrs, got none", id="nothing pinned"),
        pytest.param(
            PIN.replace("= 4", "= 16"), "expected pcrs", id="a debug register"
        ),
        pytest.param(PIN.replace("= 4", "= 11"), "expected pcrs", id="a kernel's own"),
        pytest.param(PIN.replace("= 4", "= 0"), "expected pcrs", id="firmware alone"),
        pytest.param(
            PIN.replace("= 4", "= 17").replace(DIGEST, "ff" * 32),
            "expected pcrs",
            id="no dynamic launch",
        ),
        pytest.param(
            PIN.replace("= 4", "= 23"), "expected pcrs", id="a resettable one"
        ),
        pytest.param(PIN.replace(DIGEST, "00" * 32), "expected pcrs", id="zeros"),
        pytest.param(PIN.replace("= 4", "= 24"), "0 to 23", id="register 24"),
        pytest.param(PIN.replace(DIGEST, "ab"), "32 bytes each", id="size"),
        pytest.param(PIN + PIN, "each register once", id="twice"),
        pytest.param(PIN + 'bank = "sha1"', "one of sha256", id="SHA-1"),
        pytest.param("[[tpm.pcrs]]\nindex = 1", "the key 'digests'", id="no digests"),
        pytest.param(
            f'[[tpm.pcrs]]\ndigests = ["{DIGEST}"]', "the key 'index'", id="no index"
        ),
        pytest.param(
            f'[tpm]\nak_sources = ["nobody"]\n{PIN}', "one of cert", id="source"
        ),
        pytest.param(
            f'[tpm]\ngoogle_technologies = ["sgx"]\n{PIN}', "one of none", id="tech"
        ),
    ],
)
def test_other_tables_are_refused(table: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse(table)


def test_a_bank_and_another_may_pin_the_same_register() -> None:
    other = f'[[tpm.pcrs]]\nbank = "sha384"\nindex = 4\ndigests = ["{"cd" * 48}"]\n'

    assert len(parse(PIN + other).pcrs) == 2
