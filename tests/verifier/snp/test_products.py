"""Milan, Genoa and Turin on made-up machines: each version, each kind of key.

No genuine report of Turin, nor any of version 4 or 5, is among the vectors.
"""

from __future__ import annotations

import pytest

import blindai.verifier
from blindai.errors import EvidenceError, VerificationError
from blindai.protocol import keyset
from blindai.protocol.attestation import Attestation, Evidence, encode_attestation
from blindai.protocol.keyset import Purpose, Statement
from blindai.testing import NOW, simulated_keyset
from blindai.testing.vendors.amd import VLEK, MadeUpAmd
from blindai.verifier import Policy, SnpClaims, SnpPolicy, Tcb, roots, snp
from blindai.verifier.procedure import Procedure
from blindai.verifier.result import VerifiedClaims
from blindai.verifier.snp.claims import SigningKey
from blindai.verifier.snp.products import GENOA, MILAN, TURIN, Product

PRODUCTS = ("Milan", "Genoa", "Turin")
AMD = {product: MadeUpAmd(product) for product in PRODUCTS}
CSP = "CN=a.cloud.example"

every_product = pytest.mark.parametrize("product", PRODUCTS)


def verify(product: str, evidence: Evidence) -> VerifiedClaims:
    return snp.verify(evidence, Procedure(), NOW, AMD[product].anchors)


@every_product
@pytest.mark.parametrize("version", [3, 4, 5])
def test_every_version_is_verified(product: str, version: int) -> None:
    evidence = AMD[product].evidence(b"d" * 64, version=version)

    verified = verify(product, evidence)

    claims = verified.claims.of(SnpClaims)
    assert verified.root.product == product
    assert verified.claims.report_data == b"d" * 64
    assert claims.version == version
    assert claims.signing_key is SigningKey.VCEK
    assert claims.csp_id == ""


@every_product
def test_version_2_is_verified_by_its_certificate_alone(product: str) -> None:
    evidence = AMD[product].evidence(version=2, cpuid=(0, 0, 0))

    assert verify(product, evidence).claims.of(SnpClaims).version == 2


@every_product
@pytest.mark.parametrize("mask_chip_key", [0, 2])
def test_a_provider_may_sign_whether_the_chips_key_is_masked_or_not(
    product: str, mask_chip_key: int
) -> None:
    amd = AMD[product]
    platform = amd.provider_platform(CSP, flags=VLEK | mask_chip_key)

    claims = verify(product, amd.evidence_of(platform)).claims.of(SnpClaims)

    assert claims.signing_key is SigningKey.VLEK
    assert claims.csp_id == CSP
    assert claims.chip_id == bytes(64)


@pytest.mark.parametrize(
    ("product", "tcb"),
    [
        (MILAN, Tcb(bootloader=1, tee=2, snp=7, microcode=8)),
        (GENOA, Tcb(bootloader=1, tee=2, snp=7, microcode=8)),
        (TURIN, Tcb(fmc=1, bootloader=2, tee=3, snp=4, microcode=8)),
    ],
)
def test_a_tcb_is_read_as_its_processor_line_has_it(product: Product, tcb: Tcb) -> None:
    assert product.tcb(bytes([1, 2, 3, 4, 5, 6, 7, 8])) == tcb


def test_what_a_report_says_is_what_is_claimed() -> None:
    evidence = AMD["Turin"].evidence(
        tcb=bytes([1, 2, 3, 4, 0, 0, 0, 5]),
        leaf_tcb=bytes([1, 2, 3, 4, 0, 0, 0, 5]),
        committed_tcb=bytes([11, 12, 13, 14, 0, 0, 0, 15]),
        current_tcb=bytes([21, 22, 23, 24, 0, 0, 0, 25]),
        launch_tcb=bytes([6, 7, 8, 9, 0, 0, 0, 10]),
        report_id=b"r" * 32,
        report_id_ma=b"m" * 32,
        host_data=b"h" * 32,
        family_id=b"f" * 16,
        image_id=b"i" * 16,
        id_key_digest=b"k" * 48,
        guest_svn=3,
        vmpl=2,
        platform_info=0x20,
        current_version=(1, 58, 2),
        committed_version=(1, 58, 1),
        launch_mitigations=3,
        current_mitigations=7,
    )

    verified = verify("Turin", evidence)

    claims = verified.claims.of(SnpClaims)
    assert claims.tcb == Tcb(fmc=1, bootloader=2, tee=3, snp=4, microcode=5)
    assert claims.committed_tcb == Tcb(
        fmc=11, bootloader=12, tee=13, snp=14, microcode=15
    )
    assert claims.current_tcb == Tcb(
        fmc=21, bootloader=22, tee=23, snp=24, microcode=25
    )
    assert claims.launch_tcb == Tcb(fmc=6, bootloader=7, tee=8, snp=9, microcode=10)
    assert claims.report_id == b"r" * 32
    assert claims.report_id_ma == b"m" * 32
    assert claims.host_data == b"h" * 32
    assert claims.family_id == b"f" * 16
    assert claims.image_id == b"i" * 16
    assert claims.id_key_digest == b"k" * 48
    assert claims.author_key_digest == bytes(48)
    assert claims.guest_svn == 3
    assert claims.vmpl == 2
    assert claims.platform.alias_check
    assert claims.current_version == (1, 58, 2)
    assert claims.committed_version == (1, 58, 1)
    assert claims.launch_mitigations == 3
    assert claims.current_mitigations == 7
    assert claims.chip_id[8:] == bytes(56)


@pytest.mark.parametrize(
    ("product", "model"),
    [
        ("Milan", (0x19, 0x00)),
        ("Milan", (0x19, 0x0F)),
        ("Genoa", (0x19, 0x10)),
        ("Genoa", (0x19, 0xAF)),
        ("Turin", (0x1A, 0x00)),
        ("Turin", (0x1A, 0x11)),
        ("Turin", (0x1A, 0x1F)),
    ],
)
def test_processors_of_a_line_are_of_it(product: str, model: tuple[int, int]) -> None:
    verify(product, AMD[product].evidence(cpuid=(*model, 1)))


@pytest.mark.parametrize(
    ("product", "model"),
    [
        ("Milan", (0x19, 0x10)),
        ("Milan", (0x18, 0x01)),
        ("Genoa", (0x19, 0x0F)),
        ("Turin", (0x1A, 0x20)),
        ("Turin", (0x1A, 0x50)),  # Venice
        ("Turin", (0x19, 0x11)),
    ],
)
def test_processors_of_another_line_are_refused(
    product: str, model: tuple[int, int]
) -> None:
    with pytest.raises(VerificationError, match=r"^product of the report: expected"):
        verify(product, AMD[product].evidence(cpuid=(*model, 1)))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param(
            {"leaf_tcb": bytes([0, 2, 0, 4, 0, 0, 0, 72])}, "reported TCB", id="FMC"
        ),
        pytest.param(
            {"chip_id": b"x" * 8 + bytes(56)}, "chip ID: expected the leaf", id="chip"
        ),
        pytest.param(
            {"chip_id": AMD["Turin"].platform().chip_id[:63] + b"x"},
            "chip ID: expected the leaf",
            id="more of a chip ID than Turin has",
        ),
        pytest.param({"chip_id": bytes(64)}, "chip ID: expected", id="hidden chip"),
        pytest.param({"flags": 2}, "chip key: .*got masked", id="masked"),
        pytest.param({"flags": VLEK}, "signing key: .*got VLEK", id="VLEK"),
        pytest.param({"flags": 7 << 2}, "signing key: .*got NONE", id="no key"),
        pytest.param(
            {"committed_tcb": bytes([0, 2, 0, 4, 0, 0, 0, 72])},
            "committed TCB: expected at least the reported: fmc 1",
            id="committed FMC",
        ),
        pytest.param(
            {"committed_tcb": bytes([1, 2, 0, 3, 9, 9, 9, 72])},
            "committed TCB: .*snp 3",
            id="committed SNP",
        ),
        pytest.param(
            {"current_tcb": bytes([1, 1, 0, 4, 0, 0, 0, 72])},
            "current TCB: .*bootloader 1",
            id="current bootloader",
        ),
    ],
)
def test_a_turin_that_contradicts_itself_is_refused(
    changes: dict[str, object], line: str
) -> None:
    with pytest.raises(VerificationError, match=f"^{line}"):
        verify("Turin", AMD["Turin"].evidence(**changes))


def test_a_provider_of_another_tcb_is_refused() -> None:
    amd = AMD["Milan"]
    platform = amd.provider_platform(CSP, leaf_tcb=bytes(8))

    with pytest.raises(VerificationError, match=r"^reported TCB"):
        verify("Milan", amd.evidence_of(platform))


@every_product
def test_a_report_that_nothing_signed_is_refused(product: str) -> None:
    evidence = AMD[product].evidence(flags=7 << 2)
    unsigned = Evidence(
        media_type=evidence.media_type,
        evidence=evidence.evidence[:0x2A0].ljust(0x4A0, b"\x00"),
        endorsements=evidence.endorsements,
    )

    with pytest.raises(VerificationError, match=r"^report signature: expected"):
        verify(product, unsigned)


def test_a_version_above_5_is_refused() -> None:
    with pytest.raises(EvidenceError, match="version: expected 2 to 5, got 6"):
        verify("Turin", AMD["Turin"].evidence(version=6))


@every_product
def test_made_up_roots_do_not_count_for_a_release_policy(product: str) -> None:
    with pytest.raises(VerificationError, match=r"^root certificate: expected ARK-"):
        snp.verify(AMD[product].evidence(), Procedure(), NOW, roots.PINNED)


@every_product
def test_a_policy_that_names_a_made_up_root_accepts_what_leads_to_it(
    product: str,
) -> None:
    amd, keys = AMD[product], simulated_keyset().encode()
    statement = Statement(Purpose.ATTESTATION, keyset.digest(keys), bytes(32))
    evidence = amd.evidence(keyset.bind(statement).report_data)
    collection = encode_attestation(
        Attestation(keyset=keys, statement=statement.encode(), evidence=evidence)
    )
    pinned = SnpPolicy(measurements=(amd.platform().measurement,))
    policy = Policy(sev_snp=pinned, insecure_roots=(amd.insecure_root,))

    result = blindai.verifier.verify(
        collection, nonce=bytes(32), policy=policy, now=NOW
    )

    assert result.simulated
    assert result.claims.of(SnpClaims).version == amd.platform().version


def test_one_line_does_not_stand_for_another() -> None:
    with pytest.raises(VerificationError, match=r"^root certificate"):
        verify("Genoa", AMD["Turin"].evidence())


def test_a_leaf_of_another_line_below_the_root_is_refused() -> None:
    evidence = AMD["Genoa"].evidence(leaf_product="Milan", cpuid=(0x19, 0x01, 0x01))

    with pytest.raises(VerificationError, match=r"^product of the leaf certificate"):
        verify("Genoa", evidence)


@pytest.mark.parametrize("position", range(0, 0x4A0, 13))
def test_no_byte_of_a_turin_report_can_change(position: int) -> None:
    evidence = AMD["Turin"].evidence()
    flipped = bytearray(evidence.evidence)
    flipped[position] ^= 1 << position % 8
    changed = Evidence(
        media_type=evidence.media_type,
        evidence=bytes(flipped),
        endorsements=evidence.endorsements,
    )

    with pytest.raises((VerificationError, EvidenceError)):
        verify("Turin", changed)
