"""Attributes of enclaves and trust domains."""

from __future__ import annotations

import pytest
from tests.verifier.intel.made_up import (
    INTEL,
    verify,
)

from blindai.errors import VerificationError
from blindai.testing.vendors.intel import (
    Enclave,
    TrustDomain,
)
from blindai.testing.vendors.intel_parts import (
    SEPT_VE_DISABLE,
)

Body = Enclave | TrustDomain


@pytest.mark.parametrize("bit", [3, 8, 9, 11, 63])
def test_an_unknown_flag_of_an_enclave_is_refused(bit: int) -> None:
    with pytest.raises(VerificationError, match="attributes: expected INIT, and"):
        verify(INTEL.evidence(Enclave(flags=0x05 | 1 << bit)))


def test_an_enclave_is_initialised() -> None:
    with pytest.raises(VerificationError, match="attributes: expected INIT, and"):
        verify(INTEL.evidence(Enclave(flags=0x04)))


def test_an_unknown_extended_feature_is_refused() -> None:
    with pytest.raises(VerificationError, match=r"\(MISCSELECT\): expected no bit"):
        verify(INTEL.evidence(Enclave(misc_select=4)))


@pytest.mark.parametrize("bit", [1, 2, 3, 7, 8, 16, 26, 32, 61])
def test_an_unknown_bit_of_a_trust_domain_is_refused(bit: int) -> None:
    body = TrustDomain(td_attributes=SEPT_VE_DISABLE | 1 << bit)

    with pytest.raises(VerificationError, match="TD attributes: expected no bit"):
        verify(INTEL.evidence(body))


@pytest.mark.parametrize(
    "body",
    [
        Enclave(flags=0x4F5, misc_select=3),
        TrustDomain(td_attributes=0xC000_0000_D800_0000),
    ],
)
def test_known_ones_are_not(body: Body) -> None:
    assert verify(INTEL.evidence(body))[0].claims.debug is False
