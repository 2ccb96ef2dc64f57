"""AMD's processor lines: where their reports and certificates differ.

AMD 57230 revision 1.00: chapter 2, product names; 3, extensions for family 19h and for
family 1Ah (Turin). AMD 56860 revision 1.58: 2.2, TCB_VERSION for both families.

    TCB_VERSION    0         1     2     3     4..5  6      7
    Milan, Genoa   bootload. TEE   -     -     -     SNP    microcode
    Turin          FMC       boot. TEE   SNP   -     -      microcode

Bytes without a name are reserved; a leaf certificate has patch levels for them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from blindai.verifier.snp.claims import Tcb

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A processor line, which has a root certificate of its own.

    Attributes:
        name: AMD's name for it, as in its root certificate.
        leaf_names: What its leaf certificates call it, without the stepping.
        models: Family, then first and last model (CPUID, combined).
        struct_version: Of the extensions in its leaf certificates.
        hwid_bytes: How many bytes name a chip.
        components: Which component of the TCB is byte 0, 1, ...; empty if reserved.
        patch_levels: Which patch level of a leaf certificate is byte 0, 1, ....
    """

    name: str
    leaf_names: tuple[str, ...]
    models: tuple[tuple[int, int, int], ...]
    struct_version: int
    hwid_bytes: int
    components: tuple[str, ...]
    patch_levels: tuple[int, ...]

    def has(self, cpuid: tuple[int, int, int]) -> bool:
        """Whether a processor is of this line, by family, model and stepping."""
        family, model, _ = cpuid
        return any(
            family == known and first <= model <= last
            for known, first, last in self.models
        )

    def tcb(self, levels: bytes) -> Tcb:
        """The components of a TCB_VERSION, 8 bytes."""
        named = zip(self.components, levels, strict=True)
        return Tcb(**{name: level for name, level in named if name})


MILAN = Product(
    name="Milan",
    leaf_names=("Milan",),
    models=((0x19, 0x00, 0x0F),),
    struct_version=0,
    hwid_bytes=64,
    components=("bootloader", "tee", "", "", "", "", "snp", "microcode"),
    patch_levels=(1, 2, 4, 5, 6, 7, 3, 8),
)
# Bergamo and Siena, models A0h to AFh, have Genoa's keys.
GENOA = Product(
    name="Genoa",
    leaf_names=("Genoa", "Bergamo", "Siena"),
    models=((0x19, 0x10, 0x1F), (0x19, 0xA0, 0xAF)),
    struct_version=0,
    hwid_bytes=64,
    components=MILAN.components,
    patch_levels=MILAN.patch_levels,
)
# Models 10h to 1Fh are Turin Dense. Venice, models 50h and above, has keys of its own.
TURIN = Product(
    name="Turin",
    leaf_names=("Turin",),
    models=((0x1A, 0x00, 0x1F),),
    struct_version=1,
    hwid_bytes=8,
    components=("fmc", "bootloader", "tee", "snp", "", "", "", "microcode"),
    patch_levels=(9, 1, 2, 3, 5, 6, 7, 8),
)
BY_LEAF_NAME: Mapping[str, Product] = MappingProxyType(
    {name: product for product in (MILAN, GENOA, TURIN) for name in product.leaf_names}
)
