"""What lies in a file is recognised, or it is said what was expected."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors import FOLDER, needs_vectors

from blindai.cli.encodings import decode, decode_json, describe
from blindai.cli.evidence_files import read_evidence, tee_of
from blindai.cli.tee_names import TeeName
from blindai.errors import EvidenceError
from blindai.protocol import cbor
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    AZURE_TDX_TYPE,
    NVIDIA_GPU_TYPE,
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
    TDX_QUOTE_TYPE,
    TPM_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.endorsements import certificates, encode_pem
from blindai.testing import SimulatedEvidence
from blindai.testing.vendors.nvidia import Nvidia

REPORT = bytes(1184)
PCRS = ["00" * 32] * 24
AZURE: dict[str, Any] = {
    "tpm_quote": {"message": "ff54", "signature": "00" * 256, "pcrs": PCRS},
    "hcl_report": base64.b64encode(b"HCLA").decode(),
    "vcek": "3000",
}
TPM_MAP = {"quote": b"q", "signature": b"s", "pcrs": {}}
CHAIN = Endorsement(PEM_CHAIN_TYPE, b"-----BEGIN CERTIFICATE-----")


@given(st.binary(max_size=4096))
def test_any_bytes_are_evidence_or_refused(data: bytes) -> None:
    try:
        found = read_evidence(data)
    except EvidenceError:
        return
    assert tee_of(found.media_type) is not None


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=9))
def test_any_json_in_azures_shape_is_evidence_or_refused(value: object) -> None:
    for key in ("tpm_quote", "hcl_report", "vcek"):
        try:
            read_evidence(json.dumps({**AZURE, key: value}).encode())
        except EvidenceError:
            continue


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (REPORT, SEV_SNP_REPORT_TYPE),
        (b"\x03\x00" + bytes(600), SGX_QUOTE_TYPE),
        (b"\x04\x00\x02\x00" + bytes(600), SGX_QUOTE_TYPE),
        (b"\x04\x00\x02\x00\x81\x00\x00\x00" + bytes(600), TDX_QUOTE_TYPE),
        (b"\x05\x00\x02\x00\x81\x00\x00\x00" + bytes(600), TDX_QUOTE_TYPE),
        (cbor.encode(TPM_MAP), TPM_QUOTE_TYPE),
        (cbor.encode({**TPM_MAP, "hcl_report": b"h"}), AZURE_SNP_TYPE),
        (
            cbor.encode({**TPM_MAP, "hcl_report": b"h", "td_quote": b"t"}),
            AZURE_TDX_TYPE,
        ),
        (json.dumps(AZURE).encode(), AZURE_SNP_TYPE),
        (json.dumps({**AZURE, "td_quote": "BAAC"}).encode(), AZURE_TDX_TYPE),
        (b'[{"evidence": "", "certificate": ""}]', NVIDIA_GPU_TYPE),
        (SimulatedEvidence().attestation(bytes(32)), SIMULATED_SEV_SNP_REPORT_TYPE),
    ],
)
def test_each_kind_is_told_by_how_it_looks(data: bytes, media_type: str) -> None:
    assert read_evidence(data).media_type == media_type
    assert read_evidence(data.hex().encode()).media_type == media_type
    assert read_evidence(base64.urlsafe_b64encode(data)).media_type == media_type


def test_every_tee_has_a_media_type() -> None:
    assert tee_of(NVIDIA_GPU_TYPE) is TeeName.GPU
    assert tee_of("text/plain") is None


def test_what_is_asked_for_decides() -> None:
    with pytest.raises(EvidenceError, match="it looks like --tee snp"):
        read_evidence(REPORT, tee=TeeName.TDX)


def test_an_attestation_of_another_kind_is_none() -> None:
    with pytest.raises(EvidenceError, match="it looks like --tee snp"):
        read_evidence(SimulatedEvidence().attestation(bytes(32)), tee=TeeName.GPU)


def test_endorsements_and_log_go_with_it() -> None:
    found = read_evidence(REPORT, endorsements=(CHAIN,), event_log=b"log")

    assert found.endorsements == (CHAIN,)
    assert found.event_log == b"log"


def test_what_is_said_twice_counts_once() -> None:
    found = read_evidence(REPORT, endorsements=(CHAIN, CHAIN))

    assert found.endorsements == (CHAIN,)


def test_a_log_has_its_limit() -> None:
    with pytest.raises(EvidenceError, match="of event log"):
        read_evidence(REPORT, event_log=bytes(1 << 20))


EXCHANGE = b"\x11\xe0" + bytes(100)
GPU = Nvidia().gpu()


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (1, 3, 0, 4, 2)])
def test_a_gpus_exchange_becomes_an_array_with_its_chain(
    order: tuple[int, ...],
) -> None:
    chain = [*certificates(GPU.chain)]
    files = tuple(
        Endorsement(PEM_CHAIN_TYPE, encode_pem(chain[each])) for each in order
    )

    found = read_evidence(EXCHANGE, endorsements=files)

    (gpu,) = json.loads(found.evidence)
    assert base64.b64decode(gpu["evidence"]) == EXCHANGE
    placed = list(certificates(base64.b64decode(gpu["certificate"])))
    assert placed[0] == chain[0]
    assert set(placed) == set(chain)
    assert not found.endorsements


def test_an_array_with_something_else_in_it_is_left_to_the_verifier() -> None:
    array = b'[{"evidence": ""}, 5]'
    chain = Endorsement(PEM_CHAIN_TYPE, GPU.chain)

    found = read_evidence(array, endorsements=(chain,))

    assert json.loads(found.evidence)[1] == 5


def test_a_gpus_exchange_without_its_chain_is_told() -> None:
    with pytest.raises(EvidenceError, match="its certificate chain with --endorsement"):
        read_evidence(EXCHANGE)


def test_azures_signature_is_wrapped_as_a_tpm_writes_it() -> None:
    fields = cbor.decode(read_evidence(json.dumps(AZURE).encode()).evidence)

    assert isinstance(fields, dict)
    signature = fields["signature"]
    assert signature == bytes.fromhex("0014000b0100") + bytes(256)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tpm_quote": 1}, "expected the object tpm_quote"),
        ({"tpm_quote": {**AZURE["tpm_quote"], "pcrs": PCRS[1:]}}, "expected 24 pcrs"),
        ({"tpm_quote": {**AZURE["tpm_quote"], "message": ""}}, "message: expected byt"),
        ({"hcl_report": [256]}, "report: expected bytes"),
        ({"hcl_report": [True]}, "report: expected bytes"),
        ({"vcek": "!"}, "vcek: expected bytes"),
        ({"td_quote": 5}, "td_quote: expected bytes"),
    ],
)
def test_a_part_that_is_none_is_told(changes: dict[str, object], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        read_evidence(json.dumps({**AZURE, **changes}).encode())


def test_bytes_may_be_numbers_and_certificates_missing() -> None:
    sparse = {**AZURE, "hcl_report": [72, 67], "vcek": None}

    assert not read_evidence(json.dumps(sparse).encode()).endorsements


def field(number: int, content: bytes) -> bytes:
    """A byte string in protobuf, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize(
    "data",
    [
        field(2, field(1, b"quote")),  # no registers at all
        field(2, field(3, b"\x08\x04")),  # of SHA-1
        field(2, field(3, b"\x08" + b"\xff" * 10)),  # a number without end
    ],
)
def test_a_protobuf_without_a_sha256_quote_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match=r"(TPM evidence|protobuf): expected"):
        read_evidence(data, tee=TeeName.TPM)


@needs_vectors
def test_go_tpm_tools_attestation_is_read_whole() -> None:
    data = (FOLDER / "tpm" / "gotpm_gce-cos-85-nonce9009.pb").read_bytes()

    found: Evidence = read_evidence(data, tee=TeeName.TPM)

    assert len(found.event_log) == 23970
    assert [each.media_type for each in found.endorsements] == [PEM_CHAIN_TYPE]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0xAb cd\n", b"\xab\xcd"),
        (b"_-8", b"\xff\xef"),
        (b"AQ==", b"\x01"),
        (b"A", None),
        (b"not base64!", None),
        (b"", None),
    ],
)
def test_text_stands_for_bytes(text: bytes, expected: bytes | None) -> None:
    assert decode(text) == expected


@pytest.mark.parametrize("text", [b"1", b'{"a": 1, "a": 2}', b"[" * 100_000, b"{"])
def test_any_other_json_is_none(text: bytes) -> None:
    assert decode_json(text) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"{}", "2 bytes of JSON"),
        (b"hello\n", "6 bytes of text"),
        (b"\x00", "1 bytes of something else"),
    ],
)
def test_bytes_are_described(data: bytes, words: str) -> None:
    assert describe(data) == words
