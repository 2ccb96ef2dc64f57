"""NVML: what is asked of the driver's library, and each way it can fail."""

from __future__ import annotations

import base64
import ctypes
import json
from ctypes.util import find_library

import pytest

from blindai.attester.nvidia import Certificates, NvidiaAttester, Report
from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError
from blindai.testing.devices.nvml import MadeUpNvml
from blindai.testing.vendors.nvidia import Nvidia

NONCE = bytes(range(32))
VENDOR = Nvidia()
GPUS = (VENDOR.gpu(), VENDOR.gpu())


@pytest.fixture
def nvml() -> MadeUpNvml:
    return MadeUpNvml(GPUS)


def attest(nvml: object) -> list[dict[str, str]]:
    attester = NvidiaAttester(lambda: nvml)
    found: list[dict[str, str]] = json.loads(attester.attest(NONCE))
    return found


def test_each_gpu_is_asked(nvml: MadeUpNvml) -> None:
    first, second = attest(nvml)

    assert first["certificate"] != second["certificate"]
    assert first["certificate"] == GPUS[0].evidence(NONCE)["certificate"]
    assert first["arch"] == "HOPPER"
    assert first["nonce"] == NONCE.hex()
    assert len(first["evidence"]) == len(GPUS[0].evidence(NONCE)["evidence"])
    assert not nvml.is_open


@pytest.mark.parametrize(
    ("number", "name"), [(9, "HOPPER"), (10, "BLACKWELL"), (8, "UNKNOWN")]
)
def test_the_architecture_is_named(number: int, name: str) -> None:
    (found,) = attest(MadeUpNvml(GPUS[:1], architecture=number))

    assert found["arch"] == name


def test_the_structures_are_nvml_s() -> None:
    assert ctypes.sizeof(Report) == 12 + 32 + 0x2000 + 0x1000
    assert Report.nonce.offset == 12
    assert Report.report.offset == 44
    assert ctypes.sizeof(Certificates) == 8 + 0x1000 + 0x1400
    assert Certificates.size.offset == 4
    assert Certificates.chain.offset == 8 + 0x1000


def test_a_nonce_of_another_size_is_the_caller_s_mistake(nvml: MadeUpNvml) -> None:
    for size in (0, 31, 33, 64):
        with pytest.raises(ValueError, match=f"expected 32 bytes, got {size}"):
            NvidiaAttester(lambda: nvml).attest(bytes(size))


FUNCTIONS = (
    "nvmlInit_v2",
    "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetArchitecture",
    "nvmlDeviceGetConfComputeGpuAttestationReport",
    "nvmlDeviceGetConfComputeGpuCertificate",
    "nvmlShutdown",
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_fails_is_named(nvml: MadeUpNvml, name: str) -> None:
    nvml.fails[name] = 3

    with pytest.raises(HardwareError, match=f"^{name}: failed, NOT_SUPPORTED; turn on"):
        attest(nvml)
    assert not nvml.is_open


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_is_not_there_is_named(name: str) -> None:
    class Old(MadeUpNvml):
        def __getattribute__(self, wanted: str) -> object:
            if wanted == name:
                raise AttributeError(wanted)
            return super().__getattribute__(wanted)

    with pytest.raises(HardwareAbsentError, match=f"has no {name}; install a driver"):
        attest(Old(GPUS))


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        pytest.param(9, HardwareAbsentError, "DRIVER_NOT_LOADED; load", id="driver"),
        pytest.param(19, HardwareBusyError, "IN_USE; try again", id="in use"),
        pytest.param(26, HardwareBusyError, "NOT_READY; try again", id="not ready"),
        pytest.param(4, HardwareError, "NO_PERMISSION; run", id="permission"),
        pytest.param(999, HardwareError, "999; see nvmlReturn_t", id="unknown"),
    ],
)
def test_each_failure_says_what_to_do(
    nvml: MadeUpNvml, number: int, kind: type[HardwareError], message: str
) -> None:
    nvml.fails["nvmlDeviceGetConfComputeGpuAttestationReport"] = number

    with pytest.raises(kind, match=f"failed, {message}") as raised:
        attest(nvml)
    assert type(raised.value) is kind


def test_no_gpu_is_an_error() -> None:
    with pytest.raises(HardwareError, match="expected 1 to 16 GPUs, got 0"):
        attest(MadeUpNvml(()))


def test_sixteen_gpus_are_asked() -> None:
    assert len(attest(MadeUpNvml(GPUS[:1] * 16))) == 16


def test_more_gpus_than_are_read_are_an_error() -> None:
    with pytest.raises(HardwareError, match="expected 1 to 16 GPUs, got 17"):
        attest(MadeUpNvml(GPUS[:1] * 17))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, None), "expected 1 to 8192 bytes, got 0"),
        ((8193, None), "expected 1 to 8192 bytes, got 8193"),
        ((None, 0), "expected 1 to 5120 bytes, got 0"),
        ((None, 5121), "expected 1 to 5120 bytes, got 5121"),
    ],
)
def test_a_size_that_cannot_be_is_an_error(
    nvml: MadeUpNvml, sizes: tuple[int | None, int | None], message: str
) -> None:
    nvml.sizes = sizes

    with pytest.raises(HardwareError, match=message):
        attest(nvml)


@pytest.mark.parametrize("sizes", [(1, 1), (0x2000, 0x1400)])
def test_all_of_the_room_may_be_used(nvml: MadeUpNvml, sizes: tuple[int, int]) -> None:
    nvml.sizes = sizes

    evidence, certificate = sizes
    for gpu in attest(nvml):
        assert len(base64.b64decode(gpu["evidence"])) == evidence
        assert len(base64.b64decode(gpu["certificate"])) == certificate


@pytest.mark.skipif(find_library("nvidia-ml") is not None, reason="a driver is here")
def test_without_a_driver_the_error_says_so() -> None:
    with pytest.raises(HardwareAbsentError, match="cannot be loaded; install NVIDIA's"):
        NvidiaAttester().attest(NONCE)
