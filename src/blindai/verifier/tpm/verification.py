"""Believing a TPM's quote, step by step.

Documents: TCG TPM 2.0 Library, revision 1.59, parts 1 to 3; TCG PC Client Platform
Firmware Profile 1.05 revision 23; RFC 5280 (certificates).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blindai.protocol.tpm import ECDSA, RSASSA, parse_tpm_evidence
from blindai.verifier import eventlog
from blindai.verifier.claims import Claims
from blindai.verifier.endorsed import gather
from blindai.verifier.result import TOKEN, VerifiedClaims
from blindai.verifier.signatures import Algorithm, load_key, verifies
from blindai.verifier.tpm.ak import verify_ak
from blindai.verifier.tpm.boot import Boot, read_boot
from blindai.verifier.tpm.claims import AkSource, TpmClaims
from blindai.verifier.tpm.quote import concatenated, parse_quote, parse_signature

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.protocol.attestation import Evidence
    from blindai.protocol.tpm import Pcrs, TpmEvidence
    from blindai.verifier.eventlog import EventLog
    from blindai.verifier.procedure import Procedure
    from blindai.verifier.roots import Anchors
    from blindai.verifier.tpm.quote import Quote, Signature

TEE: Final = "tpm"
QUOTE: Final = "TPM 2.0 Library part 3, 18.4, TPM2_Quote"
SIGNATURE: Final = "TPM 2.0 Library part 2, 11.3.4, TPMT_SIGNATURE"

_ALGORITHMS: Final = {
    (RSASSA, "sha256"): Algorithm.RSA_SHA256,
    (RSASSA, "sha384"): Algorithm.RSA_SHA384,
    (RSASSA, "sha512"): Algorithm.RSA_SHA512,
    (ECDSA, "sha256"): Algorithm.ECDSA_SHA256,
    (ECDSA, "sha384"): Algorithm.ECDSA_SHA384,
    (ECDSA, "sha512"): Algorithm.ECDSA_SHA512,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What a TPM sent, cut into fields but not believed.

    Attributes:
        quote: What it signed.
        signature: Its signature.
        pcrs: Values of exactly the registers that it quotes.
        log: The event log; without events where there is none.
    """

    quote: Quote
    signature: Signature
    pcrs: Pcrs
    log: EventLog


def verify(
    evidence: Evidence, procedure: Procedure, now: datetime, anchors: Anchors
) -> VerifiedClaims:
    """Verify the quote of a TPM whose attestation key has a certificate.

    1. Quote, signature, registers, event log and certificates are well formed.
    2. The AK certificate chains to a pinned root of Google's, and is an attestation
       key's (`ak.verify_ak`).
    3. The attestation key signed the quote.
    4. The registers are those that the quote has a digest of.
    5. What the event log says counts as far as it replays to those registers.

    Args:
        evidence: What was sent.
        procedure: Where the transcript is written.
        now: For when to verify, with a time zone.
        anchors: The roots that count.

    Raises:
        EvidenceError: If something is malformed.
        VerificationError: If a step does not hold.
    """
    sent = parse_sent(parse_tpm_evidence(evidence.evidence), evidence.event_log)
    endorsements = gather(evidence.endorsements)
    certificate, instance, root = verify_ak(procedure, endorsements, now, anchors)
    boot = verify_quote(procedure, sent, certificate.spki)
    claims = Claims(
        tee=TEE,
        measurement=sent.quote.pcr_digest,
        report_data=sent.quote.extra_data,
        debug=False,
        details=TpmClaims(
            pcrs=sent.pcrs,
            firmware_version=sent.quote.firmware_version,
            clock=sent.quote.clock,
            ak_source=AkSource.CERTIFICATE,
            boot=boot,
            instance=instance,
        ),
    )
    return VerifiedClaims(claims=claims, root=root, token=TOKEN)


def parse_sent(sent: TpmEvidence, event_log: bytes) -> Sent:
    """Step 1.

    Raises:
        EvidenceError: If something is malformed.
    """
    return Sent(
        quote=parse_quote(sent.quote),
        signature=parse_signature(sent.signature),
        pcrs=sent.pcrs,
        log=eventlog.parse(event_log) if event_log else eventlog.EMPTY,
    )


def verify_quote(procedure: Procedure, sent: Sent, spki: bytes) -> Boot:
    """Steps 3 to 5.

    Args:
        procedure: Where the transcript is written.
        sent: What the TPM sent.
        spki: SubjectPublicKeyInfo of its attestation key, authentic already.

    Raises:
        EvidenceError: If the key is none that is known, or a quoted register is
            missing or one is there that is not quoted.
        VerificationError: If a step does not hold.
    """
    _verify_signature(procedure, sent, spki)
    _verify_registers(procedure, sent)
    return read_boot(sent.log, sent.pcrs)


def _verify_signature(procedure: Procedure, sent: Sent, spki: bytes) -> None:
    """Step 3.

    Raises:
        EvidenceError: If the key is none that is known.
        VerificationError: If the step does not hold.
    """
    signature = sent.signature
    algorithm = _ALGORITHMS.get((signature.scheme, signature.hash))
    procedure.require(
        "quote signature: hash",
        holds=algorithm is not None,
        expected="SHA-256 or stronger",
        actual=signature.hash,
        source=SIGNATURE,
    )
    key = load_key(spki)
    signed = algorithm is not None and verifies(
        algorithm, key, signature.value, sent.quote.signed
    )
    procedure.require(
        "quote signature",
        holds=signed,
        expected="made by the attestation key",
        actual="made by it" if signed else "not made by it",
        source=SIGNATURE,
    )


def _verify_registers(procedure: Procedure, sent: Sent) -> None:
    """Step 4. The hash is that of the signature.

    Raises:
        EvidenceError: If the registers are not those that are selected.
        VerificationError: If the step does not hold.
    """
    values = concatenated(sent.quote.selection, sent.pcrs)
    digest = hashlib.new(sent.signature.hash, values).digest()
    procedure.require(
        "PCR digest",
        holds=hmac.compare_digest(digest, sent.quote.pcr_digest),
        expected=f"the quote's, {sent.quote.pcr_digest.hex()}",
        actual=digest.hex(),
        source=QUOTE,
    )
