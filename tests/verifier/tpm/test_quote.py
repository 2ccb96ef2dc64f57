"""TPMS_ATTEST and TPMT_SIGNATURE, written by one module and read by another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol.tpm import HASHES
from blindai.testing.vendors.pki import p256
from blindai.testing.vendors.tpm import QuoteFields, select, sign_quote
from blindai.verifier.tpm.claims import Clock
from blindai.verifier.tpm.quote import (
    Quote,
    Signature,
    concatenated,
    parse_quote,
    parse_signature,
)

FIELDS = QuoteFields(
    extra_data=b"bound",
    selection=(select("sha256", (0, 4, 23)), select("sha1", (8,))),
    pcr_digest=bytes(32),
)
QUOTE = FIELDS.encode()
SIGNATURE = sign_quote(QUOTE, p256())


def test_every_field_is_read_where_it_was_written() -> None:
    quote = parse_quote(
        replace(
            FIELDS,
            clock=1,
            reset_count=2,
            restart_count=3,
            safe=0,
            firmware_version=4,
            pcr_digest=b"d" * 32,
        ).encode()
    )

    assert quote.extra_data == b"bound"
    assert quote.clock == Clock(
        milliseconds=1, reset_count=2, restart_count=3, safe=False
    )
    assert quote.firmware_version == 4
    assert quote.selection == (("sha256", (0, 4, 23)), ("sha1", (8,)))
    assert quote.pcr_digest == b"d" * 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"magic": 0xFF544346}, "one that a TPM made", id="magic"),
        pytest.param({"type": 0x8017}, "one that a TPM made", id="type"),
        pytest.param({"qualified_signer": bytes(67)}, "at most 66", id="signer"),
        pytest.param({"extra_data": bytes(67)}, "at most 66", id="extra data"),
        pytest.param({"safe": 2}, "safe to be 0 or 1, got 2", id="safe"),
        pytest.param(
            {"selection": (select("sha1", (0,)),) * 5}, "at most 4 banks", id="banks"
        ),
        pytest.param(
            {"selection": (select("sha1", (0,)),) * 2}, "each bank once", id="twice"
        ),
        pytest.param({"selection": (select("sha1", ()),)}, "with a reg", id="empty"),
        pytest.param({"selection": ((0x12, b"\x01\0\0"),)}, "got 0x0012", id="hash"),
        pytest.param({"selection": ((4, b"\x01\0"),)}, "3 bytes of PCRs", id="short"),
        pytest.param({"pcr_digest": bytes(65)}, "at most 64", id="digest"),
        pytest.param({"rest": b"\x00"}, "its end, got 1 bytes more", id="rest"),
    ],
)
def test_other_quotes_are_refused(changes: dict[str, object], message: str) -> None:
    fields = replace(FIELDS, **changes)  # type: ignore[arg-type]  # one of many

    with pytest.raises(EvidenceError, match=message):
        parse_quote(fields.encode())


def test_a_quote_that_is_cut_is_refused() -> None:
    for size in range(len(QUOTE)):
        with pytest.raises(EvidenceError):
            parse_quote(QUOTE[:size])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"\x00\x16" + SIGNATURE[2:], "got 0x0016", id="RSAPSS"),
        pytest.param(SIGNATURE[:2] + b"\x00\x12", "got 0x0012", id="hash"),
        pytest.param(SIGNATURE + b"\x00", "its end", id="rest"),
        pytest.param(SIGNATURE[:-1], "expected 32 bytes, got 31", id="cut"),
        pytest.param(b"\0\x14\0\x0b\x02\x01" + bytes(513), "at most 512", id="RSA"),
        pytest.param(b"\0\x18\0\x0b\x00\x43" + bytes(67), "at most 66", id="ECDSA"),
    ],
)
def test_other_signatures_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_signature(data)


def test_a_quote_may_be_of_every_bank() -> None:
    banks = tuple(select(name, (0,)) for name in HASHES.values())

    quote = parse_quote(replace(FIELDS, selection=banks).encode())

    assert [name for name, _ in quote.selection] == list(HASHES.values())


def test_registers_are_digested_as_they_are_selected() -> None:
    selection = (("sha256", (4, 7)), ("sha1", (0,)))
    pcrs = {"sha1": {0: b"c"}, "sha256": {7: b"b", 4: b"a"}}

    assert concatenated(selection, pcrs) == b"abc"


@pytest.mark.parametrize(
    "pcrs",
    [
        pytest.param({"sha256": {4: b"a"}}, id="one missing"),
        pytest.param({"sha256": {4: b"a", 7: b"b", 8: b"c"}}, id="one too many"),
        pytest.param({"sha256": {4: b"a", 7: b"b"}, "sha1": {}}, id="another bank"),
    ],
)
def test_registers_are_those_that_are_selected(
    pcrs: dict[str, dict[int, bytes]],
) -> None:
    with pytest.raises(EvidenceError, match="exactly the registers"):
        concatenated((("sha256", (4, 7)),), pcrs)


@given(st.integers(0, len(QUOTE)), st.binary(max_size=64))
def test_any_bytes_give_a_quote_or_the_one_error(offset: int, patch: bytes) -> None:
    try:
        quote = parse_quote(QUOTE[:offset] + patch + QUOTE[offset + len(patch) :])
    except EvidenceError:
        return

    assert isinstance(quote, Quote)


@given(st.integers(0, 8), st.binary(max_size=80))
def test_any_bytes_give_a_signature_or_the_one_error(size: int, rest: bytes) -> None:
    try:
        signature = parse_signature(SIGNATURE[:size] + rest)
    except EvidenceError:
        return

    assert isinstance(signature, Signature)
