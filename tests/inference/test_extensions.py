"""onnxruntime-extensions: only where it is switched on, and in the sandbox as well."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image
from tests.inference import graphs
from tests.inference.isolations import KINDS, LIMITS, Running, isolated, loaded, spooled

from blindai.errors import ConfigurationError, ModelCrashedError, ModelRefusedError
from blindai.inference import extensions
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.isolation import Isolation
from blindai.protocol.datatypes import Array
from blindai.server.serve import sandbox_words
from blindai.server.settings import Settings

pytestmark = pytest.mark.anyio

CONTRIB, VISION = extensions.DOMAINS
ON = AdmissionLimits(extensions=True)


def upper() -> onnx.ModelProto:
    """`y` is `x` in upper case."""
    node = helper.make_node("StringUpper", ["x"], ["y"], domain=CONTRIB)
    kind: tuple[int, graphs.Shape] = (graphs.STRING, ["n"])
    return with_extensions(graphs.model([node], {"x": kind}, {"y": kind}))


def decoded() -> onnx.ModelProto:
    """`y` is the image whose file `x` is, without any look at it before."""
    node = helper.make_node("DecodeImage", ["x"], ["y"], domain=VISION)
    uint8 = onnx.TensorProto.UINT8
    return with_extensions(
        graphs.model([node], {"x": (uint8, ["n"])}, {"y": (uint8, ["h", "w", 3])})
    )


def with_extensions(model: onnx.ModelProto) -> onnx.ModelProto:
    for domain in extensions.DOMAINS:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def extended(kind: str) -> AsyncIterator[Isolation]:
    async with isolated(kind, replace(LIMITS, extensions=True)) as isolation:
        yield isolation


@asynccontextmanager
async def ready(isolation: Isolation, model: onnx.ModelProto) -> AsyncIterator[Running]:
    async with loaded(isolation, model, limits=ON) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
async def test_off_a_model_that_asks_for_it_is_refused_and_told_why(kind: str) -> None:
    async with isolated(kind) as isolation, spooled(upper()) as spool:
        with pytest.raises(
            ModelRefusedError,
            match=r"node of 'y' \(StringUpper\): expected extensions = true in the"
            r" measured configuration for operators of ai\.onnx\.contrib, got false",
        ):
            await isolation.admit(spool, AdmissionLimits())


@pytest.mark.parametrize("kind", KINDS)
async def test_on_it_runs(kind: str) -> None:
    async with extended(kind) as isolation, ready(isolation, upper()) as model:
        given = await model.give(np.array([b"sealed", b"door"], object))

    assert given.tolist() == [b"SEALED", b"DOOR"]


async def test_a_worker_decodes_an_image() -> None:
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    async with extended("process") as isolation, ready(isolation, decoded()) as model:
        given = await model.give(file_of(picture))

    assert np.array_equal(given[..., ::-1], picture)  # it gives BGR


async def test_what_its_decoder_does_not_take_ends_that_worker_alone() -> None:
    no_image = np.frombuffer(b"this is no image", np.uint8)
    async with (
        extended("process") as isolation,
        ready(isolation, upper()) as other,
        ready(isolation, decoded()) as model,
    ):
        with pytest.raises(ModelCrashedError, match="its worker ended with status 1"):
            await model.give(no_image)
        given = await other.give(np.array([b"there"], object))

    assert given.tolist() == [b"THERE"]


async def test_an_operator_that_ends_its_process_has_no_place_in_the_enclaves() -> None:
    async with extended("thread") as isolation, spooled(decoded()) as spool:
        with pytest.raises(
            ModelRefusedError, match=r'\(DecodeImage\): expected isolation = "process"'
        ):
            await isolation.admit(spool, ON)


@pytest.mark.parametrize("kind", KINDS)
async def test_switched_on_without_the_library_it_does_not_start(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "find_spec", lambda _: None)
    extensions.loaded_library.cache_clear()

    with pytest.raises(ConfigurationError, match=r"blindai\[extensions\]"):
        async with extended(kind):
            pass


def test_a_library_that_does_not_load_is_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_extensions_pydll.so").write_bytes(b"no library")
    monkeypatch.setattr(
        extensions, "library", lambda: str(tmp_path / "_extensions_pydll.so")
    )
    extensions.loaded_library.cache_clear()

    with pytest.raises(ConfigurationError, match="expected onnxruntime-extensions to"):
        extensions.loaded_library()


def test_the_package_is_never_imported() -> None:
    code = (
        "from blindai.inference.worker import child; import sys;"
        "child.warm_up(extensions=True);"
        "maps = open('/proc/self/maps').read();"
        "print('_extensions_pydll' in maps, 'onnxruntime_extensions' in sys.modules)"
    )
    assert said(code) == "True False"
    assert said(code.replace("extensions=True", "")) == "False False"


def said(code: str) -> str:
    """What a program prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(  # noqa: S603  ours
        command, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def file_of(picture: Array) -> Array:
    """A picture as the bytes of a PNG file."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return np.frombuffer(file.getvalue(), np.uint8)


def test_the_server_looks_for_it_before_it_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings.parse("[inference]\nextensions = true")
    assert sandbox_words(settings)

    monkeypatch.setattr(extensions, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="expected onnxruntime-extensions to"):
        sandbox_words(settings)
