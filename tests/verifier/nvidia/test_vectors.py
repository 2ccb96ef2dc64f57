"""Genuine GPU evidence and reference values, from NVIDIA's own projects."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
from tests.vectors import FOLDER as VECTORS
from tests.vectors import needs_vectors

from blindai.errors import EvidenceError, VerificationError
from blindai.verifier import GpuPolicy, ReferenceValues, nvidia, roots
from blindai.verifier.certificates import parse_certificate, parse_pem
from blindai.verifier.nvidia.claims import GpuClaims
from blindai.verifier.nvidia.rim import verify_rim
from blindai.verifier.procedure import Procedure

FOLDER = VECTORS / "nvidia"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = datetime(2022, 3, 1, tzinfo=UTC)  # the provisioner's certificate
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
VBIOS_RIM = "nvtrust_vbios_rim_1010_0200_882_96005E0001.swidtag"
VBIOS_NOW = datetime(2024, 6, 1, tzinfo=UTC)
DRIVER_RIM = "NV_GPU_DRIVER_GH100_550.144.03.xml"

pytestmark = needs_vectors


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A GPU's evidence: NVIDIA's array, or an exchange and a chain in files."""

    file: str
    chain: str = ""
    nonce: str
    driver: str
    vbios: str
    mode: str = ""

    @property
    def evidence(self) -> bytes:
        if not self.chain:
            return (FOLDER / self.file).read_bytes()
        return array(self.exchange, (FOLDER / self.chain).read_bytes())

    @property
    def exchange(self) -> bytes:
        return bytes.fromhex((FOLDER / self.file).read_text())

    def verify(self, now: datetime = NOW) -> GpuClaims:
        return verify(self.evidence, self.nonce, now)


def array(exchange: bytes, chain: bytes) -> bytes:
    parts = {"evidence": exchange, "certificate": chain}
    gpu = {key: base64.b64encode(value).decode() for key, value in parts.items()}
    return json.dumps([gpu]).encode()


def verify(evidence: bytes, nonce: str, now: datetime = NOW) -> GpuClaims:
    (claims,) = nvidia.verify(
        evidence, bytes.fromhex(nonce), Procedure(), now, roots.PINNED
    )
    return claims


PROTECTED_PCIE = Vector(
    file="hopper_evidence.json",
    nonce="e97b23a1718095a0e9e35edca810768c70a6a5a389b705e753b197912bc11576",
    driver="590.12",
    vbios="96.00.A5.00.01",
    mode="ppcie",
)
H100 = Vector(
    file="hopperAttestationReport.txt",
    chain="hopperCertChain.txt",
    nonce="27a328247bf7935c993341cf587be6f05986ccce4fe7ba2c54100bd616a58f66",
    driver="535.86.09",
    vbios="96.00.5E.00.01",
)
NVTRUST = Vector(
    file="nvtrust_hopperAttestationReport.txt",
    chain="nvtrust_hopperCertChain.txt",
    nonce="931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb",
    driver="550.90.07",
    vbios="96.00.9F.00.01",
)
each = pytest.mark.parametrize(
    "vector",
    [PROTECTED_PCIE, H100, NVTRUST],
    ids=["protected PCIe", "H100", "nvtrust"],
)


@each
def test_genuine_evidence_is_verified(vector: Vector) -> None:
    claims = vector.verify()

    assert claims.root is roots.NVIDIA_DEVICE
    assert claims.model == "GH100 A01 GSP BROM"
    assert claims.architecture == "HOPPER"
    assert claims.driver_version == vector.driver
    assert claims.vbios_version == vector.vbios
    assert claims.mode == vector.mode
    assert len(claims.measurements) == 64


@each
def test_it_is_refused_a_day_before_its_chain_is_valid(vector: Vector) -> None:
    vector.verify(FIRST)
    vector.verify(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    for now in (FIRST - SECOND, FIRST - DAY):
        with pytest.raises(VerificationError, match=r"certificate.*: validity"):
            vector.verify(now)


@each
def test_another_nonce_is_refused(vector: Vector) -> None:
    with pytest.raises(VerificationError, match="GPU 0: nonce: expected"):
        verify(vector.evidence, "00" * 32)


def test_another_gpu_s_certificate_is_refused() -> None:
    chain = (FOLDER / NVTRUST.chain).read_bytes()

    with pytest.raises(VerificationError, match="measurements signature: expected"):
        verify(array(H100.exchange, chain), H100.nonce)


def test_no_byte_of_a_genuine_exchange_can_change() -> None:
    chain, exchange = (FOLDER / H100.chain).read_bytes(), H100.exchange

    for position in range(0, len(exchange), 11):
        flipped = bytearray(exchange)
        flipped[position] ^= 1 << position % 8
        with pytest.raises((VerificationError, EvidenceError)):
            verify(array(bytes(flipped), chain), H100.nonce)


def test_the_pinned_roots_are_the_ones_that_nvidia_publishes() -> None:
    (device,) = parse_pem((FOLDER / "nv_device_root.pem").read_bytes())
    (rim,) = parse_pem((FOLDER / "rim_root.crt").read_bytes())

    assert device.digest == roots.NVIDIA_DEVICE.digest
    assert rim.digest == roots.NVIDIA_REFERENCES.digest
    assert parse_certificate(rim.encoding).name == roots.NVIDIA_REFERENCES.name


def test_verification_takes_milliseconds() -> None:
    evidence = PROTECTED_PCIE.evidence

    started = perf_counter()
    for _ in range(10):
        verify(evidence, PROTECTED_PCIE.nonce)

    assert (perf_counter() - started) / 10 < 0.05


# Reference values.


def read(file: str, now: datetime) -> ReferenceValues:
    data = (FOLDER / file).read_bytes()
    return verify_rim(data, Procedure(), now, roots.PINNED)


def test_the_vbios_measured_what_its_rim_lists() -> None:
    values = read(VBIOS_RIM, VBIOS_NOW)

    assert values.version == H100.vbios
    assert values.product == "GH100"
    assert len(values.by_index) == 12
    assert line("VBIOS measurements", values) == "those"


def line(name: str, values: ReferenceValues) -> str:
    policy = GpuPolicy(reference_values=(values,))
    checks = nvidia.appraise((H100.verify(),), policy)
    (found,) = (check for check in checks if check.name == f"GPU 0: {name}")
    return found.actual


def test_a_driver_measured_something_else_than_another_s_rim_lists() -> None:
    values = read(DRIVER_RIM, NOW)

    assert values.version == "550.144.03"
    assert len(values.by_index) == 21
    assert line("driver measurements", values) == "a version for which there are none"
    renamed = ReferenceValues(version=H100.driver, measurements=values.measurements)
    assert line("driver measurements", renamed).startswith("others at index 7, 21, 22")


@pytest.mark.parametrize(
    ("file", "first", "last"),
    [
        pytest.param(
            VBIOS_RIM,
            datetime(2023, 6, 23, 9, 30, 33, tzinfo=UTC),
            datetime(2025, 6, 22, 9, 30, 33, tzinfo=UTC),
            id="VBIOS",
        ),
        pytest.param(
            DRIVER_RIM,
            datetime(2024, 12, 30, 16, 56, 50, tzinfo=UTC),
            datetime(2026, 12, 30, 16, 56, 50, tzinfo=UTC),
            id="driver",
        ),
    ],
)
def test_a_rim_is_refused_outside_its_signer_s_validity(
    file: str, first: datetime, last: datetime
) -> None:
    read(file, first)
    read(file, last)
    for now in (first - SECOND, first - DAY, last + SECOND, last + DAY):
        with pytest.raises(VerificationError, match="leaf certificate: validity"):
            read(file, now)


def test_no_byte_that_counts_can_change_in_a_genuine_rim() -> None:
    file = (FOLDER / VBIOS_RIM).read_bytes()
    truth = read(VBIOS_RIM, VBIOS_NOW)
    enveloped = file.index(b"<ds:Signature ")

    for position in range(0, len(file), 61):
        flipped = bytearray(file)
        flipped[position] ^= 1 << position % 7
        try:
            values = verify_rim(bytes(flipped), Procedure(), VBIOS_NOW, roots.PINNED)
        except (VerificationError, EvidenceError):
            continue
        assert position > enveloped
        assert values == truth
