"""Whether an SEV-SNP enclave is one that the policy accepts: one line a value.

AMD 56860 revision 1.57: 4.3 (guest policy) and 7.3 (attestation report).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.verifier.procedure import NOT_PINNED, judge, pinned, unevaluated
from blindai.verifier.snp.claims import SnpClaims
from blindai.verifier.snp.policy import SnpPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.transcript import Check
    from blindai.verifier.policy import Policy
    from blindai.verifier.result import VerifiedClaims

GUEST_POLICY = "AMD 56860 4.3, Guest Policy"
REPORT = "AMD 56860 7.3, ATTESTATION_REPORT"
TCB = "AMD 56860 2.2, TCB_VERSION"


def appraise(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
    """All lines about the enclave and the machine below it."""
    accepted = policy.sev_snp or SnpPolicy()
    claims = verified.claims.of(SnpClaims)
    yield _product(verified, accepted)
    yield from _guest_policy(claims, accepted)
    yield from _versions(claims, accepted)
    yield from _reference_values(verified, accepted)


def _product(verified: VerifiedClaims, policy: SnpPolicy) -> Check:
    return judge(
        "product",
        holds=verified.root.product in policy.products,
        expected=" or ".join(policy.products),
        actual=verified.root.product,
        source=REPORT,
    )


def _guest_policy(claims: SnpClaims, policy: SnpPolicy) -> Iterator[Check]:
    yield _switch(
        "debug mode",
        on=claims.guest_policy.debug,
        may_be_on=policy.insecure_allow_debug,
    )
    yield _switch(
        "migration agent",
        on=claims.guest_policy.migrate_ma,
        may_be_on=policy.allow_migration,
    )
    yield _switch(
        "simultaneous multithreading",
        on=claims.guest_policy.smt,
        may_be_on=policy.allow_smt,
    )


def _switch(name: str, *, on: bool, may_be_on: bool) -> Check:
    return judge(
        name,
        holds=may_be_on or not on,
        expected="on or off" if may_be_on else "off",
        actual="on" if on else "off",
        source=GUEST_POLICY,
    )


def _versions(claims: SnpClaims, policy: SnpPolicy) -> Iterator[Check]:
    yield judge(
        "VMPL",
        holds=claims.vmpl in policy.vmpl,
        expected=" or ".join(map(str, policy.vmpl)),
        actual=str(claims.vmpl),
        source=REPORT,
    )
    if policy.minimum_tcb is None:
        yield unevaluated(
            "platform TCB", reason=NOT_PINNED, actual=str(claims.tcb), source=TCB
        )
    else:
        yield judge(
            "platform TCB",
            holds=claims.tcb.reaches(policy.minimum_tcb),
            expected=f"at least {policy.minimum_tcb}",
            actual=str(claims.tcb),
            source=TCB,
        )
    yield judge(
        "guest SVN",
        holds=claims.guest_svn >= policy.minimum_guest_svn,
        expected=f"at least {policy.minimum_guest_svn}",
        actual=str(claims.guest_svn),
        source=REPORT,
    )


def _reference_values(verified: VerifiedClaims, policy: SnpPolicy) -> Iterator[Check]:
    """The values that say which image runs, or whose.

    Genuine hardware runs any program, so where none of them is pinned, the measurement
    is required and not evaluated: that refuses.
    """
    claims = verified.claims.of(SnpClaims)
    required = not (policy.pins_identity or verified.root.simulated)
    for name, pins, actual in (
        ("measurement", policy.measurements, verified.claims.measurement),
        ("host data", policy.host_data, claims.host_data),
        ("ID key digest", policy.id_key_digests, claims.id_key_digest),
        ("author key digest", policy.author_key_digests, claims.author_key_digest),
    ):
        yield pinned(
            name,
            tuple(pin.hex() for pin in pins),
            actual.hex(),
            source=REPORT,
            required=required and name == "measurement",
        )
