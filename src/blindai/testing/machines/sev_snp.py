"""A made-up SEV-SNP guest: the real attester over made-up devices."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from blindai.attester import simulated
from blindai.attester.certificate_table import ARK, ASK, VCEK
from blindai.attester.configfs_tsm import SEV_GUEST, ConfigfsTsm
from blindai.attester.sev_guest import read_derived_key
from blindai.attester.sev_snp import SevSnpAttester
from blindai.attester.simulated import SimulatedPlatform
from blindai.testing.devices import FakeConfigfs, FakeFiles, FakeSevGuest
from blindai.testing.machines.machine import Machine, changed
from blindai.verifier.roots import SIMULATED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

_POLICY: Final = """\
version = 1

[sev-snp]
measurements = ["{measurement}"]
minimum_tcb = {{ bootloader = 10, tee = 0, snp = 23, microcode = 84 }}

[[insecure_roots]]
vendor = "AMD"
sha256 = "{root}"
product = "Genoa"
"""
_ENTRY: Final = struct.Struct("<16sII")


def sev_snp(changes: Mapping[str, str]) -> Machine:
    """An SEV-SNP guest on a Genoa machine.

    Args:
        changes: Fields of `SimulatedPlatform` that are not as usual. `signing_key`,
            with any value, signs reports with a key that no certificate is for.
    """
    usual = SimulatedPlatform()
    fields = {name: text for name, text in changes.items() if name != "signing_key"}
    platform = changed(usual, fields)
    key = ec.generate_private_key(ec.SECP384R1())
    table = _certificate_table(simulated.endorse(platform, key.public_key()))
    signer = (
        ec.generate_private_key(ec.SECP384R1()) if "signing_key" in changes else key
    )

    def quote(bound: bytes, vmpl: int) -> tuple[bytes, bytes]:
        guest = replace(platform, vmpl=vmpl)
        return simulated.sign(simulated.write_report(guest, bound), signer), table

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
        measurement=usual.measurement.hex(), root=SIMULATED.digest.hex()
    )
    return Machine(attester=attester, policy=policy)


def _certificate_table(chain: bytes) -> bytes:
    """Leaf, ASK and ARK as a host hands them out (AMD 56421, 4.1.8.1)."""
    certificates = x509.load_pem_x509_certificates(chain)
    named: dict[UUID, bytes] = {
        guid: certificate.public_bytes(Encoding.DER)
        for guid, certificate in zip((VCEK, ASK, ARK), certificates, strict=True)
    }
    at = _ENTRY.size * (len(named) + 1)
    entries = b""
    for guid, content in named.items():
        entries += _ENTRY.pack(guid.bytes, at, len(content))
        at += len(content)
    return entries + bytes(_ENTRY.size) + b"".join(named.values())
