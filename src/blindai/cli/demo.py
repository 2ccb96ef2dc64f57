"""`blindai demo`: a line of text is read by a server that never sees it."""

import contextlib
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindai.cli import console
from blindai.cli.extras import needs
from blindai.errors import BlindAIError
from blindai.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from blindai.cli.demo_relay import Capture
    from blindai.cli.demo_search import Secret
    from blindai.cli.demo_story import Story
    from blindai.client.connection import Connection

EXAMPLE = 'Example: blindai demo --text "Rx: Ibuprofen 400 mg, after meals"'
TEXT = "Rx: Amoxicillin 500 mg, 3x daily for 7 days"
MODEL_NAME = "prescription-reader"
LEAST_SIMILARITY = 0.9
_GLIMPSE_BYTES = 48
_INTRODUCTION = (
    "A server reads a prescription for you. Whoever runs the server does not."
)
_WARNING = (
    "All is real but the hardware, which is SIMULATED: the owner of this machine "
    "could look into the server's memory. A TEE closes that door; the steps are the "
    "same."
)


class UnreadError(BlindAIError):
    """The demo's text was not recognised."""

    next_step = "Try another text: one line, Latin letters."


@dataclass(frozen=True, slots=True)
class Picture:
    """What is read.

    Attributes:
        image: The picture.
        drawn: The text it was drawn from; None if it is the user's own.
    """

    image: "Image"
    drawn: str | None


def demo(
    *,
    text: Annotated[
        str, typer.Option(help="The line of text to draw and have read.")
    ] = TEXT,
    image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read this picture of one line instead."),
    ] = None,
) -> None:
    """Start a simulated enclave, have it read a line of text, and look at the wire.

    Needs blindai[demo] and, for the model, rapidocr-onnxruntime.

    Raises:
        UnreadError: If the text is not recognised.
        LeakError: If anything of it can be seen on the wire.
        ConfigurationError: If a package is missing or the picture cannot be read.
    """
    from blindai.cli.demo_story import Story  # noqa: PLC0415  slow to import
    from blindai.cli.signals import interruptible  # noqa: PLC0415  likewise

    story = Story(console.out())
    story.begin("blindai demo", _INTRODUCTION, _WARNING)
    with interruptible():
        picture, model, alphabet = _prepare(text, image)
        _play(story, picture, model, alphabet)


def _prepare(text: str, image: Path | None) -> tuple[Picture, Path, tuple[str, ...]]:
    """The picture, the model and its alphabet, before anything is started."""
    from blindai.cli import demo_ocr  # noqa: PLC0415  slow to import

    with needs("demo"):
        from blindai.server import serve  # noqa: F401, PLC0415  is it there?
    model = demo_ocr.find_model()
    if image is None:
        picture = Picture(demo_ocr.draw(text), text.strip())
    else:
        picture = Picture(demo_ocr.load_picture(image), None)
    return picture, model, demo_ocr.load_alphabet(model)


def _play(
    story: "Story", picture: Picture, model: Path, alphabet: tuple[str, ...]
) -> None:
    from blindai.server.auth import generate_key  # noqa: PLC0415  slow to import

    key = generate_key()
    with (
        _started(story, key) as (url, capture),
        _attested(story, url, key) as connection,
    ):
        _upload(story, connection, model)
        read = _read(story, connection, picture, alphabet)
    _look_at_wire(story, capture, _secrets(picture, model, key, read))
    story.end(
        "The line was read. On the wire, the operator saw none of it.",
        f"Next: {_program()} serve --simulation, and {_program()} --help.",
    )


def _program() -> str:
    """What to type to run blindai again: the shell may not find it by its name."""
    return "blindai" if shutil.which("blindai") else sys.argv[0]


@contextlib.contextmanager
def _started(story: "Story", key: str) -> "Iterator[tuple[str, Capture]]":
    """A running enclave behind a recording relay: the relay's address and capture."""
    from blindai.cli.demo_enclave import run_enclave  # noqa: PLC0415  slow to import
    from blindai.cli.demo_relay import Relay  # noqa: PLC0415  likewise
    from blindai.cli.keys import toml_block  # noqa: PLC0415  likewise

    with contextlib.ExitStack() as stack:
        with story.step("An enclave starts", "starting an enclave"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            config = folder / "blindai.toml"
            block = toml_block("demo", key, ("infer", "upload"))
            config.write_text(block, encoding="utf-8")
            running = stack.enter_context(run_enclave(config, folder / "log"))
            relay = stack.enter_context(Relay(running.host, running.port))
        enclave = f"process {running.process_id}, {running.host}:{running.port}"
        operator = (
            f"{relay.url.partition('//')[2]}, a relay that writes down every byte"
        )
        story.facts([("enclave", enclave), ("operator", operator)])
        yield relay.url, relay.capture


@contextlib.contextmanager
def _attested(story: "Story", url: str, key: str) -> "Iterator[Connection]":
    """A connection through the relay to an enclave that has proved itself."""
    import warnings  # noqa: PLC0415  as all imports here

    import httpx  # noqa: PLC0415  slow to import

    from blindai.client.connection import Connection  # noqa: PLC0415  likewise
    from blindai.client.policies import SimulationWarning  # noqa: PLC0415  likewise

    wire = httpx.HTTPTransport()  # never through the environment's proxy
    connection = Connection(url, simulation=True, api_key=key, wire=wire)
    with contextlib.closing(connection), warnings.catch_warnings():
        warnings.simplefilter("ignore", SimulationWarning)  # the introduction says it
        with story.step("It proves itself; nothing was sent before", "attesting"):
            result = connection.attest()
        story.transcript(result.transcript)
        yield connection


def _upload(story: "Story", connection: "Connection", model: Path) -> None:
    with story.step("A model is sealed and uploaded", "uploading"):
        uploaded = connection.upload_model(model, MODEL_NAME)
    story.facts(
        [
            ("name", MODEL_NAME),
            (
                "model",
                f"PP-OCRv4 text recogniser, {console.size(model.stat().st_size)}",
            ),
            ("SHA-256", f"{uploaded.digest[:16]}\u2026, the same here and there"),
        ]
    )


def _read(
    story: "Story",
    connection: "Connection",
    picture: Picture,
    alphabet: tuple[str, ...],
) -> str:
    """Have the picture read; what it says.

    Raises:
        UnreadError: If it does not say what was drawn.
    """
    from blindai.cli import demo_ocr  # noqa: PLC0415  slow to import

    tensor = demo_ocr.as_tensor(picture.image)
    with story.step("A picture is sealed, sent, and read inside", "reading"):
        response = connection.predict(MODEL_NAME, tensor)
    reading = demo_ocr.decode(response.output[0].as_numpy(), alphabet)
    width, height = picture.image.size
    similarity = _similarity(picture.drawn or reading.text, reading.text)
    facts = [("picture", f"{width} x {height} pixels")]
    if picture.drawn is not None:
        facts.append(("drawn", picture.drawn))
    facts.append(("read", printable(reading.text)))
    if picture.drawn is not None:
        facts.append(("similarity", f"{similarity:.0%}"))
    took = f"{response.inference_time * 1e3:.0f} ms of it in the model"
    story.facts([*facts, ("confidence", f"{reading.confidence:.0%}"), ("time", took)])
    if not reading.text or similarity < LEAST_SIMILARITY:
        raise UnreadError(
            f"demo: expected what is read to be {LEAST_SIMILARITY:.0%} similar to what "
            f"was drawn, got {similarity:.0%}"
        )
    return reading.text


def _similarity(drawn: str, read: str) -> float:
    from difflib import SequenceMatcher  # noqa: PLC0415  as all imports here

    return SequenceMatcher(None, drawn, read, autojunk=False).ratio()


def _secrets(
    picture: Picture, model: Path, key: str, read: str
) -> "tuple[Secret, ...]":
    """What the operator must not find."""
    from blindai.cli.demo_ocr import as_tensor  # noqa: PLC0415  slow to import
    from blindai.cli.demo_search import Secret, liveliest_piece  # noqa: PLC0415  likewise

    pixels = as_tensor(picture.image)
    content = model.read_bytes()
    middle = content[len(content) // 2 :][:4096]
    return (
        Secret("the text", (picture.drawn or read).encode()),
        Secret("the picture's pixels", liveliest_piece(pixels.tobytes())),
        Secret("the model's name", MODEL_NAME.encode()),
        Secret("the model's weights", liveliest_piece(middle)),
        Secret("the API key", key.encode()),
        Secret("the path /v2/models", b"/v2/models"),
    )


def _look_at_wire(
    story: "Story", capture: "Capture", secrets: "tuple[Secret, ...]"
) -> None:
    from blindai.cli import demo_search  # noqa: PLC0415  as all imports here

    with story.step("What the operator saw", "searching all that was sent"):
        demo_search.require_sealed(capture, secrets)
    sent, received = capture.sent_bytes, capture.received_bytes
    flow = f"{console.size(sent)} to the enclave, {console.size(received)} back"
    requests = [f"{count} x {each}" for each, count in capture.requests().items()]
    labels = ["requests", *[""] * len(requests)]
    story.facts([("bytes", flow), *zip(labels, requests, strict=False)])
    story.say("A piece of the last request:")
    story.hexdump(capture.glimpse(_GLIMPSE_BYTES))
    story.say("Searched in all of it:")
    visible = demo_search.VISIBLE
    story.searched(secrets, visible.decode(), capture.count(visible))
