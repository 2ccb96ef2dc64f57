"""What a proof is about: other tensors, models and disclosures are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.proofs.making import (
    INPUTS,
    OUTPUTS,
    SALT,
    Made,
    committed,
    key,
    opening,
    run,
)

from blindai import proofs
from blindai.errors import (
    AttestationError,
    EvidenceError,
    ProofError,
    UncheckedError,
)
from blindai.proofs import Expected
from blindai.protocol import keyset
from blindai.protocol.commitments import Side, disclose
from blindai.protocol.datatypes import Datatype
from blindai.protocol.proof import Model, Purpose
from blindai.protocol.proof_file import Opening, ProofFile
from blindai.protocol.tensor import Tensor
from blindai.transcript import Status
from blindai.verifier import Policy

POLICY = Policy.for_simulation()
MADE = Made()
OTHER = Made(signing_key=key(2), instance=b"\x01" * 16)
UPLOAD = MADE.claims(run=None, nonce=bytes(32))


def verify(file: ProofFile, **options: Any) -> proofs.ProofResult:  # noqa: ANN401  verify's own
    return proofs.verify(file, **{"policy": POLICY, **options})


def refusal(error: AttestationError) -> str:
    """The name of the line that refuses."""
    assert error.transcript is not None
    assert len(error.transcript.refusals) == 1
    return error.transcript.refusals[0].name


def line(result: proofs.ProofResult, name: str) -> Status:
    found = [each for each in result.transcript.checks if each.name == name]
    assert len(found) == 1
    return found[0].status


def test_tensors_that_are_there_are_compared() -> None:
    result = verify(MADE.file(opening=opening()))

    assert line(result, "proof inputs") is Status.PASSED
    assert line(result, "proof outputs") is Status.PASSED


def test_what_is_not_there_shows_as_not_evaluated() -> None:
    result = verify(MADE.file(opening=opening(whole=False)))

    assert line(result, "proof inputs") is Status.NOT_EVALUATED
    assert line(result, "proof outputs") is Status.NOT_EVALUATED


def test_tensors_that_the_reader_brings_are_compared() -> None:
    file = MADE.file(opening=opening(whole=False))

    result = verify(file, expected=Expected(inputs=INPUTS, outputs=OUTPUTS))

    assert line(result, "proof inputs") is Status.PASSED
    assert line(result, "proof outputs") is Status.PASSED


FLOATS = INPUTS[0].array
SAME_BYTES = {
    "another type": Tensor("x", Datatype.INT32, (1, 2), FLOATS.view("<i4")),
    "another shape": Tensor("x", Datatype.FP32, (2, 1), FLOATS.reshape(2, 1)),
    "another name": Tensor.of("y", FLOATS),
    "other values": Tensor.of("x", FLOATS + 1),
}


@pytest.mark.parametrize("tensor", SAME_BYTES.values(), ids=SAME_BYTES)
def test_a_proof_of_another_request_is_refused(tensor: Tensor) -> None:
    file = MADE.file(opening=opening(whole=False))

    with pytest.raises(ProofError) as refused:
        verify(file, expected=Expected(inputs=[tensor]))
    assert refusal(refused.value) == "proof inputs"


@pytest.mark.parametrize("tensor", SAME_BYTES.values(), ids=SAME_BYTES)
def test_tensors_in_the_file_that_are_others_are_refused(tensor: Tensor) -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(opening=opening(inputs=(tensor,))))
    assert refusal(refused.value) == "proof inputs"


def test_what_the_reader_brings_does_not_excuse_what_is_in_the_file() -> None:
    file = MADE.file(opening=opening(outputs=OUTPUTS[:1]))

    with pytest.raises(ProofError) as refused:
        verify(file, expected=Expected(outputs=OUTPUTS))
    assert refusal(refused.value) == "proof outputs"


def test_nor_inputs_in_the_file() -> None:
    file = MADE.file(opening=opening(inputs=(SAME_BYTES["another type"],)))

    with pytest.raises(ProofError) as refused:
        verify(file, expected=Expected(inputs=INPUTS))
    assert refusal(refused.value) == "proof inputs"


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(opening(), id="with elements"),
        pytest.param(opening(whole=False), id="without elements"),
        pytest.param(Opening(SALT, (), ()), id="of no tensors"),
    ],
)
def test_an_upload_has_no_opening(beside: Opening) -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(UPLOAD, opening=beside))
    assert refusal(refused.value) == "proof opening"


def test_an_upload_has_no_tensors() -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(UPLOAD), expected=Expected(inputs=INPUTS))
    assert refusal(refused.value) == "proof inputs"


@pytest.mark.parametrize(
    ("beside", "line"),
    [
        pytest.param(opening(inputs=()), "proof inputs", id="inputs"),
        pytest.param(opening(outputs=()), "proof outputs", id="outputs"),
    ],
)
def test_no_tensors_do_not_pass_for_those_that_were_there(
    beside: Opening, line: str
) -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(opening=beside))
    assert refusal(refused.value) == line


def test_inputs_do_not_pass_for_outputs() -> None:
    ran = run(outputs=committed(Side.INPUT, *OUTPUTS))

    with pytest.raises(ProofError) as refused:
        verify(MADE.file(MADE.claims(run=ran), opening=opening()))
    assert refusal(refused.value) == "proof outputs"


def test_another_salt_is_refused() -> None:
    with pytest.raises(ProofError):
        verify(MADE.file(opening=replace(opening(), salt=SALT[::-1])))


def test_what_is_expected_and_cannot_be_compared_is_a_refusal() -> None:
    with pytest.raises(UncheckedError) as refused:
        verify(MADE.file(), expected=Expected(inputs=INPUTS))
    assert refusal(refused.value) == "proof inputs"


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        pytest.param(Expected(model_digest=b"\x06" * 32), "proof model digest", id="m"),
        pytest.param(Expected(model_digest=b""), "proof model digest", id="no digest"),
        pytest.param(Expected(model_name="met"), "proof model name", id="name"),
        pytest.param(Expected(purpose=Purpose.UPLOAD), "proof purpose", id="purpose"),
        pytest.param(Expected(nonce=bytes(32)), "proof nonce", id="nonce"),
    ],
)
def test_a_proof_of_something_else_is_refused(expected: Expected, name: str) -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(), expected=expected)
    assert refusal(refused.value) == name


def test_without_a_transcript_the_same_is_refused() -> None:
    """As with each answer that comes."""
    claims, digest = MADE.claims(), keyset.digest(MADE.keyset.encode())
    whole = Expected(inputs=INPUTS, outputs=OUTPUTS)

    assert proofs.believe(MADE.sign(claims), MADE.keyset, digest) == claims
    proofs.require_expected(claims, SALT, whole)
    proofs.require_expected(claims, None, Expected())

    with pytest.raises(ProofError, match="proof signature"):
        proofs.believe(OTHER.sign(claims), MADE.keyset, digest)
    with pytest.raises(EvidenceError):
        proofs.believe(b"", MADE.keyset, digest)
    with pytest.raises(ProofError, match="proof inputs"):
        proofs.require_expected(claims, SALT, Expected(inputs=OUTPUTS))
    with pytest.raises(UncheckedError, match="proof inputs"):
        proofs.require_expected(claims, None, whole)


def test_another_model_under_the_same_name_is_refused() -> None:
    model = Model(digest=b"\x06" * 32, name="net", version=1)
    expected = Expected(model_name="net", model_digest=b"\x05" * 32)

    with pytest.raises(ProofError) as refused:
        verify(MADE.file(MADE.claims(model=model)), expected=expected)
    assert refusal(refused.value) == "proof model digest"


def test_an_upload_answers_its_own_nonce_only() -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(UPLOAD), expected=Expected(nonce=b"\x01" * 32))
    assert refusal(refused.value) == "proof nonce"


# -------------------------------------------------------------------------- disclosures

LABEL = disclose(SALT, Side.OUTPUT, OUTPUTS, "label")
X = disclose(SALT, Side.INPUT, INPUTS, "x")
assert LABEL is not None
assert X is not None


def test_disclosed_tensors_are_verified() -> None:
    assert LABEL is not None
    assert X is not None

    result = verify(MADE.file(disclosures=(LABEL, X)))

    assert line(result, "disclosed output") is Status.PASSED
    assert line(result, "disclosed input") is Status.PASSED


def test_a_disclosed_tensor_from_elsewhere_is_refused() -> None:
    assert LABEL is not None
    other = replace(LABEL, tensor=Tensor.of("label", np.array([8], "<i8")))

    with pytest.raises(ProofError) as refused:
        verify(MADE.file(disclosures=(other,)))
    assert refusal(refused.value) == "disclosed output"


def test_a_disclosure_of_another_proof_is_refused() -> None:
    assert X is not None
    ran = run(inputs=committed(Side.INPUT, SAME_BYTES["other values"]))

    with pytest.raises(ProofError) as refused:
        verify(MADE.file(MADE.claims(run=ran), disclosures=(X,)))
    assert refusal(refused.value) == "disclosed input"


def test_an_upload_has_nothing_to_disclose() -> None:
    with pytest.raises(ProofError) as refused:
        verify(MADE.file(UPLOAD, disclosures=(LABEL,)))
    assert refusal(refused.value) == "disclosed output"


def test_a_disclosure_is_held_against_its_proof_before_it_is_written() -> None:
    proofs.require_disclosures(MADE.file(disclosures=(LABEL,)))

    with pytest.raises(ProofError):
        proofs.require_disclosures(MADE.file(UPLOAD, disclosures=(LABEL,)))
