"""A made-up NVML: the driver's library of an enclave with made-up GPUs.

    NvidiaAttester(load=lambda: MadeUpNvml(gpus)).attest(nonce)

It writes through the pointers it is given, as the C library does, and keeps its order:
nothing works before nvmlInit, and every handle has to be its own.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.testing.vendors.nvidia import Gpu

HOPPER: Final = 9
_UNINITIALIZED: Final = 1
_INVALID_ARGUMENT: Final = 2
_FIRST_HANDLE: Final = 0x1000


class MadeUpNvml:
    """The library.

    Attributes:
        fails: Numbers that functions return instead of working, by name.
        sizes: Sizes that it claims instead of true ones: of report and chain.
        is_open: Whether it was initialised and not shut down.
    """

    def __init__(self, gpus: Sequence[Gpu], architecture: int = HOPPER) -> None:
        self._gpus = gpus
        self._architecture = architecture
        self.fails: dict[str, int] = {}
        self.sizes: tuple[int | None, int | None] = (None, None)
        self.is_open = False

    def nvmlInit_v2(self) -> int:  # noqa: N802  C's name
        """Initialise."""
        if "nvmlInit_v2" in self.fails:
            return self.fails["nvmlInit_v2"]
        self.is_open = True
        return 0

    def nvmlShutdown(self) -> int:  # noqa: N802  C's name
        """Shut down."""
        self.is_open = False
        return self.fails.get("nvmlShutdown", 0)

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: ANN401, N802  C's
        """How many GPUs there are."""
        count._obj.value = len(self._gpus)  # noqa: SLF001  what byref points to
        return self._status("nvmlDeviceGetCount_v2")

    def nvmlDeviceGetHandleByIndex_v2(  # noqa: N802  C's name
        self,
        index: ctypes.c_uint,
        handle: Any,  # noqa: ANN401  C's pointer
    ) -> int:
        """A GPU's handle."""
        handle._obj.value = _FIRST_HANDLE + index.value  # noqa: SLF001  as above
        return self._status("nvmlDeviceGetHandleByIndex_v2")

    def nvmlDeviceGetArchitecture(  # noqa: N802  C's name
        self,
        handle: ctypes.c_void_p,
        architecture: Any,  # noqa: ANN401  C's pointer
    ) -> int:
        """A GPU's architecture."""
        architecture._obj.value = self._architecture  # noqa: SLF001  as above
        return self._status("nvmlDeviceGetArchitecture", handle)

    def nvmlDeviceGetConfComputeGpuAttestationReport(  # noqa: N802  C's name
        self,
        handle: ctypes.c_void_p,
        report: Any,  # noqa: ANN401  C's pointer
    ) -> int:
        """Request and response, for the nonce that stands in the structure."""
        into = report._obj  # noqa: SLF001  as above
        exchange = self._gpu(handle).exchange(bytes(into.nonce))
        ctypes.memmove(into.report, exchange, len(exchange))
        claimed = self.sizes[0]
        into.size = len(exchange) if claimed is None else claimed
        return self._status("nvmlDeviceGetConfComputeGpuAttestationReport", handle)

    def nvmlDeviceGetConfComputeGpuCertificate(  # noqa: N802  C's name
        self,
        handle: ctypes.c_void_p,
        certificates: Any,  # noqa: ANN401  C's pointer
    ) -> int:
        """The chain of the key that signs."""
        into, chain = certificates._obj, self._gpu(handle).chain  # noqa: SLF001  as above
        ctypes.memmove(into.chain, chain, len(chain))
        claimed = self.sizes[1]
        into.size = len(chain) if claimed is None else claimed
        return self._status("nvmlDeviceGetConfComputeGpuCertificate", handle)

    def _gpu(self, handle: ctypes.c_void_p) -> Gpu:
        return self._gpus[(handle.value or 0) - _FIRST_HANDLE]

    def _status(self, name: str, handle: ctypes.c_void_p | None = None) -> int:
        if not self.is_open:
            return _UNINITIALIZED
        known = range(_FIRST_HANDLE, _FIRST_HANDLE + len(self._gpus))
        if handle is not None and handle.value not in known:
            return _INVALID_ARGUMENT
        return self.fails.get(name, 0)
