"""The client: connect to an enclave that has proved itself, and use its models.

    with blindai.connect("https://enclave.example", policy="policy.toml") as client:
        response = client.predict("resnet18", image)

What is asked, sealed, tried again and read is decided in `dialogue`, `door` and
`session`; a connection only runs it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx

from blindai.client.dialogue import (
    Dialogue,
    Prediction,
    Uploading,
    address,
)
from blindai.client.flow import run
from blindai.client.model_file import find_model
from blindai.client.transport import SealedTransport
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


class Connection:
    """A verified enclave, and what one can ask of it.

    Threads may share it. Beside what each method says, all that goes to the network
    raises `TransportError` where that fails, `AttestationError` where an enclave does
    not prove itself (nothing was sent), `SealingError` where an answer was changed, and
    `RequestError` where the enclave refuses: see `blindai.errors`.

    Attributes:
        attestation: Why the enclave may be trusted: claims, keys and transcript.
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
        wire: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare; the enclave is verified on entering the context, or on first use.

        Args:
            addr: Of the enclave, `https://host[:port]`; BLINDAI_ADDR if not given.
            policy: What to accept: a policy or a policy file; BLINDAI_POLICY if not
                given. There is none by default.
            api_key: Sent inside the sealed request; BLINDAI_API_KEY if not given.
            simulation: Accept a simulated enclave, which protects nothing.
            timeout: How long an answer may take, in seconds.
            endorsements: Endorsements, or files that hold some, in place of what says
                the same among those that the enclave sends.
            remember_stores: Whether to keep, in the user's state folder, how new the
                enclave's store of models was, so that an older one is noticed.
            prove_by_default: Whether to ask for a proof where a call does not say.
            wire: Carries the sealed bytes; by default connections of its own, through
                the proxy that the environment names.
        """
        self.prove_by_default = prove_by_default
        self._dialogue = Dialogue(api_key, timeout)
        self._transport = SealedTransport(
            address(addr),
            policy=policy,
            simulation=simulation,
            endorsements=endorsements,
            remember_stores=remember_stores,
            wire=wire,
        )

    @property
    def attestation(self) -> AttestationResult:
        """Why the enclave may be trusted; it is verified now if it never was."""
        return self._transport.attestation or self.attest()

    def attest(self) -> AttestationResult:
        """Verify the enclave again.

        Raises:
            AttestationError: If it does not prove itself; nothing was sent.
            TransportError: If it does not answer.
        """
        try:
            return self._transport.attest(self._dialogue.timeouts)
        except httpx.TransportError as error:
            raise TransportError(describe(error, self._transport.url)) from error

    def upload_model(
        self,
        model: ModelLike,
        model_name: str | None = None,
        *,
        owner_token: str | None = None,
        save_model: bool = True,
        progress: Progress | None = None,
        sign: bool | None = None,
    ) -> UploadResponse:
        """Upload an ONNX model, with the files of weights beside it.

        Under a name that is one's own already it becomes the next version, which serves
        once it is loaded.

        Args:
            model: A path, the file's bytes, or an `onnx.ModelProto`.
            model_name: What requests will call it; the file's name if not given.
            owner_token: From the first upload of this name, where that was another
                connection's.
            save_model: Whether it is to outlive the enclave's process, where that keeps
                models at all; otherwise it is in memory only.
            progress: Called with the bytes sent so far and all of them.
            sign: Whether the enclave signs what it took in; see `response.proof`.

        Raises:
            ConfigurationError: If there is no such file, or it has no name.
            ModelRefusedError: If the enclave does not admit it.
            ConflictError: If the name is somebody else's.
            ProofError: If the proof does not hold.
        """
        asking = self._dialogue.upload(
            find_model(model),
            model_name,
            how=Uploading(
                owner_token,
                save_model=save_model,
                progress=progress,
                sign=self._signs(sign),
            ),
        )
        return run(asking, self._transport)

    def predict(  # noqa: PLR0913  the public method that users know
        self,
        model_name: str,
        tensors: object,
        dtype: object = None,
        shape: object = None,
        *,
        outputs: tuple[str, ...] = (),
        model_version: int | None = None,
        model_digest: str | None = None,
        timeout: float | None = None,
        sign: bool | None = None,
    ) -> PredictResponse:
        """Run a model.

        Args:
            model_name: The model.
            tensors: A NumPy array or torch tensor; a number, a text, or a list of
                these; the bytes of a file for UINT8; a list of several of these, in the
                model's order; or a dict by input name. Arrays are of the model's types
                already; lists become them.
            dtype: Type of lists, by V2 or NumPy name; the model's own if not given.
            shape: Shape of flat lists.
            outputs: Names of the outputs wanted; all if empty.
            model_version: Its number; the latest if not given.
            model_digest: SHA-256 that the model must have, 64 hexadecimal digits; of
                several versions, the one that has it runs.
            timeout: How long the enclave may take, in seconds; its own default if not
                given.
            sign: Whether the enclave signs what it did; see `response.proof`. As
                `prove_by_default` says, if not given.

        Raises:
            ProofError: If the proof does not hold.
            TensorError: If the inputs are not the model's.
            NotFoundError: If there is no such model, or not this version.
            ConflictError: If the model is not the one that was pinned.
            DeadlineError: If it took too long.
            OverloadedError: If the enclave is busy.
            ConfigurationError: If name, digest or time are none.
        """
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
        return run(self._dialogue.predict(model_name, wanted), self._transport)

    def delete_model(
        self,
        model_name: str,
        *,
        model_version: int | None = None,
        owner_token: str | None = None,
    ) -> None:
        """Delete a model, or one version of it.

        Args:
            model_name: The model.
            model_version: The version to delete; all if not given.
            owner_token: From its upload, where that was another connection's.

        Raises:
            ForbiddenError: If it is somebody else's.
            NotFoundError: If there is no such model.
        """
        deleting = self._dialogue.delete(model_name, owner_token, model_version)
        run(deleting, self._transport)

    def models(self) -> tuple[ModelInfo, ...]:
        """The models that the enclave serves, one entry for each version."""
        return run(self._dialogue.models(), self._transport)

    def server(self) -> ServerInfo:
        """What the enclave says of its server: its release, and whether it is ready."""
        return run(self._dialogue.server(), self._transport)

    def configuration(self) -> dict[str, Any]:
        """The enclave's measured configuration, held to its attested digest."""
        digest = self.attestation.keyset.config_digest
        return run(self._dialogue.configuration(digest), self._transport)

    def _signs(self, sign: bool | None) -> bool:  # noqa: FBT001  as the caller said
        return self.prove_by_default if sign is None else sign

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._transport.close()

    def __enter__(self) -> Self:
        """Verify the enclave."""
        with ExitStack() as unless_verified:
            unless_verified.callback(self.close)
            self.attestation  # noqa: B018  verifies where nothing was verified yet
            unless_verified.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def connect(  # noqa: PLR0913  as Connection, which users know
    addr: str | None = None,
    *,
    policy: Policy | str | PathLike[str] | None = None,
    api_key: str | None = None,
    simulation: bool = False,
    timeout: float = DEFAULT_TIMEOUT_S,
    endorsements: Brought = (),
    remember_stores: bool = True,
    prove_by_default: bool = False,
) -> Connection:
    """Connect to an enclave, and verify it before anything else; see `Connection`.

    Raises:
        AttestationError: If it does not prove itself; nothing was sent.
        ConfigurationError: If there is no address or no policy.
        TransportError: If it does not answer.
    """
    connection = Connection(
        addr,
        policy=policy,
        api_key=api_key,
        simulation=simulation,
        timeout=timeout,
        endorsements=endorsements,
        remember_stores=remember_stores,
        prove_by_default=prove_by_default,
    )
    return connection.__enter__()
