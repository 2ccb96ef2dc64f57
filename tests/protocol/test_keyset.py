"""What attestation binds: one keyset, one encoding, one digest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol import keyset
from blindai.protocol.keyset import (
    MAX_BUILD_CHARACTERS,
    MAX_KEY_CONFIGS_BYTES,
    Binding,
    Keyset,
    Purpose,
    Statement,
    bind,
    configuration_digest,
    digest,
    gpu_digest,
    gpu_nonce,
    parse_keyset,
    parse_statement,
)

KEYSET = Keyset(
    instance=bytes(range(16)),
    ohttp_keys=b"\x00\x02\x01\x00",
    proof_key=b"p" * 32,
    config_digest=b"c" * 32,
    build="blindai 0.1.0",
    not_before=datetime(2026, 6, 1, tzinfo=UTC),
    not_after=datetime(2026, 6, 2, tzinfo=UTC),
)
FIELDS: dict[str, Any] = {
    "v": 1,
    "instance": bytes(range(16)),
    "ohttp_keys": b"\x00\x02\x01\x00",
    "proof_key": b"p" * 32,
    "config_digest": b"c" * 32,
    "build": "blindai 0.1.0",
    "not_before": 1780272000,
    "not_after": 1780358400,
}
STATEMENT = Statement(Purpose.ATTESTATION, b"d" * 32, b"n" * 32)
STATEMENT_FIELDS: dict[str, Any] = {
    "purpose": "blindai.attestation.v1",
    "keyset_digest": b"d" * 32,
    "nonce": b"n" * 32,
}

SECONDS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001  the strategy adds the zone
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))
KEYSETS = st.builds(
    Keyset,
    instance=st.binary(min_size=16, max_size=16),
    ohttp_keys=st.binary(max_size=80),
    proof_key=st.binary(min_size=32, max_size=32),
    config_digest=st.binary(min_size=32, max_size=32),
    build=st.text(max_size=30),
    not_before=SECONDS,
    not_after=SECONDS,
    tls_spki=st.none() | st.binary(min_size=32, max_size=32),
)
STATEMENTS = st.builds(
    Statement,
    purpose=st.sampled_from(Purpose),
    keyset_digest=st.binary(min_size=32, max_size=32),
    nonce=st.none() | st.binary(min_size=32, max_size=32),
    gpu_digest=st.none() | st.binary(min_size=32, max_size=32),
)


def encoded(fields: object) -> bytes:
    return cbor2.dumps(fields, canonical=True)


# The keyset.


@given(KEYSETS)
def test_a_keyset_is_parsed_as_it_was_encoded(value: Keyset) -> None:
    assert parse_keyset(value.encode()) == value


@given(KEYSETS, KEYSETS)
def test_two_keysets_have_two_encodings(one: Keyset, other: Keyset) -> None:
    assert (one == other) == (one.encode() == other.encode())


def test_a_keyset_is_a_map_of_named_fields() -> None:
    assert KEYSET.encode() == encoded(FIELDS)
    with_tls = replace(KEYSET, tls_spki=b"t" * 32)
    assert with_tls.encode() == encoded(FIELDS | {"tls_spki": b"t" * 32})


CHANGES: list[dict[str, Any]] = [
    {"instance": bytes(16)},
    {"ohttp_keys": b""},
    {"proof_key": bytes(32)},
    {"config_digest": bytes(32)},
    {"build": ""},
    {"not_before": datetime(2026, 6, 1, 0, 0, 1, tzinfo=UTC)},
    {"not_after": datetime(2026, 6, 1, 0, 0, 1, tzinfo=UTC)},
    {"tls_spki": bytes(32)},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_each_field_is_in_the_digest(change: dict[str, Any]) -> None:
    assert digest(replace(KEYSET, **change).encode()) != digest(KEYSET.encode())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("v", 2, "keyset version: expected 1, got another"),
        ("v", True, "keyset version: expected 1, got another"),
        ("v", 1.0, "keyset version: expected 1, got another"),
        ("v", "1", "keyset version: expected 1, got another"),
        ("instance", bytes(15), "instance: expected 16 bytes"),
        ("instance", bytes(17), "instance: expected 16 bytes"),
        ("instance", "a" * 16, "instance: expected 16 bytes"),
        ("ohttp_keys", "", "keyset ohttp_keys: expected at most 16384 bytes"),
        (
            "ohttp_keys",
            bytes(MAX_KEY_CONFIGS_BYTES + 1),
            "keyset ohttp_keys: expected at most 16384 bytes",
        ),
        ("proof_key", bytes(31), "proof_key: expected 32 bytes"),
        ("proof_key", None, "proof_key: expected 32 bytes"),
        ("config_digest", bytes(33), "config_digest: expected 32 bytes"),
        ("build", b"", "keyset build: expected at most 256 characters"),
        (
            "build",
            "b" * (MAX_BUILD_CHARACTERS + 1),
            "keyset build: expected at most 256 characters",
        ),
        ("not_before", -1, "not_before: expected seconds since 1970"),
        ("not_before", True, "not_before: expected seconds since 1970"),
        ("not_before", 1.5, "not_before: expected seconds since 1970"),
        ("not_after", 253402300800, "not_after: expected seconds since 1970"),
        ("not_after", "2026", "not_after: expected seconds since 1970"),
        ("tls_spki", bytes(31), "tls_spki: expected 32 bytes"),
        ("tls_spki", None, "tls_spki: expected 32 bytes"),
        ("more", 1, "keyset: expected the keys build, config_digest, instance"),
    ],
)
def test_a_malformed_field_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(EvidenceError, match=rf"^{message}"):
        parse_keyset(encoded(FIELDS | {field: value}))


@pytest.mark.parametrize("missing", FIELDS)
def test_each_field_is_required(missing: str) -> None:
    fields = {key: value for key, value in FIELDS.items() if key != missing}
    with pytest.raises(EvidenceError, match="keyset: expected the keys build, "):
        parse_keyset(encoded(fields))


@pytest.mark.parametrize("seconds", [0, 253402300799])
def test_the_first_and_last_second_are_times(seconds: int) -> None:
    parsed = parse_keyset(encoded(FIELDS | {"not_after": seconds}))
    assert parsed.not_after.timestamp() == seconds


def test_the_largest_fields_are_accepted() -> None:
    keys, build = bytes(MAX_KEY_CONFIGS_BYTES), "é" * MAX_BUILD_CHARACTERS
    parsed = parse_keyset(encoded(FIELDS | {"ohttp_keys": keys, "build": build}))
    assert (parsed.ohttp_keys, parsed.build) == (keys, build)


@pytest.mark.parametrize("parse", [parse_keyset, parse_statement])
@pytest.mark.parametrize("value", [[], 1, "text", None])
def test_what_is_no_map_is_refused(parse: Any, value: object) -> None:  # noqa: ANN401  either parser
    with pytest.raises(EvidenceError, match=r"(keyset|statement): expected a CBOR map"):
        parse(encoded(value))


def test_another_encoding_of_a_keyset_is_refused() -> None:
    backwards = dict(sorted(FIELDS.items(), reverse=True))
    with pytest.raises(EvidenceError, match=r"keyset: CBOR: .* deterministic"):
        parse_keyset(cbor2.dumps(backwards))


def test_bytes_after_a_keyset_are_refused() -> None:
    with pytest.raises(EvidenceError, match=r"keyset: CBOR: .* 1 bytes after it"):
        parse_keyset(KEYSET.encode() + b"\x00")


@pytest.mark.parametrize("size", range(0, len(KEYSET.encode()), 7))
def test_a_keyset_cut_short_is_refused(size: int) -> None:
    with pytest.raises(EvidenceError, match="keyset: CBOR"):
        parse_keyset(KEYSET.encode()[:size])


# The statement.


@given(STATEMENTS)
def test_a_statement_is_parsed_as_it_was_encoded(value: Statement) -> None:
    assert parse_statement(value.encode()) == value


@given(STATEMENTS, STATEMENTS)
def test_two_statements_are_bound_by_other_bytes(
    one: Statement, other: Statement
) -> None:
    assert (one == other) == (bind(one) == bind(other))


@given(STATEMENTS, STATEMENTS)
def test_gpus_are_asked_for_all_of_a_statement_but_what_they_answer(
    one: Statement, other: Statement
) -> None:
    alike = replace(one, gpu_digest=other.gpu_digest) == other
    assert alike == (gpu_nonce(one) == gpu_nonce(other))


def test_a_statement_is_a_map_of_named_fields() -> None:
    assert STATEMENT.encode() == encoded(STATEMENT_FIELDS)
    with_gpus = replace(STATEMENT, gpu_digest=b"g" * 32)
    assert with_gpus.encode() == encoded(STATEMENT_FIELDS | {"gpu_digest": b"g" * 32})


def test_the_purposes_are_two() -> None:
    purposes = [purpose.value for purpose in Purpose]
    assert purposes == ["blindai.attestation.v1", "blindai.key-release.v1"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("purpose", "blindai.attestation.v2", "statement purpose: expected one of bl"),
        ("purpose", b"blindai.attestation.v1", "statement purpose: expected one of"),
        ("purpose", None, "statement purpose: expected one of blindai.attestation.v1"),
        ("keyset_digest", bytes(31), "keyset_digest: expected 32 bytes"),
        ("keyset_digest", None, "keyset_digest: expected 32 bytes"),
        ("nonce", bytes(31), "nonce: expected 32 bytes"),
        ("nonce", b"", "nonce: expected 32 bytes"),
        ("nonce", "n" * 32, "nonce: expected 32 bytes"),
        ("gpu_digest", bytes(31), "gpu_digest: expected 32 bytes"),
        ("gpu_digest", b"", "gpu_digest: expected 32 bytes"),
        ("gpu_digest", None, "gpu_digest: expected 32 bytes"),
        ("more", 1, "statement: expected the keys keyset_digest, nonce, purpose"),
    ],
)
def test_a_malformed_statement_is_refused(
    field: str, value: object, message: str
) -> None:
    with pytest.raises(EvidenceError, match=rf"^{message}"):
        parse_statement(encoded(STATEMENT_FIELDS | {field: value}))


@pytest.mark.parametrize("missing", STATEMENT_FIELDS)
def test_each_field_of_a_statement_is_required(missing: str) -> None:
    fields = {key: value for key, value in STATEMENT_FIELDS.items() if key != missing}
    with pytest.raises(EvidenceError, match="statement: expected the keys keyset_"):
        parse_statement(encoded(fields))


# The digests.


def test_the_keyset_digest_is_labelled() -> None:
    data = KEYSET.encode()
    expected = hashlib.sha256(b"blindai keyset v1" + bytes(1) + data).digest()
    assert digest(data) == expected


def test_the_configuration_digest_is_labelled() -> None:
    expected = hashlib.sha256(b"blindai config v1" + bytes(1) + b"data").digest()
    assert configuration_digest(b"data") == expected


def test_report_data_is_a_digest_and_zeroes() -> None:
    digest = hashlib.sha256(STATEMENT.encode()).digest()
    assert bind(STATEMENT) == Binding(digest, STATEMENT.nonce)
    assert bind(STATEMENT).report_data == digest + bytes(32)


def test_a_gpu_answers_a_nonce_of_its_own() -> None:
    labelled = b"blindai gpu nonce v1" + bytes(1) + STATEMENT.encode()
    assert gpu_nonce(STATEMENT) == hashlib.sha256(labelled).digest()


def test_the_digest_of_gpu_evidence_is_labelled() -> None:
    labelled = b"blindai gpu evidence v1" + bytes(1) + b"evidence"
    assert gpu_digest(b"evidence") == hashlib.sha256(labelled).digest()
    assert gpu_digest(b"") is None


def test_report_data_from_the_standard_tools_alone() -> None:
    # The statement by hand: a map of three, its keys by length.
    data = (
        b"\xa3"
        + (b"\x65nonce" + b"\x58\x20" + b"n" * 32)
        + (b"\x67purpose" + b"\x76blindai.attestation.v1")
        + (b"\x6dkeyset_digest" + b"\x58\x20" + b"d" * 32)
    )
    assert bind(STATEMENT).digest == hashlib.sha256(data).digest()


@given(st.binary(max_size=200))
def test_any_bytes_give_a_keyset_or_the_error(data: bytes) -> None:
    try:
        value = parse_keyset(data)
    except EvidenceError:
        return
    assert value.encode() == data


FIELD_VALUES = (
    st.none() | st.integers() | st.text() | st.binary() | st.booleans() | st.floats()
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, FIELD_VALUES)))
def test_any_fields_give_a_keyset_or_the_error(fields: dict[str, object]) -> None:
    with pytest.raises(EvidenceError):
        parse_keyset(encoded({"instance": b""} | fields))


@given(
    st.dictionaries(
        st.sampled_from([*STATEMENT_FIELDS, "gpu_digest"]),
        FIELD_VALUES | st.binary(min_size=32, max_size=32),
    )
)
def test_any_fields_give_a_statement_or_the_error(fields: dict[str, object]) -> None:
    try:
        value = parse_statement(encoded(STATEMENT_FIELDS | fields))
    except EvidenceError:
        return
    assert value.encode() == encoded(STATEMENT_FIELDS | fields)


@given(st.data())
def test_a_changed_byte_gives_another_keyset_or_the_error(data: st.DataObject) -> None:
    changed = bytearray(KEYSET.encode())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(
        st.integers(1, 255)
    )
    try:
        value = keyset.parse_keyset(bytes(changed))
    except EvidenceError:
        return
    assert value != KEYSET
