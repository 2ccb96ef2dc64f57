"""A made-up SEV-SNP guest: the real attester over made-up devices."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from blindai.attester.certificate_table import ARK, ASK, VCEK, VLEK
from blindai.attester.configfs_tsm import SEV_GUEST, ConfigfsTsm
from blindai.attester.sev_guest import read_derived_key
from blindai.attester.sev_snp import SevSnpAttester
from blindai.attester.simulated_report import sign, write_report
from blindai.testing.devices import FakeConfigfs, FakeFiles, FakeSevGuest
from blindai.testing.machines.machine import Machine, changed
from blindai.testing.vendors.amd import MadeUpAmd
from blindai.testing.vendors.pki import der, p384

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.attester.simulated_report import SimulatedPlatform

_POLICY: Final = """\
version = 1

[sev-snp]
measurements = ["{measurement}"]
products = ["{product}"]
minimum_tcb.{product} = {{ {tcb} }}

[[insecure_roots]]
vendor = "AMD"
sha256 = "{root}"
product = "{product}"
"""
_TCB: Final = {  # of the machines in testing.vendors.amd
    "Milan": "bootloader = 4, tee = 0, snp = 24, microcode = 219",
    "Genoa": "bootloader = 10, tee = 0, snp = 23, microcode = 84",
    "Turin": "fmc = 1, bootloader = 2, tee = 0, snp = 4, microcode = 72",
}
_ENTRY: Final = struct.Struct("<16sII")


def sev_snp(changes: Mapping[str, str]) -> Machine:
    """An SEV-SNP guest.

    Args:
        changes: Fields of `SimulatedPlatform` that are not as usual, and `product`, by
            which the machine is a Milan, a Genoa, which is usual, or a Turin.
            `signing_key`, with any value, signs reports with a key that no certificate
            is for.
    """
    fields = dict(changes)
    forged = fields.pop("signing_key", None) is not None
    amd = MadeUpAmd(fields.pop("product", "Genoa"))
    usual = amd.platform()
    platform = changed(usual, fields)
    table = certificate_table(amd, platform)

    def quote(bound: bytes, vmpl: int) -> tuple[bytes, bytes]:
        guest = replace(platform, vmpl=vmpl)
        if forged:
            return sign(write_report(guest, bound), p384()), table
        return amd.evidence_of(guest, bound).evidence, table

    tree = FakeConfigfs(SEV_GUEST, quote, privlevel_floor=platform.vmpl)
    device = FakeSevGuest(
        guest_policy=platform.guest_policy,
        measurement=platform.measurement,
        vmpl=platform.vmpl,
    )

    def read_key(vmpl: int) -> bytes:
        return read_derived_key(vmpl, files=FakeFiles(device), calls=device)

    attester = SevSnpAttester(
        reports=ConfigfsTsm(files=FakeFiles(tree)), read_key=read_key
    )
    policy = _POLICY.format(
        measurement=usual.measurement.hex(),
        product=amd.product,
        tcb=_TCB[amd.product],
        root=amd.root.digest.hex(),
    )
    return Machine(attester=attester, policy=policy)


def certificate_table(amd: MadeUpAmd, platform: SimulatedPlatform) -> bytes:
    """Leaf, ASK or ASVK, and ARK as a host hands them out (AMD 56421, 4.1.8.1)."""
    leaf = VCEK if platform.leaf_csp_id is None else VLEK
    contents = [der(certificate) for certificate in amd.chain(platform)]
    at = _ENTRY.size * (len(contents) + 1)
    entries = b""
    for guid, content in zip((leaf, ASK, ARK), contents, strict=True):
        entries += _ENTRY.pack(guid.bytes, at, len(content))
        at += len(content)
    return entries + bytes(_ENTRY.size) + b"".join(contents)
