"""Exit codes: the one table, and what to do next, in the command line's words."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from blindai import errors

if TYPE_CHECKING:
    from collections.abc import Mapping


class Exit(IntEnum):
    """How a command ends."""

    OK = 0
    OTHER = 1
    USAGE = 2
    NETWORK = 3
    MALFORMED = 4
    NOT_AUTHENTIC = 5
    NOT_ACCEPTED = 6
    NOT_EVALUATED = 7
    REFUSED = 8
    WITHIN_TOLERANCE = 10
    DIFFERENT = 11
    NOT_COMPARABLE = 12
    GAP = 13
    REPEAT = 14
    FORK = 15
    INTERRUPTED = 130


MEANINGS: Final[Mapping[Exit, str]] = {
    Exit.OK: "Done; the enclave, where one was asked, has proved itself.",
    Exit.OTHER: "Something else failed; the message says what.",
    Exit.USAGE: "An option, a file or a setting is missing or wrong.",
    Exit.NETWORK: "The network failed, or what answered is no enclave's gateway.",
    Exit.MALFORMED: "Evidence or an answer does not follow its format.",
    Exit.NOT_AUTHENTIC: "Evidence is not authentic, or sealed bytes do not open.",
    Exit.NOT_ACCEPTED: "The enclave is genuine, but the policy does not accept it; or "
    "its store is older than one seen before.",
    Exit.NOT_EVALUATED: "A check that the policy requires could not be evaluated.",
    Exit.REFUSED: "The enclave understood the request and refused it.",
    Exit.WITHIN_TOLERANCE: "`proof replay`: not the same bits, but as near as "
    "--tolerance asks.",
    Exit.DIFFERENT: "`proof replay`: other outputs, though the same computes.",
    Exit.NOT_COMPARABLE: "`proof replay`: other outputs, from which nothing follows: "
    "something else computes, or was beside it.",
    Exit.GAP: "`proof chain`: a proof is missing.",
    Exit.REPEAT: "`proof chain`: a proof is there twice.",
    Exit.FORK: "`proof chain`: two proofs contradict each other.",
    Exit.INTERRUPTED: "Interrupted (Ctrl-C).",
}

# The first that fits counts: subclasses stand above their parents.
_CODES: Final[tuple[tuple[type[errors.BlindAIError], Exit], ...]] = (
    (errors.ConfigurationError, Exit.USAGE),
    (errors.TransportError, Exit.NETWORK),
    (errors.TensorError, Exit.REFUSED),
    (errors.ProtocolError, Exit.MALFORMED),
    (errors.EvidenceError, Exit.MALFORMED),
    (errors.VerificationError, Exit.NOT_AUTHENTIC),
    (errors.SealingError, Exit.NOT_AUTHENTIC),
    (errors.RollbackError, Exit.NOT_ACCEPTED),
    (errors.UncheckedError, Exit.NOT_EVALUATED),
    (errors.AppraisalError, Exit.NOT_ACCEPTED),
    (errors.RequestError, Exit.REFUSED),
)

# Where the library's advice names Python, the command line's own.
_NEXT: Final[Mapping[type[errors.BlindAIError], str]] = {
    errors.TensorError: "Compare names, dtypes and shapes with `blindai models list`.",
    errors.UnauthenticatedError: "Set BLINDAI_API_KEY, or pass --api-key-file FILE.",
    errors.NotFoundError: "See what is there with `blindai models list`.",
}


class CommandError(errors.ConfigurationError):
    """A command cannot run as it was asked to.

    Attributes:
        advice: What to do next.
    """

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


class EvidenceFileError(errors.EvidenceError):
    """A file is not the evidence, or what goes with it, that a command asks for.

    Attributes:
        advice: What to do next.
    """

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


def exit_code(error: errors.BlindAIError) -> Exit:
    """The code that an error ends a command with."""
    return next(
        (code for cls, code in _CODES if isinstance(error, cls)),
        Exit.OTHER,
    )


def next_step(error: errors.BlindAIError) -> str:
    """What to do about an error."""
    if isinstance(error, CommandError | EvidenceFileError):
        return error.advice
    return _NEXT.get(type(error), error.next_step)
