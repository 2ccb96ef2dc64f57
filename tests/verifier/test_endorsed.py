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
from blindai.verifier.endorsed import Endorsements, gather

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
