"""From a leaf certificate up to a pinned root (RFC 5280, section 6).

    root = chains.verify(procedure, leaf, pool, Trust(now=now, anchors=anchors, ...))

A certificate says who its issuer is by name; what it says is believed once the issuer's
key is seen to have signed it, and the issuer once all above it, up to a root whose
digest is pinned, is believed. Then its validity and revocation are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.verifier.certificates import common_name
from blindai.verifier.procedure import unevaluated
from blindai.verifier.signatures import algorithm_of, is_signed_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from blindai.verifier.certificates import Certificate
    from blindai.verifier.crl import Crl
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors, Root
    from blindai.verifier.signatures import Algorithm

MAX_PATH: Final = 6
_X509 = "RFC 5280"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a vendor's certificates are held against.

    Attributes:
        now: For when to verify, with a time zone.
        anchors: The roots that count.
        vendor: Whose root it has to be.
        source: The vendor's document about its certificates.
        algorithms: What the vendor signs certificates with.
        crls: Lists of revoked certificates that came with the evidence.
        unlisted: How many certificates, from the leaf up, the vendor never lists as
            revoked; nothing is missing where those have no list.
        understood: Critical extensions, by identifier, that the caller looks at.
        chain: What to call the chain, where the evidence has several.
    """

    now: datetime
    anchors: Anchors
    vendor: str
    source: str
    algorithms: frozenset[Algorithm]
    crls: tuple[Crl, ...] = field(default=(), repr=False)
    unlisted: int = 0
    understood: frozenset[bytes] = frozenset()
    chain: str = ""

    def named(self, what: str) -> str:
        """The name of a line about this chain."""
        return f"{self.chain} {what}" if self.chain else what


@dataclass(frozen=True, slots=True)
class _Link:
    """One certificate of a path.

    Attributes:
        what: What to call it.
        certificate: Itself.
        issuer: The next one up.
        below: How many certificates stand below it, the leaf's too.
        listed: Whether the vendor would list it as revoked.
    """

    what: str
    certificate: Certificate
    issuer: Certificate
    below: int
    listed: bool


def verify(
    procedure: Procedure, leaf: Certificate, pool: Sequence[Certificate], trust: Trust
) -> Root:
    """Verify a leaf certificate up to a pinned root.

    1. Each certificate's issuer is there, up to one that names itself.
    2. That one is a root of the vendor's, by its digest.
    3. From there down: the issuer may issue, its key signed, and nothing critical is
       left unread.
    4. All are valid at `now`.
    5. None is revoked, as far as there are lists.

    Args:
        procedure: Where the transcript is written.
        leaf: Whose key is to be believed.
        pool: Where its issuers are, in any order; none of them is believed for that.
        trust: What it is held against.

    Raises:
        EvidenceError: If an authentic certificate holds no key that is known here.
        VerificationError: If a step does not hold.
    """
    path = _build(procedure, leaf, pool, trust)
    root = _verify_root(procedure, path[-1], trust)
    links = _links(path, trust)
    for link in links:
        _verify_issued(procedure, link, trust)
    _verify_validity(procedure, trust.named("root certificate"), path[-1], trust.now)
    for link in links:
        _verify_validity(procedure, link.what, link.certificate, trust.now)
    for link in links:
        _verify_not_revoked(procedure, link, trust)
    return root


def _build(
    procedure: Procedure, leaf: Certificate, pool: Sequence[Certificate], trust: Trust
) -> tuple[Certificate, ...]:
    """Step 1: by names alone.

    Raises:
        VerificationError: If an issuer is missing, or there are too many.
    """
    by_subject = {each.subject: each for each in reversed(pool)}
    path = [leaf]
    missing = ""
    while path[-1].issuer != path[-1].subject and not missing:
        issuer = by_subject.get(path[-1].issuer)
        if issuer is None or len(path) == MAX_PATH:
            missing = common_name(path[-1].issuer) or "one without a common name"
        else:
            path.append(issuer)
    procedure.require(
        trust.named("certificate chain"),
        holds=not missing,
        expected=f"each issuer, up to a root, within {MAX_PATH} certificates",
        actual=f"no issuer {missing}" if missing else f"{len(path)} certificates",
        source=trust.source,
    )
    return tuple(path)


def _verify_root(procedure: Procedure, certificate: Certificate, trust: Trust) -> Root:
    """Step 2. The root's own signature adds nothing to its pinned digest.

    Raises:
        VerificationError: If it is not pinned.
    """
    root = trust.anchors.find(certificate.digest, trust.vendor)
    procedure.require(
        trust.named("root certificate"),
        holds=root in trust.anchors.roots,
        expected=trust.anchors.names(trust.vendor),
        actual=f"{root.name} (SHA-256 {root.digest.hex()})",
        source=trust.source,
    )
    return root


def _links(path: tuple[Certificate, ...], trust: Trust) -> tuple[_Link, ...]:
    """The path below its root, from the top down."""
    links = []
    for place in range(len(path) - 2, -1, -1):
        what = "leaf certificate"
        if place:
            number = len(path) - 1 - place
            what = "intermediate certificate" + (f" {number}" if len(path) > 3 else "")
        certificate, issuer = path[place], path[place + 1]
        listed = place >= trust.unlisted
        what = trust.named(what)
        links.append(_Link(what, certificate, issuer, place, listed))
    return tuple(links)


def _verify_issued(procedure: Procedure, link: _Link, trust: Trust) -> None:
    """Step 3: one link of the chain; its issuer is authentic already.

    Raises:
        EvidenceError: If the issuer's key is none that is known here.
        VerificationError: If the link does not hold.
    """
    limit = link.issuer.path_length
    in_limit = limit is None or link.below <= limit
    procedure.require(
        f"{link.what}: issuer",
        holds=link.issuer.may_issue and in_limit,
        expected="a certificate that may issue this one",
        actual=_issuer(link, in_limit=in_limit),
        source=f"{_X509} 6.1.4 (k)(l)(n)",
    )
    algorithm = algorithm_of(link.certificate)
    procedure.require(
        f"{link.what}: algorithm",
        holds=algorithm in trust.algorithms,
        expected=" or ".join(sorted(each.name for each in trust.algorithms)),
        actual="another" if algorithm is None else algorithm.name,
        source=trust.source,
    )
    signed = is_signed_by(link.certificate, link.issuer.spki)
    procedure.require(
        f"{link.what}: signature",
        holds=signed,
        expected="made by the issuer's key",
        actual="made by it" if signed else "not made by it",
        source=f"{_X509} 6.1.3 (a)(1)",
    )
    more = link.certificate.asks_for_more(trust.understood)
    procedure.require(
        f"{link.what}: critical extensions",
        holds=not more,
        expected="none but those that are looked at",
        actual="others" if more else "no others",
        source=f"{_X509} 4.2",
    )


def _issuer(link: _Link, *, in_limit: bool) -> str:
    if not link.issuer.may_issue:
        return f"{link.issuer.name}, which may not issue"
    return link.issuer.name + ("" if in_limit else ", which may not issue so far down")


def _verify_validity(
    procedure: Procedure, what: str, certificate: Certificate, now: datetime
) -> None:
    """Step 4.

    Raises:
        VerificationError: If `now` is outside the certificate's validity.
    """
    procedure.require_current(
        f"{what}: validity",
        first=certificate.not_before,
        last=certificate.not_after,
        now=now,
        source=f"{_X509} 6.1.3 (a)(2)",
    )


def _verify_not_revoked(procedure: Procedure, link: _Link, trust: Trust) -> None:
    """Step 5: every list of the issuer's is looked at.

    Raises:
        EvidenceError: If the issuer's key is none that is known here.
        VerificationError: If a list is not authentic, is out of date, or names the
            certificate.
    """
    name = f"{link.what}: revocation"
    crls = [crl for crl in trust.crls if crl.issuer == link.certificate.issuer]
    if not crls:
        reason = "no list of its issuer's came with the evidence"
        if not link.listed:
            reason = f"{trust.vendor} lists no such certificates"
        procedure.note(
            unevaluated(
                name,
                reason=reason,
                actual="not known",
                source=f"{_X509} 6.1.3 (a)(3)",
                required=link.listed and trust.anchors.require_revocation,
            )
        )
    for crl in crls:
        _verify_crl(procedure, name, crl, link, trust)


def _verify_crl(
    procedure: Procedure, name: str, crl: Crl, link: _Link, trust: Trust
) -> None:
    authentic = algorithm_of(crl) in trust.algorithms and is_signed_by(
        crl, link.issuer.spki
    )
    procedure.require(
        f"{name} list",
        holds=authentic,
        expected="a list made by the issuer's key",
        actual="made by it" if authentic else "not made by it",
        source=f"{_X509} 6.3.3 (g)",
    )
    procedure.require_current(
        f"{name} list: validity",
        first=crl.this_update,
        last=crl.next_update,
        now=trust.now,
        source=f"{_X509} 6.3.3 (a)",
    )
    revoked = link.certificate.serial in crl.revoked
    procedure.require(
        name,
        holds=not revoked,
        expected="not in the issuer's list",
        actual="in the list" if revoked else "not in the list",
        source=f"{_X509} 6.1.3 (a)(3)",
    )
