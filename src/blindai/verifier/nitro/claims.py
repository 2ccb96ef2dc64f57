"""What a Nitro attestation document says of its enclave. Nothing is believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroClaims:
    """What only Nitro says.

    Attributes:
        module_id: Names the enclave: the parent instance's ID, `-enc` and a number.
        timestamp: When the hypervisor made the document, by its own clock.
        age: How long that is ago; negative where the verifier's clock is behind.
        pcrs: What was measured, 48 bytes (SHA-384) each, by register: 0 the enclave
            image, 1 kernel and first ramdisk, 2 the application, 3 the parent
            instance's IAM role, 4 its ID, 8 the certificate that signed the image.
        public_key: A key that the enclave asked to have signed, or None.
    """

    module_id: str
    timestamp: datetime
    age: timedelta
    pcrs: Mapping[int, bytes]
    public_key: bytes | None = field(repr=False)
