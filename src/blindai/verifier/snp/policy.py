"""What a policy accepts of SEV-SNP enclaves: the table `[sev-snp]`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

from blindai.tables import Key, Rule, between, one_of
from blindai.verifier import roots
from blindai.verifier.policy_types import (
    MANY,
    U32,
    U64,
    Bytes16s,
    Bytes32s,
    Bytes48s,
    Flag,
    Texts,
)
from blindai.verifier.snp.claims import SigningKey, Tcb

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHIP_ID_BYTES: Final = (8, 64)
_ChipIds = Annotated[
    tuple[
        Annotated[
            bytes,
            Rule(
                "64 bytes in hexadecimal, or Turin's 8",
                lambda value: len(value) in _CHIP_ID_BYTES,
            ),
        ],
        ...,
    ],
    MANY,
]
_Vmpls = Annotated[tuple[Annotated[int, between(0, 3)], ...], MANY]
_Products = Annotated[tuple[Annotated[str, one_of(*roots.AMD_PRODUCTS)], ...], MANY]
_KEYS: Final = (SigningKey.VCEK.name, SigningKey.VLEK.name)
_Keys = Annotated[tuple[Annotated[str, one_of(*_KEYS)], ...], MANY]


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumTcb:
    """The least firmware of each processor line, whose numbers have nothing in common.

    Attributes:
        milan: Of Milan, or None.
        genoa: Of Genoa, Bergamo and Siena, or None.
        turin: Of Turin, or None.

    Raises:
        ValueError: If a level is given for FMC where there is none.
    """

    milan: Annotated[Tcb | None, Key("Milan")] = None
    genoa: Annotated[Tcb | None, Key("Genoa")] = None
    turin: Annotated[Tcb | None, Key("Turin")] = None

    def __post_init__(self) -> None:
        for floor in (self.milan, self.genoa):
            if floor is not None and floor.fmc is not None:
                raise ValueError("expected fmc for Turin only, which alone has it")

    def of(self, product: str) -> Tcb | None:
        """The least firmware of a processor line; None if there is none."""
        floors = {"Milan": self.milan, "Genoa": self.genoa, "Turin": self.turin}
        return floors.get(product)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredGuestPolicy:
    """What the enclave's owner has to have asked of the firmware; see `GuestPolicy`.

    Attributes:
        single_socket: To run the enclave on one socket only.
        mem_aes_256_xts: To encrypt memory with AES-256-XTS.
        rapl_dis: To have power metering off.
        ciphertext_hiding_dram: To hide ciphertext from the host.
        page_swap_disable: To keep the host from moving pages.
    """

    single_socket: Flag = False
    mem_aes_256_xts: Flag = False
    rapl_dis: Flag = False
    ciphertext_hiding_dram: Flag = False
    page_swap_disable: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredPlatform:
    """How the machine has to be set up; see `PlatformInfo`.

    Attributes:
        tsme: All memory encrypted, the host's too.
        ecc: Memory corrects errors.
        rapl_dis: Power metering off.
        ciphertext_hiding_dram: Ciphertext hidden from the host.
        alias_check: No two addresses lead to one place in memory, and the firmware has
            looked.
    """

    tsme: Flag = False
    ecc: Flag = False
    rapl_dis: Flag = False
    ciphertext_hiding_dram: Flag = False
    alias_check: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpPolicy:
    """What is accepted of an SEV-SNP enclave. Empty lists pin nothing.

    Attributes:
        measurements: Launch measurements, 48 bytes each.
        id_key_digests: SHA-384 of keys that may sign an image, 48 bytes each.
        author_key_digests: SHA-384 of keys that may certify those, 48 bytes each.
        host_data: What the host may have said at launch, 32 bytes each.
        family_ids: Families of images, 16 bytes each.
        image_ids: Images, 16 bytes each, as who signed them calls them.
        chip_ids: Processors, 64 bytes each, or Turin's 8.
        signing_keys: Kinds of keys that may have signed the report.
        csp_ids: Cloud providers whose keys may have signed the report.
        minimum_tcb: The least firmware, or None.
        minimum_launch_tcb: The least firmware when the enclave was launched, or None.
        minimum_guest_svn: The least security version of the image.
        launch_mitigations: Bits of the mitigation vector that have to have been set
            when the enclave was launched.
        current_mitigations: Bits of the mitigation vector that have to be set.
        vmpl: Privilege levels, of 0 to 3, that may have asked for the evidence.
        products: Processor lines.
        allow_smt: Whether multithreading may be on.
        allow_cxl: Whether CXL devices and memory may be there.
        allow_migration: Whether a migration agent may be associated.
        guest_policy: What the enclave's owner has to have asked of the firmware.
        platform: How the machine has to be set up.
        insecure_allow_debug: Whether the host may read the enclave's memory.

    Raises:
        ValueError: If a digest of zeros is pinned, which no key has, or a chip of
            zeros, which is a hidden one; or if there is a least firmware for some
            processor lines that are accepted, and none for others.
    """

    measurements: Bytes48s = ()
    id_key_digests: Bytes48s = ()
    author_key_digests: Bytes48s = ()
    host_data: Bytes32s = ()
    family_ids: Bytes16s = ()
    image_ids: Bytes16s = ()
    chip_ids: _ChipIds = ()
    signing_keys: _Keys = _KEYS
    csp_ids: Texts = ()
    minimum_tcb: MinimumTcb | None = None
    minimum_launch_tcb: MinimumTcb | None = None
    minimum_guest_svn: U32 = 0
    launch_mitigations: U64 = 0
    current_mitigations: U64 = 0
    vmpl: _Vmpls = (0,)
    products: _Products = roots.AMD_PRODUCTS
    allow_smt: Flag = True
    allow_cxl: Flag = False
    allow_migration: Flag = False
    guest_policy: RequiredGuestPolicy = field(default_factory=RequiredGuestPolicy)
    platform: RequiredPlatform = field(default_factory=RequiredPlatform)
    insecure_allow_debug: Flag = False

    def __post_init__(self) -> None:
        for key, pins in {**self.identity, "chip_ids": self.chip_ids}.items():
            if not all(map(any, pins)):
                raise ValueError(
                    f"{key}: expected values, got zeros, which stand for none"
                )
        for key, floors in self._floors():
            for product in self.products:
                if floors.of(product) is None:
                    raise ValueError(
                        f"{key}: expected the least firmware of {product} too, or"
                        f" products without {product}"
                    )

    @property
    def identity(self) -> dict[str, tuple[bytes, ...]]:
        """What says which image, or whose, is accepted, by key."""
        return {
            "measurements": self.measurements,
            "id_key_digests": self.id_key_digests,
            "author_key_digests": self.author_key_digests,
        }

    @property
    def pins_identity(self) -> bool:
        """Whether something says which image, or whose, is accepted."""
        return any(self.identity.values())

    def _floors(self) -> Iterator[tuple[str, MinimumTcb]]:
        if self.minimum_tcb is not None:
            yield "minimum_tcb", self.minimum_tcb
        if self.minimum_launch_tcb is not None:
            yield "minimum_launch_tcb", self.minimum_launch_tcb
