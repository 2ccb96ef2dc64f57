"""A strict policy from what an enclave shows: everything that tells it from others.

It accepts this very enclave and what is newer on the same machine. Whether it should be
accepted is for whoever reads the policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from blindai.verifier import (
    EnclavePolicy,
    GpuPolicy,
    MinimumTcb,
    NitroPolicy,
    PlatformPolicy,
    Policy,
    SgxClaims,
    SgxPolicy,
    SnpClaims,
    SnpPolicy,
    TdxClaims,
    TdxPolicy,
)
from blindai.verifier.nitro.claims import NitroClaims
from blindai.verifier.nvidia.claims import Gpus
from blindai.verifier.tpm.claims import AzureClaims, TpmClaims
from blindai.verifier.tpm.policy import PcrPin, TpmPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blindai.protocol.keyset import Keyset
    from blindai.verifier.claims import Claims
    from blindai.verifier.intel.claims import PlatformClaims
    from blindai.verifier.result import VerifiedClaims

_NITRO_PCRS: Final = (0, 1, 2, 8)  # the image and who signed it, not the instance
# Firmware, boot loader, kernel; not 10 (grows while it runs), 16 and 23 (resettable).
_TPM_PCRS: Final = (*range(10), 11, 12, 13, 14, 15)


def policy_for(
    verified: VerifiedClaims, keyset: Keyset | None, *, simulated: bool
) -> Policy:
    """The policy that pins what an enclave shows.

    Args:
        verified: What its evidence says.
        keyset: What it says of itself, if it is one of blindai's.
        simulated: Whether it is the simulation.

    Raises:
        ValueError: If there is nothing to pin, as in debug mode.
    """
    enclave = EnclavePolicy()
    if keyset is not None:
        enclave = EnclavePolicy(
            config_digests=(keyset.config_digest,), builds=(keyset.build,)
        )
    return Policy(
        insecure_accept_simulation=simulated,
        enclave=enclave,
        unpinned=isinstance(verified.claims.details, Gpus),  # a CPU's table comes too
        **_tables(verified.claims, verified.root.product),
    )


def _tables(claims: Claims, product: str) -> dict[str, Any]:
    """The tables for some claims, of a processor line if need be, by field.

    Raises:
        ValueError: If a value pins nothing.
    """
    tables: dict[str, Any] = {}
    match claims.details:
        case SnpClaims() as details:
            tables["sev_snp"] = _snp(claims, details, product)
        case SgxClaims() as details:
            tables["sgx"] = _sgx(details)
        case TdxClaims() as details:
            tables["tdx"] = _tdx(details)
        case NitroClaims() as details:
            tables["nitro"] = _nitro(details)
        case TpmClaims() as details:
            tables["tpm"] = _tpm(details)
        case AzureClaims() as details:
            tables = _tables(details.hardware, product) | {"tpm": _tpm(details.tpm)}
        case Gpus() as details:
            tables["nvidia_gpu"] = _gpus(details)
    return tables


def _snp(claims: Claims, details: SnpClaims, product: str) -> SnpPolicy:
    host_data = (details.host_data,) if any(details.host_data) else ()
    return SnpPolicy(
        measurements=(claims.measurement,),
        host_data=host_data,
        signing_keys=(details.signing_key.name,),
        minimum_tcb=MinimumTcb(**{product.lower(): details.tcb}),
        minimum_guest_svn=details.guest_svn,
        vmpl=(details.vmpl,),
        products=(product,),
        allow_smt=details.guest_policy.smt,
        allow_cxl=details.guest_policy.cxl_allow,
        allow_migration=details.guest_policy.migrate_ma,
    )


def _sgx(details: SgxClaims) -> SgxPolicy:
    return SgxPolicy(
        mr_enclave=(details.mr_enclave,),
        mr_signer=(details.mr_signer,),
        isv_prod_ids=(details.isv_prod_id,),
        minimum_isv_svn=details.isv_svn,
        attributes=details.attributes,
        misc_select=details.misc_select,
        platform=_platform(details.platform),
    )


def _tdx(details: TdxClaims) -> TdxPolicy:
    rtmr = [(each,) if any(each) else () for each in details.rtmr]
    return TdxPolicy(
        mr_td=(details.mr_td,),
        rtmr0=rtmr[0],
        rtmr1=rtmr[1],
        rtmr2=rtmr[2],
        rtmr3=rtmr[3],
        xfam=(details.xfam,),
        mr_config_id=_pin(details.mr_config_id),
        mr_owner=_pin(details.mr_owner),
        mr_owner_config=_pin(details.mr_owner_config),
        mr_service_td=_pin(details.mr_service_td),
        platform=_platform(details.platform),
        allow_firmware_alone=not rtmr[1],
        allow_sept_ve_enabled=not details.sept_ve_disable,
        allow_migration=details.migratable,
    )


def _platform(details: PlatformClaims) -> PlatformPolicy:
    return PlatformPolicy(
        tcb_statuses=(details.tcb_status,),
        accepted_advisories=details.advisory_ids,
        minimum_tcb_evaluation_data_number=details.tcb_evaluation_data_number,
        allow_smt=details.smt_enabled is not False,
    )


def _nitro(details: NitroClaims) -> NitroPolicy:
    pcrs = {each: _pin(details.pcrs.get(each, b"")) for each in _NITRO_PCRS}
    return NitroPolicy(pcr0=pcrs[0], pcr1=pcrs[1], pcr2=pcrs[2], pcr8=pcrs[8])


def _tpm(details: TpmClaims) -> TpmPolicy:
    bank = "sha256" if "sha256" in details.pcrs else max(details.pcrs)
    values = details.pcrs[bank]
    pins = tuple(
        PcrPin(bank=bank, index=index, digests=(values[index],))
        for index in _TPM_PCRS
        if any(values.get(index, b""))
    )
    return TpmPolicy(
        pcrs=pins,
        ak_sources=(details.ak_source,),
        minimum_firmware=details.firmware_version,
        require_secure_boot=details.boot.secure_boot is True,
    )


def _gpus(details: Gpus) -> GpuPolicy:
    gpus = details.gpus
    return GpuPolicy(
        minimum_gpus=len(gpus),
        architectures=_each(gpu.architecture for gpu in gpus),
        modes=_each(gpu.mode for gpu in gpus if gpu.mode),
        driver_versions=_each(gpu.driver_version for gpu in gpus),
        vbios_versions=_each(gpu.vbios_version for gpu in gpus),
    )


def _pin(value: bytes) -> tuple[bytes, ...]:
    """A list with a value; none where it is zero, which says nothing."""
    return (value,) if any(value) else ()


def _each(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
