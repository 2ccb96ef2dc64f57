"""What a proof costs: a signed request against the same without, and verifying one."""

from __future__ import annotations

import hashlib
import secrets
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import numpy as np

import blindai
from benchmarks import models
from benchmarks.latency import request
from benchmarks.measure import alternate
from benchmarks.server import Doors, running
from blindai.client.policies import SimulationWarning
from blindai.protocol import byte_field
from blindai.protocol.commitments import SALT_BYTES
from blindai.protocol.names import PROVE_HEADER
from blindai.verifier import Policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

warnings.simplefilter("ignore", SimulationWarning)
_HASHED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Signing:
    """A request of one size, with a proof and without.

    Attributes:
        what: What was sent, and whether its proof was verified as it came.
        unsigned: p50 without a proof, in milliseconds.
        signed: p50 with one, in milliseconds.
        file_bytes: Of the proof file, without salt and tensors.
    """

    what: str
    unsigned: float
    signed: float
    file_bytes: int

    @property
    def added_ms(self) -> float:
        """What the proof adds to the p50, in milliseconds."""
        return self.signed - self.unsigned


@dataclass(frozen=True, slots=True)
class Verifying:
    """Verifying offline, warm.

    Attributes:
        p50: Of a proof file of a simulated enclave, in milliseconds.
        hashed: What SHA-256 does on this machine, in bytes a second.
    """

    p50: float
    hashed: float


def signing() -> list[Signing]:
    """A sealed request that asks for a proof and one that does not, in turn.

    First by a client that leaves the proof alone, then by `client.predict`, which
    verifies it.
    """
    found = []
    with running() as doors, blindai.connect(doors.sealed, simulation=True) as client:
        for shape, rounds in (((1, 4), 2000), (models.IMAGE, 1000)):
            name = "x".join(map(str, shape))
            client.upload_model(models.reduction(shape), name)
            found += _signing(doors, client, name, np.ones(shape, np.float32), rounds)
    return found


def _signing(
    doors: Doors,
    client: blindai.Connection,
    name: str,
    array: NDArray[np.float32],
    rounds: int,
) -> list[Signing]:
    content, headers = request(array)
    path = f"/v2/models/{name}/infer"
    transport = blindai.SealedTransport(doors.sealed, simulation=True)
    with httpx.Client(base_url="https://enclave", transport=transport) as sealed:

        def ask(fields: dict[str, str]) -> None:
            sealed.post(path, content=content, headers=fields).raise_for_status()

        def ask_signed() -> None:
            salt = byte_field.encode(secrets.token_bytes(SALT_BYTES))
            ask({**headers, PROVE_HEADER: salt})

        times = alternate(
            {
                "unsigned": lambda: ask(headers),
                "signed": ask_signed,
                "predict": lambda: client.predict(name, array),
                "verified": lambda: client.predict(name, array, sign=True),
            },
            rounds,
        )
    size = len(_proof(client, name, array).as_bytes())
    return [
        Signing(
            f"{name} float32, signed",
            times["unsigned"].p50,
            times["signed"].p50,
            size,
        ),
        Signing(
            f"{name} float32, signed and verified",
            times["predict"].p50,
            times["verified"].p50,
            size,
        ),
    ]


def verifying() -> Verifying:
    """A proof from its bytes, up to the simulated root."""
    policy = Policy.for_simulation()
    with running() as doors, blindai.connect(doors.sealed, simulation=True) as client:
        client.upload_model(models.linear(), "linear")
        data = _proof(client, "linear", np.ones((1, 4), np.float32)).as_bytes()

    def verify() -> None:
        blindai.Proof.load_from_bytes(data).verify(policy=policy)

    p50 = alternate({"verify": verify}, rounds=300)["verify"].p50
    return Verifying(p50, _sha256_rate())


def _proof(
    client: blindai.Connection, name: str, array: NDArray[np.float32]
) -> blindai.Proof:
    proof = client.predict(name, array, sign=True).proof
    assert proof is not None  # noqa: S101  it was asked for
    return proof


def _sha256_rate() -> float:
    data = bytes(_HASHED_BYTES)
    started = time.perf_counter()
    hashlib.sha256(data).digest()
    return _HASHED_BYTES / (time.perf_counter() - started)
