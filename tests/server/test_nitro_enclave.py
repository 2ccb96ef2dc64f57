"""An enclave on made-up Nitro hardware with a GPU: served, verified, then refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from blindai.attester.nsm import NsmAttester
from blindai.attester.nvidia import NvidiaAttester
from blindai.client.connection import Connection
from blindai.client.policies import SimulationWarning
from blindai.errors import AppraisalError, VerificationError
from blindai.protocol.attestation import encode_attestation, parse_attestation
from blindai.protocol.names import ATTESTATION_PATH
from blindai.server.serve import now
from blindai.testing import SimulatedEnclave
from blindai.testing.devices.nsm import Nsm
from blindai.testing.devices.nvml import MadeUpNvml
from blindai.testing.vendors.aws import PCRS, Aws
from blindai.testing.vendors.nvidia import FIELDS, Nvidia
from blindai.testing.vendors.pki import p384
from blindai.verifier import GpuPolicy, InsecureRoot, NitroPolicy, Policy, verify

AWS, NVIDIA = Aws(), Nvidia()
GPU = NVIDIA.gpu()
ROOTS = (
    InsecureRoot(vendor="AWS", sha256=AWS.root_digest),
    InsecureRoot(vendor="NVIDIA", sha256=NVIDIA.root_digest),
)
POLICY = Policy(
    insecure_roots=ROOTS,
    nitro=NitroPolicy(pcr0=(PCRS[0],)),
    nvidia_gpu=GpuPolicy(minimum_driver_version="550.0"),
)


class Hardware:
    """What the enclave runs on; a test changes one thing."""

    def __init__(self) -> None:
        self.nsm = Nsm(aws=AWS, clock=now)
        self.gpus = [GPU]
        self.enclave = SimulatedEnclave(
            attester=NsmAttester(self.nsm),
            devices=NvidiaAttester(lambda: MadeUpNvml(self.gpus)),
        )

    def connect(self, policy: Policy = POLICY) -> None:
        with Connection(self.enclave.url, policy=policy) as client:
            client.models()


@pytest.fixture(scope="module")
def served() -> Iterator[Hardware]:
    hardware = Hardware()
    with hardware.enclave:
        yield hardware


@pytest.fixture
def hardware(served: Hardware) -> Hardware:
    served.nsm.changes, served.nsm.aws, served.nsm.clock = {}, AWS, now
    served.gpus[:] = [GPU]
    return served


def test_it_is_verified_and_called(hardware: Hardware) -> None:
    with pytest.warns(SimulationWarning):
        hardware.connect()


def test_another_image_is_refused(hardware: Hardware) -> None:
    hardware.nsm.changes = {"pcrs": {**PCRS, 0: b"x" * 48}}

    with pytest.raises(AppraisalError, match=r"^PCR0: expected"):
        hardware.connect()


def test_debug_mode_is_refused(hardware: Hardware) -> None:
    hardware.nsm.changes = {"pcrs": dict.fromkeys(PCRS, bytes(48))}

    with pytest.raises(AppraisalError, match=r"^debug mode: expected off, got on"):
        hardware.connect()


def test_another_nonce_is_refused(hardware: Hardware) -> None:
    hardware.nsm.changes = {"nonce": bytes(32)}

    with pytest.raises(VerificationError, match=r"^nonce of the evidence: expected"):
        hardware.connect()


def test_another_keyset_is_refused(hardware: Hardware) -> None:
    hardware.nsm.changes = {"user_data": bytes(32)}

    with pytest.raises(VerificationError, match=r"^report data: expected SHA-256"):
        hardware.connect()


@pytest.mark.parametrize("hours", [-4, 4])
def test_another_date_is_refused(hardware: Hardware, hours: int) -> None:
    hardware.nsm.clock = lambda: now() + timedelta(hours=hours)

    with pytest.raises(VerificationError, match=r"^leaf certificate: validity"):
        hardware.connect()


def test_another_root_is_refused(hardware: Hardware) -> None:
    hardware.nsm.aws = Aws()

    with pytest.raises(VerificationError, match=r"^root certificate: .*got unknown"):
        hardware.connect()


def test_a_release_policy_refuses_it(hardware: Hardware) -> None:
    release = replace(POLICY, insecure_roots=())

    with pytest.raises(VerificationError, match=r"^root certificate: .*got unknown"):
        hardware.connect(release)


def test_a_gpu_of_another_key_is_refused(hardware: Hardware) -> None:
    forged = replace(GPU, report=replace(GPU.report, key=p384()))
    hardware.gpus[:] = [forged]

    with pytest.raises(VerificationError, match=r"^GPU 0: measurements signature"):
        hardware.connect()


def test_an_old_driver_is_refused(hardware: Hardware) -> None:
    old = replace(GPU.report, fields={**FIELDS, 3: b"535.1\0"})
    hardware.gpus[:] = [replace(GPU, report=old)]

    with pytest.raises(AppraisalError, match=r"^GPU 0: least driver version"):
        hardware.connect()


def test_a_good_gpu_elsewhere_does_not_stand_in_for_an_old_one(
    hardware: Hardware,
) -> None:
    # Whoever carries the bytes has it answer the nonce, which is in the evidence.
    hardware.gpus[:] = [
        replace(GPU, report=replace(GPU.report, fields={**FIELDS, 3: b"535.1\0"}))
    ]
    nonce = bytes(range(32))
    url = f"{hardware.enclave.url}{ATTESTATION_PATH}"
    answer = httpx.get(url, params={"nonce": nonce.hex()}, trust_env=False)
    sent = parse_attestation(answer.content)
    asked = bytes.fromhex(json.loads(sent.gpu)[0]["nonce"])
    elsewhere = NvidiaAttester(lambda: MadeUpNvml([NVIDIA.gpu()])).attest(asked)
    relayed = encode_attestation(replace(sent, gpu=elsewhere))

    with pytest.raises(VerificationError, match=r"^GPU evidence digest: expected"):
        verify(relayed, nonce=nonce, policy=POLICY, now=now())


def test_too_few_gpus_are_refused(hardware: Hardware) -> None:
    table = GpuPolicy(minimum_gpus=2)

    with pytest.raises(AppraisalError, match=r"^GPUs: expected at least 2, got 1"):
        hardware.connect(replace(POLICY, nvidia_gpu=table))
