"""A made-up machine, and how one of its fields is changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.attester import Attester, DeviceAttester
    from blindai.protocol.attestation import Endorsement, Evidence
    from blindai.protocol.keyset import Binding

_Fields = TypeVar("_Fields", bound=Any)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A made-up machine.

    Attributes:
        attester: What a server inside it asks.
        policy: A policy file that accepts it unchanged; insecure, as all of this.
        devices: The GPUs beside it; None where there are none.
    """

    attester: Attester
    policy: str
    devices: DeviceAttester | None = None


class Endorsed:
    """An attester whose evidence comes with what a server would have fetched.

    Args:
        attester: The real one.
        endorsements: What its evidence needs.
    """

    def __init__(self, attester: Attester, *endorsements: Endorsement) -> None:
        self._attester = attester
        self._endorsements = endorsements

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return self._attester.tee

    @property
    def sealing(self) -> str | None:
        """Which sealing key it derives, in words."""
        return self._attester.sealing

    def attest(self, binding: Binding) -> Evidence:
        """The attester's evidence, endorsed."""
        evidence = self._attester.attest(binding)
        endorsements = (*evidence.endorsements, *self._endorsements)
        return replace(evidence, endorsements=endorsements)

    def sealing_key(self) -> bytes | None:
        """The attester's own."""
        return self._attester.sealing_key()


def changed(usual: _Fields, changes: Mapping[str, str]) -> _Fields:
    """A dataclass with other values in some fields.

    Args:
        usual: The one to change.
        changes: By field: numbers as Python writes them, bytes in hexadecimal, dates in
            ISO 8601 with a time zone, text as it is; no text at all for None.

    Raises:
        ValueError: If there is no such field, or the text is no such value.
    """
    unknown = sorted(name for name in changes if not hasattr(usual, name))
    if unknown:
        raise ValueError(f"changes: expected known fields, got {', '.join(unknown)}")
    values = {
        name: _value(getattr(usual, name), text) for name, text in changes.items()
    }
    return replace(usual, **values)


def _value(usual: object, text: str) -> object:
    match usual:
        case _ if not text:
            return None
        case int():
            return int(text, 0)
        case bytes():
            return bytes.fromhex(text)
        case datetime():
            return datetime.fromisoformat(text)
        case _:
            return text
