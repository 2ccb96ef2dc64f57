"""From a leaf up to a root: one test for each line that can refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509

from blindai.errors import VerificationError
from blindai.testing.vendors.pki import Authority, Validity, der, digest_of, p256
from blindai.transcript import Status, Transcript
from blindai.verifier import chains
from blindai.verifier.certificates import Certificate, parse_certificate
from blindai.verifier.crl import parse_crl
from blindai.verifier.procedure import Procedure
from blindai.verifier.roots import Anchors, Root
from blindai.verifier.signatures import Algorithm

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE, AFTER = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
ROOT = Authority.root("Made-up Root", p256())
MIDDLE = ROOT.authority("Made-up Middle", p256(), serial=7)
KEY = p256()
LEAF = MIDDLE.issue("Made-up Leaf", KEY.public_key(), serial=9)
PINNED = Root(name="Made-up Root", vendor="Vendor", digest=digest_of(ROOT.certificate))

Verify = Callable[..., tuple[Root, Transcript]]


def read(certificate: x509.Certificate) -> Certificate:
    return parse_certificate(der(certificate))


@pytest.fixture
def verify() -> Verify:
    """Verify a chain, by default the honest one."""

    def run(
        *certificates: x509.Certificate,
        crls: tuple[bytes, ...] = (),
        vendor: str = "Vendor",
        unlisted: int = 0,
        require_revocation: bool = False,
        now: datetime = NOW,
        chain: str = "",
    ) -> tuple[Root, Transcript]:
        leaf, *pool = map(
            read, certificates or (LEAF, MIDDLE.certificate, ROOT.certificate)
        )
        trust = chains.Trust(
            now=now,
            anchors=Anchors((PINNED,), require_revocation),
            vendor=vendor,
            source="a test",
            algorithms=frozenset({Algorithm.ECDSA_SHA256}),
            crls=tuple(map(parse_crl, crls)),
            unlisted=unlisted,
            chain=chain,
        )
        procedure = Procedure()
        return chains.verify(procedure, leaf, pool, trust), procedure.transcript

    return run


def revocation(transcript: Transcript) -> dict[str, Status]:
    return {
        check.name: check.status
        for check in transcript.checks
        if check.name.endswith("revocation")
    }


def test_a_chain_leads_to_its_root(verify: Verify) -> None:
    root, transcript = verify()

    assert root is PINNED
    assert not transcript.refusals


def test_a_chain_may_have_a_name(verify: Verify) -> None:
    _, named = verify(chain="Signer's")
    _, plain = verify()

    assert [check.name for check in named.checks] == [
        f"Signer's {check.name}" for check in plain.checks
    ]


def test_issuers_may_come_in_any_order(verify: Verify) -> None:
    verify(LEAF, ROOT.certificate, LEAF, MIDDLE.certificate)


def test_more_intermediates_have_numbers(verify: Verify) -> None:
    lower = MIDDLE.authority("Made-up Lower", p256())
    leaf = lower.issue("Made-up Leaf", KEY.public_key())

    _, transcript = verify(
        leaf, lower.certificate, MIDDLE.certificate, ROOT.certificate
    )

    names = [check.name for check in transcript.checks]
    assert "intermediate certificate 1: signature" in names
    assert "intermediate certificate 2: signature" in names


def a_chain_of(count: int) -> list[x509.Certificate]:
    authority, path = ROOT, [ROOT.certificate]
    for number in range(count - 2):
        authority = authority.authority(f"Made-up {number}", p256())
        path.append(authority.certificate)
    path.append(authority.issue("Made-up Leaf", KEY.public_key()))
    return path[::-1]


def test_a_path_of_six_is_the_longest(verify: Verify) -> None:
    verify(*a_chain_of(6))

    with pytest.raises(VerificationError, match=r"certificate chain: .*no issuer"):
        verify(*a_chain_of(7))


def test_a_missing_issuer_is_named(verify: Verify) -> None:
    with pytest.raises(VerificationError, match="no issuer Made-up Middle"):
        verify(LEAF, ROOT.certificate)


def test_two_that_issue_each_other_lead_nowhere(verify: Verify) -> None:
    one, other = p256(), p256()
    first = Authority.root("One", one).authority("Other", other).certificate
    second = Authority.root("Other", other).authority("One", one).certificate

    with pytest.raises(VerificationError, match="certificate chain"):
        verify(first, second)


def test_a_root_that_is_not_pinned_does_not_count(verify: Verify) -> None:
    other = Authority.root("Made-up Root", p256())
    leaf = other.issue("Made-up Leaf", KEY.public_key())

    with pytest.raises(VerificationError, match=r"root certificate: .*got unknown"):
        verify(leaf, other.certificate)


def test_a_root_of_another_vendor_does_not_count(verify: Verify) -> None:
    with pytest.raises(VerificationError, match="root certificate: expected a root of"):
        verify(vendor="Other")


def test_a_root_alone_is_a_path(verify: Verify) -> None:
    assert verify(ROOT.certificate)[0] is PINNED


@pytest.mark.parametrize(("limit", "refused"), [(0, True), (1, False), (None, False)])
def test_a_path_length_is_kept(
    verify: Verify, limit: int | None, *, refused: bool
) -> None:
    top = ROOT.authority("Made-up Top", p256(), path_length=limit)
    middle = top.authority("Made-up Below", p256())
    leaf = middle.issue("Made-up Leaf", KEY.public_key())
    path = (leaf, middle.certificate, top.certificate, ROOT.certificate)
    line = "intermediate certificate 2: issuer: .*so far down"

    if refused:
        with pytest.raises(VerificationError, match=line):
            verify(*path)
    else:
        _, transcript = verify(*path)
        actual = {check.name: check.actual for check in transcript.checks}
        assert actual["leaf certificate: issuer"] == "Made-up Below"


def test_a_leaf_may_not_issue(verify: Verify) -> None:
    parent = Authority(certificate=LEAF, key=KEY)
    child = parent.issue("Made-up Child", p256().public_key())

    with pytest.raises(VerificationError, match=r"leaf certificate: issuer: .*may not"):
        verify(child, LEAF, MIDDLE.certificate, ROOT.certificate)


def test_a_signature_of_another_key_is_refused(verify: Verify) -> None:
    forger = Authority(certificate=MIDDLE.certificate, key=p256())
    forged = forger.issue("Made-up Leaf", KEY.public_key())

    with pytest.raises(VerificationError, match="leaf certificate: signature"):
        verify(forged, MIDDLE.certificate, ROOT.certificate)


@pytest.mark.parametrize("which", ["root", "intermediate", "leaf"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_each_validity_counts(which: str, when: str) -> None:
    short = Validity(BEFORE, AFTER)
    limits = {name: short if name == which else None for name in PARTS}
    now = {"before": datetime(2026, 4, 30, tzinfo=UTC)}.get(
        when, datetime(2026, 7, 2, tzinfo=UTC)
    )
    root = Authority.root("Made-up Root", p256(), validity=limits["root"])
    middle = root.authority("Middle", p256(), validity=limits["intermediate"])
    leaf = middle.issue("Leaf", KEY.public_key(), validity=limits["leaf"])
    pinned = Root(name="R", vendor="Vendor", digest=digest_of(root.certificate))
    trust = chains.Trust(
        now=now,
        anchors=Anchors((pinned,)),
        vendor="Vendor",
        source="a test",
        algorithms=frozenset({Algorithm.ECDSA_SHA256}),
    )
    pool = [read(middle.certificate), read(root.certificate)]

    with pytest.raises(VerificationError, match=f"^{which} certificate: validity"):
        chains.verify(Procedure(), read(leaf), pool, trust)


PARTS = ("root", "intermediate", "leaf")


def test_without_lists_revocation_is_not_evaluated(verify: Verify) -> None:
    _, transcript = verify()

    assert set(revocation(transcript).values()) == {Status.NOT_EVALUATED}
    assert not transcript.refusals


def test_why_revocation_is_not_evaluated_is_said(verify: Verify) -> None:
    _, transcript = verify(unlisted=1)

    reasons = {
        check.name: check.expected
        for check in transcript.checks
        if check.status is Status.NOT_EVALUATED
    }
    assert reasons == {
        "intermediate certificate: revocation": "no list of its issuer's came with the"
        " evidence",
        "leaf certificate: revocation": "Vendor lists no such certificates",
    }


@pytest.mark.parametrize("now", [BEFORE, AFTER], ids=["first", "last"])
def test_a_list_counts_in_its_first_and_last_second(
    verify: Verify, now: datetime
) -> None:
    verify(crls=(ROOT.crl(validity=Validity(BEFORE, AFTER)),), now=now)


def test_missing_lists_are_refused_where_they_are_required(verify: Verify) -> None:
    _, transcript = verify(require_revocation=True)

    assert [check.name for check in transcript.refusals] == [
        "intermediate certificate: revocation",
        "leaf certificate: revocation",
    ]


def test_what_a_vendor_never_lists_is_not_missing(verify: Verify) -> None:
    _, transcript = verify(require_revocation=True, unlisted=1, crls=(ROOT.crl(),))

    assert not transcript.refusals
    assert revocation(transcript) == {
        "intermediate certificate: revocation": Status.PASSED,
        "leaf certificate: revocation": Status.NOT_EVALUATED,
    }


def test_lists_that_do_not_name_a_certificate_let_it_pass(verify: Verify) -> None:
    _, transcript = verify(crls=(ROOT.crl([8]), MIDDLE.crl([7])))

    assert set(revocation(transcript).values()) == {Status.PASSED}


@pytest.mark.parametrize(
    ("crl", "line"),
    [
        pytest.param(ROOT.crl([7]), "intermediate certificate: revocation: ", id="7"),
        pytest.param(MIDDLE.crl([8, 9]), "leaf certificate: revocation: ", id="leaf"),
        pytest.param(
            Authority(certificate=MIDDLE.certificate, key=p256()).crl(),
            "leaf certificate: revocation list: ",
            id="another key",
        ),
        pytest.param(
            MIDDLE.crl(validity=Validity(BEFORE, BEFORE)),
            "leaf certificate: revocation list: validity",
            id="old",
        ),
        pytest.param(
            MIDDLE.crl(validity=Validity(AFTER, AFTER)),
            "leaf certificate: revocation list: validity",
            id="early",
        ),
    ],
)
def test_a_list_can_refuse(verify: Verify, crl: bytes, line: str) -> None:
    with pytest.raises(VerificationError, match=f"^{line}"):
        verify(crls=(ROOT.crl(), MIDDLE.crl(), crl))
