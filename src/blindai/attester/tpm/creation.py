"""How a TPM describes an object that it made: rebuilt here, so that none is believed.

TPMS_CREATION_DATA (TPM 2.0 Library 1.59, part 2, 15.1):

    pcrSelect          TPML_PCR_SELECTION   registers that whoever made it named
    pcrDigest          TPM2B                of their values when it was made
    locality           u8                   bit 0: locality 0, an operating system's
    parentNameAlg      u16
    parentName         TPM2B
    parentQualifiedName TPM2B
    outsideInfo        TPM2B                what whoever made it said of it

The TPM's ticket is an HMAC over the object's name and the digest of these bytes, with a
secret that never leaves it. So a ticket that is good for the bytes as they have to be
says that the object was made in that state, and in no other.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from blindai.attester.tpm import wire
from blindai.attester.tpm.commands import OWNER

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHA256: Final = struct.pack(">H", 0x000B)
_LOCALITY_ZERO: Final = b"\x01"  # TPMA_LOCALITY (part 2, 8.5)


def creation_hash(
    bank: str, values: Mapping[int, bytes], parent: bytes, outside_info: bytes
) -> bytes:
    """What a TPM calls creationHash, 32 bytes, of an object named with SHA-256.

    Args:
        bank: The bank of the registers that were named.
        values: Their values, by number.
        parent: TPMT_PUBLIC of the primary key of the owner's under which it was made.
        outside_info: What was said of it.
    """
    registers = sorted(values)
    digested = hashlib.sha256(b"".join(values[index] for index in registers)).digest()
    # Names (part 1, 16): a primary key's qualified name has its hierarchy's handle.
    name = _SHA256 + hashlib.sha256(parent).digest()
    qualified = hashlib.sha256(struct.pack(">I", OWNER) + name).digest()
    return hashlib.sha256(
        wire.selection(bank, registers)
        + wire.sized(digested)
        + _LOCALITY_ZERO
        + _SHA256
        + wire.sized(name)
        + wire.sized(_SHA256 + qualified)
        + wire.sized(outside_info)
    ).digest()
