"""Whether a Nitro enclave is one that the policy accepts: one line a value.

AWS Nitro Enclaves User Guide, "Cryptographic attestation" (what the registers hold, and
debug mode); NSM API, "Nitro Enclaves Attestation Process" (the document).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from blindai.verifier.nitro.claims import NitroClaims
from blindai.verifier.nitro.policy import NitroPolicy
from blindai.verifier.procedure import judge, pinned, unevaluated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.transcript import Check
    from blindai.verifier.policy import Policy
    from blindai.verifier.result import VerifiedClaims

DOCUMENT: Final = "AWS Nitro Enclaves Attestation Process 2.2, document"
REGISTERS: Final = "AWS Nitro Enclaves User Guide, Cryptographic attestation"
_NOT_MEASURED: Final = frozenset({0, 1, 2, 8})  # in debug mode


def appraise(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
    """All lines about the enclave."""
    accepted = policy.nitro or NitroPolicy()
    yield _debug(verified, accepted)
    yield _age(verified.claims.of(NitroClaims), accepted)
    yield from _registers(verified, accepted)
    yield pinned(
        "module ID",
        accepted.module_ids,
        verified.claims.of(NitroClaims).module_id,
        source=DOCUMENT,
    )


def _debug(verified: VerifiedClaims, policy: NitroPolicy) -> Check:
    on = verified.claims.debug
    return judge(
        "debug mode",
        holds=policy.insecure_allow_debug or not on,
        expected="on or off" if policy.insecure_allow_debug else "off",
        actual="on: PCR0 is zero" if on else "off",
        source=REGISTERS,
    )


def _age(claims: NitroClaims, policy: NitroPolicy) -> Check:
    """How long ago the document was made.

    A document from the future says that this machine's clock is behind. By how much it
    may be is bounded by its certificate, which is made before it and whose validity was
    verified.
    """
    return judge(
        "age of the document",
        holds=claims.age <= timedelta(seconds=policy.max_document_age_s),
        expected=f"at most {policy.max_document_age_s} s",
        actual=f"{int(claims.age.total_seconds())} s",
        source=DOCUMENT,
    )


def _registers(verified: VerifiedClaims, policy: NitroPolicy) -> Iterator[Check]:
    """What is measured, and by whom the image was signed.

    The hypervisor runs any image, so where none of them says which, PCR0 is required
    and not evaluated: that refuses.
    """
    claims = verified.claims.of(NitroClaims)
    required = not (policy.pins_identity or verified.root.simulated)
    debug = verified.claims.debug and policy.insecure_allow_debug
    for number, pins in (
        (0, policy.pcr0),
        (1, policy.pcr1),
        (2, policy.pcr2),
        (3, policy.pcr3),
        (4, policy.pcr4),
        (8, policy.pcr8),
    ):
        actual = claims.pcrs[number].hex() if number in claims.pcrs else "none"
        if debug and number in _NOT_MEASURED:
            yield unevaluated(
                f"PCR{number}",
                reason="debug mode measures no image",
                actual=actual,
                source=REGISTERS,
            )
            continue
        yield pinned(
            f"PCR{number}",
            tuple(pin.hex() for pin in pins),
            actual,
            source=REGISTERS,
            required=required and number == 0,
        )
