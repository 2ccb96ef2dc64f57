"""Running models: Open Inference Protocol V2, in JSON and in binary."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from blindai.protocol import tensors
from blindai.protocol.tensors import InferRequest, Tensor
from blindai.server import answers
from blindai.server.settings import InferenceSettings, Settings

if TYPE_CHECKING:
    from tests.server.conftest import V2, MakeV2, Opened

pytestmark = pytest.mark.anyio

LENGTH = tensors.HEADER_LENGTH.lower().encode()
PATH = "/v2/models/add/infer"


def entry(**changes: object) -> dict[str, object]:
    """The input of `add`: [[1, 2]]."""
    fields: dict[str, object] = {
        "name": "x",
        "shape": [1, 2],
        "datatype": "FP32",
        "data": [1, 2],
    }
    return fields | changes


def body(*inputs: object, **fields: object) -> bytes:
    return json.dumps({"inputs": inputs or (entry(),), **fields}).encode()


async def infer(v2: V2, content: bytes, length: bytes | None = None) -> Opened:
    fields = () if length is None else ((LENGTH, length),)
    return await v2.ask("POST", PATH, content, fields)


async def test_json_in_json_out(v2: V2, add: bytes) -> None:
    opened = await infer(v2, body(id="mine"))

    assert opened.status == 200
    assert opened.fields[b"content-type"] == b"application/json"
    answer = opened.json
    assert answer["parameters"].pop("inference_time_ns") > 0
    assert answer == {
        "model_name": "add",
        "model_version": "1",
        "id": "mine",
        "parameters": {"model_digest": hashlib.sha256(add).hexdigest()},
        "outputs": [{"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [2, 4]}],
    }


async def test_binary_in_binary_out(v2: V2) -> None:
    x = np.array([[1, 2], [3, 4]], np.float32)
    request = InferRequest(
        inputs=(Tensor.of("x", x),), parameters={"binary_data_output": True}
    )
    encoded = tensors.encode_request(request)

    opened = await infer(
        v2, b"".join(encoded.buffers), str(encoded.header_length).encode()
    )

    assert opened.fields[b"content-type"] == b"application/octet-stream"
    length = int(opened.fields[LENGTH])
    (y,) = tensors.parse_response(opened.content, length).outputs
    assert y.array.tolist() == [[2, 4], [4, 6]]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        pytest.param(b"", "JSON: expected one value", id="nothing"),
        pytest.param(b"{", "JSON: expected one value", id="cut short"),
        pytest.param(b"[]", "JSON: expected an object, got an array", id="array"),
        pytest.param(b"[" * 100_000, "JSON: expected less nesting", id="nesting"),
        pytest.param(b'"\xff"', "JSON: expected UTF-8", id="not UTF-8"),
        pytest.param(b"{}", "body inputs: expected an array, got nothing", id="empty"),
        pytest.param(b'{"a":1,"a":1}', "JSON: expected each key", id="key twice"),
        pytest.param(
            body(entry(datatype="INT64")),
            "input 'x': expected FP32, got INT64",
            id="dtype",
        ),
        pytest.param(
            body(entry(datatype="F32")),
            "inputs 'x' datatype: expected one of",
            id="unknown dtype",
        ),
        pytest.param(
            body(entry(shape=[2, 1])),
            "input 'x', dimension 1 (2): expected 2, got 1",
            id="shape",
        ),
        pytest.param(
            body(entry(shape=[2])),
            "input 'x': expected 2 dimensions, got 1",
            id="dimensions",
        ),
        pytest.param(
            body(entry(shape=[1, 3])), "inputs 'x' data: expected 3 ", id="elements"
        ),
        pytest.param(
            body(entry(shape=[-1, 2])), "inputs 'x' shape: expected", id="negative"
        ),
        pytest.param(
            body(entry(shape=[1 << 40, 2])), "inputs 'x' shape: expected", id="huge"
        ),
        pytest.param(body(entry(name="z")), "inputs: expected 'x', got 'z'", id="name"),
        pytest.param(
            body(entry(), entry()), "inputs: expected each name once", id="twice"
        ),
        pytest.param(
            body(entry(data=[1, float("nan")])),
            "JSON: expected finite numbers, got NaN or an infinity",
            id="NaN",
        ),
        pytest.param(
            body(outputs=[{"name": "z"}]), "outputs: expected 'y', got 'z'", id="output"
        ),
    ],
)
async def test_refuses(v2: V2, content: bytes, detail: str) -> None:
    status, kind, actual = (await infer(v2, content)).problem

    assert (status, kind) == (400, "invalid-tensor")
    assert actual.startswith(detail), f"expected {detail!r}, got {actual!r}"


def binary(size: object) -> bytes:
    fields = entry(parameters={"binary_data_size": size})
    del fields["data"]
    return body(fields)


HEADER = binary(8)


@pytest.mark.parametrize(
    ("header", "rest", "lie", "detail"),
    [
        pytest.param(binary(9), 8, 0, "expected at most the 8 bytes left", id="more"),
        pytest.param(binary(4), 8, 0, "expected 8 bytes for its shape", id="fewer"),
        pytest.param(HEADER, 9, 0, "expected no bytes behind", id="bytes left"),
        pytest.param(HEADER, 0, 0, "expected at most the 0 bytes left", id="no bytes"),
        pytest.param(binary(-1), 8, 0, "expected an integer of 0 or more", id="minus"),
        pytest.param(binary("8"), 8, 0, "expected an integer of 0 or more", id="text"),
        pytest.param(HEADER, 8, 9, "expected at most the body's", id="long header"),
        pytest.param(HEADER, 8, -1, "JSON: expected one value", id="short header"),
        pytest.param(HEADER, 8, 1, "JSON: expected one value", id="into the data"),
    ],
)
async def test_refuses_sizes_that_lie(
    v2: V2, header: bytes, rest: int, lie: int, detail: str
) -> None:
    length = str(len(header) + lie).encode()

    status, kind, actual = (await infer(v2, header + bytes(rest), length)).problem

    assert (status, kind) == (400, "invalid-tensor")
    assert detail in actual, f"expected {detail!r}, got {actual!r}"


@pytest.mark.parametrize(
    "length", [b"", b"-1", b"1.5", b"0x10", b"1e3", b"\xb2", b"9" * 13, b"9" * 5000]
)
async def test_refuses_a_header_length_that_is_no_number(v2: V2, length: bytes) -> None:
    opened = await infer(v2, body(), length)

    detail = f"{tensors.HEADER_LENGTH}: expected a whole number"
    assert opened.problem == (400, "invalid-request", detail)


async def test_a_model_that_is_not_there_is_not_found(v2: V2) -> None:
    opened = await v2.ask("POST", "/v2/models/none/infer", body())

    assert opened.problem[:2] == (404, "not-found")


async def test_the_media_type_of_a_request_does_not_matter(v2: V2) -> None:
    opened = await v2.ask("POST", PATH, body(), ((b"content-type", b"image/png"),))

    assert opened.status == 200


@pytest.mark.parametrize("claimed", [None, b"1", b"99999999999"])
async def test_a_body_over_the_limit_is_refused_whatever_it_claims(
    make_v2: MakeV2, add: bytes, claimed: bytes | None
) -> None:
    settings = Settings(inference=InferenceSettings(max_request_bytes=200))
    v2 = await make_v2(settings)
    await v2.ask("PUT", "/v2/models/add", add)
    fields = () if claimed is None else ((b"content-length", claimed),)

    small = await v2.ask("POST", PATH, body(), fields)
    large = await v2.ask("POST", PATH, body().ljust(201), fields)

    assert small.status == 200, f"expected 200, got {small.status}"
    detail = "request: expected at most 200 bytes"
    assert large.problem == (413, "too-large", detail)


async def test_json_has_a_limit_of_its_own(v2: V2) -> None:
    opened = await infer(v2, body().ljust((16 << 20) + 1))

    detail = "JSON: expected at most 16777216 bytes, got 16777217"
    assert opened.problem == (400, "invalid-tensor", detail)


@pytest.mark.parametrize(
    ("limit", "enough"), [("MAX_JSON_ELEMENTS", 2), ("MAX_JSON_BYTES", 8)]
)
async def test_an_answer_in_json_has_limits_of_its_own(
    v2: V2, monkeypatch: pytest.MonkeyPatch, limit: str, enough: int
) -> None:
    monkeypatch.setattr(answers, limit, enough)
    assert (await infer(v2, body())).status == 200

    monkeypatch.setattr(answers, limit, enough - 1)
    json_ = await infer(v2, body())
    binary = await infer(v2, body(parameters={"binary_data_output": True}))

    status, kind, detail = json_.problem
    assert (status, kind) == (413, "too-large")
    assert detail.endswith("in JSON, got 2 and 8: ask for binary data")
    assert binary.status == 200


async def test_a_body_at_the_limit_is_read_over_many_chunks(
    make_v2: MakeV2, add: bytes
) -> None:
    settings = Settings(inference=InferenceSettings(max_request_bytes=2000))
    v2 = await make_v2(settings)
    await v2.ask("PUT", "/v2/models/add", add)
    message = v2.message("POST", PATH, body().ljust(2000))

    opened = await v2.send(v2.seal(message[:900], message[900:1500], message[1500:]))

    assert opened.status == 200


async def test_a_pinned_digest_is_held_against_the_model(v2: V2, add: bytes) -> None:
    right, wrong = hashlib.sha256(add).hexdigest(), "0" * 64

    opened = await infer(v2, body(parameters={"model_digest": right}))
    refused = await infer(v2, body(parameters={"model_digest": wrong}))

    assert opened.status == 200
    detail = f"model digest: expected {wrong}, got {right}"
    assert refused.problem == (409, "conflict", detail)


@pytest.mark.parametrize("digest", [7, True, "", "0" * 63, "A" * 64, "0" * 65])
async def test_a_digest_that_is_none_is_refused(v2: V2, digest: object) -> None:
    opened = await infer(v2, body(parameters={"model_digest": digest}))

    detail = "model_digest: expected 64 lower-case hexadecimal digits"
    assert opened.problem == (400, "invalid-request", detail)


@pytest.mark.parametrize("timeout_us", [0, -1, 1.5, "1", True])
async def test_a_timeout_that_is_none_is_refused(v2: V2, timeout_us: object) -> None:
    opened = await infer(v2, body(parameters={"timeout": timeout_us}))

    detail = "timeout: expected a whole number of microseconds above 0"
    assert opened.problem == (400, "invalid-request", detail)


@pytest.mark.parametrize("timeout_us", [10_000_000, 10**400], ids=["10 s", "ages"])
async def test_a_timeout_is_microseconds(v2: V2, timeout_us: int) -> None:
    opened = await infer(v2, body(parameters={"timeout": timeout_us}))

    assert opened.status == 200


def forever(**parameters: Any) -> bytes:  # noqa: ANN401  JSON
    n = {"name": "n", "shape": [], "datatype": "INT64", "data": [1 << 60]}
    return body(n, parameters=parameters)


async def run_forever(v2: V2, **parameters: object) -> Opened:
    return await v2.ask("POST", "/v2/models/endless/infer", forever(**parameters))


@pytest.fixture
async def busy(make_v2: MakeV2, endless: bytes) -> V2:
    """One worker, a queue of one, a model without an end, 0.2 s for it."""
    settings = Settings(
        inference=InferenceSettings(
            workers=1,
            threads=1,
            max_queue=1,
            default_timeout_s=0.1,
            max_timeout_s=0.2,
        )
    )
    v2 = await make_v2(settings)
    assert (await v2.ask("PUT", "/v2/models/endless", endless)).status == 201
    return v2


async def test_the_default_timeout_ends_a_run(busy: V2) -> None:
    opened = await run_forever(busy)

    detail = "deadline: expected it ahead, passed while running"
    assert opened.problem == (504, "deadline-passed", detail)


@pytest.mark.parametrize("timeout_us", [1, 50_000, 10**12])
async def test_a_run_gets_the_time_asked_for_and_no_more_than_allowed(
    busy: V2, timeout_us: int
) -> None:
    opened = await asyncio.wait_for(run_forever(busy, timeout=timeout_us), 5)

    assert opened.problem[:2] == (504, "deadline-passed")


async def test_a_full_queue_refuses_and_says_when_to_come_again(busy: V2) -> None:
    opened = await asyncio.gather(*(run_forever(busy) for _ in range(3)))

    refused = [each for each in opened if each.status == 429]
    assert len(refused) == 1, f"expected one refusal, got {len(refused)}"
    assert refused[0].problem[1:] == (
        "overloaded",
        "queue: expected at most 1 requests waiting, got more",
    )
    assert refused[0].fields[b"retry-after"] == b"1"


async def test_after_a_run_without_an_end_others_are_served(busy: V2) -> None:
    await run_forever(busy)

    once = forever().replace(str(1 << 60).encode(), b"3")
    opened = await busy.ask("POST", "/v2/models/endless/infer", once)

    assert opened.json["outputs"][0]["data"] == [3]
