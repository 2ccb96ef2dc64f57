"""Every error blindai raises, split by what the caller should do next.

    BlindAIError
    |-- ConfigurationError        mend a setting, a policy file or an argument
    |-- TransportError            the network failed: try again
    |-- HardwareError             the TEE's device failed: its message says what to do
    |   |-- HardwareAbsentError     ... or is not there at all
    |   `-- HardwareBusyError       ... or is busy: try again
    |-- ProtocolError             the peer's bytes are malformed
    |   |-- BinaryHttpError         ... inside a sealed message (RFC 9292)
    |   `-- TensorError             ... or a tensor is not what the model expects
    |-- SealingError              sealed bytes do not open: do not use them
    |   `-- UnknownKeyError         sealed to a key the enclave no longer holds
    |-- RollbackError             a sealed store is older than one seen before: ask why
    |-- AttestationError          the enclave has not proved itself: do not trust it
    |   |-- EvidenceError           evidence is malformed
    |   |-- VerificationError       evidence is not authentic
    |   |   `-- ProofError              a proof does not hold, or is of something else
    |   `-- AppraisalError          authentic, but not what the policy accepts
    |       `-- UncheckedError        a required check could not be evaluated
    `-- RequestError              the enclave understood, and refused
        |-- InvalidRequestError     mend the request
        |-- ModelRefusedError       the uploaded model was not admitted
        |-- UnauthenticatedError    the API key is missing or unknown
        |-- ForbiddenError          the API key or owner token does not allow this
        |-- NotFoundError           no such model or route
        |-- ConflictError           the name is taken, or the digest is another
        |-- TooLargeError           a limit on size was passed
        |-- StaleRequestError       the sealed date is outside the enclave's window
        |-- ReplayedRequestError    these sealed bytes were seen before
        |-- OverloadedError         busy: try again later
        |   `-- QuotaError              ... or the API key's own share is used up
        |-- DeadlineError           the time allowed has passed
        |-- ModelCrashedError       the model's worker died of it: mend model or input
        |-- UnavailableError        the model is out of service for a while
        `-- InternalError           the enclave's own fault; report the request id

A message says *what: expected X, got Y*; `next_step` says what to do about it.
Messages never hold a payload, a tensor, a key or a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing import Self

    from blindai.transcript import Transcript


class BlindAIError(Exception):
    """Anything blindai refuses or fails to do.

    Attributes:
        message: What was wrong: what was expected, what was there.
        request_id: The enclave's name for the request, to quote in a report.
        next_step: What the caller should do about it.
    """

    next_step: ClassVar[str] = "See the message."

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id

    def __str__(self) -> str:
        """The message, the request id if there is one, and what to do next."""
        where = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.message}{where}\n  Next: {self.next_step}"


class ConfigurationError(BlindAIError):
    """A setting, a policy file or an argument is missing or wrong."""

    next_step = "Mend the setting or file named above."


class TransportError(BlindAIError):
    """The network failed before the enclave answered."""

    next_step = "Check the address and the network, then try again."


class HardwareError(BlindAIError):
    """The TEE's device did not do what it was asked to."""

    next_step = "Do what the message says; docs/deploy.md has what each TEE needs."


class HardwareAbsentError(HardwareError):
    """The TEE's device is not there, or no driver answers for it."""


class HardwareBusyError(HardwareError):
    """The TEE's device is busy, or somebody else used it at the same time."""

    next_step = "Try again in a moment."


class ProtocolError(BlindAIError):
    """The peer's bytes do not follow the protocol."""

    next_step = "Check that both sides speak the same version of blindai."


class BinaryHttpError(ProtocolError):
    """A Binary HTTP message is malformed, cut short or over a limit (RFC 9292)."""


class TensorError(ProtocolError):
    """A tensor, or its encoding, is not what was expected."""

    next_step = "Compare names, dtypes and shapes with client.models()."


class SealingError(BlindAIError):
    """Sealed bytes do not open: tampered with, cut short, or for another key."""

    next_step = "Do not use the data; someone between may have changed it."


class UnknownKeyError(SealingError):
    """A message is sealed to a key the enclave does not hold (any more)."""

    next_step = "Attest the enclave again and seal to its current key."


class RollbackError(BlindAIError):
    """A sealed store is older than, or another than, what was seen of it before."""

    next_step = "Ask the operator why; the message says what goes on with it as it is."


class AttestationError(BlindAIError):
    """The enclave has not proved itself; a client has sent it nothing.

    Attributes:
        transcript: Every check that was made, when there is one.
    """

    next_step = "Do not trust it. Read the transcript, then ask the operator."

    def __init__(
        self,
        message: str,
        *,
        transcript: Transcript | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.transcript = transcript


class EvidenceError(AttestationError):
    """Evidence or endorsements are malformed."""


class VerificationError(AttestationError):
    """Evidence is well formed, but not authentic."""


class ProofError(VerificationError):
    """A proof does not hold, or is about something else than was expected."""

    next_step = (
        "Do not rely on it. Read the transcript, then ask whoever gave you the proof."
    )


class AppraisalError(AttestationError):
    """The enclave is genuine, but it is not what the policy accepts.

    Attributes:
        findings: All that was not accepted, in the order of the checks.
    """

    next_step = (
        "Do not trust it. Add a value to the policy only if you reviewed what it is of."
    )

    def __init__(self, transcript: Transcript) -> None:
        findings = transcript.refusals
        super().__init__("; ".join(map(str, findings)), transcript=transcript)
        self.findings = findings

    def __reduce__(self) -> tuple[type[Self], tuple[Transcript | None]]:
        """By its transcript, so that it reaches whoever waits for a worker process."""
        return type(self), (self.transcript,)


class UncheckedError(AppraisalError):
    """A check the policy requires could not be evaluated."""

    next_step = "Do not trust it. Give the policy a reference value for what is named."


class RequestError(BlindAIError):
    """The enclave opened and understood the request, and refused it."""


class InvalidRequestError(RequestError):
    """The request is well sealed but wrong."""

    next_step = "Mend the request as the message says."


class ModelRefusedError(RequestError):
    """The uploaded model was not admitted."""

    next_step = "Export the model again as the message says."


class UnauthenticatedError(RequestError):
    """The API key is missing or unknown."""

    next_step = "Pass api_key=... or set BLINDAI_API_KEY."


class ForbiddenError(RequestError):
    """The API key or owner token does not allow this."""

    next_step = "Use a key with the scope named above, or the owner's key or token."


class NotFoundError(RequestError):
    """There is no such model or route."""

    next_step = "List what is there with client.models()."


class ConflictError(RequestError):
    """The name is taken, or the model is not the one that was pinned."""

    next_step = (
        "Choose another name, show that it is yours (owner token, API key), or compare"
        " the digests."
    )


class TooLargeError(RequestError):
    """A limit on size was passed."""

    next_step = "Send less, or ask the operator for a larger limit."


class StaleRequestError(RequestError):
    """The sealed date is outside the enclave's replay window."""

    next_step = "Set this machine's clock."


class ReplayedRequestError(RequestError):
    """The enclave has seen these very bytes before."""

    next_step = "Seal the request anew; never send sealed bytes twice."


class OverloadedError(RequestError):
    """The enclave is busy and keeps no more requests waiting."""

    next_step = "Try again in a moment."


class QuotaError(OverloadedError):
    """What the configuration grants an API key is used up.

    Attributes:
        retry_after_s: When to try again, in whole seconds.
    """

    next_step = "Wait, delete a model, or ask the operator for a larger quota."

    def __init__(
        self, message: str, *, retry_after_s: int = 1, request_id: str | None = None
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after_s = retry_after_s


class DeadlineError(RequestError):
    """The time allowed for the request has passed."""

    next_step = "Allow more time, or send less at once."


class ModelCrashedError(RequestError):
    """The process that ran the model died, or passed its memory limit."""

    next_step = "Try other inputs or the model on your own machine; then its owner."


class UnavailableError(RequestError):
    """The model is out of service for a while: its worker keeps dying, or restarts."""

    next_step = "Try again in a minute; if it stays so, ask the model's owner."


class InternalError(RequestError):
    """The enclave failed; it is not the request's fault."""

    next_step = "Report the request id to the operator."


def reason(error: OSError | UnicodeDecodeError) -> str:
    """Why a file was not read, in the system's words; nothing of what it holds."""
    if isinstance(error, UnicodeDecodeError):
        return f"expected {error.encoding.upper()}"
    return error.strerror or type(error).__name__
