"""The host's certificate table: cut strictly, believed not at all."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from tests.attester.conftest import BINDING

from blindai.attester import certificate_table as tables
from blindai.attester.certificate_table import parse_certificate_table
from blindai.attester.simulated import SimulatedAttester
from blindai.errors import EvidenceError
from blindai.protocol.attestation import CRL_TYPE, PEM_CHAIN_TYPE, Endorsement

ENTRY = struct.Struct("<16sII")
OTHER = UUID("00000000-0000-0000-0000-000000000001")


def table(*contents: tuple[UUID, bytes]) -> bytes:
    """A table as a host writes it."""
    at = ENTRY.size * (len(contents) + 1)
    entries = b""
    for guid, content in contents:
        entries += ENTRY.pack(guid.bytes, at, len(content))
        at += len(content)
    return entries + bytes(ENTRY.size) + b"".join(content for _, content in contents)


@pytest.fixture(scope="module")
def certificates() -> list[x509.Certificate]:
    """Leaf, ASK and ARK."""
    (chain,) = SimulatedAttester().attest(BINDING).endorsements
    return x509.load_pem_x509_certificates(chain.content)


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
@pytest.mark.parametrize("leaf", [tables.VCEK, tables.VLEK])
def test_certificates_become_one_chain_leaf_first(
    certificates: list[x509.Certificate], leaf: UUID, encoding: Encoding
) -> None:
    one, two, three = (each.public_bytes(encoding) for each in certificates)

    endorsements = parse_certificate_table(
        table((tables.ARK, three), (tables.ASK, two), (leaf, one))
    )

    (chain,) = endorsements
    assert chain.media_type == PEM_CHAIN_TYPE
    assert x509.load_pem_x509_certificates(chain.content) == certificates


def test_pem_may_end_with_zeros(certificates: list[x509.Certificate]) -> None:
    leaf = certificates[0].public_bytes(Encoding.PEM) + bytes(3)

    (chain,) = parse_certificate_table(table((tables.VCEK, leaf)))

    assert x509.load_pem_x509_certificates(chain.content) == certificates[:1]


def test_the_guid_s_bytes_are_in_the_order_of_its_text() -> None:
    guid = bytes.fromhex("63da758de6644564adc5f4b93be8accd")
    raw = ENTRY.pack(guid, 48, 1) + bytes(24) + b"x"

    assert parse_certificate_table(raw)[0].media_type == PEM_CHAIN_TYPE


def test_a_revocation_list_is_an_endorsement_of_its_own() -> None:
    endorsements = parse_certificate_table(
        table((tables.CRL, b"list"), (tables.VCEK, b"leaf"))
    )

    assert endorsements[1] == Endorsement(CRL_TYPE, b"list")


def test_what_the_host_adds_is_left_out() -> None:
    assert parse_certificate_table(table((OTHER, b"its own affair"))) == ()


@pytest.mark.parametrize("empty", [b"", bytes(24), bytes(4096)])
def test_a_host_may_give_nothing(empty: bytes) -> None:
    assert parse_certificate_table(empty) == ()


def entry(offset: int, length: int, after: int) -> bytes:
    """A table of one entry, and so many bytes after it."""
    return ENTRY.pack(tables.VCEK.bytes, offset, length) + bytes(24) + b"x" * after


@pytest.mark.parametrize(
    ("malformed", "message"),
    [
        pytest.param(bytes(23), "expected an end", id="shorter than an entry"),
        pytest.param(entry(48, 1, 1)[:24], "expected an end", id="no end"),
        pytest.param(entry(48, 2, 1), "within the table", id="ends after the table"),
        pytest.param(entry(49, 1, 1), "within the table", id="begins at its end"),
        pytest.param(entry(47, 1, 1), "within the table", id="begins in the entries"),
        pytest.param(entry(48, 2**32 - 1, 1), "within the table", id="no 32 bits"),
        pytest.param(entry(48, 0, 1), "expected 1 to 16384 bytes", id="empty"),
        pytest.param(entry(48, 16385, 16385), "got 16385", id="too large"),
        pytest.param(
            table((OTHER, b"a"), (OTHER, b"b")), "once, got it twice", id="twice"
        ),
        pytest.param(
            table(*((UUID(int=number + 1), b"x") for number in range(17))),
            "expected at most 16 entries",
            id="too many",
        ),
    ],
)
def test_a_malformed_table_is_refused(malformed: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_certificate_table(malformed)


def test_16_entries_and_16384_bytes_are_within_the_limits() -> None:
    full = [(UUID(int=number + 1), b"x" * 16384) for number in range(15)]

    (chain,) = parse_certificate_table(table(*full, (tables.VCEK, b"x" * 16384)))

    assert chain.media_type == PEM_CHAIN_TYPE


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda guid, offset, length, rest: (
            ENTRY.pack(guid.bytes, offset, length) + bytes(24) + rest
        ),
        st.sampled_from([tables.VCEK, tables.ASK, tables.CRL, OTHER]),
        st.integers(40, 80),
        st.integers(0, 40),
        st.binary(max_size=60),
    )
)
def test_any_bytes_are_endorsements_or_an_evidence_error(raw: bytes) -> None:
    try:
        endorsements = parse_certificate_table(raw)
    except EvidenceError:
        return
    assert len(endorsements) <= 2
