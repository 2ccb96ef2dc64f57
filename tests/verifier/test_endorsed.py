"""Endorsements, sorted by what they are."""

from __future__ import annotations

import pytest

from blindai.errors import EvidenceError
from blindai.protocol.attestation import (
    CRL_TYPE,
    INTEL_COLLATERAL_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
)
from blindai.testing.vendors.pki import Authority, p256, pem
from blindai.verifier.endorsed import Endorsements, bring, gather

ROOT = Authority.root("Made-up Root", p256())
BELOW = ROOT.authority("Made-up Middle", p256())
CHAIN = Endorsement(PEM_CHAIN_TYPE, pem(BELOW.certificate))
REST = Endorsement(PEM_CHAIN_TYPE, pem(ROOT.certificate))
LIST = Endorsement(CRL_TYPE, ROOT.crl([5]))
COLLATERAL = Endorsement(INTEL_COLLATERAL_TYPE, b"{}")


def test_each_kind_is_sorted() -> None:
    found = gather((CHAIN, COLLATERAL, LIST, REST))

    assert [each.name for each in found.certificates] == [
        "Made-up Middle",
        "Made-up Root",
    ]
    assert [crl.revoked for crl in found.crls] == [{5}]
    assert found.intel_collateral == b"{}"


def test_there_may_be_none() -> None:
    assert gather(()) == Endorsements()


@pytest.mark.parametrize(
    ("endorsements", "message"),
    [
        pytest.param((Endorsement("a/b", b""),), "got another", id="another kind"),
        pytest.param((COLLATERAL, COLLATERAL), "collateral once", id="two"),
        pytest.param((Endorsement(PEM_CHAIN_TYPE, b""),), "PEM", id="no certificate"),
        pytest.param((Endorsement(CRL_TYPE, b""),), "CRL", id="no list"),
    ],
)
def test_anything_else_is_refused(
    endorsements: tuple[Endorsement, ...], message: str
) -> None:
    with pytest.raises(EvidenceError, match=message):
        gather(endorsements)


# ---------------------------------------------------------------------------- bringing

OTHER_LIST = Endorsement(CRL_TYPE, ROOT.crl([6]))
BELOWS_LIST = Endorsement(CRL_TYPE, BELOW.crl([7]))
OTHER_BELOW = ROOT.authority("Made-up Middle", p256())
OTHER_CHAIN = Endorsement(PEM_CHAIN_TYPE, pem(OTHER_BELOW.certificate))
BOTH = Endorsement(PEM_CHAIN_TYPE, pem(BELOW.certificate, ROOT.certificate))
NEWER = Endorsement(INTEL_COLLATERAL_TYPE, b'{"newer": 1}')


@pytest.mark.parametrize(
    ("brought", "whole"),
    [
        pytest.param((), (BOTH, LIST, COLLATERAL), id="nothing"),
        pytest.param(
            (OTHER_CHAIN,), (OTHER_CHAIN, REST, LIST, COLLATERAL), id="of one subject"
        ),
        pytest.param(
            (OTHER_CHAIN, REST), (OTHER_CHAIN, REST, LIST, COLLATERAL), id="of both"
        ),
        pytest.param(
            (OTHER_LIST,), (OTHER_LIST, BOTH, COLLATERAL), id="of the same issuer"
        ),
        pytest.param(
            (BELOWS_LIST,),
            (BELOWS_LIST, BOTH, LIST, COLLATERAL),
            id="of another issuer",
        ),
        pytest.param((NEWER,), (NEWER, BOTH, LIST), id="collateral"),
    ],
)
def test_what_is_brought_replaces_what_says_the_same(
    brought: tuple[Endorsement, ...], whole: tuple[Endorsement, ...]
) -> None:
    assert bring((BOTH, LIST, COLLATERAL), brought) == whole


def test_without_anything_brought_what_is_stapled_is_not_even_read() -> None:
    unread = (Endorsement(PEM_CHAIN_TYPE, b"?"), Endorsement("a/b", b""))

    assert bring(unread, ()) == unread


@pytest.mark.parametrize(
    ("stapled", "brought", "message"),
    [
        pytest.param((), Endorsement("a/b", b""), "got another", id="brought"),
        pytest.param((Endorsement(PEM_CHAIN_TYPE, b"?"),), LIST, "PEM", id="chain"),
        pytest.param(
            (Endorsement(PEM_CHAIN_TYPE, b"text\n" + BOTH.content),),
            LIST,
            "PEM certificates and nothing else",
            id="text before it",
        ),
        pytest.param((Endorsement(CRL_TYPE, b"?"),), CHAIN, "CRL", id="list"),
    ],
)
def test_what_is_malformed_is_refused(
    stapled: tuple[Endorsement, ...], brought: Endorsement, message: str
) -> None:
    with pytest.raises(EvidenceError, match=message):
        bring(stapled, (brought,))


def test_an_unknown_kind_among_the_stapled_is_left_for_gather_to_refuse() -> None:
    unknown = Endorsement("a/b", b"")

    assert bring((unknown,), (LIST,)) == (LIST, unknown)
