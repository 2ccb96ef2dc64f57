"""GPUs up to NVIDIA's root: one test for each line that can refuse."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blindai.errors import EvidenceError, VerificationError
from blindai.testing import NOW
from blindai.testing.vendors.nvidia import (
    FIELDS,
    FWID,
    MEASUREMENTS,
    Nvidia,
    array,
    composite_device_id,
    dice_tcb_info,
)
from blindai.testing.vendors.pki import Authority, Validity, p256, p384, pem
from blindai.transcript import Status
from blindai.verifier import roots
from blindai.verifier.nvidia.claims import GpuClaims
from blindai.verifier.procedure import Procedure
from blindai.verifier.roots import Anchors, Root

Verify = Callable[..., tuple[GpuClaims, ...]]
NONCE = bytes(range(32))
DAY = timedelta(days=1)


def test_the_claims_are_what_the_gpu_signed(
    vendor: Nvidia, verify: Verify, anchors: Anchors
) -> None:
    gpu = vendor.gpu()

    (claims,) = verify(array(gpu.evidence(NONCE)))

    key = gpu.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert claims == GpuClaims(
        key_digest=hashlib.sha256(key).digest(),
        ueid="3",
        model="GH100 A01 GSP BROM",
        architecture="HOPPER",
        driver_version="550.90.07",
        vbios_version="96.00.5E.00.01",
        board="1010_0200_882",
        mode="spt",
        nvdec0=True,
        fwid=FWID,
        measurements=dict(enumerate(MEASUREMENTS)),
        root=anchors.roots[0],
    )


def test_lists_are_required_of_nvidias_certificates_but_not_of_the_gpus_own(
    vendor: Nvidia, verify: Verify, anchors: Anchors
) -> None:
    procedure = Procedure()
    strict = replace(anchors, require_revocation=True)

    verify(array(vendor.gpu().evidence(NONCE)), believed=strict, procedure=procedure)

    lines = procedure.transcript.checks
    required = [each.required for each in lines if each.name.endswith("revocation")]
    assert required == [True, True, False, False]


@pytest.mark.parametrize(
    ("model", "architecture"),
    [
        ("GH100 A01 GSP BROM", "HOPPER"),
        ("GB100 A01 GSP BROM", "BLACKWELL"),
        ("GB202 A01", "BLACKWELL"),
        ("GA100", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_architecture_is_the_certificate_s_word(
    vendor: Nvidia, verify: Verify, model: str, architecture: str
) -> None:
    evidence = vendor.gpu(model or "x").evidence(NONCE)

    (claims,) = verify(array(evidence | {"arch": "BLACKWELL"}))

    assert claims.architecture == architecture


def test_a_blackwell_gpu_is_verified(vendor: Nvidia, verify: Verify) -> None:
    gpu = vendor.gpu("GB100 A01 GSP BROM", fwid=dice_tcb_info(FWID, bytes(48)))

    (claims,) = verify(array(gpu.evidence(NONCE)))

    assert claims.fwid == FWID


def test_each_line_names_its_gpu(vendor: Nvidia, verify: Verify) -> None:
    procedure = Procedure()
    gpus = [vendor.gpu().evidence(NONCE) for _ in range(2)]

    verify(array(*gpus), procedure=procedure)

    names = [check.name for check in procedure.transcript.checks]
    assert "GPU 0: root certificate" in names
    assert "GPU 1: leaf certificate: revocation" in names
    assert names[-1] == "distinct GPUs"


# 1. Form.


def test_a_malformed_part_is_refused(vendor: Nvidia, verify: Verify) -> None:
    evidence = vendor.gpu().evidence(NONCE)

    for key in ("evidence", "certificate"):
        with pytest.raises(EvidenceError):
            verify(array(evidence | {key: "YQ=="}))


# 2. The chain.


def test_a_root_that_is_not_pinned_is_refused(vendor: Nvidia, verify: Verify) -> None:
    with pytest.raises(
        VerificationError,
        match=r"^GPU 0: root certificate: expected NVIDIA Device Identity CA, got unkn",
    ):
        verify(array(vendor.gpu().evidence(NONCE)), believed=roots.PINNED)


def test_another_vendor_s_root_is_refused(vendor: Nvidia, verify: Verify) -> None:
    for other in (roots.NVIDIA_RIM, roots.AWS):
        root = Root(name="x", vendor=other, digest=vendor.root_digest)
        with pytest.raises(VerificationError, match=r"root certificate: .*got unknown"):
            verify(array(vendor.gpu().evidence(NONCE)), believed=Anchors((root,)))


def test_a_missing_issuer_is_refused(vendor: Nvidia, verify: Verify) -> None:
    gpu = vendor.gpu()
    chain = pem(gpu.leaf, gpu.rom.certificate, vendor.root.certificate)

    with pytest.raises(
        VerificationError, match=r"GPU 0: certificate chain: .*no issuer"
    ):
        verify(array(gpu.evidence(NONCE, chain=chain)))


def test_the_gpu_s_certificate_stands_first(vendor: Nvidia, verify: Verify) -> None:
    gpu = vendor.gpu()
    chain = pem(gpu.rom.certificate, gpu.leaf)

    with pytest.raises(EvidenceError, match="one extension with a FWID"):
        verify(array(gpu.evidence(NONCE, chain=chain)))


def test_another_boot_rom_s_certificate_is_refused(
    vendor: Nvidia, verify: Verify
) -> None:
    gpu = vendor.gpu()
    forger = Authority(
        certificate=gpu.rom.certificate, key=p384(), digest=hashes.SHA384()
    )

    with pytest.raises(VerificationError, match="leaf certificate: signature"):
        verify(array(replace(gpu, rom=forger).evidence(NONCE)))


def test_another_algorithm_is_refused(vendor: Nvidia, verify: Verify) -> None:
    gpu = vendor.gpu()
    rom = Authority(certificate=gpu.rom.certificate, key=gpu.rom.key)  # SHA-256

    with pytest.raises(VerificationError, match="leaf certificate: algorithm"):
        verify(array(replace(gpu, rom=rom).evidence(NONCE)))


def test_an_unread_critical_extension_is_refused(
    vendor: Nvidia, verify: Verify
) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"")
    gpu = vendor.gpu(fwid=(*composite_device_id(FWID), (unknown, True)))

    with pytest.raises(VerificationError, match="leaf certificate: critical ext"):
        verify(array(gpu.evidence(NONCE)))


def test_an_expired_certificate_is_refused(vendor: Nvidia, verify: Verify) -> None:
    gpu = vendor.gpu(validity=Validity(NOW - DAY, NOW + DAY))
    evidence = array(gpu.evidence(NONCE))

    verify(evidence, now=NOW + DAY)
    for now in (NOW - 2 * DAY, NOW + 2 * DAY):
        with pytest.raises(VerificationError, match="leaf certificate: validity"):
            verify(evidence, now=now)


# 3. The signature.


def test_a_signature_of_another_key_is_refused(vendor: Nvidia, verify: Verify) -> None:
    evidence = vendor.gpu().evidence(NONCE, key=p384())

    with pytest.raises(
        VerificationError, match=r"^GPU 0: measurements signature: expected made by"
    ):
        verify(array(evidence))


@pytest.mark.parametrize("key", [p256(), ec.generate_private_key(ec.SECP521R1())])
def test_a_key_on_another_curve_is_refused(
    vendor: Nvidia, verify: Verify, key: ec.EllipticCurvePrivateKey
) -> None:
    gpu = vendor.gpu(key=key)

    with pytest.raises(EvidenceError, match="expected ECDSA on secp384r1"):
        verify(array(gpu.evidence(NONCE, key=p384())))


# 4. The nonce.


def test_another_nonce_is_refused(vendor: Nvidia, verify: Verify) -> None:
    evidence = vendor.gpu().evidence(bytes(32))

    with pytest.raises(
        VerificationError, match=r"^GPU 0: nonce: expected the statement"
    ):
        verify(array(evidence | {"nonce": NONCE.hex()}))


# 5. The firmware.


def test_another_firmware_than_the_certificate_s_is_refused(
    vendor: Nvidia, verify: Verify
) -> None:
    for gpu in (
        vendor.gpu(fwid=composite_device_id(bytes(48))),
        vendor.gpu(fwid=dice_tcb_info(bytes(48), FWID)),
    ):
        with pytest.raises(VerificationError, match=r"^GPU 0: firmware: expected the"):
            verify(array(gpu.evidence(NONCE)))


def test_a_firmware_that_the_gpu_does_not_name_is_the_certificate_s(
    vendor: Nvidia, verify: Verify
) -> None:
    procedure = Procedure()
    named = {kind: value for kind, value in FIELDS.items() if kind != 20}

    (claims,) = verify(
        array(vendor.gpu().evidence(NONCE, fields=named)), procedure=procedure
    )

    assert claims.fwid == FWID
    (line,) = (c for c in procedure.transcript.checks if c.name == "GPU 0: firmware")
    assert line.status is Status.NOT_EVALUATED


# 6. Distinct GPUs.


def test_a_gpu_that_is_there_twice_is_refused(vendor: Nvidia, verify: Verify) -> None:
    gpu = vendor.gpu()
    both = array(gpu.evidence(NONCE), gpu.evidence(NONCE))

    with pytest.raises(VerificationError, match=r"^distinct GPUs: expected 2, got 1"):
        verify(both)


def test_a_gpu_that_was_started_with_two_firmwares_is_one(
    vendor: Nvidia, verify: Verify
) -> None:
    gpu = vendor.gpu()
    again = replace(gpu, key=p384())
    both = array(gpu.evidence(NONCE), again.evidence(NONCE))

    with pytest.raises(VerificationError, match=r"^distinct GPUs: expected 2, got 1"):
        verify(both)


def test_two_gpus_are_two(vendor: Nvidia, verify: Verify) -> None:
    first, second = vendor.gpu(), vendor.gpu()

    assert len(verify(array(first.evidence(NONCE), second.evidence(NONCE)))) == 2


def test_the_second_gpu_is_verified_too(vendor: Nvidia, verify: Verify) -> None:
    first, second = vendor.gpu(), vendor.gpu()
    forged = second.evidence(NONCE, key=p384())

    with pytest.raises(VerificationError, match=r"^GPU 1: measurements signature"):
        verify(array(first.evidence(NONCE), forged))
