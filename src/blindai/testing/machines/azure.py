"""A made-up Azure confidential VM: a TPM in software below a made-up paravisor."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from blindai.attester.simulated_report import SimulatedPlatform
from blindai.attester.tpm import AzureAttester, SealedSecret, Tpm
from blindai.attester.tpm.attester import AZURE_KEY, AZURE_REPORT, Sources
from blindai.attester.tpm.commands import ENDORSEMENT
from blindai.protocol.attestation import PEM_CHAIN_TYPE, Endorsement
from blindai.testing.devices.swtpm import make_persistent, start_swtpm, write_nv
from blindai.testing.machines.machine import Machine, changed
from blindai.testing.machines.tpm import measure
from blindai.testing.vendors.azure import AzureVm, HclFields, ak_key, runtime_claims
from blindai.testing.vendors.eventlog import write_log
from blindai.testing.vendors.tpm import MadeUpTpm
from blindai.verifier import roots

if TYPE_CHECKING:
    from collections.abc import Mapping

# TPMT_PUBLIC of a restricted signing key, RSA of 2048 bits, RSASSA with SHA-256 (TPM
# 2.0 Library 1.59, part 2, 12.2.4): what Azure's paravisor makes.
_AK_TEMPLATE: Final = struct.pack(">HHIH", 0x0001, 0x000B, 0x00050072, 0) + struct.pack(
    ">HHHHIH", 0x0010, 0x0014, 0x000B, 2048, 0, 0
)
_MODULUS_BYTES: Final = 256
_LOADER: Final = 4
_KERNEL: Final = 11
_POLICY: Final = """\
version = 1

[sev-snp]
measurements = ["{measurement}"]
products = ["Genoa"]

[tpm]
event_log_pcrs = [0, 4, 7, 11]
require_secure_boot = true

[[tpm.pcrs]]
index = 4
digests = ["{loader}"]

[[tpm.pcrs]]
index = 11
digests = ["{kernel}"]

[[insecure_roots]]
vendor = "AMD"
sha256 = "{root}"
product = "Genoa"
"""


def azure(changes: Mapping[str, str]) -> Machine:
    """A confidential VM on SEV-SNP.

    Args:
        changes: Fields of `SimulatedPlatform` that are not as usual, and `boot`, `log`
            and `secure_boot` as of the machine `tpm`. `report_data` is what the
            hardware binds instead of the paravisor's words, 64 bytes. `signing_key`,
            with any value, has the paravisor name another key.

    Raises:
        ValueError: If it is none of these, or no such value.
        HardwareAbsentError: If there is no `swtpm`.
    """
    fields = dict(changes)
    forged = fields.pop("signing_key", None) is not None
    bound = bytes.fromhex(fields.pop("report_data", "")) or None
    words: dict[str, str] = {
        name: fields.pop(name) for name in ("boot", "log") if name in fields
    }
    secure = fields.pop("secure_boot", "on") != "off"
    platform = changed(SimulatedPlatform(), fields)
    device, folder = start_swtpm()
    asked = Tpm(device)
    log = measure(asked, words, secure=secure)
    event_log = folder / "binary_bios_measurements"
    event_log.write_bytes(write_log(log))
    handle, public = asked.create_primary(ENDORSEMENT, _AK_TEMPLATE)
    make_persistent(asked, handle, AZURE_KEY)
    asked.flush(handle)
    key = ak_key().public_key() if forged else _key(public)
    vm = AzureVm(platform=platform, claims=runtime_claims(key))
    report, chain = vm.report(bound)
    # Without the zeros behind it: an index of swtpm's holds 2048 bytes.
    hcl = HclFields(payload=report, claims=vm.claims, rest=b"").encode()
    write_nv(asked, AZURE_REPORT, hcl)
    sources = Sources(
        event_log=event_log,
        endorsements=(Endorsement(PEM_CHAIN_TYPE, chain),),
        sealed=SealedSecret(folder / "tpm_sealed_key", asked),
    )
    usual = MadeUpTpm().pcrs["sha256"]
    policy = _POLICY.format(
        measurement=SimulatedPlatform().measurement.hex(),
        loader=usual[_LOADER].hex(),
        kernel=usual[_KERNEL].hex(),
        root=roots.SIMULATED.digest.hex(),
    )
    return Machine(attester=AzureAttester(asked, sources), policy=policy)


def _key(public: bytes) -> rsa.RSAPublicKey:
    """The key in a TPMT_PUBLIC of RSA: it ends with the modulus."""
    modulus = int.from_bytes(public[-_MODULUS_BYTES:])
    return rsa.RSAPublicNumbers(65537, modulus).public_key()
