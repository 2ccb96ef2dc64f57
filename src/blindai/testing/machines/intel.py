"""Made-up Intel machines: an SGX enclave under Gramine, and a TDX guest."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from blindai.attester.configfs_tsm import TDX_GUEST, ConfigfsTsm
from blindai.attester.gramine import GramineAttester
from blindai.attester.tdx import CCEL, TdxAttester
from blindai.protocol.attestation import INTEL_COLLATERAL_TYPE, Endorsement
from blindai.server.serve import now
from blindai.testing.devices import FakeConfigfs, FakeFiles, FakeGramine
from blindai.testing.devices.files import FixedFiles
from blindai.testing.machines.machine import Endorsed, Machine, changed
from blindai.testing.vendors.eventlog import Measurement, write_log
from blindai.testing.vendors.intel import Enclave, Intel, TrustDomain, sign
from blindai.testing.vendors.intel_parts import SGX, TDX, Platform
from blindai.testing.vendors.pki import Validity, p256
from blindai.verifier import eventlog

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALGORITHM: Final = "sha384"
_KERNEL: Final = "kernel"
ROOT: Final = """\

[[insecure_roots]]
vendor = "Intel"
sha256 = "{root}"
"""


def sgx(changes: Mapping[str, str]) -> Machine:
    """An enclave under Gramine, on a machine of a made-up Intel.

    Args:
        changes: Fields of `Enclave` that are not as usual, or of Intel: see
            `take_intel`.
    """
    usual = Enclave()
    intel, rest = take_intel(changes)
    enclave = changed(usual, rest)
    forged = "signing_key" in changes
    tree = FakeGramine(lambda bound: quote_of(intel, enclave, bound, forged=forged))
    policy = f'version = 1\n\n[sgx]\nmr_enclave = ["{usual.mr_enclave.hex()}"]\n'
    return Machine(
        attester=Endorsed(
            GramineAttester(files=FakeFiles(tree)), collateral_of(intel, SGX)
        ),
        policy=policy + ROOT.format(root=intel.root_digest.hex()),
    )


def tdx(changes: Mapping[str, str]) -> Machine:
    """A trust domain on a machine of a made-up Intel.

    Args:
        changes: Fields of `TrustDomain` that are not as usual, or of Intel: see
            `take_intel`. `boot` is what the firmware measured, `log` what it wrote down
            instead.
    """
    usual = TrustDomain()
    intel, rest = take_intel(changes)
    booted = _event_log(rest.pop("boot", _KERNEL))
    shown = _event_log(rest.pop("log")) if "log" in rest else booted
    domain = changed(replace(usual, rtmr=_registers(booted)), rest)
    forged = "signing_key" in changes

    def quote(bound: bytes, _: int) -> tuple[bytes, bytes]:
        return quote_of(intel, domain, bound, forged=forged), b""

    tree = FakeConfigfs(TDX_GUEST, quote)
    attester = TdxAttester(
        ConfigfsTsm(files=FakeFiles(tree)), files=FakeFiles(FixedFiles({CCEL: shown}))
    )
    _, kernel, options, _ = _registers(_event_log(_KERNEL))
    policy = (
        f'version = 1\n\n[tdx]\nmr_td = ["{usual.mr_td.hex()}"]\n'
        f'rtmr1 = ["{kernel.hex()}"]\nrtmr2 = ["{options.hex()}"]\n'
    )
    return Machine(
        attester=Endorsed(attester, collateral_of(intel, TDX)),
        policy=policy + ROOT.format(root=intel.root_digest.hex()),
    )


def tdx_1_0(changes: Mapping[str, str]) -> Machine:
    """The same where quotes are of version 4, about a report of TDX 1.0."""
    return tdx({"newer": "0", **changes})


def take_intel(changes: Mapping[str, str]) -> tuple[Intel, dict[str, str]]:
    """A made-up Intel, and the changes that are not about it.

    `tcb` is the version of each of the platform's components, `revoked` is a serial
    number in the list of platforms' certificates, `age_days` is how long ago Intel
    spoke of the platform for 30 days.
    """
    rest = {name: text for name, text in changes.items() if name != "signing_key"}
    age = timedelta(days=int(rest.pop("age_days", "1")))
    level = int(rest.pop("tcb", str(Platform().components[0])))
    revoked = rest.pop("revoked", None)
    spoke = now().replace(microsecond=0) - age
    intel = Intel(
        platform=Platform(components=(level,) * len(Platform().components)),
        revoked_by_authority=() if revoked is None else (int(revoked),),
        statements=Validity(spoke, spoke + timedelta(days=30)),
    )
    return intel, rest


def quote_of(
    intel: Intel, body: Enclave | TrustDomain, bound: bytes, *, forged: bool
) -> bytes:
    """A quote; a forged one is signed with a key that nobody vouches for."""
    if not forged:
        return intel.quote(body, bound)
    version = 3 if isinstance(body, Enclave) else 5 if body.newer else 4
    parts = intel.quote_parts(body, bound, version)
    return replace(parts, signature=sign(p256(), parts.signed)).encode()


def _event_log(kernel: str) -> bytes:
    """What the firmware wrote down; register 2 of it is RTMR1 (UEFI 2.10, 38.4.1)."""
    events = [
        Measurement(register=1, data=b"firmware"),
        Measurement(register=2, data=kernel.encode()),
        Measurement(register=3, data=b"options"),
    ]
    return write_log(events, (_ALGORITHM,), ccel=True)


def _registers(log: bytes) -> tuple[bytes, ...]:
    """RTMR0 to RTMR3 after what is in a log."""
    replayed = eventlog.parse(log).replay(_ALGORITHM)
    return tuple(replayed.get(number, bytes(48)) for number in range(1, 5))


def collateral_of(intel: Intel, tee: int) -> Endorsement:
    """What a server would have fetched from Intel."""
    content = json.dumps(intel.collateral(tee)).encode()
    return Endorsement(INTEL_COLLATERAL_TYPE, content)
