"""The page: a question, four steps, and a switch for who runs the machine.

python -m examples.demo.page MODEL.onnx      (make gradio does the rest)

It listens on this machine only, asks nothing of anybody else, and keeps nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

# Gradio reads these when it is imported: it counts nothing and asks no hub.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
from examples.common.serving import Example, configuration, serve
from examples.demo import shown
from examples.demo.asking import MAX_CHARACTERS, Service, expected
from examples.demo.operators import Operator
from starlette.middleware import Middleware

from blindai.cli.signals import interruptible
from blindai.client.policies import SimulationWarning
from blindai.errors import BlindAIError, ConfigurationError
from blindai.server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.server.asgi import App, Message, Receive, Scope, Send

HERE = Path(__file__).parent
_VISITORS = 8  # who are answered at a time; the others wait for them
QUESTIONS = (
    "My doctor says that I have hypertension. What is that, in one sentence?",
    "What is the capital of France?",
    "Write a polite e-mail that declines a meeting on Friday.",
)
_HEADER = """\
<div class="bd-head">
<h1>A question that only the model hears</h1>
<p>SmolLM2, a small language model, answers <b>inside an enclave</b>. Before anything is
sent, the enclave proves what it is. Whoever runs the machine carries the bytes and can
read none of them. Choose a dishonest operator, and see him found out.</p>
<p class="bd-warning"><b>Simulated hardware.</b> The protocol, the checks and the
sealing are real; the processor is not. So this enclave protects nothing: type no real
secret.</p>
</div>"""
# No page from elsewhere shows this one, and it loads nothing from elsewhere.
_CONTENT_POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "font-src 'self' data:; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class OwnOnly:
    """Tells the browser to load nothing from elsewhere, and to remember nothing."""

    app: App

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to every answer."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = (
                    (b"content-security-policy", _CONTENT_POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                )
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        await self.app(scope, receive, add)


def build(service: Service) -> gr.Blocks:
    """The page."""
    with gr.Blocks(analytics_enabled=False, title="blindai demo") as page:
        gr.HTML(_HEADER, padding=False)
        strip = gr.HTML(shown.strip(None), elem_id="strip", padding=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                question, operator = _question(), _operator()
                ask = gr.Button("Ask", variant="primary", elem_id="ask")
                problem = gr.HTML("", elem_id="problem", padding=False)
            with gr.Column(scale=6, min_width=380):
                steps = [
                    gr.HTML(draw(None), padding=False)
                    for draw in (shown.proof, shown.sight, shown.answer)
                ]
        gr.on(
            [ask.click, question.submit],
            _asker(service),
            [question, operator],
            [problem, strip, *steps],
            show_progress="hidden",
            trigger_mode="once",
            concurrency_limit=_VISITORS,
            api_visibility="private",
        )
    return page


def _question() -> gr.Textbox:
    """Where a question is typed, and some to pick from."""
    question = gr.Textbox(
        label="Your question",
        placeholder=QUESTIONS[0],
        info=f"Enter asks; at most {MAX_CHARACTERS} characters",
        lines=1,  # so Enter asks
        max_lines=8,
        elem_id="question",
    )
    gr.Examples([[each] for each in QUESTIONS], question, label="Or one of these")
    return question


def _operator() -> gr.Radio:
    """The switch, and what the chosen operator does."""
    operator = gr.Radio(
        [each.value for each in Operator],
        value=Operator.HONEST.value,
        label="Who runs the machine?",
        elem_id="operator",
    )
    story = gr.HTML(_story(Operator.HONEST.value), elem_id="story", padding=False)
    operator.change(_story, operator, story, api_visibility="private")
    return operator


def _story(operator: str) -> str:
    return f'<p class="bd-story">{Operator(operator).story}</p>'


def _asker(service: Service) -> Any:  # noqa: ANN401  what Gradio calls
    def ask(question: str, operator: str) -> Iterator[list[str]]:
        try:
            for known in service.ask(question, Operator(operator)):
                yield ["", *_draw(known)]
        except BlindAIError as error:
            yield [shown.problem(error), *_draw(None)]

    return ask


def _draw(known: Any) -> list[str]:  # noqa: ANN401  an exchange or nothing
    draws = shown.strip, shown.proof, shown.sight, shown.answer
    return [draw(known) for draw in draws]


def show(page: gr.Blocks, port: int | None) -> str:
    """Listen; the page's address.

    Args:
        page: What to show.
        port: Where; the first free one from 7860 on if None.

    Raises:
        ConfigurationError: If nobody can listen there.
    """
    try:
        return _launch(page, port)
    except (OSError, OverflowError) as error:
        where = "from 7860 on" if port is None else f"at --port {port}"
        raise ConfigurationError(f"expected a free port {where}, got none") from error


def _launch(page: gr.Blocks, port: int | None) -> str:
    """Listen; the address."""
    sans, mono = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    url: str
    _, url, _ = page.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        quiet=True,
        prevent_thread_lock=True,
        footer_links=[],
        theme=gr.themes.Base(font=sans, font_mono=mono, primary_hue="indigo").set(
            block_info_text_color="*neutral_600",
            block_info_text_color_dark="*neutral_400",
            input_placeholder_color="*neutral_500",
        ),
        css_paths=HERE / "page.css",
        app_kwargs={"middleware": [Middleware(OwnOnly)]},
    )
    return url


def main() -> None:
    """Be the program."""
    parser = argparse.ArgumentParser(prog="examples.demo.page", description=__doc__)
    parser.add_argument("model", metavar="MODEL.onnx", type=Path)
    parser.add_argument("--port", type=int, help="of the page; a free one if not given")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", SimulationWarning)  # the page says it
    model: Path = asked.model.absolute()
    example = Example(model.stem, Path(sys.executable), model)
    digest = Settings.parse(configuration(example)).digest
    try:
        with interruptible(), serve(example) as enclave:
            place = urlsplit(enclave)
            address = str(place.hostname), int(place.port or 0)
            service = Service(address, example.name, expected(digest))
            url = show(build(service), asked.port)
            print(f"the enclave is at {enclave}, simulated: it protects nothing")
            print(f"the page is at {url} (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
    except BlindAIError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("ended")


if __name__ == "__main__":
    main()
