"""What a policy accepts of NVIDIA GPUs: the table `[nvidia-gpu]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from blindai.tables import Rule, between, one_of
from blindai.verifier.policy_types import MANY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ARCHITECTURES: Final = ("HOPPER", "BLACKWELL")
MODES: Final = ("spt", "mpt", "ppcie")
MAX_GPUS: Final = 16

_DRIVER_VERSION: Final = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}")
_VBIOS_VERSION: Final = re.compile(r"[0-9A-F]{2}(\.[0-9A-F]{2}){4}")
MEASUREMENT_FORM: Final = re.compile(r"[0-9]{1,3}:[0-9a-f]{96}")

_Driver = Annotated[
    str,
    Rule('a driver version, "550.90.07"', _DRIVER_VERSION.fullmatch),
]
_Vbios = Annotated[
    str,
    Rule('a VBIOS version, "96.00.9F.00.01"', _VBIOS_VERSION.fullmatch),
]
_Measurement = Annotated[
    str,
    Rule('"<index>:<96 hex digits, lower case>"', MEASUREMENT_FORM.fullmatch),
]
_Measurements = Annotated[tuple[_Measurement, ...], MANY]
_Architectures = Annotated[tuple[Annotated[str, one_of(*ARCHITECTURES)], ...], MANY]
_Modes = Annotated[tuple[Annotated[str, one_of(*MODES)], ...], MANY]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValues:
    """The measurements of one release of NVIDIA's, as its RIM lists them.

    Attributes:
        version: The driver's or the VBIOS's, for which they hold.
        measurements: Index and SHA-384 in hexadecimal; an index that stands there
            several times may have any of those values.
        product: The chip for which they hold, `GH100`; any if empty.
        name: Of the RIM, for people.
    """

    version: str
    measurements: _Measurements
    product: str = ""
    name: str = ""

    @property
    def by_index(self) -> Mapping[int, frozenset[bytes]]:
        """What each index may have."""
        found: dict[int, frozenset[bytes]] = {}
        for index, value in self._pairs():
            found[index] = found.get(index, frozenset()) | {value}
        return found

    def _pairs(self) -> Iterator[tuple[int, bytes]]:
        for each in self.measurements:
            index, _, digest = each.partition(":")
            yield int(index), bytes.fromhex(digest)


_References = Annotated[tuple[ReferenceValues, ...], MANY]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPolicy:
    """What is accepted of the GPUs beside an enclave. Empty lists pin nothing.

    Its presence asks for them: without GPU evidence the enclave is refused.

    Attributes:
        minimum_gpus: How many there have to be.
        architectures: Which.
        modes: Confidential computing modes; a GPU that does not say is refused where
            they are given.
        driver_versions: Drivers.
        minimum_driver_version: The least one, or None.
        vbios_versions: Firmware releases.
        minimum_vbios_version: The least one, or None. Boards of different kinds count
            differently.
        reference_values: What a GPU may have measured, by driver and VBIOS version; a
            GPU of another version is refused where they are given.
    """

    minimum_gpus: Annotated[int, between(1, MAX_GPUS)] = 1
    architectures: _Architectures = ARCHITECTURES
    modes: _Modes = ()
    driver_versions: Annotated[tuple[_Driver, ...], MANY] = ()
    minimum_driver_version: _Driver | None = None
    vbios_versions: Annotated[tuple[_Vbios, ...], MANY] = ()
    minimum_vbios_version: _Vbios | None = None
    reference_values: _References = ()
