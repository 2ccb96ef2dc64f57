"""What is in endorsements, line by line: read as the verifier does, not believed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.protocol.attestation import CRL_TYPE, INTEL_COLLATERAL_TYPE, PEM_CHAIN_TYPE
from blindai.verifier.certificates import common_name, parse_pem
from blindai.verifier.crl import parse_crl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from blindai.protocol.attestation import Endorsement

_CHAINS = (
    "pck_crl_issuer_chain",
    "tcb_info_issuer_chain",
    "qe_identity_issuer_chain",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One document.

    Attributes:
        kind: What it is.
        subject: What it is about.
        issuer: Who says so.
        first: From when it counts.
        last: Until when.
        facts: What else is in it, by name.
    """

    kind: str
    subject: str
    issuer: str
    first: datetime
    last: datetime
    facts: dict[str, object]

    def days_left(self, now: datetime) -> int:
        """Whole days until it no longer counts; negative once it does not."""
        return (self.last - now).days

    def to_json(self, now: datetime) -> dict[str, object]:
        """The line for machines."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "issuer": self.issuer,
            "not_before": self.first.isoformat(),
            "not_after": self.last.isoformat(),
            "days_left": self.days_left(now),
            **self.facts,
        }


def read_lines(endorsements: Iterable[Endorsement]) -> Iterator[Line]:
    """A line for each document in them.

    Raises:
        EvidenceError: If one is malformed or of an unknown kind.
    """
    for each in endorsements:
        match each.media_type:
            case t if t == PEM_CHAIN_TYPE:
                yield from _certificates(each.content)
            case t if t == CRL_TYPE:
                yield _crl(each.content)
            case t if t == INTEL_COLLATERAL_TYPE:
                yield from _collateral(each.content)
            case _:
                raise EvidenceError("endorsement: expected a known kind, got another")


def _certificates(pem: bytes) -> Iterator[Line]:
    for certificate in parse_pem(pem):
        yield Line(
            kind="certificate",
            subject=certificate.name,
            issuer=common_name(certificate.issuer),
            first=certificate.not_before,
            last=certificate.not_after,
            facts={"sha256": certificate.digest.hex()},
        )


def _crl(der: bytes) -> Line:
    crl = parse_crl(der)
    issuer = common_name(crl.issuer)
    return Line(
        kind="CRL",
        subject=f"{len(crl.revoked)} revoked",
        issuer=issuer,
        first=crl.this_update,
        last=crl.next_update,
        facts={"revoked": len(crl.revoked)},
    )


def _collateral(data: bytes) -> Iterator[Line]:
    try:
        parts = json.loads(data)
        yield _signed("TCB info", parts["tcb_info"])
        yield _signed("QE identity", parts["qe_identity"])
        for name in ("pck_crl", "root_ca_crl"):
            yield _crl(bytes.fromhex(parts[name]))
        chains = [parts[name].encode() for name in _CHAINS]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise EvidenceError(
            "endorsements: expected Intel's collateral, got something else"
        ) from error
    yield from {
        line.facts["sha256"]: line for chain in chains for line in _certificates(chain)
    }.values()


def _signed(kind: str, text: str) -> Line:
    """Intel PCS API v4, appendices A and B."""
    document = json.loads(text)
    facts = {
        name: _typed(document[key], kind)
        for name, key, kind in (
            ("evaluation_data_number", "tcbEvaluationDataNumber", int),
            ("fmspc", "fmspc", str),
        )
        if key in document
    }
    name = " ".join(str(document[key]) for key in ("id", "fmspc") if key in document)
    return Line(
        kind=kind,
        subject=name,
        issuer="Intel SGX TCB Signing",
        first=_moment(document["issueDate"]),
        last=_moment(document["nextUpdate"]),
        facts=facts,
    )


def _typed(value: object, kind: type) -> object:
    if type(value) is not kind:  # NaN, which Python reads, is no JSON to write
        raise TypeError(f"fact: expected {kind.__name__}")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError("time: expected a time zone")
    return moment
