"""Intel's endorsements of a platform, as its caching services hand them out.

One JSON object in the shape of Intel's quote verification collateral, version 3 (Intel
SGX DCAP ECDSA Quote Library API, sgx_ql_qve_collateral_t):

    pck_crl_issuer_chain       certificates in PEM
    root_ca_crl, pck_crl       lists of revoked certificates, DER in hexadecimal
    tcb_info_issuer_chain      certificates in PEM, who signs it first
    tcb_info                   the exact text that was signed
    tcb_info_signature         R and S, 64 bytes in hexadecimal
    qe_identity_issuer_chain, qe_identity, qe_identity_signature    likewise

Nothing is believed for being there. The texts are read by `parse_tcb_info` and
`parse_qe_identity` when their signatures have held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError
from blindai.verifier.certificates import parse_pem
from blindai.verifier.crl import MAX_CRL_BYTES, parse_crl
from blindai.verifier.intel.statements import Statement

if TYPE_CHECKING:
    from blindai.verifier.certificates import Certificate
    from blindai.verifier.crl import Crl

MAX_COLLATERAL_BYTES: Final = 256 * 1024
MAX_TEXT_CHARACTERS: Final = 64 * 1024
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedText:
    """A text of Intel's, its signature, and who is said to have made that.

    Attributes:
        text: Exactly as signed.
        signature: R and S, 64 bytes.
        chain: The signer's certificate, and those above it.
        chain_pem: The same, as it came.
    """

    text: str = field(repr=False)
    signature: bytes = field(repr=False)
    chain: tuple[Certificate, ...]
    chain_pem: str = field(repr=False)

    @property
    def signer(self) -> Certificate:
        """The certificate of whoever is said to have signed."""
        return self.chain[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """Endorsements by kind.

    Attributes:
        root_ca_crl: What the root revoked.
        root_ca_crl_der: The same, as it came.
        pck_crl: What the issuer of platforms' certificates revoked.
        pck_crl_der: The same, as it came.
        pck_crl_chain: That issuer, and those above it.
        pck_crl_chain_pem: The same, as it came.
        tcb_info: About the kind of platform.
        qe_identity: About the quoting enclave.
    """

    root_ca_crl: Crl
    root_ca_crl_der: bytes = field(repr=False)
    pck_crl: Crl
    pck_crl_der: bytes = field(repr=False)
    pck_crl_chain: tuple[Certificate, ...]
    pck_crl_chain_pem: str = field(repr=False)
    tcb_info: SignedText
    qe_identity: SignedText

    @property
    def crls(self) -> tuple[Crl, ...]:
        """Both lists."""
        return (self.root_ca_crl, self.pck_crl)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """All certificates."""
        return (
            *self.pck_crl_chain,
            *self.tcb_info.chain,
            *self.qe_identity.chain,
        )


def parse_collateral(data: bytes) -> Collateral:
    """Read collateral.

    Raises:
        EvidenceError: If it is longer than 256 KiB, not JSON in this shape, or if a
            certificate or list in it is malformed.
    """
    if not data:
        raise EvidenceError("endorsements: expected Intel's collateral, got none")
    if len(data) > MAX_COLLATERAL_BYTES:
        raise EvidenceError(
            f"collateral: expected at most {MAX_COLLATERAL_BYTES} bytes,"
            f" got {len(data)}"
        )
    statement = Statement.parse(data, "collateral")
    root_ca_crl = statement.octets("root_ca_crl", 1, MAX_CRL_BYTES)
    pck_crl = statement.octets("pck_crl", 1, MAX_CRL_BYTES)
    pck_crl_chain = statement.text("pck_crl_issuer_chain", MAX_TEXT_CHARACTERS)
    return Collateral(
        root_ca_crl=parse_crl(root_ca_crl),
        root_ca_crl_der=root_ca_crl,
        pck_crl=parse_crl(pck_crl),
        pck_crl_der=pck_crl,
        pck_crl_chain=parse_pem(pck_crl_chain.encode()),
        pck_crl_chain_pem=pck_crl_chain,
        tcb_info=_signed(statement, "tcb_info"),
        qe_identity=_signed(statement, "qe_identity"),
    )


def _signed(statement: Statement, key: str) -> SignedText:
    chain = statement.text(f"{key}_issuer_chain", MAX_TEXT_CHARACTERS)
    return SignedText(
        text=statement.text(key, MAX_TEXT_CHARACTERS),
        signature=statement.field(f"{key}_signature", _SIGNATURE_BYTES),
        chain=parse_pem(chain.encode()),
        chain_pem=chain,
    )
