"""Marked names, keys and data go in; what the operator gets to see has no mark in it.

The server is a process of its own, with everything on that shows something: lines in
JSON, metrics, telemetry, a data folder. Requests succeed and fail in every way. Then
all that came out beside the sealed answers is searched.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.cli.serving import Served, serving, told

import blindai
from blindai.protocol.names import ATTESTATION_PATH, GATEWAY_PATH
from blindai.server.auth import digest

MARK = "cAnArY"
API_KEY = f"bai_{MARK}-api-key"
INPUT = f"{MARK}-input".encode()
NAME = f"{MARK}-model"
SPOILT = f"{MARK}-spoilt"
FIELDS = {"authorization": f"Bearer {API_KEY}"}
pytestmark = pytest.mark.filterwarnings(
    "ignore::blindai.client.policies.SimulationWarning"
)


def find_marks(data: bytes) -> list[bytes]:
    """Which forms of the mark are in these bytes, in any case of letters."""
    mark, low = MARK.encode(), data.lower()
    encoded = [
        base64.b64encode(b"x" * shift + mark)[-(-8 * shift // 6) : 8 * (shift + 6) // 6]
        for shift in range(3)
    ]  # the digits that depend on the mark alone, wherever it begins
    return [each for each in encoded if each in data] + [
        each for each in (mark.lower(), mark.hex().encode()) if each in low
    ]


@pytest.mark.parametrize(
    "form",
    [
        MARK.encode(),
        MARK.upper().encode(),
        MARK.encode().hex().encode(),
        base64.b64encode(b"any " + MARK.encode() + b" thing"),
        base64.b64encode(b"an " + MARK.encode() + b" thing"),
        base64.b64encode(b"a " + MARK.encode() + b" thing"),
    ],
)
def test_the_search_finds_each_form_of_a_mark(form: bytes) -> None:
    assert find_marks(b"before " + form + b" after")
    assert not find_marks(b"before and after")


def marked_model() -> bytes:
    """A model that gives back its input; every name and text in it is marked."""
    x, y = f"{MARK}-x", f"{MARK}-y"
    value = helper.make_tensor_value_info
    weight = helper.make_tensor(
        f"{MARK}-weight", TensorProto.UINT8, [len(INPUT)], INPUT, raw=True
    )
    graph = helper.make_graph(
        [helper.make_node("Identity", [x], [y], name=f"{MARK}-node")],
        f"{MARK}-graph",
        [value(x, TensorProto.UINT8, ["n"])],
        [value(y, TensorProto.UINT8, ["n"])],
        [weight],
        doc_string=f"{MARK}-doc",
    )
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    model.producer_name = f"{MARK}-producer"
    helper.set_model_props(model, {f"{MARK}-key": f"{MARK}-value"})
    return bytes(model.SerializeToString())


def refused_model() -> bytes:
    """A model with an operator nobody knows, marked."""
    model = onnx.load_from_string(marked_model())
    model.graph.node[0].domain = f"{MARK}.domain"
    model.graph.node[0].op_type = f"{MARK}Op"
    model.opset_import.append(helper.make_opsetid(f"{MARK}.domain", 1))
    return bytes(model.SerializeToString())


@dataclass
class Outside:
    """What the operator and others got to see.

    Attributes:
        seen: Bytes, by where they were.
        telemetry: Bodies that arrived.
    """

    seen: dict[str, bytes] = field(default_factory=dict)
    telemetry: list[bytes] = field(default_factory=list)

    def add_files(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            self.seen[f"the name {path.name}"] = os.fsencode(path.relative_to(folder))
            if path.is_file():
                self.seen[f"the file {path}"] = path.read_bytes()

    def add_processes(self, first: int) -> None:
        """Environment and command line of a process and all that it started."""
        for process in descendants(first):
            for name in ("environ", "cmdline", "comm", "limits"):
                path = Path(f"/proc/{process}/{name}")
                with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
                    self.seen[f"{name} of {process}"] = path.read_bytes()


def descendants(first: int) -> list[int]:
    found = [first]
    for process in found:
        for task in Path(f"/proc/{process}/task").iterdir():
            children = (task / "children").read_text().split()
            found.extend(map(int, children))
    return found


def configure(folder: Path, address: str) -> Path:
    config = folder / "server.toml"
    config.write_text(
        f'[[api_keys]]\nname = "{MARK}-ward"\nsha256 = "{digest(API_KEY)}"\n'
        'scopes = ["infer", "upload"]\n'
        f'[telemetry]\nurl = "{address}"\ninterval_s = 1\n'
    )
    return config


def use(url: str, folder: Path, rounds: Path) -> None:
    """Succeed with marked names and data."""
    file = folder / f"{MARK}-file.onnx"
    file.write_bytes(marked_model())
    with blindai.connect(url, simulation=True, api_key=API_KEY) as client:
        client.upload_model(file, NAME)
        client.upload_model(file, f"{NAME}-2")
        client.upload_model(rounds, f"{NAME}-rounds")
        answer = client.predict(NAME, np.frombuffer(INPUT, np.uint8))
        assert answer.output[0].as_numpy().tobytes() == INPUT
        client.delete_model(f"{NAME}-2")


def infer(*, name: str, datatype: str, data: object, **parameters: object) -> str:
    tensor = {"name": name, "datatype": datatype, "shape": [1], "data": data}
    return json.dumps({"inputs": [tensor], "parameters": parameters})


def misuse(url: str) -> list[httpx.Response]:
    """Fail in many ways, with marks in each; the sealed answers."""
    x, model = f"{MARK}-x", f"/v2/models/{NAME}"
    endless = infer(name="rounds", datatype="INT64", data=[1 << 40], timeout=200_000)
    with httpx.Client(
        transport=blindai.SealedTransport(url, simulation=True),
        base_url="https://enclave",
        headers=FIELDS,
    ) as client:
        return [
            client.post(
                f"{model}/infer", content=infer(name=x, datatype="FP32", data=[1])
            ),
            client.post(
                f"{model}/infer", content=infer(name=SPOILT, datatype="UINT8", data=[1])
            ),
            client.post(
                f"{model}/infer", content=infer(name=x, datatype=MARK, data=[1])
            ),
            client.post(
                f"{model}/infer", content=infer(name=x, datatype="UINT8", data=[MARK])
            ),
            client.post(f"{model}/infer", content=INPUT),
            client.post(
                f"{model}-rounds/infer",
                content=infer(name=MARK, datatype="INT64", data=[1]),
            ),
            client.post(f"{model}-rounds/infer", content=endless),
            client.post(f"/v2/models/{SPOILT}/infer", content=INPUT),
            client.put(f"/v2/models/{SPOILT}", content=refused_model()),
            client.put(f"/v2/models/{SPOILT}", content=INPUT),
            client.put(f"/v2/models/{SPOILT}%2f..", content=marked_model()),
            client.delete(f"/v2/models/{SPOILT}"),
            client.get(f"/{SPOILT}?{MARK}=1"),
            client.request(MARK.upper(), "/v2"),
            client.get(
                "/v2/models/x", headers={"authorization": f"Bearer {MARK}-other"}
            ),
            client.post(f"{model}/infer", headers={f"{MARK}-field": MARK}, content=b""),
        ]


def knock(url: str, outside: Outside) -> None:
    """Ask outside the seal, with marks; the answers."""
    for name, answer in {
        "a path": httpx.get(f"{url}/{SPOILT}?{MARK}"),
        "a nonce": httpx.get(f"{url}{ATTESTATION_PATH}?nonce={MARK}"),
        "a method": httpx.request(MARK.upper(), f"{url}{GATEWAY_PATH}"),
        "a type": httpx.post(f"{url}{GATEWAY_PATH}", headers={"content-type": MARK}),
        "bytes": httpx.post(
            f"{url}{GATEWAY_PATH}",
            content=INPUT * 10,
            headers={"content-type": "message/ohttp-req"},
        ),
    }.items():
        assert answer.status_code >= 400
        outside.seen[f"the answer to {name}"] = (
            str(answer.headers).encode() + answer.content
        )


def watch(served: Served, outside: Outside) -> None:
    """Take down all that can be looked at while the server runs."""
    for path in ("/metrics", "/health/live", "/health/ready", f"/{MARK}"):
        answer = httpx.get(f"{served.metrics}{path}")
        outside.seen[f"metrics {len(outside.seen)}"] = answer.content
    outside.add_processes(served.process.pid)


def test_no_mark_comes_out(tmp_path: Path, rounds: Path) -> None:
    outside = Outside()
    mine, temp, data, work = (tmp_path / each for each in ("mine", "t", "d", "w"))
    for folder in (mine, temp, work):
        folder.mkdir()
    with (
        told(outside.telemetry) as address,
        serving(
            *("--data-dir", data, "--config", configure(tmp_path, address)),
            *("--metrics", "127.0.0.1:0", "--log-format", "json"),
            environment={"TMPDIR": str(temp)},
            folder=work,
        ) as served,
    ):
        use(served.url, mine, rounds)
        watch(served, outside)
        answers = misuse(served.url)
        knock(served.url, outside)
        watch(served, outside)
        before = len(outside.telemetry)
        while len(outside.telemetry) == before:
            time.sleep(0.1)
        served.process.send_signal(signal.SIGABRT)  # as when it crashes
        _, ended = os.waitpid(served.process.pid, 0)

    for folder in (temp, data, work):
        outside.add_files(folder)
    outside.seen["the log"] = "".join(served.log).encode()
    outside.seen["standard output"] = str(served.facts).encode()
    outside.seen["telemetry"] = b"\n".join(outside.telemetry)

    found = {name: find_marks(content) for name, content in outside.seen.items()}
    assert not {name: marks for name, marks in found.items() if marks}
    require_that_there_was_something(outside, served, answers)
    assert any(name.startswith(f"the file {data}") for name in outside.seen)
    assert os.WTERMSIG(ended) == signal.SIGABRT
    assert not os.WCOREDUMP(ended)


def require_that_there_was_something(
    outside: Outside, served: Served, answers: list[httpx.Response]
) -> None:
    """Whether marks went in, requests failed as they should, and all was searched."""
    kinds = [each.json()["type"].rpartition("/")[2] for each in answers]
    assert kinds.count("invalid-tensor") >= 3
    assert {"deadline-passed", "model-refused", "not-found", "unauthenticated"} <= {
        *kinds
    }
    log = [json.loads(line) for line in served.log]
    assert [each for each in log if each.get("route") == "upload"]
    assert b'"inferences": 1,' in outside.telemetry[-1]
    assert b"blindai_tenant_requests_total" in b"".join(outside.seen.values())
    limits = outside.seen[f"limits of {served.process.pid}"]
    assert b"Max core file size        0                    0 " in limits
