"""A made-up SEV-SNP guest with a made-up GPU beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from blindai.attester.nvidia import NvidiaAttester
from blindai.testing.devices.nvml import MadeUpNvml
from blindai.testing.machines.sev_snp import sev_snp
from blindai.testing.vendors.nvidia import FIELDS, MEASUREMENTS, Nvidia, Report
from blindai.testing.vendors.pki import FIRST, LAST, Validity, p384

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.testing.machines.machine import Machine

_DRIVER: Final = 3  # types of opaque data
_FEATURE_FLAG: Final = 36
_MODES: Final = {"mpt": b"\x00\x00", "spt": b"\x01\x00", "ppcie": b"\x02\x00"}
_FIRMWARE: Final = 9  # the index of one measurement
_NAMES: Final = ("driver", "mode", "measured", "not_after", "signing_key")
_POLICY: Final = """
[nvidia-gpu]
modes = ["spt"]
minimum_driver_version = "550.54"

[[nvidia-gpu.reference_values]]
version = "550.90.07"
measurements = ["{index}:{measured}"]

[[nvidia-gpu.reference_values]]
version = "96.00.5E.00.01"
measurements = ["{index}:{measured}"]

[[insecure_roots]]
vendor = "NVIDIA"
sha256 = "{root}"
"""


def sev_snp_gpu(changes: Mapping[str, str]) -> Machine:
    """An SEV-SNP guest with one GPU of a made-up NVIDIA.

    Args:
        changes: Those of the machine `sev-snp`, and of the GPU: `gpu_driver`, its
            version; `gpu_mode`; `gpu_measured`, what it measured of its firmware, 48
            bytes in hexadecimal; `gpu_not_after`, the end of its certificate in ISO
            8601. `gpu_signing_key`, with any value, signs with a key that no
            certificate is for.

    Raises:
        ValueError: If it is none of these, or no such value.
    """
    own = {f"gpu_{name}" for name in _NAMES}
    guest = sev_snp({name: changes[name] for name in changes if name not in own})
    vendor = Nvidia()
    last = datetime.fromisoformat(changes.get("gpu_not_after", LAST.isoformat()))
    gpu = vendor.gpu(validity=Validity(FIRST, last), report=_report(changes))
    policy = _POLICY.format(
        index=_FIRMWARE,
        measured=MEASUREMENTS[_FIRMWARE].hex(),
        root=vendor.root_digest.hex(),
    )
    return replace(
        guest,
        policy=guest.policy + policy,
        devices=NvidiaAttester(load=lambda: MadeUpNvml([gpu])),
    )


def _report(changes: Mapping[str, str]) -> Report:
    usual = Report()
    fields = dict(FIELDS)
    if "gpu_driver" in changes:
        fields[_DRIVER] = changes["gpu_driver"].encode() + b"\x00"
    if "gpu_mode" in changes:
        mode = changes["gpu_mode"]
        if mode not in _MODES:
            raise ValueError(f"gpu_mode: expected one of {', '.join(_MODES)}")
        fields[_FEATURE_FLAG] = _MODES[mode]
    blocks = usual.blocks
    if "gpu_measured" in changes:
        other = bytes.fromhex(changes["gpu_measured"])
        blocks = blocks.replace(MEASUREMENTS[_FIRMWARE], other)
    return Report(
        fields=fields,
        blocks=blocks,
        key=p384() if "gpu_signing_key" in changes else None,
    )
