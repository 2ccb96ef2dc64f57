"""What a policy accepts of Intel's TEEs: the tables `[sgx]` and `[tdx]`.

[sgx]
mr_enclave = ["<64 hex>"]       # measurements; or whose they may be:
mr_signer = ["<64 hex>"]        # SHA-256 of the key that signed the enclave
isv_prod_ids = [1]              # with mr_signer: which of its products
minimum_isv_svn = 2
attributes = "<32 hex>"         # flags and XFRM, as they lie in the report ...
attributes_mask = "<32 hex>"    # ... and which bits of them count
misc_select = "<8 hex>"
config_ids = ["<128 hex>"]
minimum_config_svn = 0
isv_family_ids = ["<32 hex>"]
isv_ext_prod_ids = ["<32 hex>"]
insecure_allow_debug = false

[sgx.platform]                  # [tdx.platform] has the same keys
tcb_statuses = ["UpToDate"]
accepted_advisories = ["INTEL-SA-00615"]  # if given, no others
rejected_advisories = ["INTEL-SA-00289"]
minimum_tcb_evaluation_data_number = 17
allow_smt = true

[tdx]
mr_td = ["<96 hex>"]            # measurements of the firmware
rtmr0 = ["<96 hex>"]            # and rtmr1, rtmr2, rtmr3: what it measured
xfam = ["<16 hex>"]             # as it lies in the report
mr_seam = ["<96 hex>"]          # TDX modules
mr_config_id = ["<96 hex>"]     # likewise mr_owner, mr_owner_config
mr_service_td = ["<96 hex>"]    # zero, which means none, if not given
allow_firmware_alone = false    # accepts a policy of mr_td without rtmr1
allow_sept_ve_enabled = false   # Azure's trust domains need it
allow_migration = false
insecure_allow_debug = false
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final

from blindai.tables import one_of, size
from blindai.verifier.intel.standing import (
    RELAUNCH_ADVISED,
    RELAUNCH_ADVISED_CONFIGURATION,
)
from blindai.verifier.intel.tcb_info import PLATFORM_STATUSES, REVOKED, UP_TO_DATE
from blindai.verifier.policy_types import (
    MANY,
    U16,
    U32,
    Bytes8s,
    Bytes16s,
    Bytes32s,
    Bytes48s,
    Bytes64s,
    Flag,
    Texts,
    U16s,
)

ACCEPTABLE_STATUSES: Final = (
    *(status for status in PLATFORM_STATUSES if status != REVOKED),
    RELAUNCH_ADVISED,
    RELAUNCH_ADVISED_CONFIGURATION,
)
_Statuses = Annotated[tuple[Annotated[str, one_of(*ACCEPTABLE_STATUSES)], ...], MANY]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformPolicy:
    """What is accepted of a machine of Intel's.

    Attributes:
        tcb_statuses: What Intel may think of its level of security. A revoked one is
            never accepted.
        accepted_advisories: The only advisories that may be open; if empty, any may
            that go with an accepted status.
        rejected_advisories: Advisories that may not be open.
        minimum_tcb_evaluation_data_number: The least round of Intel's evaluation.
        allow_smt: Whether multithreading may be on, or not be spoken of.
    """

    tcb_statuses: _Statuses = (UP_TO_DATE,)
    accepted_advisories: Texts = ()
    rejected_advisories: Texts = ()
    minimum_tcb_evaluation_data_number: U32 = 0
    allow_smt: Flag = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxPolicy:
    """What is accepted of an SGX enclave. Empty lists pin nothing.

    Attributes:
        mr_enclave: Measurements of code and data, 32 bytes each.
        mr_signer: SHA-256 of keys that may sign an enclave, 32 bytes each.
        isv_prod_ids: The signers' numbers for products.
        minimum_isv_svn: The least security version of the product.
        attributes: Flags and XFRM, 16 bytes as they lie in a report; None for any.
        attributes_mask: Which bits of them count, 16 bytes; None for all.
        misc_select: Extended features, 4 bytes as they lie in a report; None for any.
        config_ids: What the host may have said at launch, 64 bytes each.
        minimum_config_svn: The least security version of that.
        isv_family_ids: The signers' names for families of products, 16 bytes each.
        isv_ext_prod_ids: Extended product numbers, 16 bytes each.
        platform: What is accepted of the machine.
        insecure_allow_debug: Whether the host may read the enclave's memory.

    Raises:
        ValueError: If a signer is named without products, or a mask without what it
            masks.
    """

    mr_enclave: Bytes32s = ()
    mr_signer: Bytes32s = ()
    isv_prod_ids: U16s = ()
    minimum_isv_svn: U16 = 0
    attributes: Annotated[bytes, size(16)] | None = None
    attributes_mask: Annotated[bytes, size(16)] | None = None
    misc_select: Annotated[bytes, size(4)] | None = None
    config_ids: Bytes64s = ()
    minimum_config_svn: U16 = 0
    isv_family_ids: Bytes16s = ()
    isv_ext_prod_ids: Bytes16s = ()
    platform: PlatformPolicy = field(default_factory=PlatformPolicy)
    insecure_allow_debug: Flag = False

    def __post_init__(self) -> None:
        if self.mr_signer and not self.isv_prod_ids:
            raise ValueError(
                "isv_prod_ids: expected the products that are meant, got none; a signer"
                " signs many enclaves"
            )
        if self.attributes_mask is not None and self.attributes is None:
            raise ValueError(
                "attributes: expected the bits that attributes_mask is for, got none;"
                " attributes_mask alone pins nothing"
            )

    @property
    def identity(self) -> dict[str, tuple[bytes, ...]]:
        """What says which image, or whose, is accepted, by key."""
        return {"mr_enclave": self.mr_enclave, "mr_signer": self.mr_signer}


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxPolicy:
    """What is accepted of a TDX trust domain. Empty lists pin nothing.

    Firmware runs any kernel, so who names firmware has to name a kernel as well.

    Attributes:
        mr_td: Measurements of the firmware, 48 bytes each.
        rtmr0: What the firmware may have measured of its configuration, 48 bytes each.
        rtmr1: ... of the boot loader and the kernel.
        rtmr2: ... of the command line, the initial file system and the like.
        rtmr3: What applications may have measured.
        xfam: Extended features that it may use, 8 bytes each as they lie in a report.
        mr_seam: TDX modules, 48 bytes each; any of Intel's if empty.
        mr_config_id: The owner's names for configurations, 48 bytes each.
        mr_owner: The owner's names, 48 bytes each.
        mr_owner_config: The owner's names for its own configurations, 48 bytes each.
        mr_service_td: Service trust domains that may be bound, 48 bytes each; none may
            if empty, and zeros stand for none.
        platform: What is accepted of the machine.
        allow_firmware_alone: Whether `mr_td` says enough without `rtmr1`: where the
            firmware contains the kernel or a virtual TPM vouches for it.
        allow_sept_ve_enabled: Whether the host may have the guest meet pages that it
            did not accept as exceptions.
        allow_migration: Whether a service trust domain may move it.
        insecure_allow_debug: Whether the host may read its memory.

    Raises:
        ValueError: If firmware is named without a kernel.
    """

    mr_td: Bytes48s = ()
    rtmr0: Bytes48s = ()
    rtmr1: Bytes48s = ()
    rtmr2: Bytes48s = ()
    rtmr3: Bytes48s = ()
    xfam: Bytes8s = ()
    mr_seam: Bytes48s = ()
    mr_config_id: Bytes48s = ()
    mr_owner: Bytes48s = ()
    mr_owner_config: Bytes48s = ()
    mr_service_td: Bytes48s = ()
    platform: PlatformPolicy = field(default_factory=PlatformPolicy)
    allow_firmware_alone: Flag = False
    allow_sept_ve_enabled: Flag = False
    allow_migration: Flag = False
    insecure_allow_debug: Flag = False

    def __post_init__(self) -> None:
        # RTMR2 is extended by what was started: another kernel can do so just alike.
        if self.mr_td and not (self.rtmr1 or self.allow_firmware_alone):
            raise ValueError(
                "rtmr1: expected what the firmware may start, got none; without it the"
                " operator chooses the kernel (where the firmware contains it, say"
                " allow_firmware_alone = true)"
            )

    @property
    def identity(self) -> dict[str, tuple[bytes, ...]]:
        """What says which image, or whose, is accepted, by key."""
        return {"mr_td": self.mr_td}

    @property
    def rtmr(self) -> tuple[tuple[bytes, ...], ...]:
        """What is accepted of each of the four registers."""
        return (self.rtmr0, self.rtmr1, self.rtmr2, self.rtmr3)
