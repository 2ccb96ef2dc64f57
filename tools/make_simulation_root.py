"""Make the openly insecure root of the simulated TEE, anew.

Run from the repository root: `python tools/make_simulation_root.py`. It writes the
four files of `src/blindai/attester/insecure_simulation/` and prints the digest that
belongs in `src/blindai/verifier/roots.py`. Every clone of the repository has these
keys; that is their point: nobody can mistake what they sign for hardware.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

FOLDER = Path("src/blindai/attester/insecure_simulation")
NOT_BEFORE = datetime(2025, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2075, 1, 1, tzinfo=UTC)
KEY_WARNING = (
    b"# INSECURE: this private key is PUBLIC. It signs simulated evidence only.\n"
)
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
NO_USE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}


def name(common_name: str) -> x509.Name:
    """A name that nobody takes for AMD's."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "INSECURE SIMULATION"),
            x509.NameAttribute(
                NameOID.COMMON_NAME, f"INSECURE SIMULATION {common_name}"
            ),
        ]
    )


def issue(
    subject: str, key: rsa.RSAPrivateKey, issuer: str, issuer_key: rsa.RSAPrivateKey
) -> x509.Certificate:
    """A CA certificate with the extensions that AMD's have."""
    root = subject == issuer
    builder = x509.CertificateBuilder(
        name(issuer), name(subject), key.public_key(), 1, NOT_BEFORE, NOT_AFTER
    )
    constraints = x509.BasicConstraints(ca=True, path_length=None if root else 0)
    usage = x509.KeyUsage(key_cert_sign=True, crl_sign=root, **NO_USE)
    return (
        builder.add_extension(constraints, critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer_key, hashes.SHA384(), rsa_padding=PSS)
    )


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The key in the clear, below a line that says what that means."""
    return KEY_WARNING + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def main() -> None:
    """Write keys and certificates; print the root's digest."""
    ark_key = rsa.generate_private_key(65537, 4096)
    ask_key = rsa.generate_private_key(65537, 4096)
    ark = issue("ARK", ark_key, "ARK", ark_key)
    ask = issue("ASK", ask_key, "ARK", ark_key)
    pem = serialization.Encoding.PEM
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "INSECURE_PUBLIC_ark_key.pem").write_bytes(private_pem(ark_key))
    (FOLDER / "INSECURE_PUBLIC_ask_key.pem").write_bytes(private_pem(ask_key))
    (FOLDER / "INSECURE_ark_certificate.pem").write_bytes(ark.public_bytes(pem))
    (FOLDER / "INSECURE_ask_certificate.pem").write_bytes(ask.public_bytes(pem))
    print(ark.fingerprint(hashes.SHA256()).hex())


if __name__ == "__main__":
    main()
