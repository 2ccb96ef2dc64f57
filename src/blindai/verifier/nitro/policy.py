"""What a policy accepts of AWS Nitro Enclaves: the table `[nitro]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from blindai.verifier.policy_types import U32, Bytes48s, Flag, Texts

DEFAULT_MAX_DOCUMENT_AGE_S: Final = 3 * 3600  # what its certificate has
_Pcrs = Bytes48s


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroPolicy:
    """What is accepted of a Nitro enclave. Empty lists pin nothing.

    Attributes:
        pcr0: Enclave images, 48 bytes each.
        pcr1: Kernels with their first ramdisk, 48 bytes each.
        pcr2: Applications, 48 bytes each.
        pcr3: IAM roles of the parent instance, 48 bytes each.
        pcr4: IDs of the parent instance, 48 bytes each.
        pcr8: Certificates that may sign an image, 48 bytes each.
        module_ids: Names of enclaves.
        max_document_age_s: How old a document may be, in seconds; by default as old as
            the certificate that signs it, which lives for three hours whatever stands
            here.
        insecure_allow_debug: Whether the operator may read the enclave's console; then
            what runs in it is not measured.

    Raises:
        ValueError: If zeros are pinned for an identity, which is debug mode or no
            signature.
    """

    pcr0: _Pcrs = ()
    pcr1: _Pcrs = ()
    pcr2: _Pcrs = ()
    pcr3: _Pcrs = ()
    pcr4: _Pcrs = ()
    pcr8: _Pcrs = ()
    module_ids: Texts = ()
    max_document_age_s: U32 = DEFAULT_MAX_DOCUMENT_AGE_S
    insecure_allow_debug: Flag = False

    def __post_init__(self) -> None:
        for key, pins in self.identity.items():
            if not all(map(any, pins)):
                raise ValueError(
                    f"{key}: expected digests, got zeros, which stand for none"
                )

    @property
    def identity(self) -> dict[str, tuple[bytes, ...]]:
        """What says which image, or whose, is accepted, by key."""
        return {"pcr0": self.pcr0, "pcr8": self.pcr8}

    @property
    def pins_identity(self) -> bool:
        """Whether something says which image, or whose, is accepted."""
        return any(self.identity.values())
