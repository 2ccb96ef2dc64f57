"""What evidence says, in words that are the same for every TEE. Nothing is believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from blindai.verifier.intel.claims import SgxClaims, TdxClaims
    from blindai.verifier.snp.claims import SnpClaims
    from blindai.verifier.tpm.claims import AzureClaims, TpmClaims

    Details: TypeAlias = SnpClaims | SgxClaims | TdxClaims | TpmClaims | AzureClaims
    """What only one kind of TEE says."""

_D = TypeVar("_D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What evidence says about an enclave.

    Attributes:
        tee: The kind of TEE: `sev-snp`, `sgx`, `tdx`.
        measurement: What people pin first: SEV-SNP's launch measurement, 48 bytes,
            MRENCLAVE, 32, or MRTD, 48.
        report_data: What the attester bound to the evidence: 64 bytes, or 32 where the
            TEE signs a digest.
        debug: Whether the host may read the enclave's memory.
        details: What only this kind of TEE says.
        nonce: The challenge, where evidence has a field of its own for it, or None.
    """

    tee: str
    measurement: bytes
    report_data: bytes
    debug: bool
    details: Details
    nonce: bytes | None = field(default=None, repr=False)

    def of(self, kind: type[_D]) -> _D:
        """The details, as what they are known to be.

        Raises:
            TypeError: If they are of another kind of TEE.
        """
        if not isinstance(self.details, kind):
            raise TypeError(f"details: expected those of {kind.__name__}")
        return self.details
