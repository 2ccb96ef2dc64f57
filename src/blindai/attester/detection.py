"""Which TEE this is: each is looked for in one order, and what was seen is reported.

A TEE that is there and cannot be used stops the search with its own error: a weaker
one is never taken in its place. Simulation is no TEE and is never found. Nor is a TPM
alone: it measures what was booted and encrypts nothing, so it has to be named.

    attester = detect()
    attester = named("sev-snp")
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from blindai.attester.configfs_tsm import SEV_GUEST, TDX_GUEST, ConfigfsTsm
from blindai.attester.gramine import GramineAttester
from blindai.attester.nsm import NsmAttester
from blindai.attester.sev_snp import SevSnpAttester
from blindai.attester.tdx import TdxAttester
from blindai.attester.tpm import (
    SealedSecret,
    Tpm,
    TpmDevice,
    probe_azure,
    probe_tpm,
)
from blindai.attester.tpm.attester import Sources
from blindai.errors import ConfigurationError, HardwareAbsentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from blindai.attester import Attester

    Probe = Callable[[Path | None], Attester]

SEALED_BY_TPM: Final = "tpm_sealed_key"


class NoTeeError(ConfigurationError):
    """No TEE was found.

    Attributes:
        seen: What was seen where each TEE would be, by its name.
    """

    next_step = (
        "Run the server inside a TEE (docs/deploy.md has what each needs), or name "
        "one with --tee to see what it lacks. To try blindai without protection, run: "
        "blindai serve --simulation"
    )

    def __init__(self, seen: Mapping[str, str]) -> None:
        looked = "; ".join(f"{tee} ({what})" for tee, what in seen.items())
        super().__init__(f"TEE: looked for {looked}")
        self.seen = seen


def probe_sgx(attester: GramineAttester | None = None) -> GramineAttester:
    """SGX under Gramine.

    Raises:
        HardwareAbsentError: If this is none.
        HardwareError: If it cannot make DCAP quotes.
    """
    attester = attester or GramineAttester()
    attester.require_dcap()
    return attester


def probe_sev_snp(reports: ConfigfsTsm | None = None) -> SevSnpAttester:
    """SEV-SNP through configfs-tsm.

    Raises:
        HardwareAbsentError: If this is none.
        HardwareError: If configfs-tsm cannot be used.
    """
    reports = reports or ConfigfsTsm()
    _require_provider(reports, SEV_GUEST)
    return SevSnpAttester(reports=reports)


def probe_tdx(reports: ConfigfsTsm | None = None) -> TdxAttester:
    """TDX through configfs-tsm.

    Raises:
        HardwareAbsentError: If this is none.
        HardwareError: If configfs-tsm cannot be used.
    """
    reports = reports or ConfigfsTsm()
    _require_provider(reports, TDX_GUEST)
    return TdxAttester(reports=reports)


def probe_nitro(attester: NsmAttester | None = None) -> NsmAttester:
    """A Nitro enclave, by its security module.

    Raises:
        HardwareAbsentError: If this is none.
        HardwareError: If the module's device cannot be opened.
    """
    attester = attester or NsmAttester()
    attester.require_module()
    return attester


def _azure(data_dir: Path | None) -> Attester:
    device = TpmDevice()
    return probe_azure(device, _tpm_sources(device, data_dir))


def _tpm(data_dir: Path | None) -> Attester:
    device = TpmDevice()
    return probe_tpm(device, _tpm_sources(device, data_dir))


def _tpm_sources(device: TpmDevice, data_dir: Path | None) -> Sources:
    """What a TPM is asked for; its sealed secret lies in the data folder."""
    if data_dir is None:
        return Sources()
    return Sources(sealed=SealedSecret(data_dir / SEALED_BY_TPM, Tpm(device)))


PROBES: Final[Mapping[str, Probe]] = MappingProxyType(
    {
        "sgx": lambda _: probe_sgx(),
        "sev-snp": lambda _: probe_sev_snp(),
        "tdx": lambda _: probe_tdx(),
        "nitro": lambda _: probe_nitro(),
        "azure": _azure,
        "tpm": _tpm,
    }
)
ONLY_NAMED: Final = frozenset({"tpm"})


def detect(
    data_dir: Path | None = None, probes: Mapping[str, Probe] = PROBES
) -> Attester:
    """The first TEE that is there.

    Args:
        data_dir: Where a TEE may keep what it alone opens; nowhere if None.
        probes: By name, in the order in which to look.

    Raises:
        NoTeeError: If there is none.
        HardwareError: If one is there and cannot be used.
    """
    seen: dict[str, str] = {}
    for tee, probe in probes.items():
        if tee in ONLY_NAMED:
            seen[tee] = f"not looked for: name it with --tee {tee}"
            continue
        try:
            return probe(data_dir)
        except HardwareAbsentError as error:
            seen[tee] = error.message.partition("; ")[0]  # advice is for who names it
    raise NoTeeError(seen)


def named(
    tee: str, data_dir: Path | None = None, probes: Mapping[str, Probe] = PROBES
) -> Attester:
    """The TEE that the operator names.

    Args:
        tee: One of the names in `probes`.
        data_dir: Where a TEE may keep what it alone opens; nowhere if None.
        probes: By name.

    Raises:
        ConfigurationError: If there is no such name.
        HardwareAbsentError: If it is not there.
        HardwareError: If it cannot be used.
    """
    if tee not in probes:
        raise ConfigurationError(
            f"TEE: expected one of {', '.join(probes)}, got {tee!r}"
        )
    return probes[tee](data_dir)


def _require_provider(reports: ConfigfsTsm, expected: str) -> None:
    actual = reports.read_provider()
    if actual != expected:
        raise HardwareAbsentError(
            f"configfs-tsm: expected the provider {expected}, got {actual!r}"
        )
