"""What a policy may pin, allow or refuse of a Nitro enclave, from end to end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from blindai.errors import (
    AppraisalError,
    ConfigurationError,
    VerificationError,
)
from blindai.testing import NOW
from blindai.testing.vendors.aws import LEAF_AGE, LEAF_LIFE, MODULE_ID, PCRS, Aws
from blindai.transcript import Check, Status
from blindai.verifier import (
    AttestationResult,
    InsecureRoot,
    NitroPolicy,
    Policy,
    nitro,
    roots,
    verify,
)
from blindai.verifier.claims import Claims
from blindai.verifier.nitro.claims import NitroClaims
from blindai.verifier.result import TOKEN, VerifiedClaims

Make = Callable[..., bytes]
NONCE = bytes(range(32))
ZERO = bytes(48)
OTHER = b"x" * 48
DEBUG = {"pcrs": dict(PCRS) | dict.fromkeys((0, 1, 2, 8), ZERO)}


@pytest.fixture(scope="session")
def accept(aws: Aws) -> Callable[..., AttestationResult]:
    """Verify a collection under a policy that pins PCR0, unless told otherwise."""

    def run(
        collection: bytes, now: datetime = NOW, **accepted: object
    ) -> AttestationResult:
        table = NitroPolicy(**({"pcr0": (PCRS[0],)} | accepted))  # type: ignore[arg-type]  # one of many
        root = InsecureRoot(vendor="AWS", sha256=aws.root_digest)
        policy = Policy(insecure_roots=(root,), nitro=table)
        return verify(collection, nonce=NONCE, policy=policy, now=now)

    return run


Accept = Callable[..., AttestationResult]


def test_an_enclave_is_accepted_by_a_policy_that_pins_it(
    accept: Accept, collection: Make
) -> None:
    result = accept(collection())

    assert result.simulated
    assert result.claims.of(NitroClaims).module_id == MODULE_ID
    assert result.claims.nonce == NONCE


def test_a_policy_that_pins_everything_accepts_what_it_pins(
    accept: Accept, collection: Make
) -> None:
    pins = {f"pcr{number}": (OTHER, PCRS[number]) for number in (0, 1, 2, 3, 4, 8)}

    result = accept(collection(), module_ids=("other", MODULE_ID), **pins)

    lines = [c for c in result.transcript.checks if c.name.startswith("PCR")]
    assert [line.status for line in lines] == [Status.PASSED] * 6


def test_what_is_not_pinned_says_so(accept: Accept, collection: Make) -> None:
    checks = accept(collection()).transcript.checks

    names = {c.name for c in checks if c.expected == "the policy pins no value"}
    assert {"PCR1", "PCR2", "PCR3", "PCR4", "PCR8", "module ID"} <= names


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 8])
def test_a_register_that_is_not_pinned_so_is_refused(
    accept: Accept, collection: Make, number: int
) -> None:
    with pytest.raises(AppraisalError, match=f"^PCR{number}: expected {OTHER.hex()}"):
        accept(collection(), **{f"pcr{number}": (OTHER,)})


def test_a_register_that_is_not_there_is_refused(
    accept: Accept, collection: Make
) -> None:
    with pytest.raises(AppraisalError, match=r"^PCR8: expected .*, got none"):
        accept(collection(pcrs={0: PCRS[0]}), pcr8=(PCRS[8],))


def test_another_module_is_refused(accept: Accept, collection: Make) -> None:
    with pytest.raises(AppraisalError, match=r"^module ID: expected other, got i-"):
        accept(collection(), module_ids=("other",))


def test_debug_mode_is_refused(accept: Accept, collection: Make) -> None:
    with pytest.raises(
        AppraisalError, match=r"^debug mode: expected off, got on: PCR0"
    ):
        accept(collection(**DEBUG))


def test_debug_mode_is_accepted_where_the_policy_says_so(
    accept: Accept, collection: Make
) -> None:
    result = accept(
        collection(**DEBUG), insecure_allow_debug=True, pcr8=(OTHER,), pcr4=(PCRS[4],)
    )

    assert result.claims.debug
    lines = {c.name: c for c in result.transcript.checks}
    assert lines["PCR0"].expected == "debug mode measures no image"
    assert lines["PCR8"].status is Status.NOT_EVALUATED
    assert lines["PCR4"].status is Status.PASSED


def test_a_production_enclave_keeps_its_pins_where_debug_mode_is_allowed(
    accept: Accept, collection: Make
) -> None:
    with pytest.raises(AppraisalError, match=r"^PCR0: expected"):
        accept(collection(), insecure_allow_debug=True, pcr0=(OTHER,))


def test_a_document_that_is_too_old_is_refused(
    accept: Accept, collection: Make
) -> None:
    hour = 3600
    document = collection()

    accept(document, NOW + timedelta(seconds=hour), max_document_age_s=hour)
    with pytest.raises(
        AppraisalError, match=r"^age of the document: expected at most 3600 s, got 3601"
    ):
        accept(document, NOW + timedelta(seconds=hour + 1), max_document_age_s=hour)


def test_by_default_a_document_lives_as_long_as_its_certificate(
    accept: Accept, collection: Make
) -> None:
    accept(collection(), NOW + LEAF_LIFE - LEAF_AGE)


def test_a_document_of_a_clock_that_is_ahead_is_accepted(
    accept: Accept, collection: Make
) -> None:
    made = int((NOW + timedelta(minutes=30)).timestamp() * 1000)

    result = accept(collection(timestamp=made), max_document_age_s=0)

    assert result.claims.of(NitroClaims).age == timedelta(minutes=-30)


# What binds it.


def test_a_document_that_binds_something_else_is_refused(
    accept: Accept, collection: Make
) -> None:
    for user_data in (None, b"", bytes(32), bytes(64)):
        with pytest.raises(VerificationError, match=r"^report data: expected SHA-256"):
            accept(collection(user_data=user_data))


def test_a_document_with_another_nonce_is_refused(
    accept: Accept, collection: Make
) -> None:
    with pytest.raises(
        VerificationError, match=r"^nonce of the evidence: expected the"
    ):
        accept(collection(nonce=bytes(32)))


def test_a_document_with_a_nonce_that_nobody_asked_for_is_refused(
    accept: Accept, collection: Make
) -> None:
    with pytest.raises(
        VerificationError, match=r"^nonce of the evidence: expected none"
    ):
        accept(collection(None, nonce=NONCE))


def test_a_document_with_an_empty_nonce_is_authentic_and_answers_none(
    accept: Accept, collection: Make
) -> None:
    with pytest.raises(AppraisalError, match=r"^nonce: expected the one"):
        accept(collection(None, nonce=b""))


def test_a_document_without_the_nonce_is_bound_by_its_user_data(
    accept: Accept, collection: Make
) -> None:
    assert accept(collection(nonce=None)).claims.nonce is None


# The policy.


def test_a_release_policy_refuses_the_made_up_root(collection: Make) -> None:
    policy = Policy(nitro=NitroPolicy(pcr0=(PCRS[0],)))

    with pytest.raises(VerificationError, match=r"^root certificate: .*got unknown"):
        verify(collection(), nonce=NONCE, policy=policy, now=NOW)


def test_genuine_hardware_whose_image_is_not_pinned_is_unchecked() -> None:
    claims = NitroClaims(
        module_id=MODULE_ID, timestamp=NOW, age=timedelta(0), pcrs=PCRS, public_key=None
    )
    verified = VerifiedClaims(
        claims=Claims(
            tee="nitro",
            measurement=PCRS[0],
            report_data=b"",
            debug=False,
            details=claims,
        ),
        root=roots.AWS_NITRO,
        token=TOKEN,
    )

    def refusing(policy: Policy) -> list[str]:
        lines: list[Check] = list(nitro.appraise(verified, policy))
        return [line.name for line in lines if not line.holds]

    assert refusing(Policy.for_simulation()) == ["PCR0"]
    assert not refusing(Policy(nitro=NitroPolicy(pcr8=(PCRS[8],))))


def test_a_made_up_enclave_needs_no_pins_in_a_simulation(
    aws: Aws, collection: Make
) -> None:
    root = InsecureRoot(vendor="AWS", sha256=aws.root_digest)
    policy = Policy(
        insecure_accept_simulation=True, insecure_roots=(root,), nitro=NitroPolicy()
    )

    verify(collection(), nonce=NONCE, policy=policy, now=NOW)


@pytest.mark.parametrize("key", ["pcr0", "pcr8"])
def test_zeros_pin_nothing_and_are_an_error(key: str) -> None:
    text = f'version = 1\n[nitro]\n{key} = ["{ZERO.hex()}"]'

    with pytest.raises(ConfigurationError, match=f"{key}: expected digests, got zeros"):
        Policy.parse(text)


def test_zeros_may_be_pinned_where_they_mean_something() -> None:
    text = f'version = 1\n[nitro]\npcr0 = ["{OTHER.hex()}"]\npcr3 = ["{ZERO.hex()}"]'

    assert Policy.parse(text).tees == ("nitro",)


@pytest.mark.parametrize("pins", ["", 'pcr1 = ["{}"]', 'module_ids = ["i-1"]'])
def test_a_table_without_an_identity_is_an_error(pins: str) -> None:
    text = "version = 1\n[nitro]\n" + pins.format(OTHER.hex())

    with pytest.raises(ConfigurationError, match="nitro: expected pcr0 or pcr8"):
        Policy.parse(text)


def test_a_policy_for_another_tee_refuses_it(aws: Aws, collection: Make) -> None:
    root = InsecureRoot(vendor="AWS", sha256=aws.root_digest)
    text = f'version = 1\n[sev-snp]\nmeasurements = ["{OTHER.hex()}"]'
    other = Policy.parse(text)
    policy = Policy(insecure_roots=(root,), sev_snp=other.sev_snp)

    with pytest.raises(
        AppraisalError, match=r"^kind of TEE: expected sev-snp, got nit"
    ):
        verify(collection(), nonce=NONCE, policy=policy, now=NOW)
