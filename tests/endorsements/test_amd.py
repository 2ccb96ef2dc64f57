"""What belongs to an SEV-SNP report."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endorsements.conftest import (
    CHIP_ID,
    LEVELS,
    NOW,
    SOON,
    amd_chain,
    certificate,
    pem,
    report,
    revoked,
    vcek,
)
from tests.vectors import FOLDER, needs_vectors

from blindai.endorsements.amd import SnpPlan, plan_report
from blindai.endorsements.documents import Answer, Request, read_answer
from blindai.errors import EvidenceError
from blindai.protocol.attestation import CRL_TYPE, PEM_CHAIN_TYPE, Endorsement
from blindai.protocol.endorsements import encode_pem

KDS = "https://kds.test"
HWID = CHIP_ID.hex()


def only(data: bytes, *own: Endorsement) -> SnpPlan:
    (found,) = plan_report(data, own, KDS)
    return found


def urls(found: SnpPlan) -> list[str]:
    return [request.url for request in found.requests]


def chain(*certificates: bytes) -> Endorsement:
    return Endorsement(PEM_CHAIN_TYPE, pem(*certificates))


@pytest.mark.parametrize(
    ("cpuid", "product"),
    [
        ((0x19, 0x01), "Milan"),
        ((0x19, 0x11), "Genoa"),
        ((0x19, 0xA0), "Genoa"),
        ((0x19, 0xAF), "Genoa"),
    ],
)
def test_a_vcek_is_asked_for_by_product_chip_and_levels(
    cpuid: tuple[int, int], product: str
) -> None:
    assert urls(only(report(cpuid=cpuid))) == [
        f"{KDS}/vcek/v1/{product}/{HWID}?blSPL=10&teeSPL=01&snpSPL=23&ucodeSPL=131",
        f"{KDS}/vcek/v1/{product}/cert_chain",
        f"{KDS}/vcek/v1/{product}/crl",
    ]


def test_turin_has_a_shorter_chip_id_and_another_order_of_levels() -> None:
    found = only(report(cpuid=(0x1A, 0x02), tcb=bytes([1, 2, 3, 4, 5, 6, 7, 208])))

    assert urls(found)[0] == (
        f"{KDS}/vcek/v1/Turin/{HWID[:16]}"
        "?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=208"
    )


def test_version_2_names_no_product_so_both_are_tried() -> None:
    found = plan_report(report(version=2, cpuid=(0, 0)), (), KDS)

    assert [urls(each)[1] for each in found] == [
        f"{KDS}/vcek/v1/Milan/cert_chain",
        f"{KDS}/vcek/v1/Genoa/cert_chain",
    ]


def test_unless_a_certificate_that_came_along_names_it() -> None:
    found = only(report(version=2, cpuid=(0, 0)), chain(certificate("SEV-Genoa")))

    assert "/Genoa/" in urls(found)[0]


def test_what_the_evidence_brings_is_not_asked_for() -> None:
    own = chain(vcek(), certificate("SEV-Genoa"), certificate("ARK-Genoa"))

    assert urls(only(report(), own)) == [f"{KDS}/vcek/v1/Genoa/crl"]


def test_a_leaf_alone_leaves_the_chain_to_be_asked_for() -> None:
    found = only(report(), chain(vcek(), certificate("SEV-Genoa")))

    assert [url.rpartition("/")[2] for url in urls(found)] == ["cert_chain", "crl"]


def test_another_chips_leaf_is_none() -> None:
    found = only(report(), chain(vcek(chip_id=bytes(64))))

    assert found.leaf is not None


@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_a_leaf_for_other_firmware_is_none(number: int) -> None:
    levels = tuple((each, level + (each == number)) for each, level in LEVELS)

    found = only(report(), chain(vcek(levels=levels)))

    assert found.leaf is not None


def test_turins_leaf_is_known_by_its_own_levels() -> None:
    data = report(cpuid=(0x1A, 0x02), tcb=bytes([1, 2, 3, 4, 5, 6, 7, 208]))
    levels = ((1, 2), (2, 3), (3, 4), (8, 208))

    fits, another = (
        only(data, chain(vcek(chip_id=CHIP_ID[:8], levels=(*levels, (9, fmc)))))
        for fmc in (1, 2)
    )

    assert fits.leaf is None
    assert another.leaf is not None


def test_what_is_no_certificate_is_no_leaf() -> None:
    found = only(report(), Endorsement(CRL_TYPE, pem(vcek())))

    assert found.leaf is not None


def test_a_vlek_comes_from_the_host_only() -> None:
    below = f"{KDS}/vlek/v1/Genoa"

    assert urls(only(report(signing_key=1, chip_id=bytes(64)))) == [
        f"{below}/cert_chain",
        f"{below}/crl",
    ]


@pytest.mark.parametrize(
    ("issuers", "asked"), [((), 2), (("ASVK",), 2), (("ASVK", "ARK"), 1)]
)
def test_of_a_vleks_chain_the_rest_is_asked_for(
    issuers: tuple[str, ...], asked: int
) -> None:
    own = chain(certificate("SEV-VLEK"), *map(certificate, issuers))

    assert len(urls(only(report(signing_key=1), own))) == asked


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(report()[:-1], "expected 1184 bytes, got 1183", id="short"),
        pytest.param(report(signing_key=7), "VCEK or VLEK signed", id="unsigned"),
        pytest.param(report(chip_id=bytes(64)), "MASK_CHIP_ID", id="no chip id"),
        pytest.param(
            report(cpuid=(0x17, 1)), "CPUID: .* family 0x17, model 0x1", id="family"
        ),
        pytest.param(report(cpuid=(0x19, 0x20)), "family 0x19, model 0x20", id="model"),
    ],
)
def test_refuses(data: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        plan_report(data, (), KDS)


@given(st.binary(min_size=0x4A0, max_size=0x4A0))
def test_any_report_gives_plans_or_the_one_error(data: bytes) -> None:
    try:
        plans = plan_report(data, (), KDS)
    except EvidenceError:
        return
    assert all(url.startswith(KDS) for each in plans for url in urls(each))


# ------------------------------------------------------------------------- assembling

PLAN = only(report())
LEAF, ISSUERS, REVOKED = PLAN.requests
CRL = revoked("ARK-Genoa")
ANSWERS = {
    LEAF: Answer(content=vcek(), expires_at=SOON),
    ISSUERS: Answer(content=amd_chain(), expires_at=SOON),
    REVOKED: Answer(content=CRL, expires_at=SOON),
}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([LEAF], [chain(vcek())], id="the leaf"),
        pytest.param(
            [ISSUERS], [Endorsement(PEM_CHAIN_TYPE, amd_chain())], id="the chain"
        ),
        pytest.param([REVOKED], [Endorsement(CRL_TYPE, CRL)], id="the CRL"),
        pytest.param(
            [LEAF, ISSUERS, REVOKED],
            [
                Endorsement(PEM_CHAIN_TYPE, pem(vcek()) + amd_chain()),
                Endorsement(CRL_TYPE, CRL),
            ],
            id="all of it",
        ),
    ],
)
def test_what_is_there_is_put_together(
    there: list[Request], expected: list[Endorsement]
) -> None:
    answers = {request: ANSWERS[request] for request in there}

    assert PLAN.assemble(answers, NOW) == tuple(expected)


def test_a_list_that_has_expired_is_left_out() -> None:
    assert [each.media_type for each in PLAN.assemble(ANSWERS, SOON)] == [
        PEM_CHAIN_TYPE
    ]


def test_a_plan_without_leaf_and_chain_has_the_list_only() -> None:
    own = chain(vcek(), certificate("SEV-Genoa"), certificate("ARK-Genoa"))

    found = only(report(), own).assemble(ANSWERS, NOW)

    assert found == (own, Endorsement(CRL_TYPE, CRL))


STALE = vcek(levels=((1, 1), (2, 1), (3, 1), (8, 1)))
ASK, ARK = certificate("SEV-Genoa"), certificate("ARK-Genoa")


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        pytest.param([chain(STALE, ASK, ARK)], [chain(ASK, ARK)], id="in a chain"),
        pytest.param([chain(STALE), chain(ASK, ARK)], [chain(ASK, ARK)], id="alone"),
    ],
)
def test_a_leaf_for_other_firmware_goes_once_the_right_one_is_there(
    own: list[Endorsement], kept: list[Endorsement]
) -> None:
    found = only(report(), *own)
    leaf = Answer(content=vcek(), expires_at=SOON)
    assert found.leaf is not None

    assert found.assemble({}, NOW) == tuple(own)
    assert found.assemble({found.leaf: leaf}, NOW) == (*kept, chain(vcek()))


OWN_LIST = Endorsement(CRL_TYPE, revoked("ARK-Genoa", next_update=SOON + timedelta(9)))


def test_a_list_that_was_fetched_takes_the_place_of_the_hosts() -> None:
    found = only(report(), chain(vcek(), ASK, ARK), OWN_LIST)

    assert found.assemble({}, NOW)[1:] == (OWN_LIST,)
    assert found.assemble(ANSWERS, NOW)[1:] == (Endorsement(CRL_TYPE, CRL),)
    assert found.assemble(ANSWERS, SOON)[1:] == (OWN_LIST,)


@pytest.mark.parametrize("content", [revoked("ARK-Genoa", next_update=NOW), b"no list"])
def test_a_list_of_the_hosts_that_has_expired_is_left_out(content: bytes) -> None:
    found = only(report(), chain(vcek(), ASK, ARK), Endorsement(CRL_TYPE, content))

    assert found.assemble({}, NOW)[1:] == ()


@needs_vectors
@pytest.mark.parametrize(
    ("file", "products", "levels"),
    [
        ("trustee_milan", ["Milan", "Genoa"], "blSPL=03&teeSPL=00&snpSPL=08"),
        ("trustee_genoa", ["Genoa"], "blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84"),
    ],
)
def test_a_genuine_leaf_is_what_its_report_asks_for(
    file: str, products: list[str], levels: str
) -> None:
    data = (FOLDER / "snp" / f"{file}_report.bin").read_bytes()
    leaf = (FOLDER / "snp" / f"{file}_vcek.der").read_bytes()

    found = plan_report(data, (), KDS)
    with_it = plan_report(data, (Endorsement(PEM_CHAIN_TYPE, encode_pem(leaf)),), KDS)

    assert [urls(each)[1].split("/")[5] for each in found] == products
    assert levels in urls(found[0])[0]
    assert found[0].leaf is not None
    assert found[0].leaf.mentions in leaf
    assert [each.leaf for each in with_it] == [None]


@needs_vectors
@pytest.mark.parametrize("product", ["milan", "genoa", "turin"])
def test_a_genuine_chain_names_its_root_as_is_asked(product: str) -> None:
    ask, ark = (
        (FOLDER / "snp" / f"{name}_{product}.pem").read_bytes()
        for name in ("ask", "ark")
    )
    cpuids = {"milan": (0x19, 1), "genoa": (0x19, 0x11), "turin": (0x1A, 2)}
    issuers = only(report(cpuid=cpuids[product])).issuers
    assert issuers is not None
    assert read_answer(issuers, ask + ark, {}).content == ask + ark
