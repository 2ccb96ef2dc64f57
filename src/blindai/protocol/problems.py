"""Problem details, RFC 9457: how errors cross the wire, sealed.

One table says which error is which problem, so that what the enclave raises is what
the client raises. Details are the error's message; anything the table does not know
crosses as an internal error, without a word of what happened inside.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Final

from blindai import errors

MEDIA_TYPE: Final = "application/problem+json"
MAX_BYTES: Final = 65536
OHTTP_KEY: Final = "https://iana.org/assignments/http-problem-types#ohttp-key"
"""The gateway does not hold the key (RFC 9458, section 5.3)."""
DATE: Final = "https://iana.org/assignments/http-problem-types#date"
"""The date of the request is not acceptable (RFC 9458, section 6.5.2)."""
_TAG = "tag:blindai,2026:problem/"

_TABLE: Final[tuple[tuple[type[errors.BlindAIError], str, int], ...]] = (
    (errors.StaleRequestError, DATE, 400),
    (errors.ReplayedRequestError, _TAG + "replayed", 400),
    (errors.SealingError, _TAG + "not-opened", 400),
    (errors.BinaryHttpError, _TAG + "malformed-message", 400),
    (errors.TensorError, _TAG + "invalid-tensor", 400),
    (errors.ModelRefusedError, _TAG + "model-refused", 422),
    (errors.InvalidRequestError, _TAG + "invalid-request", 400),
    (errors.UnauthenticatedError, _TAG + "unauthenticated", 401),
    (errors.ForbiddenError, _TAG + "forbidden", 403),
    (errors.NotFoundError, _TAG + "not-found", 404),
    (errors.ConflictError, _TAG + "conflict", 409),
    (errors.TooLargeError, _TAG + "too-large", 413),
    (errors.QuotaError, _TAG + "quota-exceeded", 429),
    (errors.OverloadedError, _TAG + "overloaded", 429),
    (errors.DeadlineError, _TAG + "deadline-passed", 504),
    (errors.ModelCrashedError, _TAG + "model-crashed", 500),
    (errors.UnavailableError, _TAG + "unavailable", 503),
    (errors.InternalError, _TAG + "internal", 500),
)
TYPES: Final = tuple(uri for _, uri, _ in _TABLE)
"""Every problem type that crosses the wire."""
_CLASS_BY_TYPE = {uri: cls for cls, uri, _ in _TABLE}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error, ready to be sent.

    Attributes:
        kind: The last word of its type, such as `not-found`.
        status: HTTP status code.
        content: JSON, `application/problem+json`.
    """

    kind: str
    status: int
    content: bytes


def encode(error: BaseException, request_id: str) -> Problem:
    """The problem that an error is for the other side."""
    for cls, uri, status in _TABLE:
        if isinstance(error, cls):
            return _problem(uri, status, error.message, request_id)
    uri, status = _TAG + "internal", 500
    return _problem(uri, status, "the enclave failed to answer", request_id)


def parse(status: int, media_type: str, content: bytes) -> errors.BlindAIError:
    """The error that an answer of 400 and above is.

    Any bytes give an error; an answer that is no problem of the table gives one that
    names the status.
    """
    fields: object = None
    if media_type.partition(";")[0].strip() == MEDIA_TYPE and len(content) <= MAX_BYTES:
        with contextlib.suppress(ValueError, RecursionError):
            fields = json.loads(content)
    if not isinstance(fields, dict):
        fields = {}
    uri = fields.get("type")
    cls = _CLASS_BY_TYPE.get(uri) if isinstance(uri, str) else None
    if cls is None:
        cls = errors.InternalError if status >= 500 else errors.InvalidRequestError
    detail = fields.get("detail")
    request_id = fields.get("request_id")
    return cls(
        detail if isinstance(detail, str) else f"the enclave answered {status}",
        request_id=request_id if isinstance(request_id, str) else None,
    )


def _problem(uri: str, status: int, detail: str, request_id: str) -> Problem:
    kind = uri.rpartition("#" if "#" in uri else "/")[2]
    fields = {
        "type": uri,
        "title": kind.replace("-", " "),
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    return Problem(kind, status, json.dumps(fields).encode())
