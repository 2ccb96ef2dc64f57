"""What a proof costs: a signed request against the same without, and verifying one."""

from __future__ import annotations

import hashlib
import time
import warnings
from dataclasses import dataclass

import numpy as np

import blindai
from benchmarks import models
from benchmarks.measure import alternate
from benchmarks.server import running
from blindai.client.policies import SimulationWarning
from blindai.verifier import Policy

warnings.simplefilter("ignore", SimulationWarning)
_HASHED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Signing:
    """A request of one size, with a proof and without.

    Attributes:
        what: What was sent.
        unsigned: p50 without a proof, in milliseconds.
        signed: p50 with one, verified as it comes, in milliseconds.
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
    """`client.predict` with `sign=True` and without, in turn."""
    found = []
    with running() as doors, blindai.connect(doors.sealed, simulation=True) as client:
        for shape, rounds in (((1, 4), 2000), (models.IMAGE, 1000)):
            name = "x".join(map(str, shape))
            client.upload_model(models.reduction(shape), name)
            array = np.ones(shape, np.float32)
            times = alternate(
                {
                    "unsigned": lambda name=name, x=array: client.predict(name, x),
                    "signed": lambda name=name, x=array: client.predict(
                        name, x, sign=True
                    ),
                },
                rounds,
            )
            size = len(_proof(client, name, array).as_bytes())
            p50s = times["unsigned"].p50, times["signed"].p50
            found.append(Signing(f"{name} float32", *p50s, size))
    return found


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
    client: blindai.Connection, name: str, array: np.ndarray[object, object]
) -> blindai.Proof:
    proof = client.predict(name, array, sign=True).proof
    assert proof is not None  # noqa: S101  it was asked for
    return proof


def _sha256_rate() -> float:
    data = bytes(_HASHED_BYTES)
    started = time.perf_counter()
    hashlib.sha256(data).digest()
    return _HASHED_BYTES / (time.perf_counter() - started)
