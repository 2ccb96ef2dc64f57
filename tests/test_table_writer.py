"""What is written is read back, whatever it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai import tables
from blindai.table_writer import compose
from blindai.tables import Key
from blindai.verifier import (
    EnclavePolicy,
    EvidencePolicy,
    InsecureRoot,
    MinimumTcb,
    NitroPolicy,
    PlatformPolicy,
    Policy,
    SgxPolicy,
    SnpPolicy,
    Tcb,
    TdxPolicy,
)
from blindai.verifier.tpm.policy import PcrPin, TpmPolicy

BYTES_32 = st.binary(min_size=32, max_size=32)
BYTES_48 = st.binary(min_size=48, max_size=48).filter(any)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@dataclass(frozen=True, kw_only=True)
class Leaf:
    name: Annotated[str, Key("name", required=True)]
    amount: float = 1.5
    raw: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Tree:
    flag: bool = False
    number: int = 7
    words: Annotated[tuple[str, ...], Key("some words")] = ("default",)
    leaf: Annotated[Leaf | None, Key("a-leaf")] = None
    leaves: tuple[Leaf, ...] = ()
    other: Leaf = field(default_factory=lambda: Leaf(name="x"))


LEAVES = st.builds(
    Leaf,
    name=TEXT,
    amount=st.floats(allow_nan=False, width=64),
    raw=st.binary(max_size=9),
)
TREES = st.builds(
    Tree,
    flag=st.booleans(),
    number=st.integers(-(2**63), 2**63 - 1),
    words=st.lists(TEXT, max_size=4).map(tuple),
    leaf=st.none() | LEAVES,
    leaves=st.lists(LEAVES, max_size=3).map(tuple),
    other=LEAVES,
)


@given(TREES)
def test_any_table_is_read_back(tree: Tree) -> None:
    assert tables.parse(compose(tree), Tree, "tree") == tree


TCBS = st.builds(Tcb, snp=st.integers(0, 255), microcode=st.integers(0, 255))
PINS = st.lists(BYTES_48, min_size=1, max_size=3).map(tuple)
SNP = st.builds(
    SnpPolicy,
    measurements=PINS,
    host_data=st.lists(BYTES_32, max_size=2).map(tuple),
    minimum_tcb=st.none() | st.builds(MinimumTcb, milan=TCBS, genoa=TCBS, turin=TCBS),
    vmpl=st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple),
    insecure_allow_debug=st.booleans(),
)
PLATFORMS = st.builds(
    PlatformPolicy,
    tcb_statuses=st.sampled_from([("UpToDate",), ("UpToDate", "OutOfDate")]),
    rejected_advisories=st.lists(TEXT, max_size=2).map(tuple),
)
POLICIES = st.builds(
    Policy,
    insecure_accept_simulation=st.booleans(),
    insecure_roots=st.lists(
        st.builds(InsecureRoot, vendor=TEXT, sha256=BYTES_32, product=TEXT), max_size=2
    ).map(tuple),
    evidence=st.builds(EvidencePolicy, max_age_s=st.none() | st.integers(0, 2**32 - 1)),
    enclave=st.builds(EnclavePolicy, builds=st.lists(TEXT, max_size=2).map(tuple)),
    sev_snp=SNP,
    sgx=st.none()
    | st.builds(
        SgxPolicy,
        mr_enclave=st.lists(BYTES_32, min_size=1, max_size=2).map(tuple),
        platform=PLATFORMS,
    ),
    tdx=st.none() | st.builds(TdxPolicy, mr_td=PINS, rtmr1=PINS, platform=PLATFORMS),
    nitro=st.none() | st.builds(NitroPolicy, pcr0=PINS),
    tpm=st.none()
    | st.builds(
        TpmPolicy,
        pcrs=BYTES_32.filter(lambda pin: any(pin) and min(pin) < 0xFF).map(
            lambda pin: (PcrPin(index=4, digests=(pin,)),)
        ),
    ),
)


@given(POLICIES)
def test_any_policy_is_read_back(policy: Policy) -> None:
    assert Policy.parse(compose(policy)) == policy


def test_what_is_left_at_its_default_is_not_written() -> None:
    assert compose(Policy.for_simulation()) == (
        "version = 1\ninsecure_accept_simulation = true\n"
    )


def test_comments_stand_above_what_they_are_about() -> None:
    tree = Tree(number=8, leaf=Leaf(name="oak"))

    text = compose(tree, lambda _, name: f"This is {name}." if name != "name" else "")

    assert text == (
        '# This is number.\nnumber = 8\n\n# This is leaf.\n[a-leaf]\nname = "oak"\n'
    )


@pytest.mark.parametrize("text", ['a "quoted" \\ word', "\x00\x1f\x7f\n\r\t", "é𝄞"])
def test_text_is_escaped_as_toml_has_it(text: str) -> None:
    tree = Tree(words=(text,))

    assert tables.parse(compose(tree), Tree, "tree") == tree
