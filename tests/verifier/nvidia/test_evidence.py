"""NVIDIA's JSON array: two members of each object are read, the rest is no matter."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.errors import EvidenceError
from blindai.protocol.attestation import MAX_GPU_BYTES
from blindai.verifier.nvidia.evidence import GpuEvidence, parse_evidence

GPU = {"arch": "HOPPER", "nonce": "00", "evidence": "YQ==", "certificate": "Yg=="}


def test_each_gpu_is_read() -> None:
    other = {"evidence": "", "certificate": "", "more": [{}]}

    assert parse_evidence(json.dumps([GPU, other]).encode()) == (
        GpuEvidence(b"a", b"b"),
        GpuEvidence(b"", b""),
    )


def test_sixteen_gpus_are_read() -> None:
    assert len(parse_evidence(json.dumps([GPU] * 16).encode())) == 16


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "expected JSON", id="nothing"),
        pytest.param("[", "expected JSON", id="half"),
        pytest.param("[" * 10000, "expected JSON", id="deep"),
        pytest.param("[" + "1" * 5000 + "]", "expected JSON", id="long number"),
        pytest.param('[{"a": 1, "a": 1}]', "expected JSON", id="member twice"),
        pytest.param("{}", "an array of 1 to 16", id="object"),
        pytest.param("[]", "an array of 1 to 16", id="no GPU"),
        pytest.param(json.dumps([GPU] * 17), "an array of 1 to 16", id="17 GPUs"),
        pytest.param("[1]", "an object for each", id="number"),
        pytest.param("[{}]", "GPU evidence: expected a string", id="no evidence"),
        pytest.param(
            '[{"evidence": ""}]', "GPU certificate: expected a s", id="no certificate"
        ),
        pytest.param('[{"evidence": 1}]', "expected a string", id="evidence number"),
        pytest.param('[{"evidence": "é"}]', "expected base64", id="letters"),
        pytest.param('[{"evidence": "YQ"}]', "expected base64", id="no padding"),
        pytest.param('[{"evidence": "Y Q=="}]', "expected base64", id="blank"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        parse_evidence(text.encode())


def test_other_encodings_are_refused() -> None:
    with pytest.raises(EvidenceError, match="expected JSON in UTF-8"):
        parse_evidence(json.dumps([GPU]).encode("utf-16"))


def test_the_size_is_limited() -> None:
    with pytest.raises(EvidenceError, match=f"at most {MAX_GPU_BYTES} bytes"):
        parse_evidence(b" " * (MAX_GPU_BYTES + 1))
    assert parse_evidence(json.dumps([GPU]).encode().rjust(MAX_GPU_BYTES))


@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_any_bytes_give_evidence_or_the_error(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_evidence(data)
