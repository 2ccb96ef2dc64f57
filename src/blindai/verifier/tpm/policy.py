"""What a policy accepts of a TPM, alone or of an Azure VM: the table `[tpm]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from blindai.protocol.tpm import HASH_BYTES, PCR_COUNT
from blindai.tables import Key, between, count, one_of
from blindai.verifier.policy_types import MANY, U64, Flag, Texts
from blindai.verifier.tpm.boot import GOOGLE_TECHNOLOGIES
from blindai.verifier.tpm.claims import AkSource

BANKS: Final = ("sha256", "sha384", "sha512")
# Extended before what is booted runs (PFP 3.3.4): 4 what firmware starts, 7 who may
# have signed that; 17 and 18 what a dynamic launch starts. Others say nothing of it, or
# can be extended by whatever runs with the digests of something else.
IDENTIFYING: Final = frozenset({4, 7, 17, 18})
_NO_LAUNCH: Final = 0xFF  # all bytes of 17 and 18 where there was none (PFP 3.3.4)
_Index = Annotated[int, between(0, PCR_COUNT - 1)]
_Digests = Annotated[tuple[bytes, ...], MANY]
_Indices = Annotated[tuple[_Index, ...], count(1, PCR_COUNT)]
_Source = Annotated[str, one_of(*AkSource)]
_Sources = Annotated[tuple[_Source, ...], count(1, len(AkSource))]
_Technology = Annotated[str, one_of(*GOOGLE_TECHNOLOGIES)]
_Technologies = Annotated[tuple[_Technology, ...], count(1, len(GOOGLE_TECHNOLOGIES))]


@dataclass(frozen=True, slots=True, kw_only=True)
class PcrPin:
    """What is accepted of one register.

    Attributes:
        bank: The bank's algorithm; SHA-1 is none.
        index: The register's number.
        digests: Its values.

    Raises:
        ValueError: If a digest is not of the bank's size.
    """

    bank: Annotated[str, one_of(*BANKS)] = "sha256"
    index: Annotated[_Index, Key("index", required=True)]
    digests: Annotated[_Digests, Key("digests", required=True)]

    def __post_init__(self) -> None:
        size = HASH_BYTES[self.bank]
        if any(len(digest) != size for digest in self.digests):
            raise ValueError(f"digests: expected {size} bytes each, in hexadecimal")

    @property
    def identifies(self) -> bool:
        """Whether the values say what was booted: what runs cannot reach them."""
        return self.index in IDENTIFYING and all(map(_is_digest, self.digests))


def _is_digest(value: bytes) -> bool:
    """Whether something was measured: not zeros, nor what stands for no launch."""
    return any(value) and any(each != _NO_LAUNCH for each in value)


_Pins = Annotated[tuple[PcrPin, ...], count(1, 3 * PCR_COUNT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmPolicy:
    """What is accepted of a TPM. Empty lists pin nothing.

    Attributes:
        pcrs: Values of registers, each register once.
        ak_sources: Who may vouch for the attestation key. If empty: the hardware
            report where the policy accepts confidential VMs of Azure, which have both,
            and a certificate where it does not.
        minimum_firmware: The least firmware of the TPM, as its maker counts.
        require_safe_clock: Whether the clock must not have been set back.
        event_log_pcrs: Registers that the event log must account for.
        require_secure_boot: Whether firmware must say that it booted only what is
            signed.
        google_projects: Projects, by their id, whose machine it may be.
        google_zones: Where it may run.
        google_technologies: Memory encryption that Google's firmware may have found.
        allow_console: Whether an Azure VM may have a console.

    Raises:
        ValueError: If a register is pinned twice.
    """

    pcrs: _Pins = ()
    ak_sources: _Sources = ()
    minimum_firmware: U64 = 0
    require_safe_clock: Flag = False
    event_log_pcrs: _Indices = ()
    require_secure_boot: Flag = False
    google_projects: Texts = ()
    google_zones: Texts = ()
    google_technologies: _Technologies = ()
    allow_console: Flag = True

    def __post_init__(self) -> None:
        if len({(pin.bank, pin.index) for pin in self.pcrs}) != len(self.pcrs):
            raise ValueError("pcrs: expected each register once, with all its digests")

    @property
    def identity(self) -> dict[str, tuple[bytes, ...]]:
        """What says which image, or whose, is accepted, by key."""
        identifying = (pin.digests for pin in self.pcrs if pin.identifies)
        return {"pcrs": tuple(digest for digests in identifying for digest in digests)}

    @property
    def pins_identity(self) -> bool:
        """Whether something says what was booted, or whose."""
        return any(self.identity.values())
