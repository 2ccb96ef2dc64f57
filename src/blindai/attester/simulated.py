"""The simulated TEE: SEV-SNP-shaped evidence that proves nothing, for development.

The private keys of its root lie in the package, in files that shout it. So anybody can
make this evidence about anything; what it is good for is that the same verifier runs,
line by line, without the hardware. Only a policy with `insecure_accept_simulation`
accepts it.

What it signs is written in `simulated_report.py`.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from blindai.attester import SEALING_KEY_BYTES
from blindai.attester.simulated_report import (
    SimulatedPlatform,
    default_measurement,
    leaf_extensions,
    sign,
    write_report,
)
from blindai.errors import ConfigurationError
from blindai.protocol.attestation import (
    PEM_CHAIN_TYPE,
    SIMULATED_SEV_SNP_REPORT_TYPE,
    Endorsement,
    Evidence,
)

if TYPE_CHECKING:
    from pathlib import Path

    from blindai.protocol.keyset import Binding

__all__ = [
    "SimulatedAttester",
    "SimulatedPlatform",
    "default_measurement",
    "endorse",
    "insecure_ark_key",
    "insecure_ask_key",
]

_FOLDER = resources.files("blindai.attester") / "insecure_simulation"
_PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
_PRIVATE_MODE = 0o600


class SimulatedAttester:
    """An attester without hardware: what it signs, anybody could have signed.

    Args:
        platform: What it says of itself.
        sealing_key_file: Where the sealing secret lies; made if it is absent. Without
            it there is no sealing key.
    """

    def __init__(
        self,
        platform: SimulatedPlatform | None = None,
        sealing_key_file: Path | None = None,
    ) -> None:
        self.platform = platform or SimulatedPlatform()
        self._sealing_key_file = sealing_key_file
        self._key = ec.generate_private_key(ec.SECP384R1())
        self._endorsements = endorse(self.platform, self._key.public_key())

    @property
    def tee(self) -> str:
        """Media type of the evidence it makes."""
        return SIMULATED_SEV_SNP_REPORT_TYPE

    @property
    def sealing(self) -> str | None:
        """Which sealing key it derives, in words, if it has a key file."""
        if self._sealing_key_file is None:
            return None
        return f"the file {self._sealing_key_file}, which protects nothing"

    def attest(self, binding: Binding) -> Evidence:
        """Evidence that binds what it is given."""
        signed = write_report(self.platform, binding.report_data)
        return Evidence(
            media_type=self.tee,
            evidence=sign(signed, self._key),
            endorsements=(Endorsement(PEM_CHAIN_TYPE, self._endorsements),),
        )

    def sealing_key(self) -> bytes | None:
        """A key of 32 bytes for this measurement, or None without a key file.

        Raises:
            ConfigurationError: If the key file is not one, or others may read it.
        """
        if self._sealing_key_file is None:
            return None
        secret = _load_or_make_secret(self._sealing_key_file)
        label = b"blindai INSECURE SIMULATION sealing key v1\x00"
        return hmac.digest(secret, label + self.platform.measurement, "sha256")


def endorse(platform: SimulatedPlatform, key: ec.EllipticCurvePublicKey) -> bytes:
    """A new leaf for `key`, and the two certificates above it, in PEM."""
    ask = x509.load_pem_x509_certificate(_read("INSECURE_ask_certificate.pem"))
    organization, _ = ask.subject
    name = x509.NameAttribute(x509.NameOID.COMMON_NAME, "INSECURE SIMULATION VCEK")
    builder = x509.CertificateBuilder(
        issuer_name=ask.subject,
        subject_name=x509.Name([organization, name]),
        public_key=key,
        serial_number=1,
        not_valid_before=platform.leaf_not_before,
        not_valid_after=platform.leaf_not_after,
    )
    for extension in leaf_extensions(platform):
        builder = builder.add_extension(extension, critical=False)
    leaf = builder.sign(insecure_ask_key(), hashes.SHA384(), rsa_padding=_PSS)
    return (
        leaf.public_bytes(serialization.Encoding.PEM)
        + _read("INSECURE_ask_certificate.pem")
        + _read("INSECURE_ark_certificate.pem")
    )


@cache
def insecure_ask_key() -> rsa.RSAPrivateKey:
    """The public private key that issues leaves."""
    return _private_key("INSECURE_PUBLIC_ask_key.pem")


@cache
def insecure_ark_key() -> rsa.RSAPrivateKey:
    """The public private key of the root."""
    return _private_key("INSECURE_PUBLIC_ark_key.pem")


def _private_key(name: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(
        _read(name), None, unsafe_skip_rsa_key_validation=True
    )
    return cast("rsa.RSAPrivateKey", key)


def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


def _load_or_make_secret(path: Path) -> bytes:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(path, flags, _PRIVATE_MODE)
    except FileExistsError:
        return _load_secret(path)
    secret = secrets.token_bytes(SEALING_KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    return secret


def _load_secret(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) != _PRIVATE_MODE:
        raise ConfigurationError(f"sealing key file {path}: expected mode 0600")
    secret = path.read_bytes()
    if len(secret) != SEALING_KEY_BYTES:
        raise ConfigurationError(
            f"sealing key file {path}: expected {SEALING_KEY_BYTES} bytes,"
            f" got {len(secret)}"
        )
    return secret
