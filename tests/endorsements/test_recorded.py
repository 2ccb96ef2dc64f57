"""Genuine evidence, endorsed by a local server that has what vendors gave for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from tests.endorsements.conftest import Clock, Make, Reply, Vendor, amd_chain
from tests.vectors import FOLDER, needs_vectors

from blindai.endorsements.sources import Addresses, plan
from blindai.errors import EvidenceError, VerificationError
from blindai.protocol.attestation import (
    PEM_CHAIN_TYPE,
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    TDX_QUOTE_TYPE,
    Endorsement,
    Evidence,
)
from blindai.protocol.endorsements import encode_pem
from blindai.verifier import roots, snp
from blindai.verifier.procedure import Procedure

if TYPE_CHECKING:
    from blindai.endorsements.documents import Request

pytestmark = [pytest.mark.anyio, needs_vectors]

MIDDAY = datetime(2025, 6, 1, 12, tzinfo=UTC)  # when the certificates below are valid


def read(name: str) -> bytes:
    return (FOLDER / "snp" / name).read_bytes()


@dataclass(frozen=True)
class Vector:
    """A report and what AMD has for it.

    Attributes:
        product: As AMD's service calls it.
        report: Its file.
        leaf: The file of its leaf; the host brings it where it is a VLEK.
        issuer: The file of its issuer.
    """

    product: str
    report: str
    leaf: str
    issuer: str

    @property
    def vlek(self) -> bool:
        return "vlek" in self.leaf

    def evidence(self) -> Evidence:
        own = Endorsement(PEM_CHAIN_TYPE, encode_pem(read(self.leaf)))
        return Evidence(
            media_type=SEV_SNP_REPORT_TYPE,
            evidence=read(self.report),
            endorsements=(own,) if self.vlek else (),
        )

    def serve(self, vendor: Vendor) -> None:
        """Have what AMD has, but for its list."""
        chain = read(self.issuer) + read(f"ark_{self.product.lower()}.pem")
        addresses = Addresses(amd=vendor.url, intel=vendor.url)
        for each in plan(self.evidence(), addresses):
            if f"/{self.product}/" in each.requests[0].url:
                for request in each.requests[:-1]:
                    issuers = request.url.endswith("cert_chain")
                    vendor.replies[path(request)] = Reply(
                        chain if issuers else read(self.leaf)
                    )


def path(request: Request) -> str:
    parts = urlsplit(request.url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


MILAN = Vector(
    "Milan", "trustee_milan_report.bin", "trustee_milan_vcek.der", "ask_milan.pem"
)
GENOA = Vector(
    "Genoa", "trustee_genoa_report.bin", "trustee_genoa_vcek.der", "ask_genoa.pem"
)
VLEK = Vector(
    "Milan", "trustee_milan_vlek_report.bin", "trustee_milan_vlek.der", "asvk_milan.pem"
)


@pytest.fixture
def midday(clock: Clock) -> Clock:
    clock.now = MIDDAY
    return clock


@pytest.mark.usefixtures("midday")
@pytest.mark.parametrize("vector", [MILAN, GENOA, VLEK], ids=lambda each: each.report)
async def test_a_genuine_report_verifies_with_what_was_fetched(
    make: Make, vendor: Vendor, vector: Vector
) -> None:
    vector.serve(vendor)
    refresher = make()

    await refresher.start(vector.evidence(), required=False)

    endorsed = refresher.endorse(vector.evidence())
    verified = snp.verify(endorsed, Procedure(), MIDDAY, roots.PINNED)
    assert verified.root.product == vector.product
    assert refresher.missing() == (f"AMD {vector.product} CRL",)


@pytest.mark.usefixtures("midday")
@pytest.mark.parametrize(
    ("ending", "wrong", "missing"),
    [
        pytest.param("cert_chain", "ask_milan.pem", "chain", id="another line's chain"),
        pytest.param("", "gosev_milan_vcek.der", "VCEK", id="another chip's leaf"),
        pytest.param("", "ask_genoa.pem", "VCEK", id="a chain for a leaf"),
    ],
)
async def test_what_is_about_something_else_is_not_stapled(
    make: Make, vendor: Vendor, ending: str, wrong: str, missing: str
) -> None:
    GENOA.serve(vendor)
    replaced = {name: Reply(read(wrong)) for name in vendor.replies}
    vendor.replies |= {
        name: reply
        for name, reply in replaced.items()
        if name.endswith("cert_chain") is bool(ending)
    }
    refresher = make()

    await refresher.start(GENOA.evidence(), required=False)

    assert f"AMD Genoa {missing}" in refresher.missing()
    with pytest.raises((EvidenceError, VerificationError)):
        snp.verify(
            refresher.endorse(GENOA.evidence()), Procedure(), MIDDAY, roots.PINNED
        )


@pytest.mark.usefixtures("midday")
async def test_a_vendor_that_lies_well_costs_a_refusal_and_no_more(
    make: Make, vendor: Vendor
) -> None:
    GENOA.serve(vendor)
    vendor.replies["/vcek/v1/Genoa/cert_chain"] = Reply(amd_chain("Genoa"))
    refresher = make()

    await refresher.start(GENOA.evidence(), required=False)

    endorsed = refresher.endorse(GENOA.evidence())
    with pytest.raises(VerificationError):
        snp.verify(endorsed, Procedure(), MIDDAY, roots.PINNED)


@pytest.mark.parametrize(
    ("tee", "quote_file", "collateral"),
    [
        ("sgx", "phala_sgx_v3_quote", "phala_sgx_v3_collateral"),
        ("tdx", "phala_tdx_v4_quote", "phala_tdx_v4_collateral"),
        ("tdx", "gotdx_tdx15_v5_quote", "tdx_90c06f000000_2026-02_collateral"),
    ],
)
async def test_recorded_collateral_is_stapled_to_the_byte(
    make: Make, vendor: Vendor, clock: Clock, tee: str, quote_file: str, collateral: str
) -> None:
    recorded = json.loads((FOLDER / tee / f"{collateral}.json").read_text())
    issued = json.loads(recorded["tcb_info"])["issueDate"]
    clock.now = datetime.fromisoformat(issued) + timedelta(days=1)
    evidence = Evidence(
        media_type={"sgx": SGX_QUOTE_TYPE, "tdx": TDX_QUOTE_TYPE}[tee],
        evidence=(FOLDER / tee / f"{quote_file}.bin").read_bytes(),
    )
    serve_collateral(vendor, evidence, recorded)
    refresher = make()

    await refresher.start(evidence, required=True)

    (stapled,) = refresher.endorse(evidence).endorsements
    assert json.loads(stapled.content) == recorded


def serve_collateral(
    vendor: Vendor, evidence: Evidence, recorded: dict[str, str]
) -> None:
    """Have, as a PCCS, what was recorded."""
    (found,) = plan(evidence, Addresses(amd=vendor.url, intel=vendor.url))
    tcb_info, identity = (
        f'{{"{label}":{recorded[name]},"signature":"{recorded[f"{name}_signature"]}"}}'
        for label, name in (("tcbInfo", "tcb_info"), ("enclaveIdentity", "qe_identity"))
    )
    bodies = (
        (tcb_info.encode(), "tcb_info_issuer_chain"),
        (identity.encode(), "qe_identity_issuer_chain"),
        (bytes.fromhex(recorded["pck_crl"]), "pck_crl_issuer_chain"),
        (recorded["root_ca_crl"].encode(), "root_ca_crl"),
    )
    for request, (body, issuers) in zip(found.requests, bodies, strict=True):
        fields = dict.fromkeys(request.issuer_headers, quote(recorded[issuers]))
        vendor.replies[path(request)] = Reply(body, fields=fields)
