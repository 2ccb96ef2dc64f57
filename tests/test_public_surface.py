"""The names and signatures that users were promised."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import metadata

import pytest

import blindai

NAMES = {
    "AsyncConnection",
    "AsyncSealedTransport",
    "Connection",
    "Policy",
    "PredictResponse",
    "Proof",
    "SealedTransport",
    "Tensor",
    "UploadResponse",
    "__version__",
    "connect",
    "errors",
}
CONNECT = [
    "addr",
    "*policy",
    "*api_key",
    "*simulation",
    "*timeout",
    "*endorsements",
    "*remember_stores",
    "*prove_by_default",
]
METHODS = {
    "attest": [],
    "close": [],
    "configuration": [],
    "delete_model": ["model_name", "*model_version", "*owner_token"],
    "models": [],
    "predict": [
        "model_name",
        "tensors",
        "dtype",
        "shape",
        "*outputs",
        "*model_version",
        "*model_digest",
        "*timeout",
        "*sign",
    ],
    "server": [],
    "upload_model": [
        "model",
        "model_name",
        "*owner_token",
        "*save_model",
        "*progress",
        "*sign",
    ],
}


def parameters(function: object) -> list[str]:
    """Names of parameters, those that need their name with a star."""
    assert callable(function)
    return [
        f"*{each.name}" if each.kind is each.KEYWORD_ONLY else each.name
        for each in inspect.signature(function).parameters.values()
        if each.name != "self"
    ]


def test_the_package_promises_these_names() -> None:
    assert set(blindai.__all__) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_promised_name_is_there(name: str) -> None:
    assert getattr(blindai, name) is not None


def test_dir_shows_the_promised_names() -> None:
    assert set(dir(blindai)) >= NAMES


def test_a_name_that_was_not_promised_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = blindai.nothing


def test_the_version_is_the_distributions() -> None:
    assert blindai.__version__ == metadata.version("blindai")


def test_connect_takes_what_was_promised() -> None:
    assert parameters(blindai.connect) == CONNECT


@pytest.mark.parametrize("kind", [blindai.Connection, blindai.AsyncConnection])
def test_a_connection_takes_what_was_promised(kind: type) -> None:
    assert parameters(kind) == [*CONNECT, "*wire"]


@pytest.mark.parametrize("kind", [blindai.Connection, blindai.AsyncConnection])
@pytest.mark.parametrize("method", METHODS)
def test_a_connection_does_what_was_promised(kind: type, method: str) -> None:
    assert parameters(getattr(kind, method)) == METHODS[method]


@pytest.mark.parametrize(
    "kind", [blindai.SealedTransport, blindai.AsyncSealedTransport]
)
def test_a_transport_takes_what_was_promised(kind: type) -> None:
    assert parameters(kind) == [
        "url",
        "*policy",
        "*simulation",
        "*endorsements",
        "*remember_stores",
        "*wire",
    ]


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = """
import sys, blindai
heavy = {"numpy", "onnx", "torch", "uvicorn", "starlette", "httpx", "cryptography"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
blindai.connect
assert not {"onnx", "torch", "uvicorn", "starlette", "onnxruntime"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  our own
