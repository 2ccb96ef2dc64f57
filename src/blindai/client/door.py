"""The way to one enclave: its address, the policy, the session, and the two flows.

    attest   fetch evidence for a fresh nonce, verify and appraise it: a `Session`
    pass     seal a request to the session, send it, open the answer

Two things are tried again, once each: a key that the enclave does not hold any more is
attested anew under the same policy; a date that it refuses is corrected by the
enclave's own clock (RFC 9458, section 6.5.2).
"""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

import httpx

from blindai import verifier
from blindai.client.challenge import DEFAULT_TIMEOUTS, fetch, parse_url
from blindai.client.flow import (
    Blocking,
    Close,
    EndTurn,
    ReadContent,
    ReadHead,
    Send,
    TakeTurn,
    Turn,
)
from blindai.client.plain import PlainRequest, PlainResponse
from blindai.client.policies import warn_of_danger
from blindai.client.session import Session
from blindai.client.stores import SeenStores, enclave_name, require_newest
from blindai.client.streams import OpenedStream, SealedStream, SealedWhole, as_sync
from blindai.errors import (
    BlindAIError,
    OverloadedError,
    StaleRequestError,
    TooLargeError,
    TransportError,
    UnknownKeyError,
)
from blindai.protocol import problems
from blindai.protocol.bhttp import RequestHead, ResponseHead
from blindai.protocol.chunks import MAX_CHUNK_BYTES
from blindai.protocol.keyset import NONCE_BYTES
from blindai.protocol.names import CHUNK_BYTES_HEADER, GATEWAY_PATH, STORE_HEADER
from blindai.protocol.ohttp_chunked import REQUEST_TYPE, RESPONSE_TYPE
from blindai.protocol.store_mark import StoreMark

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from blindai.client.flow import Flow
    from blindai.client.plain import Timeouts
    from blindai.client.session import Sealing
    from blindai.protocol.attestation import Endorsement
    from blindai.protocol.buffers import Bytes
    from blindai.verifier import Policy

_CHUNK_FIELD: Final = (CHUNK_BYTES_HEADER.encode(), str(MAX_CHUNK_BYTES).encode())
_RESPONSE_TYPE: Final = RESPONSE_TYPE.encode()
_STORE_FIELD: Final = STORE_HEADER.encode()


class Door:
    """What a client knows of one enclave.

    Attributes:
        url: Of the gateway.
        session: The verified enclave, once it was verified.
    """

    def __init__(
        self,
        url: str,
        policy: Policy,
        clock: Callable[[], datetime],
        endorsements: tuple[Endorsement, ...] = (),
        stores: SeenStores | None = None,
    ) -> None:
        """Go by a policy; nothing is sent yet.

        Args:
            url: Of the gateway: scheme, host and port; https where it names none.
            policy: What to accept.
            clock: This machine's clock, aware, in UTC.
            endorsements: What this client brings itself.
            stores: What was seen of enclaves' stores; nothing if None.

        Raises:
            ConfigurationError: If the URL is malformed.
        """
        self.url = parse_url(url)
        self._gateway_url = self.url.join(GATEWAY_PATH)
        self._outer_fields = httpx.Headers(
            {
                "host": self.url.netloc.decode(),
                "content-type": REQUEST_TYPE,
                "incremental": "?1",
            }
        )
        self._policy = policy
        self._clock = clock
        self._endorsements = endorsements
        self._stores = stores or SeenStores(None)
        self._last_mark: tuple[Session, bytes] | None = None
        self._clock_offset = timedelta()
        self._attesting = Turn()
        self.session: Session | None = None

    def attest(self, timeouts: Timeouts | None = None) -> Flow[Session]:
        """Verify the enclave.

        Raises:
            AttestationError: If it does not prove itself.
            TransportError: If it does not answer.
            OverloadedError: If it makes no more evidence right now.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        evidence = yield from fetch(self.url, nonce, timeouts or DEFAULT_TIMEOUTS)
        result = verifier.verify(
            evidence,
            nonce=nonce,
            policy=self._policy,
            now=self._clock(),
            endorsements=self._endorsements,
        )
        warn_of_danger(result)
        recall = partial(self._stores.recall, enclave_name(result))
        self.session = Session(
            result,
            os.getpid,
            (yield Blocking(recall)),
            collection=evidence,
            brought=self._endorsements,
        )
        return self.session

    def pass_through(self, request: PlainRequest) -> Flow[PlainResponse]:
        """Send a request sealed, and give the answer, which is opened as it is read.

        Raises:
            UnknownKeyError: If the enclave does not hold a freshly attested key.
            StaleRequestError: If it refuses its own date.
        """
        mendable: set[type[BlindAIError]] = {UnknownKeyError, StaleRequestError}
        while True:
            session = self._session_in_time()
            if session is None:
                session = yield from self._attest_once(request.timeouts)
            try:
                return (yield from self._attempt(request, session))
            except (UnknownKeyError, StaleRequestError) as error:
                if type(error) not in mendable:
                    raise
                mendable.discard(type(error))
                _require_repeatable(request, error)
                if isinstance(error, UnknownKeyError):
                    yield from self._renew(session, request.timeouts, error)

    def _renew(
        self, session: Session, timeouts: Timeouts, refusal: UnknownKeyError
    ) -> Flow[None]:
        """Attest anew where the enclave did not open a request.

        Where it still holds the very same keys, it could have opened it: someone
        between says otherwise, perhaps to have the request run twice.

        Raises:
            UnknownKeyError: If the enclave's keys are the same as before.
        """
        if self.session is session:
            self.session = None
        renewed = yield from self._attest_once(timeouts)
        if renewed.result.keyset == session.result.keyset:
            raise refusal

    def _attest_once(self, timeouts: Timeouts) -> Flow[Session]:
        """A session, attested by one request while others wait."""
        yield TakeTurn(self._attesting)
        try:
            session = self._session_in_time()
            return session or (yield from self.attest(timeouts))
        finally:
            yield EndTurn(self._attesting)

    def _session_in_time(self) -> Session | None:
        session = self.session
        in_time = session is not None and session.usable(self._clock())
        return session if in_time else None

    def _attempt(self, request: PlainRequest, session: Session) -> Flow[PlainResponse]:
        sealing = session.begin(self._head(request))
        outer = self._outer(request, sealing, session)
        answer: PlainResponse | None = None
        response: httpx.Response = yield Send(outer)
        try:
            _require_opened(response)
            opened = OpenedStream(response, sealing.opening())
            head: ResponseHead = yield ReadHead(opened)
            yield from self._see_store(head, session)
            if _may_be_refused_date(head):
                content: Bytes = yield ReadContent(opened)
                self._correct_clock(head, content)
                opened.put_back(content)
            answer = PlainResponse(head.status, head.fields, opened, session)
            return answer
        finally:
            if answer is None:
                yield Close(response)

    def _see_store(self, head: ResponseHead, session: Session) -> Flow[None]:
        """Hold what an answer says of the enclave's store against what was seen.

        Raises:
            RollbackError: If the store is older than it was, or another of its name.
        """
        text = dict(head.fields).get(_STORE_FIELD)
        if text is None or self._last_mark == (session, text):
            return
        mark = StoreMark.parse(text.decode("latin-1"))
        enclave = enclave_name(session.result)
        advice = self._stores.how_to_forget(enclave, mark.store)
        require_newest(session.seen, mark, advice)
        yield Blocking(partial(self._stores.note, enclave, mark))
        self._last_mark = (session, text)

    def _head(self, request: PlainRequest) -> RequestHead:
        moment = self._clock() + self._clock_offset
        date = _http_date(moment.replace(microsecond=0))
        return RequestHead(
            method=request.method.encode(),
            scheme=b"https",
            authority=request.authority,
            path=request.path,
            fields=(*request.fields, (b"date", date), _CHUNK_FIELD),
        )

    def _outer(
        self, request: PlainRequest, sealing: Sealing, session: Session
    ) -> httpx.Request:
        body: SealedStream | SealedWhole
        if request.in_memory:
            content = list(as_sync(request.body))
            body = SealedWhole(sealing.whole(content), session.prepare)
            framing, how = "content-length", str(body.size_bytes)
        else:
            body = SealedStream(request.body, sealing)
            framing, how = "transfer-encoding", "chunked"
        outer = httpx.Request(
            "POST",
            self._gateway_url,
            headers=self._outer_fields,
            stream=body,  # as `content`, httpx would take it for a synchronous one
            extensions={"timeout": request.timeouts},
        )
        outer.headers[framing] = how
        return outer

    def _correct_clock(self, head: ResponseHead, content: Bytes) -> None:
        error = problems.parse(head.status, problems.MEDIA_TYPE, bytes(content))
        if isinstance(error, StaleRequestError):
            sent = dict(head.fields)[b"date"].decode("latin-1")
            try:
                self._clock_offset = parsedate_to_datetime(sent) - self._clock()
            except (ValueError, TypeError, OverflowError):
                raise error from None
            raise error


@lru_cache(maxsize=1)
def _http_date(moment: datetime) -> bytes:
    return format_datetime(moment, usegmt=True).encode()


def _require_opened(response: httpx.Response) -> None:
    """Require that the gateway opened the request.

    Raises:
        UnknownKeyError: If it does not hold the key (or something between says so).
        TooLargeError: If the sealed request is over its limit.
        OverloadedError: If it is busy.
        TransportError: If the answer is no gateway's.
    """
    status, fields = response.status_code, response.headers.raw
    types = [value for name, value in fields if name.lower() == b"content-type"]
    match status:
        case 200 if types == [_RESPONSE_TYPE]:
            return
        case 400:
            raise UnknownKeyError("sealed request: the enclave could not open it")
        case 413:
            raise TooLargeError("sealed request: over the gateway's limit")
        case 429 | 503:
            raise OverloadedError(f"gateway: busy, it answered {status}")
        case _:
            media_type = response.headers.get("content-type", "")
            raise TransportError(
                f"gateway: expected {RESPONSE_TYPE}, got status {status} and "
                f"{ascii(media_type[:80]) if media_type else 'no content type'}"
            )


def _may_be_refused_date(head: ResponseHead) -> bool:
    if head.status != 400:
        return False
    fields = dict(head.fields)
    media_type = problems.MEDIA_TYPE.encode()
    return b"date" in fields and fields.get(b"content-type") == media_type


def _require_repeatable(request: PlainRequest, why: BlindAIError) -> None:
    if not request.repeatable:
        raise TransportError(
            f"request: has to be sealed anew ({why.message}), but its body can be "
            "read only once"
        ) from why
