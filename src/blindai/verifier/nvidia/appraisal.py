"""Whether GPUs are what the policy accepts: one line a value, for each GPU.

NVIDIA attestation SDK (versions, modes, and how measurements are held against RIMs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blindai.verifier.procedure import NOT_PINNED, judge, pinned, unevaluated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from blindai.transcript import Check
    from blindai.verifier.nvidia.claims import GpuClaims
    from blindai.verifier.nvidia.policy import GpuPolicy, ReferenceValues

SDK: Final = "NVIDIA attestation SDK, GPU opaque data"
RIM: Final = "NVIDIA attestation SDK, RIM measurements"

_NVDEC0_INDEX: Final = 35  # says nothing where the decoder is not in use


def appraise(gpus: tuple[GpuClaims, ...], policy: GpuPolicy) -> Iterator[Check]:
    """All lines about the GPUs; no GPUs at all are refused too."""
    yield judge(
        "GPUs",
        holds=len(gpus) >= policy.minimum_gpus,
        expected=f"at least {policy.minimum_gpus}",
        actual=str(len(gpus)),
        source="blindai design: appraisal policy",
    )
    for number, gpu in enumerate(gpus):
        yield from _gpu(f"GPU {number}", gpu, policy)


def _gpu(name: str, gpu: GpuClaims, policy: GpuPolicy) -> Iterator[Check]:
    yield pinned(
        f"{name}: architecture", policy.architectures, gpu.architecture, source=SDK
    )
    mode = gpu.mode or "not stated"
    yield pinned(f"{name}: mode", policy.modes, mode, source=SDK)
    yield pinned(
        f"{name}: driver version",
        policy.driver_versions,
        gpu.driver_version,
        source=SDK,
    )
    yield _at_least(
        f"{name}: least driver version",
        policy.minimum_driver_version,
        gpu.driver_version,
        _driver_order,
    )
    yield pinned(
        f"{name}: VBIOS version", policy.vbios_versions, gpu.vbios_version, source=SDK
    )
    yield _at_least(
        f"{name}: least VBIOS version",
        policy.minimum_vbios_version,
        gpu.vbios_version,
        _vbios_order,
    )
    known = policy.reference_values
    yield _measured(f"{name}: driver measurements", gpu, gpu.driver_version, known)
    yield _measured(f"{name}: VBIOS measurements", gpu, gpu.vbios_version, known)


def _at_least(
    name: str, least: str | None, actual: str, order: Callable[[str], tuple[int, ...]]
) -> Check:
    if least is None:
        return unevaluated(name, reason=NOT_PINNED, actual=actual, source=SDK)
    return judge(
        name,
        holds=order(actual) >= order(least),
        expected=f"at least {least}",
        actual=actual,
        source=SDK,
    )


def _driver_order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _vbios_order(version: str) -> tuple[int, ...]:
    return tuple(int(part, 16) for part in version.split("."))


def _measured(
    name: str, gpu: GpuClaims, version: str, known: tuple[ReferenceValues, ...]
) -> Check:
    """Whether the GPU measured what one of the version's RIMs lists."""
    if not known:
        return unevaluated(
            name, reason=NOT_PINNED, actual=f"of version {version}", source=RIM
        )
    chip = gpu.model.partition(" ")[0]
    candidates = [
        each for each in known if each.version == version and each.product in {chip, ""}
    ]
    differing = [_differing(gpu, each) for each in candidates]
    fewest = min(differing, key=len, default=None)
    return judge(
        name,
        holds=fewest == (),
        expected=f"the reference values of version {version}",
        actual=_found(fewest),
        source=RIM,
    )


def _differing(gpu: GpuClaims, reference: ReferenceValues) -> tuple[int, ...]:
    """The indices at which the GPU measured none of the listed values."""
    return tuple(
        index
        for index, values in sorted(reference.by_index.items())
        if gpu.measurements.get(index) not in values
        and (gpu.nvdec0 or index != _NVDEC0_INDEX)
    )


def _found(differing: tuple[int, ...] | None) -> str:
    match differing:
        case None:
            return "a version for which there are none"
        case ():
            return "those"
        case _:
            return f"others at index {', '.join(map(str, differing))}"
