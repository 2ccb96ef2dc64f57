"""Genuine Nitro documents, from a public project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
from tests.vectors import FOLDER as VECTORS
from tests.vectors import needs_vectors

from blindai.errors import EvidenceError, VerificationError
from blindai.protocol.attestation import NITRO_DOCUMENT_TYPE, Evidence
from blindai.verifier import nitro, roots
from blindai.verifier.certificates import parse_pem
from blindai.verifier.nitro.document import parse_document
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims

FOLDER = VECTORS / "nitro"

pytestmark = needs_vectors


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A document, and the first and the last second at which it is valid."""

    file: str
    first: datetime
    last: datetime
    debug: bool
    pcr0: str

    @property
    def document(self) -> bytes:
        return (FOLDER / self.file).read_bytes()


PRODUCTION = Vector(
    file="evervault_prod_2022-10-13.cbor",
    first=datetime(2022, 10, 13, 8, 57, 59, tzinfo=UTC),
    last=datetime(2022, 10, 13, 11, 58, 2, tzinfo=UTC),
    debug=False,
    pcr0="f4d48b81",
)
DEBUG = Vector(
    file="evervault_debug_2023-09-18.cbor",
    first=datetime(2023, 9, 18, 14, 37, 9, tzinfo=UTC),
    last=datetime(2023, 9, 18, 17, 37, 12, tzinfo=UTC),
    debug=True,
    pcr0="00000000",
)
each = pytest.mark.parametrize(
    "vector", [PRODUCTION, DEBUG], ids=["production", "debug"]
)


def verify(document: bytes, now: datetime) -> VerifiedClaims:
    evidence = Evidence(media_type=NITRO_DOCUMENT_TYPE, evidence=document)
    return nitro.verify(evidence, Procedure(), now, roots.PINNED)


@each
def test_genuine_evidence_is_verified(vector: Vector) -> None:
    verified = verify(vector.document, vector.first)

    assert verified.root is roots.AWS_NITRO
    assert verified.claims.debug is vector.debug
    assert verified.claims.measurement.hex().startswith(vector.pcr0)
    assert len(verified.claims.nonce or b"") == 256


@each
def test_it_is_refused_outside_its_three_hours(vector: Vector) -> None:
    verify(vector.document, vector.last)
    for now in (
        vector.first - timedelta(seconds=1),
        vector.last + timedelta(seconds=1),
        vector.first - timedelta(days=1),
        vector.last + timedelta(days=1),
    ):
        with pytest.raises(VerificationError, match=r"certificate.*: validity"):
            verify(vector.document, now)


def test_the_pinned_root_is_the_one_that_aws_publishes() -> None:
    (root,) = parse_pem((FOLDER / "aws_nitro_root_g1.pem").read_bytes())

    assert root.digest == roots.AWS_NITRO.digest
    assert parse_document(PRODUCTION.document).document.cabundle[0] == root.encoding


@pytest.mark.parametrize("vector", [PRODUCTION, DEBUG], ids=["production", "debug"])
def test_no_byte_of_a_genuine_document_can_change(vector: Vector) -> None:
    document = vector.document

    for position in range(0, len(document), 7):
        flipped = bytearray(document)
        flipped[position] ^= 1 << position % 8
        with pytest.raises((VerificationError, EvidenceError)):
            verify(bytes(flipped), vector.first)


def test_verification_takes_milliseconds() -> None:
    document = PRODUCTION.document

    started = perf_counter()
    for _ in range(10):
        verify(document, PRODUCTION.first)

    assert (perf_counter() - started) / 10 < 0.05
