"""The client on an event loop: `connection`, awaited.

async with blindai.AsyncConnection(addr, policy="policy.toml") as client:
response = await client.predict("resnet18", image)
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx

from blindai.client.dialogue import (
    Dialogue,
    Prediction,
    Uploading,
    address,
)
from blindai.client.flow import arun
from blindai.client.model_file import find_model
from blindai.client.transport import AsyncSealedTransport
from blindai.client.wire import DEFAULT_TIMEOUT_S, describe
from blindai.errors import TransportError

if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType
    from typing import Self

    from blindai.client.endorsements import Brought
    from blindai.client.model_file import ModelLike, Progress
    from blindai.client.results import (
        ModelInfo,
        PredictResponse,
        ServerInfo,
        UploadResponse,
    )
    from blindai.verifier import AttestationResult, Policy


class AsyncConnection:
    """A verified enclave, and what one can ask of it; as `Connection`.

    It belongs to one event loop: each `asyncio.run` needs a connection of its own.

    Attributes:
        prove_by_default: Whether to ask for a proof where a call does not say.
    """

    def __init__(  # noqa: PLR0913  one argument a choice of the user's
        self,
        addr: str | None = None,
        *,
        policy: Policy | str | PathLike[str] | None = None,
        api_key: str | None = None,
        simulation: bool = False,
        timeout: float = DEFAULT_TIMEOUT_S,
        endorsements: Brought = (),
        remember_stores: bool = True,
        prove_by_default: bool = False,
        wire: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As `Connection`; the enclave is verified on entering, or on first use."""
        self.prove_by_default = prove_by_default
        self._dialogue = Dialogue(api_key, timeout)
        self._transport = AsyncSealedTransport(
            address(addr),
            policy=policy,
            simulation=simulation,
            endorsements=endorsements,
            remember_stores=remember_stores,
            wire=wire,
        )

    async def attest(self) -> AttestationResult:
        """Verify the enclave again; as `Connection.attest`.

        Raises:
            TransportError: If it does not answer.
        """
        try:
            return await self._transport.attest(self._dialogue.timeouts)
        except httpx.TransportError as error:
            raise TransportError(describe(error, self._transport.url)) from error

    async def attestation(self) -> AttestationResult:
        """Why the enclave may be trusted; it is verified now if it never was."""
        return self._transport.attestation or await self.attest()

    async def upload_model(
        self,
        model: ModelLike,
        model_name: str | None = None,
        *,
        owner_token: str | None = None,
        save_model: bool = True,
        progress: Progress | None = None,
        sign: bool | None = None,
    ) -> UploadResponse:
        """As `Connection.upload_model`."""
        file = await asyncio.to_thread(find_model, model)
        asking = self._dialogue.upload(
            file,
            model_name,
            how=Uploading(
                owner_token,
                save_model=save_model,
                progress=progress,
                sign=self._signs(sign),
            ),
        )
        return await arun(asking, self._transport)

    async def predict(  # noqa: PLR0913  as Connection.predict, which users know
        self,
        model_name: str,
        tensors: object,
        dtype: object = None,
        shape: object = None,
        *,
        outputs: tuple[str, ...] = (),
        model_version: int | None = None,
        model_digest: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  the enclave's time, not ours
        sign: bool | None = None,
    ) -> PredictResponse:
        """As `Connection.predict`."""
        wanted = Prediction(
            inputs=tensors,
            dtype=dtype,
            shape=shape,
            outputs=outputs,
            model_version=model_version,
            model_digest=model_digest,
            timeout_s=timeout,
            sign=self._signs(sign),
        )
        return await arun(self._dialogue.predict(model_name, wanted), self._transport)

    async def delete_model(
        self,
        model_name: str,
        *,
        model_version: int | None = None,
        owner_token: str | None = None,
    ) -> None:
        """As `Connection.delete_model`."""
        deleting = self._dialogue.delete(model_name, owner_token, model_version)
        await arun(deleting, self._transport)

    async def models(self) -> tuple[ModelInfo, ...]:
        """As `Connection.models`."""
        return await arun(self._dialogue.models(), self._transport)

    async def server(self) -> ServerInfo:
        """As `Connection.server`."""
        return await arun(self._dialogue.server(), self._transport)

    async def configuration(self) -> dict[str, Any]:
        """As `Connection.configuration`."""
        digest = (await self.attestation()).keyset.config_digest
        return await arun(self._dialogue.configuration(digest), self._transport)

    def _signs(self, sign: bool | None) -> bool:  # noqa: FBT001  as the caller said
        return self.prove_by_default if sign is None else sign

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        """Verify the enclave."""
        async with AsyncExitStack() as unless_verified:
            unless_verified.push_async_callback(self.close)
            await self.attestation()
            unless_verified.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
