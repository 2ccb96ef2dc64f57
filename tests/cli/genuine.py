"""Genuine evidence as it lies in its folder, and how it has to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
        outside: Dates outside, each with the check that has to notice. Only where no
            date is looked at, because the chain ends before a root, there is none.
    """

    tee: str
    file: str
    endorsements: tuple[str, ...] = ()
    at: str = "2025-01-01"
    code: int = 0
    options: tuple[str, ...] = ()
    outside: Mapping[str, str] = field(default_factory=dict)

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


ROOT = "root certificate: validity"
LEAF = "leaf certificate: validity"
PCK_CRL = "PCK leaf certificate: revocation list: validity"
TCB_INFO = "TCB info: validity"
QE_IDENTITY = "QE identity: validity"
GPU_ROOT = "GPU 0: root certificate: validity"
GPU_MIDDLE = "GPU 0: intermediate certificate {}: validity"

MILAN = snp("trustee_milan", "milan", outside={"2022-01-01": LEAF, "2031-01-01": LEAF})
VECTORS = [
    MILAN,
    snp(
        "trustee_genoa",
        "genoa",
        at="2025-06-01",
        outside={"2024-12-01": LEAF, "2033-01-01": LEAF},
    ),
    snp(
        "trustee_milan_vlek",
        "milan",
        "vlek",
        outside={"2024-12-10": LEAF, "2026-01-01": LEAF},
    ),
    snp(
        "gosev_milan",
        "milan",
        code=6,
        outside={"2022-09-23": LEAF, "2029-09-25": LEAF, "2046-01-01": ROOT},
    ),
    Genuine(
        "nitro",
        "nitro/evervault_prod_2022-10-13.cbor",
        at="2022-10-13T11:00:00Z",
        outside={
            "2022-10-12T11:00:00Z": "intermediate certificate 2: validity",
            "2022-10-13T12:00:00Z": LEAF,
        },
    ),
    Genuine(
        "nitro",
        "nitro/evervault_debug_2023-09-18.cbor",
        at="2023-09-18T15:00:00Z",
        code=6,
        outside={
            "2023-09-18T04:00:00Z": "intermediate certificate 3: validity",
            "2023-09-18T14:37:00Z": LEAF,
            "2023-09-18T17:38:00Z": LEAF,
        },
    ),
    Genuine(
        "az-snp",
        "tpm/trustee_az-snp-vtpm_evidence-v1.json",
        ("snp/ask_milan.pem", "snp/ark_milan.pem"),
        at="2025-09-01",
        options=("--nonce", b"challenge".hex()),
        outside={"2021-01-01": LEAF, "2035-01-01": LEAF, "2050-01-01": ROOT},
    ),
    Genuine(
        "az-snp",
        "tpm/trustee_az-snp-vtpm_evidence-v2.json",
        ("snp/ark_milan.pem", "snp/ask_milan.pem"),
        at="2025-09-01",
        outside={"2025-01-27": LEAF, "2032-02-01": LEAF},
    ),
    Genuine(
        "az-snp",
        "tpm/trustee_az-snp-vtpm_evidence-genoa.json",
        ("snp/ask_genoa.pem", "snp/ark_genoa.pem"),
        at="2025-09-01",
        outside={"2020-01-01": ROOT, "2024-12-01": LEAF, "2033-01-01": LEAF},
    ),
    Genuine(
        "sgx",
        "sgx/blindai_sgx_v3_quote.bin",
        ("sgx/blindai_sgx_v3_collateral.json",),
        at="2022-09-01",
        outside={
            "2022-08-22": "PCK leaf certificate: validity",
            "2022-09-30": PCK_CRL,
        },
    ),
    Genuine(
        "sgx",
        "sgx/phala_sgx_v3_quote.bin",
        ("sgx/phala_sgx_v3_collateral.json",),
        at="2025-06-24",
        options=("--accept-tcb", "ConfigurationAndSWHardeningNeeded"),
        outside={
            "2025-06-18": PCK_CRL,
            "2025-07-19T10:10:00Z": QE_IDENTITY,
            "2025-07-20": PCK_CRL,
        },
    ),
    Genuine(
        "sgx",
        "sgx/automata_sgx_v3_debug_quote.bin",
        ("sgx/phala_sgx_v3_collateral.json",),
        at="2025-06-24",
        options=("--accept-tcb", "ConfigurationAndSWHardeningNeeded"),
        code=6,
        outside={"2025-06-19T10:30:00Z": TCB_INFO, "2025-07-20": PCK_CRL},
    ),
    Genuine(
        "tdx",
        "tdx/phala_tdx_v4_quote.bin",
        ("tdx/phala_tdx_v4_collateral.json",),
        at="2025-06-24",
        outside={"2025-06-18": PCK_CRL, "2025-07-20": PCK_CRL},
    ),
    Genuine(
        "tdx",
        "tdx/gotdx_tdx15_v5_quote.bin",
        ("tdx/tdx_90c06f000000_2026-02_collateral.json",),
        at="2026-02-24",
        outside={"2026-02-17": PCK_CRL, "2026-03-21": PCK_CRL},
    ),
    Genuine(
        "tdx",
        "tdx/trustee_azure_tdx_v4_quote.bin",
        ("tdx/automata_tdx_00806f050000_2025-10_collateral.json",),
        at="2025-10-25",
        options=("--accept-tcb", "OutOfDate"),
        outside={"2025-10-19": TCB_INFO, "2025-11-12T10:46:00Z": PCK_CRL},
    ),
    Genuine(
        "tdx",
        "tdx/trustee_tdx_v4_debug_quote.bin",
        ("tdx/gotdx_spr_e4_v4_collateral.json",),
        at="2023-07-01",
        code=6,
        outside={"2023-06-10": TCB_INFO, "2023-07-08T07:26:00Z": QE_IDENTITY},
    ),
    Genuine(  # below every level
        "tdx",
        "tdx/gotdx_spr_e4_v4_quote.bin",
        ("tdx/gotdx_spr_e4_v4_collateral.json",),
        at="2023-07-01",
        code=5,
        outside={"2023-06-10": TCB_INFO, "2023-07-09": PCK_CRL},
    ),
    Genuine(
        "az-tdx",
        "tpm/trustee_az-tdx-vtpm_evidence-v1.json",
        ("tdx/automata_tdx_00806f050000_2025-10_collateral.json",),
        at="2025-10-25",
        options=("--accept-tcb", "OutOfDate"),
        outside={"2025-10-19": TCB_INFO, "2025-11-12T10:46:00Z": PCK_CRL},
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
        outside={"2020-01-01": GPU_ROOT},
    ),
    Genuine(
        "gpu",
        "nvidia/hopperAttestationReport.txt",
        ("nvidia/hopperCertChain.txt",),
        at="2026-01-01",
        outside={
            "2021-12-01": GPU_MIDDLE.format(1),
            "2022-02-01": GPU_MIDDLE.format(2),
        },
    ),
    Genuine(
        "gpu",
        "nvidia/nvtrust_hopperAttestationReport.txt",
        ("nvidia/nvtrust_hopperCertChain.txt",),
        at="2026-01-01",
        outside={
            "2021-12-01": GPU_MIDDLE.format(1),
            "2022-02-01": GPU_MIDDLE.format(2),
        },
    ),
]


def identify(vector: Genuine) -> str:
    return vector.file
