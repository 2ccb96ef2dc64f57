"""A verdict as a signed token: what a relying party reads, and that it can check it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from blindai.errors import (
    AppraisalError,
    EvidenceError,
    UncheckedError,
    VerificationError,
)
from blindai.testing import NOW, SimulatedEvidence
from blindai.transcript import Check, Status, Transcript
from blindai.verifier import Policy, verify
from blindai.verifier.ear import Appraisal, claims_set, parse_key, sign

NONCE = bytes(range(32))
EDWARDS = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
SIMULATED = verify(
    SimulatedEvidence().attestation(NONCE),
    nonce=NONCE,
    policy=Policy.for_simulation(),
    now=NOW,
)


def check(
    name: str, status: Status = Status.PASSED, *, required: bool = False
) -> Check:
    return Check(
        name=name,
        status=status,
        expected="x",
        actual="y",
        source="z",
        required=required,
    )


GENUINE = Transcript(
    (
        check("root certificate"),
        check("debug mode"),
        check("product"),
        check("VMPL"),
        check("measurement"),
        check("nonce"),
    )
)


def submodule(appraisal: Appraisal) -> dict[str, Any]:
    claims: Any = claims_set(appraisal, now=NOW, build="blindai test")
    found: dict[str, Any] = claims["submods"]["sev-snp"]
    assert claims["ear_status"] == found["ear_status"]
    return found


def accepted(transcript: Transcript = GENUINE, **more: Any) -> Appraisal:  # noqa: ANN401  any field
    return Appraisal(tee="sev-snp", transcript=transcript, **more)


def test_the_claims_are_those_of_the_draft() -> None:
    claims = claims_set(accepted(policy="ab"), now=NOW, build="blindai test")

    assert claims["eat_profile"] == "tag:ietf.org,2026:rats/ear#04"
    assert claims["iat"] == int(NOW.timestamp())
    identity = claims["ear_verifier_id"]
    assert isinstance(identity, dict)
    assert identity.keys() == {"developer", "build"}
    assert claims.keys() == {
        "eat_profile",
        "iat",
        "ear_verifier_id",
        "ear_status",
        "submods",
    }


def test_an_accepted_enclave_is_affirmed() -> None:
    found = submodule(accepted(policy="ab"))

    assert found["ear_status"] == "affirming"
    assert found["ear_trustworthiness_vector"] == {
        "instance-identity": 2,
        "configuration": 2,
        "executables": 3,
        "hardware": 2,
        "runtime-opaque": 2,
    }
    assert found["ear_appraisal_policy_ids"] == ["ab"]


def test_where_nothing_was_pinned_there_is_a_warning() -> None:
    left_open = Transcript(
        (check("debug mode"), check("measurement", Status.NOT_EVALUATED))
    )

    found = submodule(accepted(left_open))

    assert found["ear_status"] == "warning"
    assert found["ear_trustworthiness_vector"]["executables"] == 33
    assert "ear_appraisal_policy_ids" not in found


def test_a_simulation_is_contraindicated_though_it_was_accepted() -> None:
    found = submodule(
        accepted(SIMULATED.transcript, claims=SIMULATED.claims, simulated=True)
    )

    assert found["ear_status"] == "contraindicated"
    assert found["ear_trustworthiness_vector"]["hardware"] == 97
    assert found["ear_attester_claims"] == {
        "tee": "sev-snp",
        "measurement": SIMULATED.claims.measurement.hex(),
        "report_data": SIMULATED.claims.report_data.hex(),
        "debug": False,
    }


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("debug mode", "runtime-opaque"),
        ("measurement", "executables"),
        ("platform TCB", "hardware"),
        ("configuration digest", "configuration"),
    ],
)
def test_what_failed_is_contraindicated(name: str, claim: str) -> None:
    refused = Transcript((*GENUINE.checks, check(name, Status.FAILED)))

    found = submodule(accepted(refused, error=AppraisalError(refused)))

    assert found["ear_status"] == "contraindicated"
    assert found["ear_trustworthiness_vector"][claim] == 96
    assert found["ear_trustworthiness_vector"]["instance-identity"] == 2


def test_a_required_line_left_out_is_contraindicated_too() -> None:
    missing = check("MRTD", Status.NOT_EVALUATED, required=True)
    refused = Transcript((*GENUINE.checks, missing))

    found = submodule(accepted(refused, error=UncheckedError(refused)))

    assert found["ear_trustworthiness_vector"]["executables"] == 96


@pytest.mark.parametrize(
    ("error", "value"), [(VerificationError("x"), 99), (EvidenceError("x"), 1)]
)
def test_what_was_not_authentic_says_nothing_else(
    error: VerificationError | EvidenceError, value: int
) -> None:
    found = submodule(accepted(error=error))

    assert found["ear_status"] == "contraindicated"
    assert found["ear_trustworthiness_vector"] == {"instance-identity": value}


@pytest.mark.parametrize(
    ("nonce", "there"),
    [
        (None, False),
        (bytes(7), False),
        (bytes(8), True),
        (NONCE, True),
        (bytes(64), True),
        (bytes(65), False),
    ],
)
def test_a_nonce_that_fits_is_echoed(nonce: bytes | None, *, there: bool) -> None:
    assert ("eat_nonce" in submodule(accepted(nonce=nonce))) is there


def test_a_nonce_is_in_base64url() -> None:
    echoed = submodule(accepted(nonce=NONCE))["eat_nonce"]

    assert base64.urlsafe_b64decode(echoed + "=") == NONCE
    assert "=" not in echoed


def test_the_last_letter_of_a_nonce_may_be_any() -> None:
    nonce = bytes(8) + b"\x17"

    assert submodule(accepted(nonce=nonce))["eat_nonce"] == "AAAAAAAAAAAX"


def test_all_lines_are_the_verifiers_own_claims() -> None:
    said = submodule(accepted())["ear_verifier_claims"]

    assert said == {"checks": [each.to_json() for each in GENUINE.checks]}


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_an_edwards_key_signs_as_eddsa() -> None:
    claims = claims_set(accepted(), now=NOW, build="blindai test")

    head, body, signature = sign(claims, EDWARDS).split(".")

    assert json.loads(decode(head)) == {"alg": "EdDSA", "typ": "JWT"}
    assert json.loads(decode(body)) == claims
    EDWARDS.public_key().verify(decode(signature), f"{head}.{body}".encode())


def test_a_key_on_p256_signs_as_es256() -> None:
    claims = claims_set(accepted(), now=NOW, build="blindai test")

    head, body, signature = sign(claims, P256).split(".")

    assert json.loads(decode(head)) == {"alg": "ES256", "typ": "JWT"}
    assert len(decode(signature)) == 64
    r, s = (
        int.from_bytes(half)
        for half in (decode(signature)[:32], decode(signature)[32:])
    )
    der = utils.encode_dss_signature(r, s)
    P256.public_key().verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))


def test_another_status_is_another_signature() -> None:
    claims = claims_set(accepted(), now=NOW, build="blindai test")
    head, _, signature = sign(claims, EDWARDS).split(".")
    forged = claims_set(replace(accepted(), policy="ab"), now=NOW, build="blindai test")
    body = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")

    with pytest.raises(InvalidSignature):
        EDWARDS.public_key().verify(decode(signature), f"{head}.{body}".encode())


def pem(key: Any, how: KeySerializationEncryption | None = None) -> bytes:  # noqa: ANN401  any key
    written: bytes = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, how or NoEncryption()
    )
    return written


@pytest.mark.parametrize("key", [EDWARDS, P256], ids=["Ed25519", "P-256"])
def test_a_key_is_read_from_pem(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    assert parse_key(pem(key)).public_key() == key.public_key()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff" * 64, id="no text"),
        pytest.param(pem(EDWARDS, BestAvailableEncryption(b"x")), id="encrypted"),
        pytest.param(pem(ec.generate_private_key(ec.SECP384R1())), id="P-384"),
        pytest.param(pem(rsa.generate_private_key(65537, 2048)), id="RSA"),
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="expected a"):
        parse_key(text)
