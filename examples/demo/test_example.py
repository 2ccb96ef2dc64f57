"""The demo page in a real Chromium: `make gradio-test`.

A model that repeats the question stands in for SmolLM2, unless DEMO_MODEL names an ONNX
file. With DEMO_PICTURES=FOLDER, pictures of the page are left there.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import onnx
import pytest
from examples.common import ROOT
from examples.demo.operators import Operator
from examples.demo.parrot import parrot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

_WHY = "make gradio-test installs it, in an environment of its own"
webdriver = pytest.importorskip("selenium.webdriver", reason=_WHY)
keys = pytest.importorskip("selenium.webdriver.common.keys", reason=_WHY).Keys
support = pytest.importorskip("selenium.webdriver.support.wait", reason=_WHY)
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="there is no Chromium: apt-get install chromium chromium-driver",
)

CSS = "css selector"
QUESTION = "What is the capital of France?"
MARKUP = "<img src=nothing onerror=\"document.title='run'\"> Who wrote Hamlet?"
TIMEOUT_S = 60.0
REFUSED_BY = {
    Operator.REBUILT: "measurement: expected",
    Operator.RECONFIGURED: "configuration digest: expected",
    Operator.DEBUG: "debug mode: expected off, got on",
    Operator.MIDDLE: "report data: expected SHA-256 of the statement",
    Operator.REPLAYED: "nonce: expected the one that was sent",
}


@dataclass(frozen=True, slots=True)
class Page:
    """The page's process.

    Attributes:
        process_id: Of the page.
        url: Where it listens.
    """

    process_id: int
    url: str

    def enclaves(self) -> list[int]:
        """The processes that it started itself."""
        listed = Path(f"/proc/{self.process_id}/task/{self.process_id}/children")
        return [int(each) for each in listed.read_text().split()]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody before the page."""

    browser: Chrome

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(CSS, selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def wait(self, selector: str) -> WebElement:
        waiting = support.WebDriverWait(self.browser, TIMEOUT_S)
        return waiting.until(lambda browser: browser.find_element(CSS, selector))

    def wait_for(self, selector: str, words: str) -> None:
        waiting = support.WebDriverWait(self.browser, TIMEOUT_S)
        waiting.until(lambda _: words in self.text(selector))

    def choose(self, operator: Operator) -> None:
        self.find(f'#operator input[value="{operator.value}"]').click()

    def type(self, question: str) -> None:
        self.find("#question textarea").send_keys(question)

    def press(self) -> None:
        self.find("#ask").click()

    def step(self, number: int, state: str) -> str:
        """The words of a step, once it is in a state."""
        return self.wait(f'[data-step="{number}"][data-state="{state}"]').text

    def picture(self, name: str) -> None:
        """Leave a picture of the whole page, if any are wanted."""
        if folder := os.environ.get("DEMO_PICTURES"):
            ask = self.browser.execute_cdp_cmd
            size = ask("Page.getLayoutMetrics", {})["cssContentSize"]
            wanted = {"captureBeyondViewport": True, "clip": {**size, "scale": 1}}
            taken = ask("Page.captureScreenshot", wanted)["data"]
            (Path(folder) / name).write_bytes(base64.b64decode(taken))


@contextmanager
def running(model: Path) -> Iterator[Page]:
    """The page, until the context ends; then nothing of it is left."""
    command = [sys.executable, "-m", "examples.demo.page", str(model)]
    process = subprocess.Popen(  # noqa: S603  the page itself
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        try:
            yield Page(process.pid, _address(process))
        finally:
            process.terminate()
            rest, _ = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, rest) == (0, "ended\n")


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"the page is at (\S+)", line):
            return found[1]
    pytest.fail("the page did not start")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if named := os.environ.get("DEMO_MODEL"):
        return Path(named)
    made = tmp_path_factory.mktemp("model") / "parrot.onnx"
    onnx.save(parrot(), made)
    return made


@pytest.fixture(scope="module")
def page(model: Path) -> Iterator[Page]:
    with running(model) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    # Whatever the page would load from elsewhere is not found, and is in the log.
    away = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    for each in ("--headless=new", "--window-size=1280,1000", "--disable-gpu", away):
        options.add_argument(each)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's own cannot be root's
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    service = webdriver.ChromeService(DRIVER)
    with webdriver.Chrome(options=options, service=service) as started:
        yield started


@pytest.fixture
def visitor(browser: Chrome, page: Page) -> Visitor:
    return visit(browser, page)


def visit(browser: Chrome, page: Page) -> Visitor:
    browser.get(page.url)
    visitor = Visitor(browser)
    visitor.wait("#ask")
    return visitor


def test_a_question_is_answered_and_the_operator_sees_none_of_it(
    visitor: Visitor,
) -> None:
    visitor.type(QUESTION)
    visitor.press()

    answer, proof, sight = (visitor.step(each, "good") for each in (3, 1, 2))
    visitor.picture("answered.png")

    assert "capital of France" in answer
    assert "in the model" in answer
    assert "Accepted." in proof
    assert "checks passed, 0 refused" in proof
    assert "your question: not there" in sight
    assert "the answer: not there" in sight
    assert re.search(r"(?:[0-9a-f]{2} ){7}[0-9a-f]{2}", sight)
    assert "could read none of it" in visitor.text("#strip")


@pytest.mark.parametrize(("operator", "words"), REFUSED_BY.items())
def test_a_dishonest_operator_is_found_out(
    visitor: Visitor, operator: Operator, words: str
) -> None:
    visitor.type(QUESTION)
    visitor.choose(operator)
    visitor.press()

    proof, answer, sight = (
        visitor.step(1, "bad"),
        visitor.step(3, "bad"),
        visitor.step(2, "good"),
    )
    visitor.picture(f"{operator.name.lower()}.png")

    assert words in proof
    assert "Refused." in proof
    assert "Your question never left this machine." in answer
    assert "All that ever left this machine" in sight
    assert QUESTION not in sight
    assert "sent nothing" in visitor.text("#strip")
    assert operator.story in visitor.text("#story")


def test_what_is_shown_says_whose_it_is_when_the_switch_is_moved(
    visitor: Visitor,
) -> None:
    visitor.type(QUESTION)
    visitor.press()
    visitor.step(3, "good")

    visitor.choose(Operator.DEBUG)
    visitor.wait_for("#story", Operator.DEBUG.story)

    assert Operator.HONEST.value in visitor.text("#strip")


def test_two_visitors_do_not_wait_for_one_another(
    browser: Chrome, tmp_path: Path
) -> None:
    onnx.save(parrot(thinks=1500), tmp_path / "slow.onnx")
    with running(tmp_path / "slow.onnx") as page:
        first = visit(browser, page)
        window = browser.current_window_handle
        first.type(QUESTION)
        first.press()
        first.step(3, "busy")
        browser.switch_to.new_window("tab")
        second = visit(browser, page)
        second.type(QUESTION)
        second.press()

        second.step(1, "good")
        browser.close()
        browser.switch_to.window(window)
        is_busy = browser.find_elements(CSS, '[data-step="3"][data-state="busy"]')
        answered = "capital of France" in first.step(3, "good")

    assert is_busy
    assert answered


def test_enter_asks(visitor: Visitor) -> None:
    visitor.type(QUESTION + keys.ENTER)

    assert "capital of France" in visitor.step(3, "good")


def test_an_example_is_one_click_away(visitor: Visitor) -> None:
    visitor.browser.find_element(
        "xpath", f"//button[contains(., '{QUESTION}')]"
    ).click()
    support.WebDriverWait(visitor.browser, TIMEOUT_S).until(
        lambda _: visitor.find("#question textarea").get_property("value") == QUESTION
    )


def test_the_transcript_opens(visitor: Visitor) -> None:
    visitor.type(QUESTION)
    visitor.press()
    visitor.step(3, "good")

    visitor.find("details summary").click()

    assert "AMD 56860" in visitor.text(".bd-table")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        pytest.param("", "expected a few words, got none", id="empty"),
        pytest.param("a" * 1001, "at most 1000 characters, got 1001", id="long"),
    ],
)
def test_what_cannot_be_asked_is_told(visitor: Visitor, typed: str, words: str) -> None:
    visitor.type(typed)
    visitor.press()

    assert words in visitor.wait(".bd-problem").text


def test_markup_is_only_text(visitor: Visitor) -> None:
    visitor.type(MARKUP)
    visitor.press()
    visitor.step(3, "good")

    assert not visitor.browser.find_elements(CSS, ".bd-step img")
    assert visitor.browser.title == "blindai demo"


def test_a_server_that_is_gone_is_told(browser: Chrome, model: Path) -> None:
    with running(model) as page:
        visitor = visit(browser, page)
        (enclave,) = page.enclaves()
        os.kill(enclave, signal.SIGKILL)
        visitor.type(QUESTION)
        visitor.press()

        assert "Check the address and the network" in visitor.step(3, "bad")
        visitor.picture("gone.png")


@pytest.mark.parametrize("port", ["taken", "70000"])
def test_a_port_that_nobody_can_listen_at_is_named(
    page: Page, model: Path, port: str
) -> None:
    named = str(urlsplit(page.url).port) if port == "taken" else port
    command = [sys.executable, "-m", "examples.demo.page", str(model), "--port", named]

    done = subprocess.run(  # noqa: S603  the page itself
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    said = f"error: expected a free port at --port {named}, got none\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)


def test_the_page_loads_nothing_from_elsewhere(browser: Chrome, page: Page) -> None:
    browser.get_log("performance")  # what was before
    visitor = visit(browser, page)
    visitor.type(QUESTION)
    visitor.press()
    visitor.step(3, "good")

    messages = [
        json.loads(each["message"])["message"]
        for each in browser.get_log("performance")
    ]
    asked = [
        urlsplit(each["params"]["request"]["url"])
        for each in messages
        if each["method"] == "Network.requestWillBeSent"
    ]
    assert len(asked) > 10
    assert {each.hostname for each in asked if each.scheme != "data"} == {"127.0.0.1"}


def test_a_browser_is_told_to_load_nothing_from_elsewhere(page: Page) -> None:
    with httpx.Client(trust_env=False) as http:
        headers = http.get(page.url).headers

    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert headers["referrer-policy"] == "no-referrer"
