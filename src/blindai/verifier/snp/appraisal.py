"""Whether an SEV-SNP enclave is one that the policy accepts: one line a value.

AMD 56860 revision 1.58: 4.3 (guest policy) and 7.3 (attestation report).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blindai.verifier.procedure import NOT_PINNED, judge, pinned, unevaluated
from blindai.verifier.snp.claims import SigningKey, SnpClaims
from blindai.verifier.snp.policy import SnpPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blindai.transcript import Check
    from blindai.verifier.policy import Policy
    from blindai.verifier.result import VerifiedClaims
    from blindai.verifier.snp.claims import Tcb
    from blindai.verifier.snp.policy import MinimumTcb

GUEST_POLICY = "AMD 56860 4.3, Guest Policy"
REPORT = "AMD 56860 7.3, ATTESTATION_REPORT"
PLATFORM = "AMD 56860 7.3, PLATFORM_INFO"
TCB = "AMD 56860 2.2, TCB_VERSION"
MITIGATIONS = "AMD 56860 7.3, mitigation vectors"
VLEK = "AMD 58369, VLEK certificate"


def appraise(verified: VerifiedClaims, policy: Policy) -> Iterator[Check]:
    """All lines about the enclave and the machine below it."""
    accepted = policy.sev_snp or SnpPolicy()
    claims = verified.claims.of(SnpClaims)
    yield from _hardware(verified, accepted)
    yield from _guest_policy(claims, accepted)
    yield from _platform(claims, accepted)
    yield from _firmware(verified, accepted)
    yield from _mitigations(claims, accepted)
    yield from _versions(claims, accepted)
    yield from _reference_values(verified, accepted)


def _hardware(verified: VerifiedClaims, policy: SnpPolicy) -> Iterator[Check]:
    """Which processor, and whose key. A chip that is hidden is none of those pinned."""
    claims = verified.claims.of(SnpClaims)
    yield judge(
        "product",
        holds=verified.root.product in policy.products,
        expected=" or ".join(policy.products),
        actual=verified.root.product,
        source=REPORT,
    )
    yield judge(
        "kind of signing key",
        holds=claims.signing_key.name in policy.signing_keys,
        expected=" or ".join(policy.signing_keys),
        actual=claims.signing_key.name,
        source=REPORT,
    )
    chip = claims.signing_key is SigningKey.VCEK
    yield pinned(
        "cloud provider",
        tuple(map(ascii, policy.csp_ids)),
        "none: the key is a chip's" if chip else ascii(claims.csp_id),
        source=VLEK,
    )
    yield pinned(
        "chip",
        tuple(pin.ljust(len(claims.chip_id), b"\x00").hex() for pin in policy.chip_ids),
        claims.chip_id.hex(),
        source=REPORT,
    )


def _guest_policy(claims: SnpClaims, policy: SnpPolicy) -> Iterator[Check]:
    asked, required = claims.guest_policy, policy.guest_policy
    for name, on, may_be_on in (
        ("debug mode", asked.debug, policy.insecure_allow_debug),
        ("migration agent", asked.migrate_ma, policy.allow_migration),
        ("simultaneous multithreading", asked.smt, policy.allow_smt),
        ("CXL", asked.cxl_allow, policy.allow_cxl),
    ):
        yield _switch(name, on=on, may_be_on=may_be_on, source=GUEST_POLICY)
    for name, on, needed in (
        ("one socket", asked.single_socket, required.single_socket),
        ("AES-256-XTS", asked.mem_aes_256_xts, required.mem_aes_256_xts),
        ("no power metering", asked.rapl_dis, required.rapl_dis),
        (
            "hidden ciphertext",
            asked.ciphertext_hiding_dram,
            required.ciphertext_hiding_dram,
        ),
        ("no page swapping", asked.page_swap_disable, required.page_swap_disable),
    ):
        yield _requirement(
            f"guest policy: {name}", on=on, needed=needed, source=GUEST_POLICY
        )


def _platform(claims: SnpClaims, policy: SnpPolicy) -> Iterator[Check]:
    found, required = claims.platform, policy.platform
    yield _switch(
        "platform: simultaneous multithreading",
        on=found.smt,
        may_be_on=policy.allow_smt,
        source=PLATFORM,
    )
    for name, on, needed in (
        ("TSME", found.tsme, required.tsme),
        ("ECC", found.ecc, required.ecc),
        ("no power metering", found.rapl_dis, required.rapl_dis),
        (
            "hidden ciphertext",
            found.ciphertext_hiding_dram,
            required.ciphertext_hiding_dram,
        ),
        ("alias check", found.alias_check, required.alias_check),
        ("trusted devices (SEV-TIO)", found.tio, False),
    ):
        yield _requirement(f"platform: {name}", on=on, needed=needed, source=PLATFORM)
    yield unevaluated(
        "platform: other bits",
        reason="nothing is known of them here",
        actual=f"{found.others:016x}",
        source=PLATFORM,
    )


def _switch(name: str, *, on: bool, may_be_on: bool, source: str) -> Check:
    return judge(
        name,
        holds=may_be_on or not on,
        expected="on or off" if may_be_on else "off",
        actual="on" if on else "off",
        source=source,
    )


def _requirement(name: str, *, on: bool | None, needed: bool, source: str) -> Check:
    """What has to be on where the policy says so; None is not known to be on."""
    actual = {None: "not said in a report of this version", True: "on", False: "off"}
    if not needed:
        return unevaluated(
            name, reason="the policy does not ask", actual=actual[on], source=source
        )
    return judge(
        name, holds=on is True, expected="on", actual=actual[on], source=source
    )


def _firmware(verified: VerifiedClaims, policy: SnpPolicy) -> Iterator[Check]:
    claims, product = verified.claims.of(SnpClaims), verified.root.product
    yield _reaches("platform TCB", claims.tcb, policy.minimum_tcb, product)
    yield _reaches("launch TCB", claims.launch_tcb, policy.minimum_launch_tcb, product)


def _reaches(name: str, tcb: Tcb, floors: MinimumTcb | None, product: str) -> Check:
    """Against the floor of the processor line; a line without one is not accepted."""
    if floors is None:
        return unevaluated(name, reason=NOT_PINNED, actual=str(tcb), source=TCB)
    floor = floors.of(product)
    return judge(
        name,
        holds=floor is not None and tcb.reaches(floor),
        expected=f"at least {floor}" if floor else f"no {product}, without a floor",
        actual=str(tcb),
        source=TCB,
    )


def _mitigations(claims: SnpClaims, policy: SnpPolicy) -> Iterator[Check]:
    for name, found, needed in (
        ("launch", claims.launch_mitigations, policy.launch_mitigations),
        ("current", claims.current_mitigations, policy.current_mitigations),
    ):
        actual = "not said in a report of this version"
        if found is not None:
            actual = f"{found:016x}"
        if needed:
            yield judge(
                f"{name} mitigations",
                holds=found is not None and found & needed == needed,
                expected=f"all bits of {needed:016x}",
                actual=actual,
                source=MITIGATIONS,
            )
        else:
            yield unevaluated(
                f"{name} mitigations",
                reason=NOT_PINNED,
                actual=actual,
                source=MITIGATIONS,
            )


def _versions(claims: SnpClaims, policy: SnpPolicy) -> Iterator[Check]:
    yield judge(
        "VMPL",
        holds=claims.vmpl in policy.vmpl,
        expected=" or ".join(map(str, policy.vmpl)),
        actual=str(claims.vmpl),
        source=REPORT,
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
        ("family ID", policy.family_ids, claims.family_id),
        ("image ID", policy.image_ids, claims.image_id),
    ):
        yield pinned(
            name,
            tuple(pin.hex() for pin in pins),
            actual.hex(),
            source=REPORT,
            required=required and name == "measurement",
        )
