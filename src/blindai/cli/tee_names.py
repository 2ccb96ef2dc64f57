"""The kinds of evidence, as `--tee` names them."""

from enum import StrEnum


class TeeName(StrEnum):
    """A kind of evidence."""

    SGX = "sgx"
    TDX = "tdx"
    SNP = "snp"
    NITRO = "nitro"
    TPM = "tpm"
    AZURE_SNP = "az-snp"
    AZURE_TDX = "az-tdx"
    GPU = "gpu"
