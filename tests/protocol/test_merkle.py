"""Merkle trees as RFC 9162 has them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import VerificationError
from blindai.protocol import merkle

# The leaves and roots that Certificate Transparency's own implementations are tested
# with (google/certificate-transparency, merkle_tree_test).
LEAVES = [
    bytes.fromhex(each)
    for each in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def hashed(leaves: list[bytes]) -> list[bytes]:
    return [hashlib.sha256(merkle.LEAF_PREFIX + each).digest() for each in leaves]


@pytest.mark.parametrize("count", range(9))
def test_roots_are_those_of_certificate_transparency(count: int) -> None:
    assert merkle.root(hashed(LEAVES[:count])).hex() == ROOTS[count]


HASHES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20)


@given(HASHES, st.data())
def test_a_path_leads_from_its_leaf_to_the_root(
    hashes: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    beside = merkle.path(hashes, index)

    assert merkle.root_of(hashes[index], index, len(hashes), beside) == merkle.root(
        hashes
    )


@given(HASHES, st.data())
def test_another_place_leads_elsewhere(
    hashes: list[bytes], data: st.DataObject
) -> None:
    hashes = [bytes(32), b"\xff" * 32, *hashes]
    hashes = list(dict.fromkeys(hashes))
    index = data.draw(st.integers(0, len(hashes) - 1))
    other = data.draw(st.integers(0, len(hashes) - 1).filter(lambda at: at != index))
    beside = merkle.path(hashes, index)

    try:
        found = merkle.root_of(hashes[index], other, len(hashes), beside)
    except VerificationError:
        return
    assert found != merkle.root(hashes)


@pytest.mark.parametrize(
    ("index", "count", "beside"),
    [
        pytest.param(0, 1, 1, id="one hash too many"),
        pytest.param(0, 2, 0, id="none where there is one"),
        pytest.param(0, 3, 1, id="one too few on the left"),
        pytest.param(2, 3, 2, id="one too many on the right"),
        pytest.param(0, 0, 0, id="no leaves"),
        pytest.param(3, 3, 2, id="beyond the last leaf"),
        pytest.param(-1, 3, 2, id="before the first"),
    ],
)
def test_a_path_that_does_not_fit_leads_nowhere(
    index: int, count: int, beside: int
) -> None:
    with pytest.raises(VerificationError, match="path"):
        merkle.root_of(bytes(32), index, count, [bytes(32)] * beside)
