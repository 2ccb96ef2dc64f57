"""The root certificates we believe, by digest. There is no other way to be a root.

A root certificate may travel with the endorsements, but it counts only if its SHA-256
stands here. AMD publishes its ARKs at https://kdsintf.amd.com/vcek/v1/{product}/cert_chain
(AMD 57230, chapter 4). The simulated root's private key is public: what it signs is
worth nothing, and only evidence that calls itself simulated may lead to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A root certificate.

    Attributes:
        name: The name in its certificate, for people.
        product: The processor line that it stands for.
        simulated: Whether its private key is public on purpose.
        supported: Whether reports under it can be verified.
        digest: SHA-256 of the certificate's DER, 32 bytes.
    """

    name: str
    product: str
    simulated: bool = False
    supported: bool = True
    digest: bytes = field(repr=False)


MILAN = Root(
    name="ARK-Milan",
    product="Milan",
    digest=bytes.fromhex(
        "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"
    ),
)
GENOA = Root(
    name="ARK-Genoa",
    product="Genoa",
    digest=bytes.fromhex(
        "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"
    ),
)
TURIN = Root(
    name="ARK-Turin",
    product="Turin",
    supported=False,
    digest=bytes.fromhex(
        "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"
    ),
)
SIMULATED = Root(
    name="INSECURE SIMULATION ARK",
    product="Genoa",
    simulated=True,
    digest=bytes.fromhex(
        "decdb44f3d0c7989816a55136a9f2fee6e7a92d18bc4c3c8c772feff5155eea1"
    ),
)

_ROOTS = MappingProxyType(
    {root.digest: root for root in (MILAN, GENOA, TURIN, SIMULATED)}
)
PRODUCTS = tuple(
    root.product for root in _ROOTS.values() if root.supported and not root.simulated
)


def find(digest: bytes) -> Root:
    """The root with this digest, or one that is not supported and says so."""
    unknown = Root(name="unknown", product="unknown", supported=False, digest=digest)
    return _ROOTS.get(digest, unknown)


def expected(*, simulated: bool) -> str:
    """The names of the roots that count, for a transcript."""
    return " or ".join(
        root.name
        for root in _ROOTS.values()
        if root.supported and root.simulated is simulated
    )
