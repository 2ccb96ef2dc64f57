"""The appraisal policy: which enclaves a relying party accepts. One TOML file.

    version = 1
    insecure_accept_simulation = false  # simulated evidence proves nothing

    [evidence]
    max_age_s = 3600                # allows evidence without a nonce, up to this age
    require_revocation = false      # refuses where a list of revoked ones is missing

    [enclave]
    config_digests = ["<64 hex>"]   # effective configurations
    builds = ["blindai 0.1.0"]      # names of releases

    [sev-snp]                       # its presence accepts AMD SEV-SNP
    measurements = ["<96 hex>"]     # launch measurements
    id_key_digests = ["<96 hex>"]   # SHA-384 of the key that signed the image
    author_key_digests = ["<96 hex>"]
    minimum_tcb = { Milan = { bootloader = 4, tee = 0, snp = 24, microcode = 217 } }
    products = ["Milan"]
    # ... and more: docs/policy.md

    [nitro]                         # its presence accepts AWS Nitro Enclaves
    pcr0 = ["<96 hex>"]             # enclave images
    pcr8 = ["<96 hex>"]             # certificates that may sign an image
    max_document_age_s = 300        # docs/tees/nitro.md has the other keys

    [nvidia-gpu]                    # its presence asks for GPUs beside the enclave
    minimum_gpus = 1                # docs/tees/nvidia-gpu.md has the other keys

    [sgx]                           # Intel SGX: see intel/policy.py
    [tdx]                           # Intel TDX: likewise

    [[insecure_roots]]              # made-up hardware, for tests: proves nothing
    vendor = "AMD"
    sha256 = "<64 hex>"
    product = "Genoa"

Evidence has no date of its own; what dates it without a nonce is `not_before` of the
keyset it binds, so `max_age_s` counts from there. All lists mean: one of these.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Final, Protocol, Self, runtime_checkable

from blindai import tables
from blindai.tables import Key, Rule, size
from blindai.verifier import roots
from blindai.verifier.intel.policy import (
    SgxPolicy,  # noqa: TC001  the reader needs the hint
    TdxPolicy,  # noqa: TC001  the reader needs the hint
)
from blindai.verifier.nitro.policy import (
    NitroPolicy,  # noqa: TC001  the reader needs the hint
)
from blindai.verifier.nvidia.policy import (
    GpuPolicy,  # noqa: TC001  the reader needs the hint
)
from blindai.verifier.policy_types import MANY, U32, Bytes32s, Flag, Texts
from blindai.verifier.snp.policy import (
    SnpPolicy,  # noqa: TC001  the reader needs the hint
)
from blindai.verifier.tpm.policy import (
    TpmPolicy,  # noqa: TC001  the reader needs the hint
)

VERSION: Final = 1
_STACKED: Final = {"az-snp": ("sev-snp", "tpm"), "az-tdx": ("tdx", "tpm")}
_BESIDES: Final = frozenset({"nvidia-gpu"})
"""What may come with a TEE, and is none."""
_Version = Annotated[int, Rule(str(VERSION), lambda value: value == VERSION)]


def tee_tables(tee: str) -> tuple[str, ...]:
    """The tables of a policy file that evidence of a kind of TEE is held against."""
    return _STACKED.get(tee, (tee,))


@runtime_checkable
class TeePolicy(Protocol):
    """What is accepted of one kind of TEE: a table of the policy file."""

    @property
    def identity(self) -> dict[str, tuple[bytes, ...]]:
        """What says which image, or whose, is accepted, by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePolicy:
    """What is accepted of evidence from any TEE.

    Attributes:
        max_age_s: How old the keyset may be when there is no nonce, in seconds; None
            if there has to be one.
        require_revocation: Whether a certificate is refused where its vendor's list of
            revoked ones did not come with the evidence.
    """

    max_age_s: U32 | None = None
    require_revocation: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclavePolicy:
    """What is accepted of an enclave in any TEE. Empty lists pin nothing.

    Attributes:
        config_digests: Effective configurations, SHA-256, 32 bytes each.
        builds: Names of releases.
    """

    config_digests: Bytes32s = ()
    builds: Texts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InsecureRoot:
    """A root of made-up hardware that counts all the same. For tests only.

    Attributes:
        vendor: Whose evidence it may stand behind.
        sha256: Of the certificate's DER, 32 bytes.
        product: The processor line that it stands for, where the vendor has several.
    """

    vendor: Annotated[str, Key("vendor", required=True)]
    sha256: Annotated[bytes, size(32), Key("sha256", required=True)]
    product: str = ""


_Roots = Annotated[tuple[InsecureRoot, ...], MANY]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a relying party accepts.

    A table for another TEE is one more dataclass, a `TeePolicy`, and one more field
    that is None by default; what reads, writes, names and judges it follows.

    Attributes:
        version: Of the file's format: 1.
        insecure_accept_simulation: Whether simulated evidence, which proves nothing, is
            accepted.
        insecure_roots: Roots of made-up hardware that count; what they sign is treated
            as simulated, and warned of.
        evidence: What is accepted of evidence from any TEE.
        enclave: What is accepted of an enclave in any TEE.
        sev_snp: What is accepted of an SEV-SNP enclave; None if none is.
        sgx: What is accepted of an SGX enclave; None likewise.
        tdx: What is accepted of a TDX trust domain; None likewise.
        tpm: What is accepted of a TPM, alone or in an Azure VM; None if none is.
        nitro: What is accepted of a Nitro enclave; None if none is.
        nvidia_gpu: What is asked of the GPUs beside an enclave; None if nothing is.
        unpinned: That nothing is pinned on purpose, as in a `Baseline`; no file can say
            so, and `verify` trusts no enclave for it.

    Raises:
        ValueError: If a policy for genuine hardware names no TEE, or pins no value
            that says which enclave is meant.
    """

    version: Annotated[_Version, Key("version", required=True)] = VERSION
    insecure_accept_simulation: Flag = False
    insecure_roots: _Roots = ()
    evidence: EvidencePolicy = field(default_factory=EvidencePolicy)
    enclave: EnclavePolicy = field(default_factory=EnclavePolicy)
    sev_snp: Annotated[SnpPolicy | None, Key("sev-snp")] = None
    sgx: SgxPolicy | None = None
    tdx: TdxPolicy | None = None
    nitro: NitroPolicy | None = None
    tpm: TpmPolicy | None = None
    nvidia_gpu: Annotated[GpuPolicy | None, Key("nvidia-gpu")] = None
    unpinned: InitVar[bool] = False

    def __post_init__(self, unpinned: bool) -> None:
        if self.insecure_accept_simulation or unpinned:
            return
        if not self.tees:
            known = ", ".join(f"[{tee}]" for tee in self._tables())
            raise ValueError(
                f"expected the table of at least one TEE, {known}, got none;"
                " an empty policy would accept nothing"
            )
        for tee, table in self._tables().items():
            if table is not None and not any(table.identity.values()):
                raise ValueError(
                    f"{tee}: expected {' or '.join(table.identity)}, got none; genuine"
                    " hardware runs any program, so without one the operator chooses"
                    " what you talk to"
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a policy file.

        Raises:
            ConfigurationError: If it is not TOML, not version 1, has an unknown key or
                a wrong value, or accepts too much to mean anything.
        """
        return tables.parse(text, cls, "policy")

    @staticmethod
    def for_simulation() -> Policy:
        """The policy that accepts any simulated enclave, and nothing else."""
        return Policy(insecure_accept_simulation=True)

    @property
    def anchors(self) -> roots.Anchors:
        """The roots that count: the vendors', and made-up ones if they are named."""
        more = tuple(
            roots.Root(
                name=f"INSECURE made-up root of {each.vendor}",
                vendor=each.vendor,
                product=each.product,
                simulated=True,
                digest=each.sha256,
            )
            for each in self.insecure_roots
        )
        return roots.Anchors(
            (*roots.PINNED.roots, *more), self.evidence.require_revocation
        )

    @property
    def tees(self) -> tuple[str, ...]:
        """The genuine TEEs that are accepted."""
        return tuple(tee for tee, table in self._tables().items() if table is not None)

    def accepts(self, tee: str) -> bool:
        """Whether a genuine TEE is accepted; one on top of another needs both."""
        return set(tee_tables(tee)) <= set(self.tees)

    def to_json(self) -> dict[str, object]:
        """The policy as JSON, every default written out, byte strings in hexadecimal.

        Two policies that accept the same in the same words are equal here.
        """
        return tables.write(self)

    @property
    def digest(self) -> bytes:
        """Names the policy: SHA-256 of its JSON with sorted keys, 32 bytes."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(b"blindai policy v1\x00" + text.encode()).digest()

    def _tables(self) -> dict[str, TeePolicy | None]:
        """The tables of all TEEs there are, None for those that are not accepted."""
        return {
            key: value
            for key, value in tables.items(self)
            if isinstance(value, TeePolicy) or (value is None and key not in _BESIDES)
        }
