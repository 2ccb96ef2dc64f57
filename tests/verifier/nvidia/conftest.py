"""The made-up NVIDIA, and verification with the arguments that most tests share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from blindai.testing import NOW
from blindai.testing.vendors.nvidia import Nvidia
from blindai.testing.vendors.pki import digest_of
from blindai.verifier import nvidia, roots
from blindai.verifier.nvidia.claims import GpuClaims
from blindai.verifier.procedure import Procedure
from blindai.verifier.roots import Anchors, Root

NONCE = bytes(range(32))


@pytest.fixture(scope="session")
def vendor() -> Nvidia:
    return Nvidia()


@pytest.fixture(scope="session")
def anchors(vendor: Nvidia) -> Anchors:
    devices = Root(name="devices", vendor=roots.NVIDIA, digest=vendor.root_digest)
    rims = Root(
        name="RIMs",
        vendor=roots.NVIDIA_RIM,
        digest=digest_of(vendor.rim_root.certificate),
    )
    return Anchors((devices, rims))


@pytest.fixture(scope="session")
def verify(anchors: Anchors) -> Callable[..., tuple[GpuClaims, ...]]:
    """Verify GPUs, by default those that answer NONCE now."""

    def run(
        evidence: bytes,
        nonce: bytes = NONCE,
        now: datetime = NOW,
        believed: Anchors = anchors,
        procedure: Procedure | None = None,
    ) -> tuple[GpuClaims, ...]:
        return nvidia.verify(evidence, nonce, procedure or Procedure(), now, believed)

    return run
