"""What a policy accepts of SEV-SNP enclaves: the table `[sev-snp]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from blindai.tables import Rule, between, count, one_of, size
from blindai.verifier import roots
from blindai.verifier.snp.claims import Tcb  # noqa: TC001  the reader needs the hint

_MANY: Final = count(1, 1024)
_Flag = Annotated[bool, Rule("true or false")]
_U32 = Annotated[int, between(0, 2**32 - 1)]
_Sha256s = Annotated[tuple[Annotated[bytes, size(32)], ...], _MANY]
_Sha384s = Annotated[tuple[Annotated[bytes, size(48)], ...], _MANY]
_Vmpls = Annotated[tuple[Annotated[int, between(0, 3)], ...], _MANY]
_Products = Annotated[tuple[Annotated[str, one_of(*roots.AMD_PRODUCTS)], ...], _MANY]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpPolicy:
    """What is accepted of an SEV-SNP enclave. Empty lists pin nothing.

    Attributes:
        measurements: Launch measurements, 48 bytes each.
        id_key_digests: SHA-384 of keys that may sign an image, 48 bytes each.
        author_key_digests: SHA-384 of keys that may certify those, 48 bytes each.
        host_data: What the host may have said at launch, 32 bytes each.
        minimum_tcb: The least firmware, or None.
        minimum_guest_svn: The least security version of the image.
        vmpl: Privilege levels, of 0 to 3, that may have asked for the evidence.
        products: Processor lines.
        allow_smt: Whether multithreading may be on.
        allow_migration: Whether a migration agent may be associated.
        insecure_allow_debug: Whether the host may read the enclave's memory.

    Raises:
        ValueError: If a digest of zeros is pinned, which no key has.
    """

    measurements: _Sha384s = ()
    id_key_digests: _Sha384s = ()
    author_key_digests: _Sha384s = ()
    host_data: _Sha256s = ()
    minimum_tcb: Tcb | None = None
    minimum_guest_svn: _U32 = 0
    vmpl: _Vmpls = (0,)
    products: _Products = roots.AMD_PRODUCTS
    allow_smt: _Flag = True
    allow_migration: _Flag = False
    insecure_allow_debug: _Flag = False

    def __post_init__(self) -> None:
        for key, pins in self.identity.items():
            if not all(map(any, pins)):
                raise ValueError(
                    f"{key}: expected digests, got zeros, which stand for none"
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
