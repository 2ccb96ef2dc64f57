"""How a tensor is sent to each peer, and how its answer is read."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

_V2_TYPES = {"float32": "FP32", "int64": "INT64"}
_JSON = {"Content-Type": "application/json"}


class Body(NamedTuple):
    """A request's path, headers and body."""

    path: str
    headers: dict[str, str]
    content: bytes


class Format(NamedTuple):
    """A way to send and to read; `read` takes the answer's body."""

    words: str
    write: Callable[[str, Array], Body]
    read: Callable[[bytes], Array]


def _v2_path(name: str) -> str:
    return f"/v2/models/{name}/infer"


def _v2_json(name: str, array: Array) -> Body:
    entry = {
        "name": "x",
        "shape": list(array.shape),
        "datatype": _V2_TYPES[str(array.dtype)],
        "data": array.ravel().tolist(),
    }
    return Body(_v2_path(name), _JSON, json.dumps({"inputs": [entry]}).encode())


def _v2_base64(name: str, array: Array) -> Body:
    data = base64.b64encode(array.tobytes()).decode()
    entry = {"name": "x", "shape": [1], "datatype": "BYTES", "data": [data]}
    return Body(_v2_path(name), _JSON, json.dumps({"inputs": [entry]}).encode())


def _read_v2_json(body: bytes) -> Array:
    output = json.loads(body)["outputs"][0]
    return np.array(output["data"], np.float32)


def _v2_binary(name: str, array: Array) -> Body:
    entry = {
        "name": "x",
        "shape": list(array.shape),
        "datatype": _V2_TYPES[str(array.dtype)],
        "parameters": {"binary_data_size": array.nbytes},
    }
    asked = {"inputs": [entry], "parameters": {"binary_data_output": True}}
    head = json.dumps(asked).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return Body(_v2_path(name), headers, head + array.tobytes())


def _read_v2_binary(body: bytes) -> Array:
    head, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    size = head["outputs"][0]["parameters"]["binary_data_size"]
    return np.frombuffer(body[end:][:size], np.float32)


def _octets(name: str, array: Array) -> Body:
    headers = {"Content-Type": "application/octet-stream"}
    return Body(f"/{name}", headers, array.tobytes())


def _read_octets(body: bytes) -> Array:
    return np.frombuffer(body, np.float32)


V2_JSON = Format("V2, JSON numbers", _v2_json, _read_v2_json)
V2_BASE64 = Format("V2, base64 in JSON", _v2_base64, _read_v2_json)
V2_BINARY = Format("V2, binary tensor data", _v2_binary, _read_v2_binary)
OCTETS = Format("HTTP, the tensor's bytes", _octets, _read_octets)
