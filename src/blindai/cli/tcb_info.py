"""Newer TCB information beside the stapled: tomorrow's verdict, today.

    Intel       a collateral in JSON as a PCCS serves it, or Intel's own answer,
                {"tcbInfo": {...}, "signature": "..."}; it takes the place of the
                stapled one, which was signed by the same certificate
    SEV-SNP     TOML with the least firmware, `Milan = { snp = 24, microcode = 219 }`;
                it takes the place of the policy's `minimum_tcb`

Nothing is believed for being read: what Intel signed is verified like the stapled.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from blindai import tables
from blindai.cli.encodings import decode_json, describe
from blindai.errors import ConfigurationError, EvidenceError
from blindai.protocol.attestation import (
    INTEL_COLLATERAL_TYPE,
    MAX_ENDORSEMENT_BYTES,
    Endorsement,
)
from blindai.verifier.baseline import Baseline
from blindai.verifier.policy import Policy
from blindai.verifier.snp.policy import MinimumTcb

if TYPE_CHECKING:
    from blindai.protocol.attestation import Evidence

_EXPECTED: Final = (
    "--tcb-info: expected Intel's TCB information in JSON, or the least firmware of"
    " SEV-SNP in TOML"
)
_TCB_INFO: Final = "tcb_info"
_SIGNATURE: Final = "tcb_info_signature"
_CHAIN: Final = "tcb_info_issuer_chain"
# Intel signs the very bytes of the object, so they are cut out, not written again.
_INTELS_ANSWER: Final = re.compile(
    rb'\s*\{\s*"tcbInfo"\s*:\s*(\{.*\})\s*,\s*"signature"\s*:\s*"([0-9a-fA-F]+)"\s*\}\s*',
    re.DOTALL,
)


Accepted = TypeVar("Accepted", bound=Policy | Baseline)


def renew(
    evidence: Evidence, policy: Accepted, file: bytes
) -> tuple[Evidence, Accepted]:
    """Evidence, and what is accepted, under newer TCB information.

    Args:
        evidence: With what was stapled to it.
        policy: What is accepted.
        file: The contents of the file.

    Raises:
        ConfigurationError: If the file is not TCB information, or not for this
            evidence.
    """
    if len(file) > MAX_ENDORSEMENT_BYTES:
        raise ConfigurationError(
            f"--tcb-info: expected at most {MAX_ENDORSEMENT_BYTES} bytes,"
            f" got {len(file)}"
        )
    if decode_json(file) is None:
        return evidence, _with_minimum(policy, file)
    newer = _intels(file)
    if all(each.media_type != INTEL_COLLATERAL_TYPE for each in evidence.endorsements):
        raise ConfigurationError(
            "--tcb-info: expected evidence with Intel's collateral, got none; Intel's"
            " TCB information is for SGX and TDX"
        )
    endorsements = tuple(_renewed(each, newer) for each in evidence.endorsements)
    return replace(evidence, endorsements=endorsements), policy


def _with_minimum(policy: Accepted, file: bytes) -> Accepted:
    try:
        text = file.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{_EXPECTED}, got {describe(file)}") from error
    least = tables.parse(text, MinimumTcb, "--tcb-info")
    snp = policy.snp if isinstance(policy, Baseline) else policy.sev_snp
    if snp is None:
        raise ConfigurationError("--tcb-info: expected a policy with [sev-snp]")
    products = tuple(each for each in snp.products if least.of(each) is not None)
    if not products:
        raise ConfigurationError(
            f"--tcb-info: expected the least firmware of {' or '.join(snp.products)}"
        )
    snp = replace(snp, minimum_tcb=least, products=products)
    if isinstance(policy, Baseline):
        return replace(policy, snp=snp)
    return replace(policy, sev_snp=snp)


def _intels(file: bytes) -> dict[str, str]:
    """What takes the place of the stapled, by its key.

    Raises:
        ConfigurationError: If it is not TCB information.
    """
    if answer := _INTELS_ANSWER.fullmatch(file):
        return {_TCB_INFO: answer[1].decode(), _SIGNATURE: answer[2].decode("ascii")}
    fields = decode_json(file)
    found = (
        {}
        if not isinstance(fields, dict)
        else {
            key: value
            for key in (_TCB_INFO, _SIGNATURE, _CHAIN)
            if isinstance(value := fields.get(key), str)
        }
    )
    if not found.keys() >= {_TCB_INFO, _SIGNATURE}:
        raise ConfigurationError(f"{_EXPECTED}, got {describe(file)}")
    return found


def _renewed(stapled: Endorsement, newer: dict[str, str]) -> Endorsement:
    """The stapled collateral with newer TCB information; anything else as it is.

    Raises:
        EvidenceError: If the collateral is malformed.
    """
    if stapled.media_type != INTEL_COLLATERAL_TYPE:
        return stapled
    fields = decode_json(stapled.content)
    if not isinstance(fields, dict):
        raise EvidenceError("Intel collateral: expected a JSON object")
    return replace(stapled, content=json.dumps({**fields, **newer}).encode())
