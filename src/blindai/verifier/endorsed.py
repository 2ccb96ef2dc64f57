"""What vendors say about evidence, sorted by what it is; nothing is believed yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.protocol import endorsements as files
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
)
from blindai.verifier.certificates import parse_pem
from blindai.verifier.crl import parse_crl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from blindai.verifier.certificates import Certificate
    from blindai.verifier.crl import Crl


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsements:
    """Endorsements by kind.

    Attributes:
        certificates: Of all chains, in the order in which they came.
        crls: Lists of revoked certificates.
        intel_collateral: Intel's TCB information, identities and lists, as JSON; empty
            where there is none.
    """

    certificates: tuple[Certificate, ...] = ()
    crls: tuple[Crl, ...] = ()
    intel_collateral: bytes = field(default=b"", repr=False)


def gather(endorsements: Iterable[Endorsement]) -> Endorsements:
    """Read endorsements and sort them.

    Raises:
        EvidenceError: If one is malformed or of an unknown kind, or if there are two of
            Intel's collateral.
    """
    certificates: list[Certificate] = []
    crls: list[Crl] = []
    collateral: list[bytes] = []
    for each in endorsements:
        match each.media_type:
            case t if t == PEM_CHAIN_TYPE:
                certificates += parse_pem(each.content)
            case t if t == CRL_TYPE:
                crls.append(parse_crl(each.content))
            case t if t == INTEL_COLLATERAL_TYPE:
                collateral.append(each.content)
            case _:
                raise EvidenceError(
                    f"endorsement: expected {PEM_CHAIN_TYPE}, {CRL_TYPE} or"
                    f" {INTEL_COLLATERAL_TYPE}, got another"
                )
    if len(collateral) > 1:
        raise EvidenceError("endorsements: expected Intel's collateral once")
    return Endorsements(
        certificates=tuple(certificates),
        crls=tuple(crls),
        intel_collateral=b"".join(collateral),
    )


def bring(
    stapled: Iterable[Endorsement], brought: tuple[Endorsement, ...]
) -> tuple[Endorsement, ...]:
    """What a relying party brings, and all that was stapled and is not replaced by it.

    A certificate replaces those of the same subject, a list of revoked ones those of
    the same issuer, Intel's collateral any other. None counts for more than if it had
    been stapled: all of it is verified.

    Args:
        stapled: What came with the evidence.
        brought: What the relying party has itself.

    Raises:
        EvidenceError: If one is malformed.
    """
    if not brought:
        return tuple(stapled)
    return (*brought, *_not_replaced(stapled, gather(brought)))


def _not_replaced(
    stapled: Iterable[Endorsement], brought: Endorsements
) -> Iterator[Endorsement]:
    subjects = {each.subject for each in brought.certificates}
    issuers = {each.issuer for each in brought.crls}
    for each in stapled:
        match each.media_type:
            case t if t == PEM_CHAIN_TYPE:
                yield from _others(each.content, subjects)
            case t if t == CRL_TYPE and parse_crl(each.content).issuer in issuers:
                pass
            case t if t == INTEL_COLLATERAL_TYPE and brought.intel_collateral:
                pass
            case _:
                yield each


def _others(pem: bytes, subjects: set[bytes]) -> Iterator[Endorsement]:
    """The certificates of a chain that have none of these subjects."""
    left = [
        der
        for der, parsed in zip(files.certificates(pem), parse_pem(pem), strict=True)
        if parsed.subject not in subjects
    ]
    if left:
        yield Endorsement(PEM_CHAIN_TYPE, b"".join(map(files.encode_pem, left)))
