"""Two implementations of docs/proofs.md agree about files with one thing changed."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from tests.proofs.both import (
    ACCEPTED,
    CHAIN,
    DISCLOSED,
    DISCLOSURES,
    FOLDER,
    OPENED,
    OPENING,
    PREDICT,
    REFUSED,
    SALT,
    TYPE,
    VECTORS,
    canonical,
    change,
    read,
    sign,
    verdicts,
    with_claims,
    with_proof,
)
from tests.proofs.making import Made

from blindai.protocol.endorsements import encode_pem
from blindai.protocol.keyset import Keyset, Purpose
from blindai.protocol.proof_file import encode_proof_file

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)


def with_opening(path: tuple[Any, ...], new: object, file: Any = OPENED) -> bytes:  # noqa: ANN401  CBOR
    content = canonical(change(OPENING, path, new))
    return canonical(change(file, ("opening",), [f"{TYPE}opening+cbor", content]))


def with_input(*tensor: object) -> bytes:
    """The prediction with one input that is only described, which nothing proves."""
    return with_opening(("inputs",), [list(tensor)])


def with_disclosure(path: tuple[Any, ...], new: object) -> bytes:
    content = canonical(change(DISCLOSURES, path, new))
    return canonical(change(DISCLOSED, ("disclosures", 1), content))


def with_header(header: dict[object, object]) -> bytes:
    claims = bytes.fromhex(VECTORS["predict"]["claims"])
    return with_proof(sign(claims, protected=canonical(header)))


def attested(path: tuple[Any, ...], new: object) -> bytes:
    return canonical(change(PREDICT, ("attestation", *path), new))


def malformed() -> Iterator[tuple[str, bytes]]:
    for label in ("keyset", "statement"):
        record = [*PREDICT["attestation"][label], 4]
        yield f"indicator of {label}", attested((label,), record)
    for file, label in (
        (OPENED, "proof"),
        (OPENED, "nonce"),
        (OPENED, "opening"),
        (DISCLOSED, "disclosures"),
    ):
        record = [*file[label], 4]
        yield f"indicator of {label}", canonical(change(file, (label,), record))
    yield "indicator of evidence", attested(("evidence", 2), 6)
    yield "type of endorsements", attested(("endorsements", "__cmwc_t"), "tag:x")
    yield "no endorsements", attested(("endorsements",), {})
    yield "endorsements from 1", attested(("endorsements",), {1: CHAIN})
    yield (
        "17 endorsements",
        attested(("endorsements",), dict.fromkeys(range(17), CHAIN)),
    )
    yield (
        "GPUs of which the statement is silent",
        attested(("gpu",), [f"{TYPE}nvidia-gpu+json", b"{}", 4]),
    )
    yield "empty GPUs", attested(("gpu",), [f"{TYPE}nvidia-gpu+json", b"", 4])
    yield "empty log", attested(("event_log",), [f"{TYPE}tcg-event-log", b"", 4])
    (pem,) = (content for kind, content, _ in [CHAIN])
    end = b"-----END CERTIFICATE-----\n"
    for count in (0, 1, 2):
        short = b"".join(each + end for each in pem.split(end)[:count])
        yield f"{count} certificates", attested(("endorsements", 0, 1), short)
    der = b64decode(b"".join(pem.split(end)[1].splitlines()[1:]))  # the ASK's
    bits = der.replace(b"\x03\x82\x02\x01\x00", b"\x03\x82\x02\x01\x01")
    other = encode_pem(bits)
    yield (
        "a signature of 4095 bits",
        attested(("endorsements", 0, 1), pem.replace(encode_pem(der), other)),
    )
    report = PREDICT["attestation"]["evidence"][1]
    yield "padding of the report", attested(("evidence", 1), report[:-1] + b"\x01")


def wrong_messages() -> Iterator[tuple[str, bytes]]:
    for key, algorithm in ((1.0, -8), (True, -8), (1, -8.0), (1, -7)):
        header: dict[object, object] = {key: algorithm, 3: f"{TYPE}proof-claims+cbor"}
        yield (
            f"header {key}: {algorithm}",
            with_header({**header, 16: f"{TYPE}proof+cose"}),
        )
    claims = bytes.fromhex(VECTORS["predict"]["claims"])
    yield "unprotected", with_proof(sign(claims, unprotected={4: b""}))
    yield "CWT tag", with_proof(b"\xd8\x3d" + PREDICT["proof"][1])
    yield "no tag", with_proof(PREDICT["proof"][1][1:])


def wrong_claims() -> Iterator[tuple[str, bytes]]:
    for path, new in (
        ((6,), True),
        ((6,), 1780315200.0),
        ((6,), 253402300800),
        ((7,), bytes(7)),
        ((10,), bytes(32)),
        ((24,), 0),
        (("blindai.sequence",), 2**63),
        (("blindai.previous",), b""),
        (("blindai.purpose",), "blindai.proof.upload.v1"),
        (("blindai.purpose",), ["blindai.proof.predict.v1"]),
        (("blindai.model", "name"), "x" * 1025),
        (("blindai.model", "version"), -1),
        (("blindai.model", "more"), 0),
        (("blindai.inputs", "count"), 65),
        (("blindai.inputs", "root"), b""),
        (("blindai.runtime", "cpu"), ["b", "a"]),
        (("blindai.runtime", "cpu"), ["a", "a"]),
        (("blindai.runtime", "cpu"), [str(n) for n in range(10, 75)]),
        (("blindai.runtime", "cpu"), ["\U00010000", "\uffff"]),
    ):
        yield f"{path}: {new!a:.24}", with_claims(path, new)


def wrong_tensors() -> Iterator[tuple[str, bytes]]:
    upload = read("upload.proof")
    yield "opening of an upload", with_opening(("salt",), SALT, upload)
    yield "no inputs", with_opening(("inputs",), [])
    yield "no outputs", with_opening(("outputs",), [])
    yield "some elements", with_opening(("inputs", 0, 3), None)
    yield "a name twice", with_opening(("inputs", 1, 0), "text")
    yield "no BOOL", with_opening(("inputs", 1, 3), b"\1\2")
    yield "BYTES too short", with_opening(("inputs", 0, 3), b"\4\0\0\0good\0\0\0")
    for shape in ([2**40, 0], [2**31 + 1], [1] * 17, [-1], [True], [1.0]):
        yield f"shape {shape}", with_input("x", "INT8", shape, None)
    yield "datatype", with_input("x", "INT4", [1], None)
    yield (
        "65 tensors",
        with_opening(("inputs",), [[str(n), "INT8", [1], None] for n in range(65)]),
    )
    yield (
        "129 disclosures",
        canonical(change(DISCLOSED, ("disclosures", 1), canonical(DISCLOSURES * 129))),
    )
    for path, new in (
        ((0, "index"), 64),
        ((0, "index"), True),
        ((0, "side"), True),
        ((0, "path"), []),
        ((0, "path"), DISCLOSURES[0]["path"] * 9),
        ((0, "tensor", 3), None),
        ((0, "tensor", 0), "other"),
        ((0,), {}),
    ):
        yield f"disclosure {path}: {new!a:.24}", with_disclosure(path, new)


CHANGED = dict((*malformed(), *wrong_messages(), *wrong_claims(), *wrong_tensors()))


@pytest.mark.parametrize("data", CHANGED.values(), ids=CHANGED)
def test_both_refuse_what_the_page_does_not_allow(data: bytes) -> None:
    assert verdicts(data) == REFUSED


ODD = {
    "the last second": with_claims((6,), 253402300799),
    "a name of 1024 wide characters": with_claims(
        ("blindai.model", "name"), "\U0001f600" * 1024
    ),
    "no features": with_claims(("blindai.runtime", "cpu"), []),
    "features beyond the BMP": with_claims(
        ("blindai.runtime", "cpu"), ["\uffff", "\U00010000"]
    ),
    "another engine": with_claims(("blindai.runtime", "engine"), "other"),
    "no digest before": with_claims(("blindai.previous",), None),
    "described inputs that were none": with_input("lie", "INT8", [1], None),
    "2^31 elements": with_input("x", "INT8", [2**31, 1], None),
    "128 disclosures": canonical(
        change(DISCLOSED, ("disclosures", 1), canonical(DISCLOSURES * 128))
    ),
    "opening and disclosure": canonical(
        change(OPENED, ("disclosures",), DISCLOSED["disclosures"])
    ),
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_both_accept_what_the_page_allows(data: bytes) -> None:
    assert verdicts(data) == ACCEPTED


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        pytest.param(-1, REFUSED, id="before the keyset"),
        pytest.param(0, ACCEPTED, id="its first second"),
        pytest.param(86400, ACCEPTED, id="its last"),
        pytest.param(86401, REFUSED, id="after it"),
    ],
)
def test_both_know_when_a_keyset_counts(second: int, verdict: dict[str, bool]) -> None:
    begins = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    at = datetime.fromtimestamp(begins + second, UTC)

    assert verdicts((FOLDER / "predict.proof").read_bytes(), at) == verdict


def test_a_statement_that_the_evidence_does_not_bind_is_refused() -> None:
    """It names the keyset, and the nonce of the file."""
    statement = cbor2.loads(PREDICT["attestation"]["statement"][1])
    other = canonical(change(statement, ("nonce",), bytes(32)))
    file = change(PREDICT, ("nonce", 1), bytes(32))

    data = canonical(change(file, ("attestation", "statement", 1), other))

    assert verdicts(data) == REFUSED


def test_a_proof_from_before_its_keyset_is_refused_as_of_a_later_date() -> None:
    data = (FOLDER / "refused" / "too-early.proof").read_bytes()

    assert verdicts(data, datetime(2026, 6, 1, 12, tzinfo=UTC)) == REFUSED


@dataclass(frozen=True)
class Later(Made):
    """An enclave of another century."""

    year: int = 2026

    @cached_property
    def keyset(self) -> Keyset:
        begin = datetime(self.year, 6, 1, tzinfo=UTC)
        return replace(
            super().keyset, not_before=begin, not_after=begin + timedelta(days=1)
        )

    def data(self) -> bytes:
        claims = self.claims(issued_at=datetime(self.year, 6, 1, 12, tzinfo=UTC))
        return encode_proof_file(self.file(claims))


@pytest.mark.parametrize(
    ("enclave", "verdict"),
    [
        pytest.param(Later(), ACCEPTED, id="as it should be"),
        pytest.param(Later(purpose=Purpose.KEY_RELEASE), REFUSED, id="purpose"),
        pytest.param(Later(nonce=None), REFUSED, id="no nonce"),
        pytest.param(Later(year=2226), REFUSED, id="after its certificates"),
    ],
)
def test_both_hold_evidence_to_what_it_is_for(
    enclave: Later, verdict: dict[str, bool]
) -> None:
    assert verdicts(enclave.data()) == verdict
