"""Lists of revoked certificates, cut into their fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import der
from blindai.testing.vendors.asn1 import tlv
from blindai.testing.vendors.pki import FIRST, LAST, Authority, Validity, p256
from blindai.verifier.crl import MAX_CRL_BYTES, parse_crl

KEY = p256()
ISSUER = Authority.root("Made-up Root", KEY)
CRL = ISSUER.crl([1, 2**80, 77])
NUMBER = (x509.CRLNumber(1), False)
REASON = x509.CRLReason(x509.ReasonFlags.key_compromise)
INVALID = x509.InvalidityDate(datetime(2025, 1, 1))  # noqa: DTZ001  naive, as it takes it


def build(
    *extensions: tuple[x509.ExtensionType, bool],
    reason: tuple[x509.ExtensionType, bool] | None = None,
) -> bytes:
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=ISSUER.certificate.subject, last_update=FIRST, next_update=LAST
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    if reason is not None:
        entry = x509.RevokedCertificateBuilder(5, FIRST).add_extension(*reason)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(KEY, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def with_fields(change: dict[int, bytes], drop: tuple[int, ...] = ()) -> bytes:
    body = der.only(CRL, der.SEQUENCE, "test")
    tbs, algorithm, signature = der.elements(body, "test")
    parts = [each.encoding for each in der.elements(tbs.content, "test")]
    for index, value in change.items():
        parts[index] = value
    kept = [part for index, part in enumerate(parts) if index not in drop]
    return tlv(
        der.SEQUENCE,
        tlv(der.SEQUENCE, b"".join(kept)) + algorithm.encoding + signature.encoding,
    )


def test_a_list_is_cut_into_its_fields() -> None:
    crl = parse_crl(CRL)

    assert crl.revoked == {1, 2**80, 77}
    assert crl.this_update == FIRST
    assert crl.next_update == LAST


def test_an_empty_list_revokes_nothing() -> None:
    assert parse_crl(ISSUER.crl()).revoked == frozenset()


def test_a_reason_may_stand_beside_an_entry() -> None:
    assert parse_crl(build(NUMBER, reason=(REASON, False))).revoked == {5}


def test_times_may_be_written_in_either_way() -> None:
    late = Validity(FIRST, datetime(2060, 1, 1, tzinfo=UTC))

    assert parse_crl(ISSUER.crl(validity=late)).next_update == late.last


def test_a_list_may_be_long() -> None:
    assert len(parse_crl(ISSUER.crl(range(1, 200))).revoked) == 199


def test_a_list_of_the_largest_size_is_read() -> None:
    with pytest.raises(EvidenceError, match="CRL: expected a DER element"):
        parse_crl(b"\x1f" * MAX_CRL_BYTES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(bytes(MAX_CRL_BYTES + 1), "at most", id="size"),
        pytest.param(CRL + b"\0", "DER element", id="trailing byte"),
        pytest.param(with_fields({0: b"\x02\x01\x00"}), "version", id="version 1"),
        pytest.param(with_fields({}, drop=(0,)), "expected version", id="no version"),
        pytest.param(
            with_fields({1: tlv(der.SEQUENCE, b"\x06\x01\x00")}), "got two", id="two"
        ),
        pytest.param(with_fields({}, drop=(4,)), "two updates", id="no next update"),
        pytest.param(with_fields({}, drop=(6,)), "extensions", id="no extensions"),
        pytest.param(with_fields({}, drop=(5, 6)), "extensions", id="nothing more"),
        pytest.param(
            with_fields({5: tlv(der.SEQUENCE, tlv(der.SEQUENCE, b"\x02\x01\x01"))}),
            "serial number and date",
            id="no date",
        ),
        pytest.param(
            build((x509.DeltaCRLIndicator(1), True)), "no critical", id="a delta"
        ),
        pytest.param(
            build(NUMBER, reason=(REASON, True)), "entry: expected no", id="critical"
        ),
    ],
)
def test_any_other_list_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_crl(data)


@given(st.binary(max_size=200))
def test_any_bytes_give_the_one_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_crl(data)


@given(st.integers(0, len(CRL) - 1), st.integers(0, 255))
def test_any_changed_byte_gives_a_list_or_the_one_error(
    position: int, byte: int
) -> None:
    changed = CRL[:position] + bytes([byte]) + CRL[position + 1 :]

    try:
        parsed = parse_crl(changed)
    except EvidenceError:
        return

    assert len(parsed.revoked) <= 3
