"""What computes here, as far as it decides about the last bits of a result.

The same model gives the same bits where all of this is the same; kernels are chosen by
the processor's features, and a runtime's next version may have others. The operator's
kernel says what the processor can: it is told in proofs, and proves nothing itself.
"""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from blindai.protocol.proof import Runtime

ENGINE: Final = "onnxruntime"
_EXTENSIONS: Final = "onnxruntime-extensions"
_WITH_EXTENSIONS: Final = f" with {_EXTENSIONS} "
PROVIDER: Final = "CPUExecutionProvider"
OPTIMISATION: Final = "all"
"""GraphOptimizationLevel::ORT_ENABLE_ALL."""
_CPUINFO: Final = Path("/proc/cpuinfo")
_LINES: Final = ("flags", "Features")  # on x86-64; on aarch64
# What ONNX Runtime's MLAS and the C library choose kernels by (mlas/lib/platform.cpp).
_CHOOSE_KERNELS: Final = frozenset(
    {
        "amx_bf16", "amx_int8", "amx_tile", "avx", "avx2", "avx512_bf16", "avx512_fp16",
        "avx512_vnni", "avx512bw", "avx512dq", "avx512f", "avx512vl", "avx_ne_convert",
        "avx_vnni", "avx_vnni_int8", "f16c", "fma", "sse4_1", "asimd", "asimddp",
        "asimdhp", "bf16", "fphp", "i8mm", "sme", "sme2", "sve", "sve2", "svebf16",
        "svei8mm",
    }
)  # fmt: skip


def identify(threads: int, *, extensions: bool = False) -> Runtime:
    """What runs models in this environment.

    Args:
        threads: How many work on one operator.
        extensions: Whether models have the operators of onnxruntime-extensions.
    """
    version = _version(ENGINE)
    if extensions:
        version += f"{_WITH_EXTENSIONS}{_version(_EXTENSIONS)}"
    return Runtime(
        engine=ENGINE,
        version=version,
        optimisation=OPTIMISATION,
        provider=PROVIDER,
        architecture=platform.machine(),
        cpu=features_in(_cpuinfo()),
        threads=threads,
    )


def has_extensions(runtime: Runtime) -> bool:
    """Whether models had the operators of onnxruntime-extensions there."""
    return _WITH_EXTENSIONS in runtime.version


def features_in(cpuinfo: str) -> tuple[str, ...]:
    """The features that choose kernels, ascending, of the first processor listed.

    Args:
        cpuinfo: As the kernel writes it (proc(5)); empty where it cannot be read.
    """
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in _LINES:
            return tuple(sorted(_CHOOSE_KERNELS.intersection(value.split())))
    return ()


@cache
def _version(package: str) -> str:
    """From the package's metadata: the server itself loads neither of them."""
    return metadata.version(package)


@cache
def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
