"""Enclaves and models that the client's tests share."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from uuid import uuid4

import httpx
import onnx
import pytest
from onnx import TensorProto, helper
from tests.client.scripted import Script, Serve, Server

import blindai
from blindai.attester.simulated import SimulatedAttester, SimulatedPlatform
from blindai.server.asgi import App
from blindai.server.enclave import Enclave, Lifetimes, Measured
from blindai.server.gateway import Gateway
from blindai.server.serve import now
from blindai.server.settings import GatewaySettings, ModelSettings, Settings
from blindai.testing import SimulatedEnclave
from blindai.verifier import Policy, SnpPolicy

ENVIRONMENT = (
    "BLINDAI_ADDR",
    "BLINDAI_API_KEY",
    "BLINDAI_POLICY",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
)
ROOMY = Settings(
    models=ModelSettings(max_count=4096),
    gateway=GatewaySettings(quotes_per_second=4096),
)
OPSET = helper.make_opsetid("", 20)

Answer = Callable[[httpx.Request], httpx.Response]
To = Callable[[SimulatedEnclave], Answer]


class Wire(httpx.BaseTransport):
    """Carries requests to whatever answers now, and writes down that it did.

    Attributes:
        answer: What answers from now on.
        seen: Methods and paths of the requests that went by.
        closed: Whether nobody needs it any more.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.seen: list[tuple[str, str]] = []
        self.closed = False

    def connect(self, policy: Policy | None = None) -> blindai.Connection:
        """A connection over this wire, for simulation if there is no policy."""
        return blindai.Connection(
            "http://enclave.test", policy=policy, simulation=policy is None, wire=self
        )

    def change(self, method: str, change: Answer) -> None:
        """Let another answer one method from now on."""
        honest = self.answer

        def answer(request: httpx.Request) -> httpx.Response:
            return (change if request.method == method else honest)(request)

        self.answer = answer

    def rewrite(self, method: str, rewrite: Callable[[bytes], bytes]) -> None:
        """Rewrite the bodies that answer one method from now on."""
        honest = self.answer

        def change(request: httpx.Request) -> httpx.Response:
            answered = honest(request)
            headers = {"content-type": answered.headers["content-type"]}
            return httpx.Response(
                answered.status_code, headers=headers, content=rewrite(answered.content)
            )

        self.change(method, change)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append((request.method, request.url.path))
        return self.answer(request)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def enclave() -> Iterator[SimulatedEnclave]:
    """An enclave that all tests share; models in it have names of their own."""
    with SimulatedEnclave(ROOMY) as running:
        yield running


@pytest.fixture(scope="session")
def other_enclave() -> Iterator[SimulatedEnclave]:
    """Another one, with other keys."""
    with SimulatedEnclave(ROOMY) as running:
        yield running


@pytest.fixture(scope="session")
def to() -> To:
    """Passes requests on to an enclave."""

    def make(enclave: SimulatedEnclave) -> Answer:
        def answer(request: httpx.Request) -> httpx.Response:
            url = httpx.URL(enclave.url).copy_with(raw_path=request.url.raw_path)
            kind = request.headers.get("content-type", "")
            answered = httpx.request(
                request.method,
                url,
                headers={"content-type": kind},
                content=request.content,
                trust_env=False,
                verify=False,  # noqa: S501  plain HTTP, and contexts are dear
            )
            return httpx.Response(
                answered.status_code, headers=answered.headers, content=answered.content
            )

        return answer

    return make


@pytest.fixture
def wire(to: To, enclave: SimulatedEnclave) -> Wire:
    """A wire to the shared enclave."""
    return Wire(to(enclave))


@pytest.fixture(scope="session")
def pinned() -> Policy:
    """Accepts the simulation, with the measurement that it has by default."""
    return Policy(
        insecure_accept_simulation=True,
        sev_snp=SnpPolicy(measurements=(SimulatedPlatform().measurement,)),
    )


@pytest.fixture
def client(enclave: SimulatedEnclave) -> Iterator[blindai.Connection]:
    with enclave.connect() as connection:
        yield connection


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return uuid4().hex


@pytest.fixture
def model(client: blindai.Connection, identity: Callable[..., bytes], name: str) -> str:
    """The name of a model that gives back its floats."""
    client.upload_model(identity(), name)
    return name


@pytest.fixture
def pair(client: blindai.Connection, arithmetic: bytes, name: str) -> str:
    """The name of a model that adds and subtracts."""
    client.upload_model(arithmetic, name)
    return name


@pytest.fixture
def serve() -> Iterator[Callable[[App], SimulatedEnclave]]:
    """Serves an application in place of the whole server."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(SimulatedEnclave(app=app))


@pytest.fixture
def gateway() -> Callable[..., Gateway]:
    """Puts a real gateway with real keys before an application."""

    def make(
        app: App,
        clock: Callable[[], datetime] = now,
        config_digest: bytes = bytes(32),
        lifetimes: Lifetimes | None = None,
    ) -> Gateway:
        measured = Measured(config_digest=config_digest, build="test")
        attester = SimulatedAttester()
        return Gateway(
            app,
            Enclave(
                attester, measured, clock, lifetimes=lifetimes, quotes_per_second=4096
            ),
        )

    return make


@pytest.fixture(scope="session")
def identity() -> Callable[..., bytes]:
    """A model with one input `x` and the same as output `y`."""

    def make(kind: int = TensorProto.FLOAT, rank: int = 1) -> bytes:
        shape = [f"d{index}" for index in range(rank)]
        return _model(
            [helper.make_node("Identity", ["x"], ["y"])],
            {"x": kind},
            {"y": kind},
            shape,
        )

    return make


@pytest.fixture(scope="session")
def arithmetic() -> bytes:
    """A model with inputs `a`, `b` and outputs `sum`, `difference`, all (n) floats."""
    kind = TensorProto.FLOAT
    return _model(
        [
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Sub", ["a", "b"], ["difference"]),
        ],
        {"a": kind, "b": kind},
        {"sum": kind, "difference": kind},
        ["n"],
    )


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, int],
    outputs: dict[str, int],
    shape: list[str],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(each, kind, shape)
            for each, kind in inputs.items()
        ],
        [
            helper.make_tensor_value_info(each, kind, shape)
            for each, kind in outputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[OPSET], ir_version=10)
    return bytes(model.SerializeToString())


@pytest.fixture
def scripted() -> Iterator[Serve]:
    """Start servers; all are awaited at the end."""
    with ExitStack() as stack:

        def start(*scripts: Script, tls: ssl.SSLContext | None = None) -> Server:
            server = Server(scripts, tls)
            stack.callback(server.close)
            return server

        yield start
