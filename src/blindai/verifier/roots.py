"""The root certificates we believe, by digest. There is no other way to be a root.

A root certificate may travel with the endorsements, but it counts only if its SHA-256
stands here. The simulated root's private key is public: what it signs is worth nothing,
and only evidence that calls itself simulated may lead to it. A policy may name roots of
its own (`insecure_roots`), for tests with made-up hardware; what they sign is treated
as simulated too.

Where the vendors publish them: AMD's ARKs at
https://kdsintf.amd.com/vcek/v1/{product}/cert_chain (AMD 57230, chapter 4); Intel's SGX
Root CA at https://certificates.trustedservices.intel.com (Intel SGX PCS); AWS's root at
https://aws-nitro-enclaves.amazonaws.com/AWS_NitroEnclaves_Root-G1.zip; Google's root of
vTPM keys in go-tpm-tools, server/ca-certs/gcp_ek_ak_ca_root.crt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

AMD = "AMD"
INTEL = "Intel"
AWS = "AWS"
GOOGLE = "Google"
NVIDIA = "NVIDIA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A root certificate.

    Attributes:
        name: The name in its certificate, for people.
        vendor: Whose it is.
        product: The processor line that it stands for; empty if for all.
        simulated: Whether it says nothing about hardware.
        digest: SHA-256 of the certificate's DER, 32 bytes.
    """

    name: str
    vendor: str
    product: str = ""
    simulated: bool = False
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Anchors:
    """The roots that count for a relying party.

    Attributes:
        roots: Each is believed.
        require_revocation: Whether a certificate that its vendor could list as revoked
            is refused where the vendor's list is missing.
    """

    roots: tuple[Root, ...]
    require_revocation: bool = False

    def find(self, digest: bytes, vendor: str) -> Root:
        """The vendor's root with this digest, or one that is not in `roots`."""
        for root in self.roots:
            if root.digest == digest and root.vendor == vendor:
                return root
        return Root(name="unknown", vendor=vendor, digest=digest)

    def names(self, vendor: str) -> str:
        """The names of the vendor's roots, for a transcript."""
        names = [root.name for root in self.roots if root.vendor == vendor]
        return " or ".join(names) or f"a root of {vendor}'s, of which none counts here"


MILAN = Root(
    name="ARK-Milan",
    vendor=AMD,
    product="Milan",
    digest=bytes.fromhex(
        "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"
    ),
)
GENOA = Root(
    name="ARK-Genoa",
    vendor=AMD,
    product="Genoa",
    digest=bytes.fromhex(
        "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"
    ),
)
INTEL_SGX = Root(
    name="Intel SGX Root CA",
    vendor=INTEL,
    digest=bytes.fromhex(
        "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
    ),
)
AWS_NITRO = Root(
    name="aws.nitro-enclaves",
    vendor=AWS,
    digest=bytes.fromhex(
        "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
    ),
)
NVIDIA_DEVICE = Root(
    name="NVIDIA Device Identity CA",
    vendor=NVIDIA,
    digest=bytes.fromhex(
        "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48"
    ),
)
GOOGLE_EK_AK = Root(
    name="EK/AK CA Root",
    vendor=GOOGLE,
    digest=bytes.fromhex(
        "594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2"
    ),
)
SIMULATED = Root(
    name="INSECURE SIMULATION ARK",
    vendor=AMD,
    product="Genoa",
    simulated=True,
    digest=bytes.fromhex(
        "decdb44f3d0c7989816a55136a9f2fee6e7a92d18bc4c3c8c772feff5155eea1"
    ),
)

PINNED = Anchors((MILAN, GENOA, INTEL_SGX, AWS_NITRO, NVIDIA_DEVICE, GOOGLE_EK_AK))
"""The vendors' roots: what a release policy goes by."""
SIMULATION = Anchors((SIMULATED,))
"""What simulated evidence, and only it, leads to."""
AMD_PRODUCTS = tuple(root.product for root in PINNED.roots if root.vendor == AMD)
