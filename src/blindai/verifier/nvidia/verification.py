"""Believing NVIDIA GPUs: their measurements, up to NVIDIA's root.

Documents: DMTF DSP0274 version 1.1 (SPDM); TCG DICE Attestation Architecture 1.1 (the
certificate's key); NVIDIA attestation SDK (opaque data, FWID); RFC 5280 (certificates).

GPUs are evidence beside the CPU's, and nothing without it: the statement that the CPU's
evidence binds makes the nonce that the GPUs sign.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from blindai.verifier import chains, roots
from blindai.verifier.certificates import common_name, parse_pem
from blindai.verifier.nvidia.claims import GpuClaims
from blindai.verifier.nvidia.evidence import parse_evidence
from blindai.verifier.nvidia.leaf import parse_fwid
from blindai.verifier.nvidia.opaque import parse_opaque
from blindai.verifier.nvidia.spdm import parse_exchange
from blindai.verifier.procedure import unevaluated
from blindai.verifier.signatures import Algorithm, ecdsa_verifies, load_ecdsa_key

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.verifier.certificates import Certificate
    from blindai.verifier.nvidia.evidence import GpuEvidence
    from blindai.verifier.nvidia.opaque import OpaqueData
    from blindai.verifier.nvidia.spdm import Exchange
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors, Root

CHAIN: Final = "NVIDIA Device Identity, certificate chain"
SPDM: Final = "DMTF DSP0274 1.1, 10.11 MEASUREMENTS"
DICE: Final = "TCG DICE Attestation Architecture 1.1, FWID"

_ARCHITECTURES: Final = MappingProxyType({"GH": "HOPPER", "GB": "BLACKWELL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gpu:
    """The parts of one GPU's evidence, none of them believed.

    Attributes:
        exchange: SPDM request and response.
        opaque: What NVIDIA adds to the response.
        leaf: The GPU's certificate.
        pool: The whole chain.
        fwid: The firmware that the leaf certificate vouches for.
    """

    exchange: Exchange
    opaque: OpaqueData
    leaf: Certificate
    pool: tuple[Certificate, ...]
    fwid: bytes


def verify(
    evidence: bytes,
    nonce: bytes,
    procedure: Procedure,
    now: datetime,
    anchors: Anchors,
) -> tuple[GpuClaims, ...]:
    """Verify the evidence of all GPUs.

    1. The array, the SPDM exchanges, NVIDIA's data and all certificates are well
       formed.
    2. Each GPU's certificate chains to NVIDIA's pinned root; all are valid at `now`.
    3. Its key signed request and response.
    4. The request has the nonce.
    5. The GPU runs the firmware that its certificate vouches for.
    6. No GPU is there twice.

    Args:
        evidence: NVIDIA's JSON array.
        nonce: What binds the GPUs to the CPU's statement, 32 bytes.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        anchors: The roots that count.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    gpus = tuple(_parse(each) for each in parse_evidence(evidence))
    trust = chains.Trust(
        now=now,
        anchors=anchors,
        vendor=roots.NVIDIA,
        source=CHAIN,
        algorithms=frozenset({Algorithm.ECDSA_SHA384}),
        unlisted=2,  # the GPU's own: its boot ROM's, and what this certifies
    )
    claims = []
    for number, gpu in enumerate(gpus):
        with procedure.about(f"GPU {number}"):
            root = chains.verify(procedure, gpu.leaf, gpu.pool, trust)
            _verify_signature(procedure, gpu)
            _verify_nonce(procedure, gpu, nonce)
            _verify_firmware(procedure, gpu)
            claims.append(_claims(gpu, root))
    _verify_distinct(procedure, gpus)
    return tuple(claims)


def _parse(evidence: GpuEvidence) -> _Gpu:
    """Step 1, for one GPU; its certificate stands first.

    Raises:
        EvidenceError: If a part is malformed.
    """
    exchange = parse_exchange(evidence.exchange)
    pool = parse_pem(evidence.certificates)
    return _Gpu(
        exchange=exchange,
        opaque=parse_opaque(exchange.opaque),
        leaf=pool[0],
        pool=pool,
        fwid=parse_fwid(pool[0]),
    )


def _verify_signature(procedure: Procedure, gpu: _Gpu) -> None:
    """Step 3.

    Raises:
        EvidenceError: If the certificate's key is not on P-384.
        VerificationError: If the step does not hold.
    """
    key = load_ecdsa_key(gpu.leaf.spki, ec.SECP384R1)
    exchange = gpu.exchange
    made = ecdsa_verifies(
        Algorithm.ECDSA_SHA384, key, exchange.signature, exchange.signed
    )
    procedure.require(
        "measurements signature",
        holds=made,
        expected="made by the leaf certificate's key",
        actual="made by it" if made else "not made by it",
        source=f"{SPDM}, signature",
    )


def _verify_nonce(procedure: Procedure, gpu: _Gpu, nonce: bytes) -> None:
    """Step 4.

    Raises:
        VerificationError: If the step does not hold.
    """
    procedure.require(
        "nonce",
        holds=hmac.compare_digest(gpu.exchange.nonce, nonce),
        expected=f"the statement's, {nonce.hex()}",
        actual=gpu.exchange.nonce.hex(),
        source=f"{SPDM}, GET_MEASUREMENTS nonce",
    )


def _verify_firmware(procedure: Procedure, gpu: _Gpu) -> None:
    """Step 5; older drivers leave the FWID to the certificate, which is the boot ROM's.

    Raises:
        VerificationError: If the step does not hold.
    """
    if gpu.opaque.fwid is None:
        procedure.note(
            unevaluated(
                "firmware",
                reason="measurements by this driver do not name the FWID",
                actual=f"the certificate's, {gpu.fwid.hex()}",
                source=DICE,
            )
        )
        return
    procedure.require(
        "firmware",
        holds=gpu.opaque.fwid == gpu.fwid,
        expected=f"the certificate's FWID, {gpu.fwid.hex()}",
        actual=gpu.opaque.fwid.hex(),
        source=DICE,
    )


def _verify_distinct(procedure: Procedure, gpus: tuple[_Gpu, ...]) -> None:
    """Step 6: one GPU that answers twice must not count as two.

    The key that signs changes with the firmware; its issuer's, in the boot ROM, is the
    device's own.

    Raises:
        VerificationError: If one does.
    """
    different = len({_device_key(each) for each in gpus})
    procedure.require(
        "distinct GPUs",
        holds=different == len(gpus),
        expected=str(len(gpus)),
        actual=str(different),
        source="blindai design: attestation",
    )


def _device_key(gpu: _Gpu) -> bytes:
    """SubjectPublicKeyInfo of the leaf's issuer, authentic by now."""
    return next(each.spki for each in gpu.pool if each.subject == gpu.leaf.issuer)


def _claims(gpu: _Gpu, root: Root) -> GpuClaims:
    """What an authentic GPU says; its boot ROM's certificate is NVIDIA's word."""
    model = common_name(gpu.leaf.issuer)
    blocks = gpu.exchange.blocks
    return GpuClaims(
        key_digest=hashlib.sha256(gpu.leaf.spki).digest(),
        ueid=f"{gpu.leaf.serial:x}",
        model=model,
        architecture=_ARCHITECTURES.get(model[:2], "unknown"),
        driver_version=gpu.opaque.driver_version,
        vbios_version=gpu.opaque.vbios_version,
        board=gpu.opaque.board,
        mode=gpu.opaque.mode,
        nvdec0=gpu.opaque.nvdec0,
        fwid=gpu.fwid,
        measurements=MappingProxyType({i - 1: blocks[i] for i in blocks}),
        root=root,
    )
