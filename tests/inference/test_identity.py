"""What computes here, as proofs tell it."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import onnxruntime
import pytest

from blindai.inference import identity
from blindai.inference.identity import features_in, has_extensions, identify

INTEL = """\
processor\t: 0
flags\t\t: fpu sse4_1 avx fma avx2 avx512f amx_tile f16c hypervisor
bugs\t\t: spectre_v1
processor\t: 1
flags\t\t: fpu
"""
ARM = """\
processor\t: 0
Features\t: fp asimd evtstrm asimddp i8mm bf16 crc32
"""


def test_it_is_what_this_environment_has() -> None:
    found = identify(3)

    assert found.version == onnxruntime.__version__
    assert found.architecture == platform.machine()
    assert found.threads == 3
    assert found.provider in onnxruntime.get_available_providers()


def test_it_names_the_extensions_where_models_have_them() -> None:
    plain, extended = identify(1), identify(1, extensions=True)

    assert extended.version == (
        f"{onnxruntime.__version__} with onnxruntime-extensions"
        f" {metadata.version('onnxruntime-extensions')}"
    )
    assert has_extensions(extended)
    assert not has_extensions(plain)


def test_optimisation_is_what_models_are_loaded_with() -> None:
    from blindai.inference.runtime import _session_options  # noqa: PLC0415  slow

    options = _session_options(1, 0, exact=False)

    assert identity.OPTIMISATION == "all"
    assert options.graph_optimization_level == (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    )


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (INTEL, ("amx_tile", "avx", "avx2", "avx512f", "f16c", "fma", "sse4_1")),
        (ARM, ("asimd", "asimddp", "bf16", "i8mm")),
        ("", ()),
        ("model name: x\n", ()),
    ],
)
def test_features_are_those_that_choose_kernels(
    cpuinfo: str, expected: tuple[str, ...]
) -> None:
    assert features_in(cpuinfo) == expected


def test_where_nothing_can_be_read_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(identity, "_CPUINFO", tmp_path / "nothing")

    assert not identity._cpuinfo.__wrapped__()
