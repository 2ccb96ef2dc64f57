"""NVIDIA GPUs: measurements that they sign, asked of the driver's library, NVML.

Eight functions of `libnvidia-ml.so.1`, called through ctypes (nvml.h, "Confidential
Computing Queries"; structures and sizes as there). A binding would be a package of some
ten thousand lines in the trusted image for these eight.

    nvmlConfComputeGpuAttestationReport_t      nvmlConfComputeGpuCertificate_t
      u32 isCecAttestationReportPresent          u32 certChainSize
      u32 attestationReportSize                  u32 attestationCertChainSize
      u32 cecAttestationReportSize               u8  certChain[4096]
      u8  nonce[32]                              u8  attestationCertChain[5120], PEM
      u8  attestationReport[8192]
      u8  cecAttestationReport[4096]

The library talks to the driver, which is in the enclave; what counts is what the GPU
signed, and the verifier sees to that.
"""

from __future__ import annotations

import base64
import ctypes
import json
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARY: Final = "libnvidia-ml.so.1"
NONCE_BYTES: Final = 32
REPORT_BYTES: Final = 0x2000
CERTIFICATES_BYTES: Final = 0x1400
MAX_GPUS: Final = 16

_ARCHITECTURES: Final = MappingProxyType({9: "HOPPER", 10: "BLACKWELL"})
_SUCCESS: Final = 0
# nvmlReturn_t: what it is called, and what to do about it.
_ERRORS: Final = MappingProxyType(
    {
        1: ("UNINITIALIZED", "load the driver"),
        3: ("NOT_SUPPORTED", "turn on confidential computing mode on the GPU"),
        4: ("NO_PERMISSION", "run the server as a user who may open the GPU"),
        9: ("DRIVER_NOT_LOADED", "load the driver"),
        15: ("GPU_IS_LOST", "restart the virtual machine"),
        17: ("OPERATING_SYSTEM", "see the kernel's messages"),
        19: ("IN_USE", "try again"),
        26: ("NOT_READY", "try again"),
    }
)
_ABSENT: Final = frozenset({9})
_BUSY: Final = frozenset({19, 26})


class Report(ctypes.Structure):
    """nvmlConfComputeGpuAttestationReport_t."""

    _fields_ = (
        ("is_cec_present", ctypes.c_uint),
        ("size", ctypes.c_uint),
        ("cec_size", ctypes.c_uint),
        ("nonce", ctypes.c_ubyte * NONCE_BYTES),
        ("report", ctypes.c_ubyte * REPORT_BYTES),
        ("cec_report", ctypes.c_ubyte * 0x1000),
    )


class Certificates(ctypes.Structure):
    """nvmlConfComputeGpuCertificate_t."""

    _fields_ = (
        ("device_size", ctypes.c_uint),
        ("size", ctypes.c_uint),
        ("device_chain", ctypes.c_ubyte * 0x1000),
        ("chain", ctypes.c_ubyte * CERTIFICATES_BYTES),
    )


class NvidiaAttester:
    """The GPUs of an enclave, seen from inside.

    Args:
        load: Loads the library, whose functions are its attributes; raises OSError if
            there is none.
    """

    def __init__(self, load: Callable[[], object] | None = None) -> None:
        self._load = load or _load

    def attest(self, nonce: bytes) -> bytes:
        """Evidence of all GPUs that binds a nonce: NVIDIA's JSON array.

        Args:
            nonce: 32 bytes.

        Raises:
            HardwareError: If there is no GPU, or one makes no evidence.
            ValueError: If the nonce is of another size.
        """
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"nonce: expected {NONCE_BYTES} bytes, got {len(nonce)}")
        with self._opened() as nvml:
            handles = _handles(nvml)
            return json.dumps([_gpu(nvml, each, nonce) for each in handles]).encode()

    @contextmanager
    def _opened(self) -> Iterator[object]:
        """The library, between nvmlInit and nvmlShutdown.

        Raises:
            HardwareAbsentError: If there is no library, or it is too old.
        """
        try:
            nvml = self._load()
        except OSError as error:
            raise HardwareAbsentError(
                f"{LIBRARY}: cannot be loaded; install NVIDIA's driver"
            ) from error
        _call(nvml, "nvmlInit_v2")
        try:
            yield nvml
        finally:
            _call(nvml, "nvmlShutdown")


def _load() -> object:
    return ctypes.CDLL(LIBRARY)


def _handles(nvml: object) -> Iterator[ctypes.c_void_p]:
    """Each GPU's handle.

    Raises:
        HardwareError: If there are none, or more than the verifier reads.
    """
    count = ctypes.c_uint()
    _call(nvml, "nvmlDeviceGetCount_v2", ctypes.byref(count))
    if not 1 <= count.value <= MAX_GPUS:
        raise HardwareError(f"NVML: expected 1 to {MAX_GPUS} GPUs, got {count.value}")
    for index in range(count.value):
        handle = ctypes.c_void_p()
        place = ctypes.c_uint(index)
        _call(nvml, "nvmlDeviceGetHandleByIndex_v2", place, ctypes.byref(handle))
        yield handle


def _gpu(nvml: object, handle: ctypes.c_void_p, nonce: bytes) -> dict[str, str]:
    architecture = ctypes.c_uint()
    _call(nvml, "nvmlDeviceGetArchitecture", handle, ctypes.byref(architecture))
    report = Report(nonce=(ctypes.c_ubyte * NONCE_BYTES)(*nonce))
    _call(
        nvml,
        "nvmlDeviceGetConfComputeGpuAttestationReport",
        handle,
        ctypes.byref(report),
    )
    certificates = Certificates()
    _call(
        nvml,
        "nvmlDeviceGetConfComputeGpuCertificate",
        handle,
        ctypes.byref(certificates),
    )
    return {
        "arch": _ARCHITECTURES.get(architecture.value, "UNKNOWN"),
        "nonce": nonce.hex(),
        "evidence": _base64(report.report, report.size),
        "certificate": _base64(certificates.chain, certificates.size),
    }


def _base64(room: ctypes.Array[ctypes.c_ubyte], size: int) -> str:
    """What the library wrote.

    Raises:
        HardwareError: If it wrote nothing, or says that it wrote more than fits.
    """
    if not 1 <= size <= len(room):
        raise HardwareError(f"NVML: expected 1 to {len(room)} bytes, got {size}")
    return base64.b64encode(bytes(room)[:size]).decode()


def _call(nvml: object, name: str, *arguments: object) -> None:
    """Call a function.

    Raises:
        HardwareAbsentError: If the library has none of that name, or no driver.
        HardwareBusyError: If the GPU is busy.
        HardwareError: If it fails.
    """
    try:
        function = getattr(nvml, name)
    except AttributeError as error:
        raise HardwareAbsentError(
            f"{LIBRARY}: has no {name}; install a driver with confidential computing"
        ) from error
    number = function(*arguments)
    if number == _SUCCESS:
        return
    called, advice = _ERRORS.get(number, (str(number), "see nvmlReturn_t in nvml.h"))
    message = f"{name}: failed, {called}; {advice}"
    if number in _ABSENT:
        raise HardwareAbsentError(message)
    raise HardwareBusyError(message) if number in _BUSY else HardwareError(message)
