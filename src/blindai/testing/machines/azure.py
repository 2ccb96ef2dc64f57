"""Made-up Azure confidential VMs: a TPM in software below a made-up paravisor."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from blindai.attester.azure_metadata import read_td_quote
from blindai.attester.simulated_report import SIGNED_BYTES, SimulatedPlatform, sign
from blindai.attester.tpm import AzureAttester, SealedSecret, Tpm
from blindai.attester.tpm.attester import AZURE_KEY, AZURE_REPORT, Sources
from blindai.attester.tpm.commands import ENDORSEMENT
from blindai.protocol.attestation import PEM_CHAIN_TYPE, Endorsement
from blindai.testing.devices.azure_metadata import start_metadata
from blindai.testing.devices.swtpm import make_persistent, start_swtpm, write_nv
from blindai.testing.machines.intel import (
    ROOT,
    collateral_of,
    quote_of,
    take_intel,
)
from blindai.testing.machines.machine import Machine, changed
from blindai.testing.machines.tpm import measure
from blindai.testing.vendors.azure import (
    TDX,
    AzureVm,
    HclFields,
    ak_key,
    runtime_claims,
)
from blindai.testing.vendors.eventlog import write_log
from blindai.testing.vendors.intel_parts import TDX as TDX_TEE
from blindai.testing.vendors.intel_parts import TrustDomain
from blindai.testing.vendors.pki import p384
from blindai.testing.vendors.tpm import MadeUpTpm
from blindai.verifier import roots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# TPMT_PUBLIC of a restricted signing key, RSA of 2048 bits, RSASSA with SHA-256 (TPM
# 2.0 Library 1.59, part 2, 12.2.4): what Azure's paravisor makes.
_AK_TEMPLATE: Final = struct.pack(">HHIH", 0x0001, 0x000B, 0x00050072, 0) + struct.pack(
    ">HHHHIH", 0x0010, 0x0014, 0x000B, 2048, 0, 0
)
_MODULUS_BYTES: Final = 256
_LOG: Final = "binary_bios_measurements"
_LOADER: Final = 4
_KERNEL: Final = 11
_TDREPORT: Final = struct.Struct("<I124x64s832x")  # type, report_data
_TDREPORT_TYPE: Final = 0x81
_VTPM: Final = ("boot", "log", "secure_boot", "signing_key")
_SEV_SNP: Final = """\
[sev-snp]
measurements = ["{measurement}"]
products = ["Genoa"]
minimum_tcb.Genoa = {{ bootloader = 10, tee = 0, snp = 23, microcode = 84 }}
"""
_TDX: Final = """\
[tdx]
mr_td = ["{mr_td}"]
allow_firmware_alone = true
"""
_POLICY: Final = """\
version = 1

{hardware}
[tpm]
event_log_pcrs = [0, 4, 7, 11]
require_secure_boot = true

[[tpm.pcrs]]
index = 4
digests = ["{loader}"]

[[tpm.pcrs]]
index = 11
digests = ["{kernel}"]
{root}"""
_AMD_ROOT: Final = """
[[insecure_roots]]
vendor = "AMD"
sha256 = "{root}"
product = "Genoa"
"""


@dataclass(frozen=True, slots=True)
class _Vtpm:
    """A vTPM that has booted a machine.

    Attributes:
        tpm: What asks it.
        folder: Ends with it; the event log is there.
        claims: What the paravisor says, with the vTPM's attestation key.
    """

    tpm: Tpm
    folder: Path
    claims: bytes


def azure(changes: Mapping[str, str]) -> Machine:
    """A confidential VM on SEV-SNP.

    Args:
        changes: Fields of `SimulatedPlatform` that are not as usual, and `boot`, `log`
            and `secure_boot` as of the machine `tpm`. `report_data` is what the
            hardware binds instead of the paravisor's words, 64 bytes. `signing_key`,
            with any value, has the paravisor name another key; `hardware_key` has the
            report signed with a key that no certificate is for.

    Raises:
        ValueError: If it is none of these, or no such value.
        HardwareAbsentError: If there is no `swtpm`.
    """
    own, fields = _split(changes)
    forged = fields.pop("hardware_key", None) is not None
    bound = bytes.fromhex(fields.pop("report_data", "")) or None
    platform = changed(SimulatedPlatform(), fields)
    vtpm = _start(own)
    report, chain = AzureVm(platform=platform, claims=vtpm.claims).report(bound)
    if forged:
        report = sign(report[:SIGNED_BYTES], p384())
    # Without the zeros behind it: an index of swtpm's holds 2048 bytes.
    hcl = HclFields(payload=report, claims=vtpm.claims, rest=b"")
    measurement = SimulatedPlatform().measurement.hex()
    return Machine(
        attester=_attester(vtpm, hcl, Endorsement(PEM_CHAIN_TYPE, chain)),
        policy=_policy(
            _SEV_SNP.format(measurement=measurement),
            _AMD_ROOT.format(root=roots.SIMULATED.digest.hex()),
        ),
    )


def azure_tdx(changes: Mapping[str, str]) -> Machine:
    """A confidential VM on TDX: its host's metadata service makes the TD quote.

    Args:
        changes: Fields of `TrustDomain` that are not as usual, those of Intel (see
            `take_intel`), and the others as of the machine `azure`.

    Raises:
        ValueError: If it is none of these, or no such value.
        HardwareAbsentError: If there is no `swtpm`.
    """
    own, fields = _split(changes)
    forged = fields.pop("hardware_key", None) is not None
    bound = bytes.fromhex(fields.pop("report_data", "")) or None
    intel, rest = take_intel(fields)
    domain = changed(TrustDomain(newer=False), rest)
    vtpm = _start(own)
    digest = hashlib.sha256(vtpm.claims).digest().ljust(64, b"\x00")
    report = _TDREPORT.pack(_TDREPORT_TYPE, bound or digest)
    hcl = HclFields(payload=report, claims=vtpm.claims, report_type=TDX, rest=b"")

    def quote(report: bytes) -> bytes:
        return quote_of(intel, domain, _TDREPORT.unpack(report)[1], forged=forged)

    service = start_metadata(quote)
    return Machine(
        attester=_attester(
            vtpm,
            hcl,
            collateral_of(intel, TDX_TEE),
            lambda report: read_td_quote(report, service),
        ),
        policy=_policy(
            _TDX.format(mr_td=TrustDomain().mr_td.hex()),
            ROOT.format(root=intel.root_digest.hex()),
        ),
    )


def _split(changes: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The changes of the vTPM, and the others."""
    own = {name: changes[name] for name in changes if name in _VTPM}
    return own, {name: changes[name] for name in changes if name not in own}


def _start(changes: Mapping[str, str]) -> _Vtpm:
    """Boot a machine with a vTPM.

    Raises:
        HardwareAbsentError: If there is no `swtpm`.
    """
    device, folder = start_swtpm()
    asked = Tpm(device)
    secure = changes.get("secure_boot", "on") != "off"
    log = measure(asked, changes, secure=secure)
    (folder / _LOG).write_bytes(write_log(log))
    handle, public = asked.create_primary(ENDORSEMENT, _AK_TEMPLATE)
    make_persistent(asked, handle, AZURE_KEY)
    asked.flush(handle)
    key = ak_key().public_key() if "signing_key" in changes else _key(public)
    return _Vtpm(asked, folder, runtime_claims(key))


def _attester(
    vtpm: _Vtpm,
    hcl: HclFields,
    endorsement: Endorsement,
    quote_td: Callable[[bytes], bytes] | None = None,
) -> AzureAttester:
    write_nv(vtpm.tpm, AZURE_REPORT, hcl.encode())
    sources = Sources(
        event_log=vtpm.folder / _LOG,
        endorsements=(endorsement,),
        sealed=SealedSecret(vtpm.folder / "tpm_sealed_key", vtpm.tpm),
    )
    return AzureAttester(vtpm.tpm, sources, quote_td)


def _policy(hardware: str, root: str) -> str:
    usual = MadeUpTpm().pcrs["sha256"]
    return _POLICY.format(
        hardware=hardware,
        loader=usual[_LOADER].hex(),
        kernel=usual[_KERNEL].hex(),
        root=root,
    )


def _key(public: bytes) -> rsa.RSAPublicKey:
    """The key in a TPMT_PUBLIC of RSA: it ends with the modulus."""
    modulus = int.from_bytes(public[-_MODULUS_BYTES:])
    return rsa.RSAPublicNumbers(65537, modulus).public_key()
