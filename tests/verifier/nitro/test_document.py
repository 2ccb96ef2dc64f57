"""A Nitro document is cut strictly: AWS's fields in AWS's limits, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.testing import NOW
from blindai.testing.vendors.aws import MODULE_ID, PCRS, Aws, Cose
from blindai.verifier.nitro.document import MAX_DOCUMENT_BYTES, parse_document

AWS = Aws()
PCR = bytes(48)


def document(changes: Mapping[str, object] | None = None, **how: object) -> bytes:
    return AWS.document(changes, now=NOW, **how)  # type: ignore[arg-type]  # one of many


def test_each_field_is_cut() -> None:
    changes = {"public_key": b"key", "user_data": b"data", "nonce": b"nonce"}

    signed = parse_document(document(changes))

    cut = signed.document
    assert cut.module_id == MODULE_ID
    assert cut.timestamp == NOW
    assert cut.pcrs == PCRS
    assert cut.cabundle == tuple(AWS.cabundle)
    assert (cut.public_key, cut.user_data, cut.nonce) == (b"key", b"data", b"nonce")
    assert signed.signed == cbor2.dumps(
        ["Signature1", signed.protected, b"", signed.payload]
    )


def test_the_tag_of_cose_sign1_may_be_there() -> None:
    tagged = parse_document(document(cose=Cose(tagged=True)))

    assert tagged.document.module_id == MODULE_ID


@pytest.mark.parametrize("key", ["public_key", "user_data", "nonce"])
def test_an_optional_field_may_be_null_or_missing(key: str) -> None:
    assert getattr(parse_document(document({key: None})).document, key) is None
    assert getattr(parse_document(document(without=key)).document, key) is None


def test_all_optional_fields_may_be_missing() -> None:
    fields = AWS.fields(NOW)
    for key in ("public_key", "user_data", "nonce"):
        del fields[key]

    cut = parse_document(AWS.sign(cbor2.dumps(fields))).document

    assert cut.user_data is cut.nonce is cut.public_key is None


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        pytest.param({"module_id": "m"}, "module_id", "m", id="short name"),
        pytest.param({"module_id": "m" * 256}, "module_id", "m" * 256, id="long name"),
        pytest.param(
            {"timestamp": 1},
            "timestamp",
            datetime(1970, 1, 1, microsecond=1000, tzinfo=UTC),
            id="first millisecond",
        ),
        pytest.param(
            {"timestamp": 253402300799999},
            "timestamp",
            datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
            id="last millisecond",
        ),
        pytest.param({"pcrs": {0: PCR}}, "pcrs", {0: PCR}, id="one register"),
        pytest.param(
            {"pcrs": dict.fromkeys(range(32), PCR)},
            "pcrs",
            dict.fromkeys(range(32), PCR),
            id="all registers",
        ),
        pytest.param({"public_key": bytes(1024)}, "public_key", bytes(1024), id="key"),
        pytest.param({"user_data": b""}, "user_data", b"", id="no data"),
        pytest.param({"user_data": bytes(512)}, "user_data", bytes(512), id="data"),
        pytest.param({"nonce": bytes(512)}, "nonce", bytes(512), id="nonce"),
        pytest.param({"cabundle": [b"x"]}, "cabundle", (b"x",), id="short bundle"),
        pytest.param(
            {"cabundle": [b"x"] * 16}, "cabundle", (b"x",) * 16, id="long bundle"
        ),
        pytest.param(
            {"certificate": bytes(1024)}, "certificate", bytes(1024), id="certificate"
        ),
    ],
)
def test_limits_are_included(
    changes: dict[str, object], attribute: str, value: object
) -> None:
    assert getattr(parse_document(document(changes)).document, attribute) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"module_id": ""}, "module_id: expected 1 to", id="no name"),
        pytest.param({"module_id": "m" * 257}, "module_id: .* 256", id="long name"),
        pytest.param({"module_id": b"m"}, "module_id: expected", id="name of bytes"),
        pytest.param({"module_id": "\x1b[2J"}, "module_id: .*printable", id="escape"),
        pytest.param({"module_id": "é"}, "module_id: .*printable", id="letter"),
        pytest.param({"digest": "SHA256"}, "digest: expected SHA384", id="digest"),
        pytest.param({"digest": None}, "digest: expected SHA384", id="no digest"),
        pytest.param({"timestamp": 0}, "timestamp: expected", id="time zero"),
        pytest.param({"timestamp": -1}, "timestamp: expected", id="before 1970"),
        pytest.param({"timestamp": True}, "timestamp: expected", id="boolean time"),
        pytest.param({"timestamp": 1.5}, "timestamp: expected", id="fraction"),
        pytest.param({"timestamp": 253402300800000}, "timestamp: exp", id="far time"),
        pytest.param({"pcrs": []}, "pcrs: expected at most 32", id="list of PCRs"),
        pytest.param({"pcrs": {}}, "pcrs: expected register 0", id="no registers"),
        pytest.param({"pcrs": {1: PCR}}, "pcrs: expected register 0", id="no PCR0"),
        pytest.param({"pcrs": {32: PCR}}, "registers 0 to 31", id="PCR32"),
        pytest.param({"pcrs": {-1: PCR}}, "registers 0 to 31", id="PCR-1"),
        pytest.param({"pcrs": {"0": PCR}}, "registers 0 to 31", id="text register"),
        pytest.param(
            {"pcrs": {False: PCR}}, "registers 0 to 31", id="boolean register"
        ),
        pytest.param(
            {"pcrs": dict.fromkeys(range(33), PCR)}, "at most 32", id="33 registers"
        ),
        pytest.param({"pcrs": {0: PCR[1:]}}, "PCR 0: expected 48", id="short PCR"),
        pytest.param({"pcrs": {0: bytes(64)}}, "PCR 0: expected 48", id="long PCR"),
        pytest.param({"pcrs": {0: "x" * 48}}, "PCR 0: expected 48", id="PCR of text"),
        pytest.param({"certificate": b""}, "certificate: expected 1 to", id="empty"),
        pytest.param({"certificate": bytes(1025)}, "certificate: .*1024", id="long"),
        pytest.param({"certificate": None}, "certificate: expected", id="null"),
        pytest.param({"cabundle": []}, "cabundle: expected 1 to 16", id="no bundle"),
        pytest.param({"cabundle": [b"x"] * 17}, "cabundle: .*16", id="many"),
        pytest.param({"cabundle": b"x"}, "cabundle: expected", id="bundle of bytes"),
        pytest.param({"cabundle": [b""]}, "certificate: expected 1", id="empty issuer"),
        pytest.param(
            {"cabundle": [bytes(1025)]}, "certificate: .*1024", id="long issuer"
        ),
        pytest.param({"public_key": b""}, "public_key: expected 1", id="empty key"),
        pytest.param({"public_key": bytes(1025)}, "public_key: .*1024", id="long key"),
        pytest.param({"user_data": bytes(513)}, "user_data: .*512", id="long data"),
        pytest.param({"user_data": "x"}, "user_data: expected", id="data of text"),
        pytest.param({"nonce": bytes(513)}, "nonce: .*512 bytes", id="long nonce"),
        pytest.param(
            {"nitrotpm_pcrs": {}}, "document: expected the keys", id="NitroTPM"
        ),
    ],
)
def test_a_field_beyond_aws_s_limits_is_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_document(document(changes))


@pytest.mark.parametrize(
    "key", ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"]
)
def test_a_missing_field_is_refused(key: str) -> None:
    with pytest.raises(EvidenceError, match="document: expected the keys"):
        parse_document(document(without=key))


def cose(*parts: object) -> bytes:
    return cbor2.dumps(list(parts))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "COSE_Sign1: CBOR", id="nothing"),
        pytest.param(b"\xd2", "COSE_Sign1: CBOR", id="tag alone"),
        pytest.param(b"\xd2\xd2\x80", "COSE_Sign1: CBOR", id="tag twice"),
        pytest.param(b"\xd1\x80", "COSE_Sign1: CBOR", id="COSE_Mac0"),
        pytest.param(b"\xd8\x12\x80", "COSE_Sign1: CBOR", id="long tag"),
        pytest.param(cose(), "COSE_Sign1: expected an array of 4", id="empty"),
        pytest.param(cose(b"", {}, b"x"), "expected an array of 4", id="three"),
        pytest.param(cose(*[b""] * 5), "expected an array of 4", id="five"),
        pytest.param(cbor2.dumps({}), "expected an array of 4", id="map"),
        pytest.param(
            cose(b"", {1: -35}, b"x", bytes(96)), "unprotected header", id="header"
        ),
        pytest.param(
            cose(b"", None, b"x", bytes(96)), "unprotected header", id="null header"
        ),
        pytest.param(cose(b"", {}, b"", bytes(96)), "payload: .*1 to", id="no payload"),
        pytest.param(
            cose(b"", {}, bytes(16385), bytes(96)), "payload: .*16384", id="payload"
        ),
        pytest.param(cose(b"", {}, None, bytes(96)), "payload", id="detached"),
        pytest.param(
            cose(b"", {}, b"\x80", bytes(96)), "document: .*a CBOR map", id="list"
        ),
        pytest.param(cose(b"", {}, b"\xff", bytes(96)), "document: CBOR", id="break"),
        pytest.param(bytes(MAX_DOCUMENT_BYTES), "after it", id="longest"),
        pytest.param(bytes(MAX_DOCUMENT_BYTES + 1), "at most 20480 bytes", id="long"),
    ],
)
def test_what_is_no_signed_document_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_document(data)


PAYLOAD = cbor2.dumps(AWS.fields(NOW))
SAMPLE = document({"nonce": bytes(32)})


@pytest.mark.parametrize("size", [0, 64, 95, 97, 132])
def test_a_signature_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(EvidenceError, match="signature: expected 96 bytes"):
        parse_document(cose(b"", {}, PAYLOAD, bytes(size)))


@pytest.mark.parametrize("protected", [None, {1: -35}, bytes(65)])
def test_a_protected_header_of_another_kind_is_refused(protected: object) -> None:
    with pytest.raises(EvidenceError, match="protected header: expected 0 to 64"):
        parse_document(cose(protected, {}, PAYLOAD, bytes(96)))


def test_a_payload_in_another_encoding_is_refused() -> None:
    longer = b"\xb8\x09" + PAYLOAD[1:]

    with pytest.raises(EvidenceError, match="document: CBOR: expected the preferred"):
        parse_document(cose(b"", {}, longer, bytes(96)))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_document_or_the_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_document(data)


@given(st.binary(max_size=300))
def test_any_payload_gives_a_document_or_the_error(payload: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_document(cose(b"", {}, payload, bytes(96)))


@given(st.data())
def test_any_changed_byte_gives_a_document_or_the_error(data: st.DataObject) -> None:
    changed = bytearray(SAMPLE)
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        parse_document(bytes(changed))
    except EvidenceError:
        return
