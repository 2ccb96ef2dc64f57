"""Genuine SGX and TDX quotes of Intel processors, from public projects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
from tests.vectors import FOLDER, needs_vectors

from blindai.errors import EvidenceError, VerificationError
from blindai.protocol.attestation import (
    INTEL_COLLATERAL_TYPE,
    SGX_QUOTE_TYPE,
    TDX_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.transcript import Check, Status
from blindai.verifier import (
    PlatformClaims,
    PlatformPolicy,
    Policy,
    SgxClaims,
    SgxPolicy,
    TdxClaims,
    TdxPolicy,
    VerifiedClaims,
    intel,
    roots,
)
from blindai.verifier.intel.collateral import parse_collateral
from blindai.verifier.intel.event_log import verify_event_log
from blindai.verifier.intel.quote import parse_quote
from blindai.verifier.intel.tcb_info import parse_tcb_info
from blindai.verifier.intel.td_report import TdReport
from blindai.verifier.procedure import Procedure

pytestmark = needs_vectors


@dataclass(frozen=True, kw_only=True)
class Vector:
    """A quote, its collateral, a date inside their validity, and what it says."""

    tee: str
    quote: str
    collateral: str
    now: datetime
    status: str = "UpToDate"
    advisory_ids: tuple[str, ...] = ()
    debug: bool = False
    asked: bool = True
    measurement: str

    @property
    def evidence(self) -> Evidence:
        content = (FOLDER / self.tee / self.collateral).read_bytes()
        return Evidence(
            media_type=SGX_QUOTE_TYPE if self.tee == "sgx" else TDX_QUOTE_TYPE,
            evidence=(FOLDER / self.tee / self.quote).read_bytes(),
            endorsements=(Endorsement(INTEL_COLLATERAL_TYPE, content),),
        )

    def verify(
        self, now: datetime | None = None, evidence: Evidence | None = None
    ) -> tuple[VerifiedClaims, Procedure]:
        procedure = Procedure()
        entry = intel.verify_sgx if self.tee == "sgx" else intel.verify_tdx
        verified = entry(
            evidence or self.evidence, procedure, now or self.now, roots.PINNED
        )
        return verified, procedure


SGX_BLINDAI = Vector(
    tee="sgx",
    quote="blindai_sgx_v3_quote.bin",
    collateral="blindai_sgx_v3_collateral.json",
    now=datetime(2022, 9, 1, tzinfo=UTC),
    asked=False,
    measurement="56964b3ed1e5533db08200a9fc8085e1baa60d5d9baa27b793792bc74b4c760f",
)
SGX_CLIENT = Vector(
    tee="sgx",
    quote="phala_sgx_v3_quote.bin",
    collateral="phala_sgx_v3_collateral.json",
    now=datetime(2025, 6, 24, tzinfo=UTC),
    status="ConfigurationAndSWHardeningNeeded",
    advisory_ids=("INTEL-SA-00289", "INTEL-SA-00615"),
    measurement="33d8736d",
)
SGX_DEBUG = Vector(
    tee="sgx",
    quote="automata_sgx_v3_debug_quote.bin",
    collateral="phala_sgx_v3_collateral.json",
    now=datetime(2025, 6, 24, tzinfo=UTC),
    status="ConfigurationAndSWHardeningNeeded",
    advisory_ids=("INTEL-SA-00289", "INTEL-SA-00615"),
    debug=True,
    asked=False,
    measurement="a39d532e",
)
TDX_10 = Vector(
    tee="tdx",
    quote="phala_tdx_v4_quote.bin",
    collateral="phala_tdx_v4_collateral.json",
    now=datetime(2025, 6, 24, tzinfo=UTC),
    measurement="91eb2b44",
)
TDX_15 = Vector(
    tee="tdx",
    quote="gotdx_tdx15_v5_quote.bin",
    collateral="tdx_90c06f000000_2026-02_collateral.json",
    now=datetime(2026, 2, 24, tzinfo=UTC),
    measurement="7348651a",
)
TDX_AZURE = Vector(
    tee="tdx",
    quote="trustee_azure_tdx_v4_quote.bin",
    collateral="automata_tdx_00806f050000_2025-10_collateral.json",
    now=datetime(2025, 10, 25, tzinfo=UTC),
    status="OutOfDate",
    advisory_ids=("INTEL-SA-00960", "INTEL-SA-00982", "INTEL-SA-00986"),
    asked=False,
    measurement="",
)
TDX_DEBUG = Vector(
    tee="tdx",
    quote="trustee_tdx_v4_debug_quote.bin",
    collateral="gotdx_spr_e4_v4_collateral.json",
    now=datetime(2023, 7, 1, tzinfo=UTC),
    debug=True,
    asked=False,
    measurement="705ee938",
)
TDX_BELOW = Vector(
    tee="tdx",
    quote="gotdx_spr_e4_v4_quote.bin",
    collateral="gotdx_spr_e4_v4_collateral.json",
    now=datetime(2023, 7, 1, tzinfo=UTC),
    measurement="",
)
VECTORS = {
    "SGX, BlindAI's own": SGX_BLINDAI,
    "SGX, client": SGX_CLIENT,
    "SGX, debug": SGX_DEBUG,
    "TDX 1.0": TDX_10,
    "TDX 1.5": TDX_15,
    "TDX, Azure": TDX_AZURE,
    "TDX, debug": TDX_DEBUG,
}
each = pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())


def platform_of(verified: VerifiedClaims) -> PlatformClaims:
    details = verified.claims.details
    assert isinstance(details, SgxClaims | TdxClaims)
    return details.platform


@each
def test_genuine_evidence_is_verified(vector: Vector) -> None:
    verified, procedure = vector.verify()

    assert verified.root == roots.INTEL_SGX
    assert verified.claims.tee == vector.tee
    assert verified.claims.debug is vector.debug
    assert verified.claims.measurement.hex().startswith(vector.measurement)
    assert platform_of(verified).tcb_status == vector.status
    assert platform_of(verified).advisory_ids == vector.advisory_ids
    assert not procedure.transcript.refusals


@each
def test_the_other_verifier_agrees_where_it_has_no_rule(vector: Vector) -> None:
    pytest.importorskip("dcap_qvl", reason="dcap-qvl is not for every platform")

    *_, line = vector.verify()[1].transcript.checks

    assert line.name == "second opinion: dcap-qvl"
    assert (line.status is Status.PASSED) is vector.asked


def first_and_last(vector: Vector) -> tuple[datetime, datetime]:
    """When all of a vector's endorsements count."""
    content = vector.evidence.endorsements[0].content
    collateral = parse_collateral(content)
    info = parse_tcb_info(collateral.tcb_info.text)
    identity = json.loads(collateral.qe_identity.text)
    first, last = (
        datetime.fromisoformat(identity[key]) for key in ("issueDate", "nextUpdate")
    )
    crl, pck = collateral.pck_crl, parse_quote(vector.evidence.evidence).certificates[0]
    return (
        max(first, info.issue_date, crl.this_update, pck.not_before),
        min(last, info.next_update, crl.next_update),
    )


@each
def test_it_is_refused_a_day_outside_its_validity(vector: Vector) -> None:
    first, last = first_and_last(vector)

    vector.verify(first)
    vector.verify(last - timedelta(seconds=1))
    for outside in (first - timedelta(days=1), last + timedelta(days=1)):
        with pytest.raises(VerificationError, match="validity: expected"):
            vector.verify(outside)


def test_a_platform_below_all_levels_is_refused() -> None:
    with pytest.raises(VerificationError, match=r"platform TCB level: .* below all"):
        TDX_BELOW.verify()


def test_its_quote_is_signed_all_the_same() -> None:
    with pytest.raises(VerificationError) as caught:
        TDX_BELOW.verify()

    assert caught.value.transcript is not None
    names = [check.name for check in caught.value.transcript.checks]
    assert "quote signature" in names


def test_the_enclave_of_2022_held_its_certificate() -> None:
    verified, _ = SGX_BLINDAI.verify()
    held = (FOLDER / "sgx" / "blindai_enclave_held_data.der").read_bytes()

    assert verified.claims.report_data == hashlib.sha256(held).digest() + bytes(32)


Cut = Callable[[bytes], tuple[int, int]]


def _signed(quote: bytes) -> tuple[int, int]:
    return 0, len(parse_quote(quote).signed)


def _key(quote: bytes) -> tuple[int, int]:
    start = len(parse_quote(quote).signed) + 4
    return start, start + 128


def _qe_report(quote: bytes) -> tuple[int, int]:
    parsed = parse_quote(quote)
    start = quote.index(parsed.qe_report.encoding)
    end = quote.index(parsed.qe_authentication_data, start)
    return start, end + len(parsed.qe_authentication_data)


@pytest.mark.parametrize(
    ("vector", "step"),
    [(SGX_CLIENT, 5), (TDX_10, 7), (TDX_15, 7)],
    ids=["SGX", "TDX 1.0", "TDX 1.5"],
)
@pytest.mark.parametrize("cut", [_signed, _key, _qe_report])
def test_no_bit_of_what_is_signed_can_change(
    vector: Vector, step: int, cut: Cut
) -> None:
    evidence = vector.evidence
    start, end = cut(evidence.evidence)

    for position in range(start, end, step):
        flipped = bytearray(evidence.evidence)
        flipped[position] ^= 1 << position % 8
        with pytest.raises((VerificationError, EvidenceError)):
            vector.verify(evidence=replace(evidence, evidence=bytes(flipped)))


@pytest.mark.parametrize("key", ["tcb_info", "qe_identity", "pck_crl", "root_ca_crl"])
def test_no_part_of_the_endorsements_can_change(key: str) -> None:
    members = json.loads(TDX_10.evidence.endorsements[0].content)
    text = members[key]

    for position in range(0, len(text), 101):
        other = "0" if text[position] != "0" else "1"
        changed = text[:position] + other + text[position + 1 :]
        content = json.dumps(members | {key: changed}).encode()
        endorsement = Endorsement(INTEL_COLLATERAL_TYPE, content)
        evidence = replace(TDX_10.evidence, endorsements=(endorsement,))
        with pytest.raises((VerificationError, EvidenceError)):
            TDX_10.verify(evidence=evidence)


def test_a_quote_of_another_platform_is_refused() -> None:
    other = replace(TDX_10.evidence, endorsements=TDX_15.evidence.endorsements)

    with pytest.raises(VerificationError, match="TCB info: FMSPC: expected"):
        TDX_10.verify(TDX_15.now, other)


def test_cos_measured_what_its_event_log_says() -> None:
    """No endorsements of its platform are public, so its registers alone are tried."""
    quote = parse_quote((FOLDER / "tdx" / "gotdx_cos113_v4_quote.bin").read_bytes())
    log = (FOLDER / "tdx" / "gotdx_cos113_ccel.bin").read_bytes()
    assert isinstance(quote.body, TdReport)
    procedure = Procedure()

    verify_event_log(procedure, log, quote.body)

    names = [check.name for check in procedure.transcript.checks]
    assert names == [f"event log: RTMR{number}" for number in range(4)]
    assert all(c.status is Status.PASSED for c in procedure.transcript.checks)


def refusals(vector: Vector, policy: Policy) -> list[str]:
    appraise = intel.appraise_sgx if vector.tee == "sgx" else intel.appraise_tdx
    checks: list[Check] = list(appraise(vector.verify()[0], policy))
    return [check.name for check in checks if not check.holds]


def sgx(vector: Vector, **changes: object) -> Policy:
    pin = vector.verify()[0].claims.measurement
    return Policy(sgx=SgxPolicy(mr_enclave=(pin,), **changes))  # type: ignore[arg-type]  # one of many


def tdx(vector: Vector, **changes: object) -> Policy:
    details = vector.verify()[0].claims.of(TdxClaims)
    return Policy(
        tdx=TdxPolicy(mr_td=(details.mr_td,), rtmr1=(details.rtmr[1],), **changes)  # type: ignore[arg-type]  # one of many
    )


def test_a_policy_that_pins_it_accepts_genuine_evidence() -> None:
    for vector in (TDX_10, TDX_15):
        assert refusals(vector, tdx(vector)) == []
    assert refusals(SGX_BLINDAI, sgx(SGX_BLINDAI)) == []


def test_debug_mode_is_refused() -> None:
    hardening = PlatformPolicy(tcb_statuses=(SGX_DEBUG.status,))

    assert refusals(SGX_DEBUG, sgx(SGX_DEBUG, platform=hardening)) == ["debug mode"]
    assert refusals(TDX_DEBUG, tdx(TDX_DEBUG)) == ["debug mode"]


def test_a_status_is_never_accepted_silently() -> None:
    strict = sgx(SGX_CLIENT)
    lax = sgx(SGX_CLIENT, platform=PlatformPolicy(tcb_statuses=(SGX_CLIENT.status,)))

    assert refusals(SGX_CLIENT, strict) == ["TCB status"]
    assert refusals(SGX_CLIENT, lax) == []


def test_azure_s_trust_domain_is_accepted_where_the_policy_says_so() -> None:
    old = PlatformPolicy(tcb_statuses=("OutOfDate",))
    policy = tdx(TDX_AZURE, platform=old, allow_sept_ve_enabled=True)

    assert refusals(TDX_AZURE, policy) == []
    assert refusals(TDX_AZURE, tdx(TDX_AZURE)) == [
        "TCB status",
        "exceptions by the host (SEPT_VE)",
    ]


@pytest.mark.parametrize("vector", [SGX_CLIENT, TDX_15], ids=["SGX", "TDX"])
def test_verification_takes_milliseconds(vector: Vector) -> None:
    evidence = vector.evidence
    vector.verify(evidence=evidence)  # loads dcap-qvl

    started = perf_counter()
    for _ in range(10):
        vector.verify(evidence=evidence)

    assert (perf_counter() - started) / 10 < 0.05
