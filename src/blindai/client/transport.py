"""httpx transports through the sealed door: any httpx-based SDK becomes attested.

    httpx.Client(transport=blindai.SealedTransport(url, policy="policy.toml"))

The first request attests the enclave; nothing is sent before. What the network does
wrong raises httpx's errors, what the enclave does wrong raises blindai's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from blindai.client.challenge import DEFAULT_TIMEOUTS
from blindai.client.door import Door
from blindai.client.endorsements import choose_endorsements
from blindai.client.flow import arun, run
from blindai.client.plain import PlainRequest, PlainResponse
from blindai.client.policies import choose_policy
from blindai.client.stores import SeenStores, state_folder
from blindai.client.wire import open_async_wire, open_wire

if TYPE_CHECKING:
    from os import PathLike

    from blindai.client.endorsements import Brought
    from blindai.client.plain import Timeouts
    from blindai.verifier import AttestationResult, Policy

_OUTER_ONLY = frozenset({b"host", b"connection", b"transfer-encoding", b"date"})


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  the edge: here the client reads its clock


def _plain(request: httpx.Request) -> PlainRequest:
    """What is to be sealed, from httpx's request."""
    length = request.headers.get("content-length", "")
    return PlainRequest(
        method=request.method,
        authority=request.url.netloc,
        path=request.url.raw_path,
        fields=tuple(
            (name.lower(), value)
            for name, value in request.headers.raw
            if name.lower() not in _OUTER_ONLY
        ),
        body=request.stream,
        size_bytes=int(length) if length.isdecimal() else None,
        in_memory=isinstance(request.stream, httpx.ByteStream),
        repeatable=isinstance(request.stream, httpx.ByteStream),
        timeouts=request.extensions.get("timeout") or DEFAULT_TIMEOUTS,
    )


def _response(opened: PlainResponse) -> httpx.Response:
    """What was opened, as httpx's response."""
    return httpx.Response(
        opened.status, headers=list(opened.fields), stream=opened.content
    )


class SealedTransport(httpx.BaseTransport):
    """Sends httpx requests to an attested enclave, sealed."""

    def __init__(
        self,
        url: str,
        *,
        policy: Policy | str | PathLike[str] | None = None,
        simulation: bool = False,
        endorsements: Brought = (),
        remember_stores: bool = True,
        wire: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: Of the enclave's gateway: scheme, host and port.
            policy: What to accept: a policy, a policy file, or None for the file that
                BLINDAI_POLICY names.
            simulation: Whether a simulated enclave is accepted.
            endorsements: Endorsements, or files that hold some, in place of what says
                the same among those that the enclave sends.
            remember_stores: Whether to keep, in the user's state folder, how new the
                enclave's store of models was, so that an older one is noticed.
            wire: Carries the sealed bytes; by default connections of its own, through
                the proxy that the environment names.
        """
        chosen = choose_policy(policy, simulation=simulation)
        brought = choose_endorsements(endorsements)
        stores = SeenStores(state_folder() if remember_stores else None)
        self._door = Door(url, chosen, _now, brought, stores)
        self._wire = wire or open_wire(self._door.url)

    def attest(self, timeouts: Timeouts | None = None) -> AttestationResult:
        """Verify the enclave, whether or not it was verified before.

        Args:
            timeouts: For the network; 60 seconds each if not given.

        Raises:
            AttestationError: If it does not prove itself; nothing was sent.
            TransportError: If it does not answer.
        """
        return run(self._door.attest(timeouts), self._wire).result

    @property
    def url(self) -> httpx.URL:
        """Of the enclave's gateway."""
        return self._door.url

    @property
    def attestation(self) -> AttestationResult | None:
        """The verification that requests are sealed under; None before the first."""
        session = self._door.session
        return None if session is None else session.result

    def exchange(self, request: PlainRequest) -> PlainResponse:
        """Seal a request, send it, and open the answer as it is read."""
        return run(self._door.pass_through(request), self._wire)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As `exchange`, in httpx's terms."""
        return _response(self.exchange(_plain(request)))

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()


class AsyncSealedTransport(httpx.AsyncBaseTransport):
    """As `SealedTransport`, on an event loop."""

    def __init__(
        self,
        url: str,
        *,
        policy: Policy | str | PathLike[str] | None = None,
        simulation: bool = False,
        endorsements: Brought = (),
        remember_stores: bool = True,
        wire: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As `SealedTransport`."""
        chosen = choose_policy(policy, simulation=simulation)
        brought = choose_endorsements(endorsements)
        stores = SeenStores(state_folder() if remember_stores else None)
        self._door = Door(url, chosen, _now, brought, stores)
        self._wire = wire or open_async_wire(self._door.url)

    async def attest(self, timeouts: Timeouts | None = None) -> AttestationResult:
        """As `SealedTransport.attest`."""
        return (await arun(self._door.attest(timeouts), self._wire)).result

    @property
    def url(self) -> httpx.URL:
        """As `SealedTransport.url`."""
        return self._door.url

    @property
    def attestation(self) -> AttestationResult | None:
        """As `SealedTransport.attestation`."""
        session = self._door.session
        return None if session is None else session.result

    async def exchange(self, request: PlainRequest) -> PlainResponse:
        """Seal a request, send it, and open the answer as it is read."""
        return await arun(self._door.pass_through(request), self._wire)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As `exchange`, in httpx's terms."""
        return _response(await self.exchange(_plain(request)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()
