"""What an SGX or TDX quote says, in Intel's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.verifier.intel.attributes import MIGRATABLE, SEPT_VE_DISABLE

if TYPE_CHECKING:
    from datetime import datetime

SGX: Final = "sgx"
TDX: Final = "tdx"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformClaims:
    """What Intel's certificates and statements say of the machine.

    Attributes:
        tcb_status: What Intel thinks of its level of security: UpToDate, ...
        tcb_date: The date of the advisories that it mends.
        advisory_ids: Those that it does not mend: INTEL-SA-00615, ...
        tcb_evaluation_data_number: The round of Intel's evaluation that says so.
        fmspc: Names the kind of platform, 6 bytes.
        pce_id: Names the provisioning certification enclave, 2 bytes.
        pce_svn: Its version.
        cpu_svn: Versions of the processor's components, 16 bytes.
        dynamic_platform: Whether packages may be added; None where it is not said.
        cached_keys: Whether Intel's registration service keeps its keys; None likewise.
        smt_enabled: Whether multithreading is on; None likewise.
    """

    tcb_status: str
    tcb_date: datetime
    advisory_ids: tuple[str, ...]
    tcb_evaluation_data_number: int
    fmspc: bytes
    pce_id: bytes
    pce_svn: int
    cpu_svn: bytes
    dynamic_platform: bool | None
    cached_keys: bool | None
    smt_enabled: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxClaims:
    """What an SGX quote says.

    Attributes:
        mr_enclave: Measurement of the enclave's code and data, 32 bytes (SHA-256).
        mr_signer: SHA-256 of the key that signed the enclave, 32 bytes.
        isv_prod_id: The signer's number for the product.
        isv_svn: The product's security version.
        isv_ext_prod_id: Extended product number, 16 bytes.
        isv_family_id: The signer's name for a family of products, 16 bytes.
        attributes: Flags and XFRM, 16 bytes as they lie in the report.
        misc_select: Extended features, 4 bytes as they lie in the report.
        config_id: What the host said at launch, 64 bytes.
        config_svn: Security version of that.
        platform: What Intel says of the machine.
    """

    mr_enclave: bytes
    mr_signer: bytes
    isv_prod_id: int
    isv_svn: int
    isv_ext_prod_id: bytes
    isv_family_id: bytes
    attributes: bytes
    misc_select: bytes
    config_id: bytes
    config_svn: int
    platform: PlatformClaims


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxClaims:
    """What a TDX quote says.

    Attributes:
        mr_td: Measurement of the trust domain's firmware, 48 bytes (SHA-384).
        rtmr: Four registers of what was measured at run time, 48 bytes each.
        td_attributes: The trust domain's attributes, 64 bits.
        xfam: Extended features that it may use, 8 bytes as they lie in the report.
        mr_config_id: The owner's name for a configuration, 48 bytes; zero if none.
        mr_owner: The owner's name, 48 bytes; zero if none.
        mr_owner_config: The owner's name for its configuration, 48 bytes; zero if none.
        mr_seam: Measurement of the TDX module, 48 bytes.
        mr_signer_seam: Who signed the TDX module, 48 bytes; zero for Intel.
        tee_tcb_svn: Security versions of the TDX module and its loader, 16 bytes.
        tee_tcb_svn2: The same of the module that runs now; None in TDX 1.0.
        mr_service_td: Measurement of the service trust domains bound to it, 48 bytes;
            zero if there are none, as in TDX 1.0.
        platform: What Intel says of the machine.
    """

    mr_td: bytes
    rtmr: tuple[bytes, ...]
    td_attributes: int
    xfam: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    tee_tcb_svn: bytes
    tee_tcb_svn2: bytes | None
    mr_service_td: bytes
    platform: PlatformClaims

    @property
    def sept_ve_disable(self) -> bool:
        """Whether pages that the guest did not accept end it, not raise exceptions."""
        return bool(self.td_attributes & SEPT_VE_DISABLE)

    @property
    def migratable(self) -> bool:
        """Whether a service trust domain may move it to another machine."""
        return bool(self.td_attributes & MIGRATABLE)
