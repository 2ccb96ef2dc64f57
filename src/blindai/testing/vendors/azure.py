"""A made-up Azure confidential VM: hardware, a paravisor above it, a vTPM inside.

    vm = AzureVm()
    evidence = vm.attest(binding)

The hardware is the simulated SEV-SNP: its root is named in `insecure_roots` with
`roots.SIMULATED.digest`, vendor AMD, product Genoa.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa

from blindai.attester import simulated
from blindai.attester.simulated_report import SimulatedPlatform, sign, write_report
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    PEM_CHAIN_TYPE,
    Endorsement,
    Evidence,
)
from blindai.testing.vendors.pki import p384
from blindai.testing.vendors.tpm import MadeUpTpm

if TYPE_CHECKING:
    from blindai.protocol.keyset import Binding

NV_BYTES = 2600  # of the index that holds the paravisor's report
PAYLOAD_BYTES = 1184
SEV_SNP = 2
TDX = 4


@functools.cache
def ak_key() -> rsa.RSAPrivateKey:
    """The vTPM's attestation key, of 2048 bits, as Azure has them."""
    return rsa.generate_private_key(65537, 2048)


def runtime_claims(key: rsa.RSAPublicKey, **changes: object) -> bytes:
    """What the paravisor says, as JSON.

    Args:
        key: The vTPM's attestation key.
        changes: Members of it.
    """
    claims = {
        "keys": [web_key("HCLAkPub", key, "sign")],
        "vm-configuration": {
            "console-enabled": True,
            "secure-boot": True,
            "tpm-enabled": True,
            "vmUniqueId": "00000000-0000-0000-0000-000000000000",
        },
        "user-data": "00" * 64,
    }
    return json.dumps(claims | changes, separators=(",", ":")).encode()


def web_key(name: str, key: rsa.RSAPublicKey, use: str) -> dict[str, object]:
    """A JSON Web Key (RFC 7517)."""
    numbers = key.public_numbers()
    return {
        "kid": name,
        "key_ops": [use],
        "kty": "RSA",
        "e": _base64url(numbers.e),
        "n": _base64url(numbers.n),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class HclFields:
    """The paravisor's report, every field of it to be set.

    Attributes:
        payload: The hardware report, at most 1184 bytes.
        claims: What the paravisor says.
        signature: Its first four bytes.
        version: Of the header.
        runtime_version: Of the runtime data.
        report_type: Which hardware report is inside.
        hash_type: How the claims are hashed.
        size: Of the runtime data, if it is not what it should be.
        claims_size: Of the claims, likewise.
        rest: What follows the claims.
    """

    payload: bytes
    claims: bytes
    signature: bytes = b"HCLA"
    version: int = 2
    runtime_version: int = 1
    report_type: int = SEV_SNP
    hash_type: int = 1
    size: int | None = None
    claims_size: int | None = None
    rest: bytes | None = None

    def encode(self) -> bytes:
        """The report, as the NV index holds it."""
        size = 20 + len(self.claims) if self.size is None else self.size
        count = len(self.claims) if self.claims_size is None else self.claims_size
        header = self.signature + struct.pack("<IIII12x", self.version, size, 2, 0)
        runtime = struct.pack(
            "<IIIII",
            size,
            self.runtime_version,
            self.report_type,
            self.hash_type,
            count,
        )
        report = header + self.payload.ljust(PAYLOAD_BYTES, b"\x00") + runtime
        report += self.claims
        return (
            report.ljust(NV_BYTES, b"\x00") if self.rest is None else report + self.rest
        )


@dataclass(frozen=True, kw_only=True)
class AzureVm:
    """A confidential VM on simulated SEV-SNP.

    Attributes:
        platform: What the simulated hardware says of itself.
        tpm: The vTPM.
        claims: What the paravisor says.
    """

    platform: SimulatedPlatform = field(default_factory=SimulatedPlatform)
    tpm: MadeUpTpm = field(default_factory=lambda: MadeUpTpm(key=ak_key()))
    claims: bytes = field(default_factory=lambda: runtime_claims(ak_key().public_key()))

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return AZURE_SNP_TYPE

    def report(self, report_data: bytes | None = None) -> tuple[bytes, bytes]:
        """A hardware report for the paravisor, and the chain of its key in PEM.

        Args:
            report_data: What it binds, 64 bytes; by default what the paravisor says.
        """
        key = p384()
        bound = hashlib.sha256(self.claims).digest().ljust(64, b"\x00")
        signed = write_report(self.platform, report_data or bound)
        chain = simulated.endorse(self.platform, key.public_key())
        return sign(signed, key), chain

    def attest(
        self,
        binding: Binding,
        *,
        report_data: bytes | None = None,
        **changes: object,
    ) -> Evidence:
        """Evidence that binds what it is given.

        Args:
            binding: What to bind.
            report_data: What the hardware report binds, if not the claims.
            changes: Fields of the paravisor's report.
        """
        report, chain = self.report(report_data)
        fields = replace(
            HclFields(payload=report, claims=self.claims),
            **changes,  # type: ignore[arg-type]  # one of many
        )
        sent = self.tpm.evidence(binding.digest)
        return Evidence(
            media_type=self.tee,
            evidence=replace(sent, hcl_report=fields.encode()).encode(),
            endorsements=(Endorsement(PEM_CHAIN_TYPE, chain),),
            event_log=self.tpm.event_log,
        )

    @property
    def sealing(self) -> str | None:
        """None: it seals nothing."""
        return None

    def sealing_key(self) -> bytes | None:
        """None: it seals nothing."""
        return None


def _base64url(value: int) -> str:
    octets = value.to_bytes((value.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
