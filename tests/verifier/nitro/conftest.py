"""The made-up AWS, and verification with the arguments that most tests share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from blindai.attester.nsm import NsmAttester
from blindai.protocol import keyset
from blindai.protocol.attestation import (
    CRL_TYPE,
    NITRO_DOCUMENT_TYPE,
    Attestation,
    Endorsement,
    Evidence,
    encode_attestation,
)
from blindai.protocol.keyset import Purpose, Statement
from blindai.testing import NOW, simulated_keyset
from blindai.testing.devices.nsm import Nsm
from blindai.testing.vendors.aws import Aws
from blindai.verifier import nitro, roots
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims
from blindai.verifier.roots import Anchors, Root

NONCE = bytes(range(32))


@pytest.fixture(scope="session")
def aws() -> Aws:
    return Aws()


@pytest.fixture(scope="session")
def anchors(aws: Aws) -> Anchors:
    root = Root(name="made up", vendor=roots.AWS, digest=aws.root_digest)
    return Anchors((root,))


@pytest.fixture(scope="session")
def collection(aws: Aws) -> Callable[..., bytes]:
    """What a server answers a nonce with, its document changed here and there."""

    def make(asked: bytes | None = NONCE, /, **changes: object) -> bytes:
        keys = simulated_keyset().encode()
        statement = Statement(Purpose.ATTESTATION, keyset.digest(keys), asked)
        device = Nsm(aws=aws, clock=lambda: NOW, changes=changes)
        return encode_attestation(
            Attestation(
                keyset=keys,
                statement=statement.encode(),
                evidence=NsmAttester(device).attest(keyset.bind(statement)),
            )
        )

    return make


@pytest.fixture(scope="session")
def verify(anchors: Anchors) -> Callable[..., VerifiedClaims]:
    """Verify a document, by default at the second at which it was made."""

    def run(
        document: bytes,
        now: datetime = NOW,
        crls: tuple[bytes, ...] = (),
        believed: Anchors = anchors,
    ) -> VerifiedClaims:
        endorsements = tuple(Endorsement(CRL_TYPE, crl) for crl in crls)
        evidence = Evidence(
            media_type=NITRO_DOCUMENT_TYPE, evidence=document, endorsements=endorsements
        )
        return nitro.verify(evidence, Procedure(), now, believed)

    return run
