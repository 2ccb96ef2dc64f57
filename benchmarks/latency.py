"""Sealed against plain HTTP, and sealed against no server at all."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import numpy as np

import blindai
from benchmarks import floor, models
from benchmarks.measure import Times, alternate
from benchmarks.server import Doors, running
from blindai.client.policies import SimulationWarning
from blindai.protocol import tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

warnings.simplefilter("ignore", SimulationWarning)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ways to the same answer.

    Attributes:
        what: What was sent.
        plain: The way without blindai.
        sealed: The way with it.
    """

    what: str
    plain: Times
    sealed: Times

    @property
    def ratio(self) -> float:
        """Sealed p50 as a multiple of the plain one."""
        return self.sealed.p50 / self.plain.p50

    @property
    def added_ms(self) -> float:
        """What sealing adds to the p50, in milliseconds."""
        return self.sealed.p50 - self.plain.p50


def sealed_against_plain() -> list[Comparison]:
    """The same V2 requests over httpx, through the gateway and around it."""
    found = []
    with running() as doors, blindai.connect(doors.sealed, simulation=True) as client:
        for shape, rounds in (((1, 4), 2000), (models.IMAGE, 1000)):
            name = "x".join(map(str, shape))
            client.upload_model(models.reduction(shape), name)
            found.append(_compare_doors(doors, name, shape, rounds))
    return [*found, _compare_floors()]


def _compare_floors() -> Comparison:
    """The same image over bare sockets, with nothing around it but sealing, or none."""
    image = np.ones(models.IMAGE, np.float32)
    content = models.reduction(models.IMAGE)
    with (
        floor.bare(content, image, 1, sealed=False) as plain,
        floor.bare(content, image, 1, sealed=True) as sealed,
    ):
        times = alternate({"plain": plain, "sealed": sealed}, 1000)
    what = "1x3x224x224 float32, bare sockets"
    return Comparison(what, times["plain"], times["sealed"])


def _compare_doors(
    doors: Doors, name: str, shape: tuple[int, ...], rounds: int
) -> Comparison:
    content, headers = request(np.ones(shape, np.float32))
    path = f"/v2/models/{name}/infer"
    transport = blindai.SealedTransport(doors.sealed, simulation=True)
    with (
        httpx.Client(base_url=doors.plain) as plain,
        httpx.Client(base_url="https://enclave", transport=transport) as sealed,
    ):

        def ask(client: httpx.Client) -> None:
            client.post(path, content=content, headers=headers).raise_for_status()

        times = alternate(
            {"plain": lambda: ask(plain), "sealed": lambda: ask(sealed)}, rounds
        )
    return Comparison(f"{name} float32", times["plain"], times["sealed"])


def request(array: NDArray[np.float32]) -> tuple[bytes, dict[str, str]]:
    """Body and fields of a V2 request for the model's `x`, in binary both ways."""
    asked = tensors.InferRequest(
        inputs=(tensors.Tensor.of("x", array),), parameters={"binary_data_output": True}
    )
    body = tensors.encode_request(asked)
    return b"".join(body.buffers), {tensors.HEADER_LENGTH: str(body.header_length)}


def predict_against_in_process(threads: int) -> list[Comparison]:
    """`client.predict` against ONNX Runtime in this process, ResNet-18 in size.

    The second comparison has plain HTTP in the place of `client.predict`, the others
    bare sockets, without sealing and with it (`floor`).
    """
    content = models.resnet18()
    session = floor.session(content, threads)
    image = np.random.default_rng(0).random(models.IMAGE, np.float32)
    with (
        running(threads) as doors,
        floor.bare(content, image, threads, sealed=False) as bare,
        floor.bare(content, image, threads, sealed=True) as bare_sealed,
        blindai.connect(doors.sealed, simulation=True) as client,
    ):
        client.upload_model(content, "resnet18")
        asked, headers = request(image)
        url = f"{doors.plain}/v2/models/resnet18/infer"
        expected = session.run(None, {"x": image})[0]
        answer = client.predict("resnet18", image).output[0].as_numpy()
        for each in (answer.ravel(), np.frombuffer(bare_sealed(), np.float32)):
            np.testing.assert_allclose(each, expected.ravel(), rtol=1e-4, atol=1e-4)
        with httpx.Client() as plain:
            times = alternate(
                {
                    "here": lambda: session.run(None, {"x": image}),
                    "sealed": lambda: client.predict("resnet18", image),
                    "plain": lambda: plain.post(url, content=asked, headers=headers),
                    "bare": bare,
                    "bare sealed": bare_sealed,
                },
                rounds=200,
            )
    what = f"ResNet-18, {threads} thread{'s' if threads > 1 else ''}"
    return [
        Comparison(what, times["here"], times["sealed"]),
        Comparison(f"{what}, plain HTTP", times["here"], times["plain"]),
        Comparison(f"{what}, bare sockets", times["here"], times["bare"]),
        Comparison(
            f"{what}, bare sockets, sealed", times["here"], times["bare sealed"]
        ),
    ]
