"""Genuine evidence as it lies in its folder, and how it has to end."""

from __future__ import annotations

from dataclasses import dataclass

from tests.vectors import FOLDER


@dataclass(frozen=True)
class Genuine:
    """Evidence of a real machine, as it lies in its folder.

    Attributes:
        tee: What it is evidence of.
        file: Its name, below the folder of all.
        endorsements: What goes with it, likewise.
        at: A date inside all validity.
        code: What the command ends with then.
        options: What else it is given.
        outside: Dates outside.
    """

    tee: str
    file: str
    endorsements: tuple[str, ...] = ()
    at: str = "2025-01-01"
    code: int = 0
    options: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    def words(self, at: str | None = None) -> list[str]:
        given = [
            word
            for each in self.endorsements
            for word in ("--endorsements", str(FOLDER / each))
        ]
        path = str(FOLDER / self.file)
        time = at or self.at
        words = ["evidence", "verify", path, "--tee", self.tee, "--at", time]
        return [*words, *given, *self.options]


def snp(name: str, product: str, leaf: str = "vcek", **more: object) -> Genuine:
    middle = "asvk" if leaf == "vlek" else "ask"
    return Genuine(
        tee="snp",
        file=f"snp/{name}_report.bin",
        endorsements=(
            f"snp/ark_{product}.pem",
            f"snp/{name.removesuffix('_vlek')}_{leaf}.der",
            f"snp/{middle}_{product}.pem",
        ),
        **more,  # type: ignore[arg-type]  # one of many
    )


MILAN = snp("trustee_milan", "milan", outside=("2022-01-01", "2031-01-01"))
VECTORS = [
    MILAN,
    snp("trustee_genoa", "genoa", at="2025-06-01", outside=("2024-12-01",)),
    snp("trustee_milan_vlek", "milan", "vlek", outside=("2026-01-01",)),
    snp("gosev_milan", "milan", code=6),
    Genuine(
        "nitro",
        "nitro/evervault_prod_2022-10-13.cbor",
        at="2022-10-13T11:00:00Z",
        outside=("2022-10-12T11:00:00Z", "2022-10-13T12:00:00Z"),
    ),
    Genuine(
        "nitro",
        "nitro/evervault_debug_2023-09-18.cbor",
        at="2023-09-18T15:00:00Z",
        code=6,
    ),
    Genuine(
        "az-snp",
        "tpm/trustee_az-snp-vtpm_evidence-v1.json",
        ("snp/ask_milan.pem", "snp/ark_milan.pem"),
        at="2025-09-01",
        options=("--nonce", b"challenge".hex()),
        outside=("2050-01-01",),
    ),
    Genuine(
        "az-snp",
        "tpm/trustee_az-snp-vtpm_evidence-v2.json",
        ("snp/ark_milan.pem", "snp/ask_milan.pem"),
        at="2025-09-01",
    ),
    Genuine(
        "az-snp",
        "tpm/trustee_az-snp-vtpm_evidence-genoa.json",
        ("snp/ask_genoa.pem", "snp/ark_genoa.pem"),
        at="2025-09-01",
        outside=("2020-01-01",),
    ),
    Genuine(
        "sgx",
        "sgx/blindai_sgx_v3_quote.bin",
        ("sgx/blindai_sgx_v3_collateral.json",),
        at="2022-09-01",
        outside=("2022-08-22", "2022-09-30"),
    ),
    Genuine(
        "sgx",
        "sgx/phala_sgx_v3_quote.bin",
        ("sgx/phala_sgx_v3_collateral.json",),
        at="2025-06-24",
        options=("--accept-tcb", "ConfigurationAndSWHardeningNeeded"),
        outside=("2025-06-18", "2025-07-20"),
    ),
    Genuine(
        "sgx",
        "sgx/automata_sgx_v3_debug_quote.bin",
        ("sgx/phala_sgx_v3_collateral.json",),
        at="2025-06-24",
        options=("--accept-tcb", "ConfigurationAndSWHardeningNeeded"),
        code=6,
    ),
    Genuine(
        "tdx",
        "tdx/phala_tdx_v4_quote.bin",
        ("tdx/phala_tdx_v4_collateral.json",),
        at="2025-06-24",
        outside=("2025-06-18", "2025-07-20"),
    ),
    Genuine(
        "tdx",
        "tdx/gotdx_tdx15_v5_quote.bin",
        ("tdx/tdx_90c06f000000_2026-02_collateral.json",),
        at="2026-02-24",
        outside=("2026-02-17", "2026-03-21"),
    ),
    Genuine(
        "tdx",
        "tdx/trustee_azure_tdx_v4_quote.bin",
        ("tdx/automata_tdx_00806f050000_2025-10_collateral.json",),
        at="2025-10-25",
        options=("--accept-tcb", "OutOfDate"),
    ),
    Genuine(
        "tdx",
        "tdx/trustee_tdx_v4_debug_quote.bin",
        ("tdx/gotdx_spr_e4_v4_collateral.json",),
        at="2023-07-01",
        code=6,
    ),
    Genuine(  # below every level
        "tdx",
        "tdx/gotdx_spr_e4_v4_quote.bin",
        ("tdx/gotdx_spr_e4_v4_collateral.json",),
        at="2023-07-01",
        code=5,
    ),
    Genuine(
        "az-tdx",
        "tpm/trustee_az-tdx-vtpm_evidence-v1.json",
        ("tdx/automata_tdx_00806f050000_2025-10_collateral.json",),
        at="2025-10-25",
        options=("--accept-tcb", "OutOfDate"),
    ),
    Genuine(  # the AK certificate is there, and nothing above it
        "tpm", "tpm/gotpm_gce-cos-85-nonce9009.pb", at="2021-06-01", code=5
    ),
    Genuine(
        "gpu",
        "nvidia/hopper_evidence.json",
        at="2026-01-01",
        options=(
            "--nonce",
            "e97b23a1718095a0e9e35edca810768c70a6a5a389b705e753b197912bc11576",
        ),
        outside=("2020-01-01",),
    ),
    Genuine(
        "gpu",
        "nvidia/hopperAttestationReport.txt",
        ("nvidia/hopperCertChain.txt",),
        at="2026-01-01",
    ),
    Genuine(
        "gpu",
        "nvidia/nvtrust_hopperAttestationReport.txt",
        ("nvidia/nvtrust_hopperCertChain.txt",),
        at="2026-01-01",
    ),
]


def identify(vector: Genuine) -> str:
    return vector.file
