"""What proofs say, in words and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.cli import console, words
from blindai.cli.predict import first_values
from blindai.client.policies import why_worthless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from blindai.cli.legacy_proof import LegacyProof
    from blindai.client.output import Tensor
    from blindai.proofs import ProofResult
    from blindai.protocol.proof import Claims

_HIDDEN: Final = frozenset({"evidence", "held", "payload"})


def claims_rows(said: LegacyProof | Claims) -> Iterator[words.Row]:
    """What was signed, a row each; nothing that is not there."""
    for row in words.rows(said):
        if row.name.partition(":")[0] not in _HIDDEN and row.value != "none":
            yield row


def claims_json(said: LegacyProof | Claims) -> dict[str, object]:
    """What was signed, for machines."""
    fields = words.to_json(said)
    assert isinstance(fields, dict)  # noqa: S101  a dataclass is written as one
    return {name: each for name, each in fields.items() if name not in _HIDDEN}


def warn_of_worthless(results: Iterable[ProofResult]) -> None:
    """Say, once each, why proofs prove nothing that the policy let through."""
    reasons = [words_ for each in results for _, words_ in why_worthless(each)]
    for reason in dict.fromkeys(reasons):
        console.warn(reason)


def describe(tensor: Tensor) -> str:
    """A tensor's type, shape and first values."""
    shape = " x ".join(map(str, tensor.shape)) or "one number"
    return f"{tensor.datatype.value}, {shape}: {first_values(tensor)}"
