"""Enclaves for tests, with everything real but the hardware; an attack is one line.

    with SimulatedEnclave() as enclave, enclave.connect() as client:
        client.upload_model("model.onnx")

    evidence = SimulatedEvidence(platform=SimulatedPlatform(vmpl=1))
    verify(evidence.attestation(nonce), nonce=nonce, policy=..., now=...)

Whatever is made here is signed by keys that everybody has, and proves nothing.
"""

from blindai.testing.enclave import SimulatedEnclave
from blindai.testing.evidence import NOW, SimulatedEvidence, simulated_keyset

__all__ = ["NOW", "SimulatedEnclave", "SimulatedEvidence", "simulated_keyset"]
