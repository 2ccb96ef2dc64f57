"""What an NVIDIA GPU says of itself. Only the verifier makes it, from signed bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.verifier.roots import Root


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuClaims:
    """What one GPU says, and the root that stands for it.

    Attributes:
        key_digest: SHA-256 of the SubjectPublicKeyInfo that it signs with, 32 bytes: a
            GPU with its firmware has one.
        ueid: Names it for people: the serial number of its certificate, in hexadecimal;
            NVIDIA's tools write it in decimal.
        model: The chip, as its boot ROM's certificate names it: `GH100 A01 GSP BROM`.
        architecture: `HOPPER`, `BLACKWELL` or `unknown`, from the model.
        driver_version: Of the driver in the enclave: `550.90.07`.
        vbios_version: Of the GPU's firmware: `96.00.9F.00.01`.
        board: Project, its SKU and the chip's, which choose the VBIOS's RIM:
            `1010_0200_882`.
        mode: `spt` (one GPU), `mpt` (several), `ppcie` (several, protected PCIe), or
            empty where the driver is too old to say.
        nvdec0: Whether the first video decoder is in use; measurement 35 says nothing
            where it is not.
        fwid: SHA-384 of the firmware that holds the signing key, 48 bytes.
        measurements: 48 bytes (SHA-384) each, by the index that RIMs have, from 0.
        root: What its signatures lead to.
    """

    key_digest: bytes = field(repr=False)
    ueid: str
    model: str
    architecture: str
    driver_version: str
    vbios_version: str
    board: str
    mode: str
    nvdec0: bool
    fwid: bytes
    measurements: Mapping[int, bytes] = field(repr=False)
    root: Root


@dataclass(frozen=True, slots=True)
class Gpus:
    """GPUs by themselves, without an enclave that drives them.

    Attributes:
        gpus: Each of them.
    """

    gpus: tuple[GpuClaims, ...]
