"""Only the verifier makes what stands for trust."""

from __future__ import annotations

import ast
import copy
import pickle  # noqa: TID251  (shows that it is refused)
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

import blindai
from blindai.testing import NOW, SimulatedEvidence
from blindai.verifier import AttestationResult, Policy, VerifiedClaims, verify
from blindai.verifier.result import TOKEN
from blindai.verifier.roots import GENOA

PACKAGE = Path(blindai.__file__).parent
NONCE = bytes(32)
RESULT = verify(
    SimulatedEvidence().attestation(NONCE),
    nonce=NONCE,
    policy=Policy.for_simulation(),
    now=NOW,
)
VERIFIED = VerifiedClaims(claims=RESULT.claims, root=GENOA, token=TOKEN)
both = pytest.mark.parametrize("trusted", [RESULT, VERIFIED], ids=["result", "claims"])


def made(**token: object) -> AttestationResult:
    return AttestationResult(
        claims=RESULT.claims,
        keyset=RESULT.keyset,
        statement=RESULT.statement,
        transcript=RESULT.transcript,
        verified_at=RESULT.verified_at,
        policy=RESULT.policy,
        simulated=False,
        **token,
    )


def test_a_result_is_not_made_without_the_token() -> None:
    with pytest.raises(TypeError, match="token"):
        made()


def test_a_result_is_not_made_with_another_token() -> None:
    with pytest.raises(TypeError, match=r"only blindai\.verifier makes this"):
        made(token=object())


def test_verified_claims_are_not_made_with_another_token() -> None:
    with pytest.raises(TypeError, match=r"only blindai\.verifier makes this"):
        VerifiedClaims(claims=RESULT.claims, root=GENOA, token=None)


@both
def test_replace_makes_none(trusted: AttestationResult | VerifiedClaims) -> None:
    with pytest.raises((TypeError, ValueError), match="token"):
        replace(trusted, claims=RESULT.claims)  # type: ignore[call-arg]  # on purpose


@both
def test_a_copy_is_the_same_object(trusted: AttestationResult | VerifiedClaims) -> None:
    assert copy.copy(trusted) is trusted
    assert copy.deepcopy(trusted) is trusted


@both
def test_a_pickle_is_refused(trusted: AttestationResult | VerifiedClaims) -> None:
    with pytest.raises(TypeError, match="trust does not travel"):
        pickle.dumps(trusted)


@both
def test_nothing_can_be_set(trusted: AttestationResult | VerifiedClaims) -> None:
    with pytest.raises(FrozenInstanceError):
        trusted.claims = RESULT.claims  # type: ignore[misc]  # on purpose


def makers(path: Path) -> list[str]:
    """The calls in a module that would make trust, or take what makes it."""
    trusted = {"AttestationResult", "VerifiedClaims"}
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                found += [name] * (name in trusted)
            case ast.ImportFrom(module="blindai.verifier.result", names=names):
                found += [alias.name for alias in names if alias.name == "TOKEN"]
            case ast.Attribute(attr="TOKEN"):
                found.append("TOKEN")
            case _:
                pass
    return found


def test_only_the_verifier_makes_trust() -> None:
    outside = [
        path
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "verifier")
    ]

    assert outside
    assert [path for path in outside if makers(path)] == []


def test_the_search_finds_who_makes_trust() -> None:
    makes = {
        str(path.relative_to(PACKAGE))
        for path in (PACKAGE / "verifier").rglob("*.py")
        if makers(path)
    }

    assert makes == {
        "verifier/snp/verification.py",
        "verifier/intel/verification.py",
        "verifier/tpm/verification.py",
        "verifier/tpm/azure.py",
        "verifier/appraisal.py",
    }
