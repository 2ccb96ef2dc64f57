"""What is fuzzed: a function of bytes, the error it documents, and honest examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blindai.errors import EvidenceError
from blindai.protocol import attestation, cmw, keyset
from blindai.protocol.keyset import Purpose, Statement
from blindai.testing import SimulatedEvidence, simulated_keyset
from blindai.testing.vendors.pki import Authority, der, p256
from blindai.verifier import certificates, crl
from blindai.verifier import der as der_reader
from blindai.verifier.snp.report import parse_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Target:
    """One reader of bytes.

    Attributes:
        read: Takes any bytes.
        error: The one it may raise.
        examples: Bytes that it reads.
    """

    read: Callable[[bytes], object]
    examples: tuple[bytes, ...]
    error: type[Exception] = EvidenceError


def targets() -> dict[str, Target]:
    """All targets by name."""
    return dict(_targets())


def _targets() -> Iterator[tuple[str, Target]]:
    evidence = SimulatedEvidence()
    collection = evidence.attestation(bytes(32))
    parts = attestation.parse_attestation(collection)
    chain = parts.evidence.endorsements[0].content
    root = Authority.root("Made-up Root", p256())
    statement = Statement(Purpose.ATTESTATION, bytes(32), None)
    yield "attestation", Target(attestation.parse_attestation, (collection,))
    yield "cmw", Target(cmw.parse, (collection,))
    yield "keyset", Target(keyset.parse_keyset, (simulated_keyset().encode(),))
    yield "statement", Target(keyset.parse_statement, (statement.encode(),))
    yield "der", Target(lambda data: der_reader.elements(data, "fuzz"), (b"\x30\x00",))
    yield (
        "certificate",
        Target(certificates.parse_certificate, (der(root.certificate),)),
    )
    yield "pem", Target(certificates.parse_pem, (chain,))
    yield "crl", Target(crl.parse_crl, (root.crl([1, 2]),))
    yield "snp-report", Target(parse_report, (parts.evidence.evidence,))
