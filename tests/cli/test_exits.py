"""Exit codes are distinct, documented, and each error has one."""

from __future__ import annotations

import pytest

from blindai import errors
from blindai.cli.exits import MEANINGS, CommandError, Exit, exit_code, next_step
from blindai.transcript import Transcript


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BlindAIError("x"), 1),
        (errors.ConfigurationError("x"), 2),
        (CommandError("x", "y"), 2),
        (errors.TransportError("x"), 3),
        (errors.ProtocolError("x"), 4),
        (errors.BinaryHttpError("x"), 4),
        (errors.EvidenceError("x"), 4),
        (errors.VerificationError("x"), 5),
        (errors.SealingError("x"), 5),
        (errors.UnknownKeyError("x"), 5),
        (errors.AppraisalError(Transcript()), 6),
        (errors.UncheckedError(Transcript()), 7),
        (errors.RequestError("x"), 8),
        (errors.NotFoundError("x"), 8),
        (errors.TensorError("x"), 8),
    ],
)
def test_an_error_ends_with_its_code(error: errors.BlindAIError, code: int) -> None:
    assert exit_code(error) == code


def test_each_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CommandError("x", "do this"), "do this"),
        (errors.UnauthenticatedError("x"), "--api-key-file"),
        (errors.NotFoundError("x"), "blindai models list"),
        (errors.TensorError("x"), "blindai models list"),
        (errors.TransportError("x"), errors.TransportError.next_step),
    ],
)
def test_advice_is_in_the_command_lines_words(
    error: errors.BlindAIError, words: str
) -> None:
    assert words in next_step(error)
