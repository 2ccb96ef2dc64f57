"""For each check that can stand in the way: what to do about it.

One table, by the check's name, read from top to bottom; the first that fits counts. A
check that is not in it cannot be written: a test looks through the package for names.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from blindai.transcript import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.transcript import Check

_FORGED: Final = (
    "Do not trust it: these bytes were changed, or were never the hardware's. Fetch the"
    " evidence again; if it stays so, tell the operator."
)
_OTHER_PARTS: Final = (
    "These parts do not belong together. Ask the operator for the certificates of this"
    " very machine, at the firmware that it runs."
)
_PIN: Final = (
    "Another program, or another release. If you reviewed this one, add its value to"
    " the policy; if not, ask the operator what runs there."
)
_WORDS: Final = (
    "If this is what you want, the policy has to say so; if not, ask the operator."
)
_FIRMWARE: Final = (
    "The machine's firmware is older than you accept. Ask the operator to update it and"
    " to fetch the certificates for the new level."
)
_EXPIRED: Final = (
    "Set this machine's clock if it is wrong. If it is right, ask the operator for"
    " current certificates and lists; `--at TIME` looks at another day."
)
_FORMAT: Final = (
    "The file or the answer is not what it should be. Fetch it again; name each"
    " certificate, list and statement with --endorsements."
)
_NO_DEBUG: Final = (
    "Whoever runs the machine can read the enclave's memory. Have it started without"
    " debug mode; do not trust it until then."
)

_FORGED_PROOF: Final = (
    "Do not rely on it: these bytes were changed, or never signed by this enclave. Ask"
    " whoever gave you the proof."
)
_OTHER_THING: Final = (
    "This proof is of something else than you expected: another run, another model, or"
    " other tensors. Do not rely on it for this one."
)

_TABLE: Final[Mapping[str, str]] = {
    "proof signature": _FORGED_PROOF,
    "proof keyset": _FORGED_PROOF,
    "proof configuration": _FORGED_PROOF,
    "proof time": _FORGED_PROOF,
    "payload signature": _FORGED_PROOF,
    "disclosed *": (
        "Do not believe this tensor: it is none of those that the proof is about."
    ),
    "proof *": _OTHER_THING,
    "format": _FORMAT,
    "*revocation list: validity": _EXPIRED,
    "* list": _FORGED,
    "*revocation lists": _FORGED,
    "*revocation": (
        "The vendor took this certificate back, or its list of those is missing: ask"
        " the operator for another machine, or for the list (CRL) to be stapled."
    ),
    "keyset validity": "Set this machine's clock, then attest the enclave again.",
    "*validity": _EXPIRED,
    "certificate chain": (
        "Give the missing certificates, root and all, with --endorsements, or ask the"
        " operator to staple them."
    ),
    "root certificate": (
        "Do not trust it: only roots that are pinned here count. Made-up hardware needs"
        " `insecure_roots` in a policy for tests."
    ),
    "*: issuer": _FORGED,
    "*: algorithm": _FORGED,
    "*: padding": _FORGED,
    "*signature*": _FORGED,
    "*critical extensions": "This release does not know what the vendor added.",
    "signing key": _OTHER_PARTS,
    "reported TCB": _OTHER_PARTS,
    "chip ID": _OTHER_PARTS,
    "product of the *": _OTHER_PARTS,
    "chip key": "The host had the report not signed: ask the operator to change it.",
    "committed TCB": _FORGED,
    "current TCB": _FORGED,
    "author key": _FORGED,
    "report data": (
        "Do not trust it: the evidence was made for other keys. Something between may"
        " have swapped them; attest again from another network."
    ),
    "nonce of the evidence": _FORGED,
    "keyset digest": "Do not trust it: the keys are not those that were attested.",
    "GPU evidence digest": (
        "Do not trust it: these are not the GPUs that the enclave asked. Somebody put"
        " their evidence there, changed it or took it away."
    ),
    "simulated TEE": "Only for tests: --simulation, or the policy, may accept it.",
    "kind of TEE": (
        "If you want this kind of machine, add its table to the policy, with what you"
        " reviewed."
    ),
    "product": _WORDS,
    "kind of signing key": _WORDS,
    "cloud provider": _WORDS,
    "chip": _WORDS,
    "module ID": _WORDS,
    "age of the document": (
        "The document is older than you accept: have the enclave make a new one."
    ),
    "*: key usage": _FORGED,
    "PCR digest": _FORGED,
    "PCR*": _PIN,
    "attestation key": (
        "The TPM's key is vouched for in another way than you accept: see `ak_sources`"
        " of [tpm]."
    ),
    "AK certificate: *": _FORGED,
    "Google *": _WORDS,
    "*: role": _FORGED,
    "*TDX module": _FORGED,
    "*attributes": _WORDS,
    "extended features (MISCSELECT)": _WORDS,
    "MR*": _PIN,
    "RTMR*": _PIN,
    "CONFIGID": _PIN,
    "ISV*ID": _PIN,
    "ISVSVN": (
        "The enclave is older than you accept: ask the operator for a newer release."
    ),
    "CONFIGSVN": "The host's configuration is older than you accept: ask the operator.",
    "TPM clock": "The clock was set back: ask the operator to restart the machine.",
    "TPM firmware": _FIRMWARE,
    "event log": (
        "The event log does not account for these registers: ask the operator for the"
        " log as firmware wrote it."
    ),
    "secure boot": "Ask the operator to turn Secure Boot on.",
    "Azure console": _WORDS,
    "paravisor's *": _FORGED,
    "GPUs": (
        "The policy asks for more GPUs than have attested: ask the operator for them."
    ),
    "distinct GPUs": "One GPU stands there twice: ask the operator for each GPU's own.",
    "*firmware": _FORGED,
    "*: architecture": _WORDS,
    "*: mode": _WORDS,
    "*version": (
        "The GPU's driver or firmware is another than you accept: ask the operator to"
        " change it, or add the version to [nvidia-gpu] once you reviewed it."
    ),
    "*: measurements": _PIN,
    "reference digest": (
        "The signed list of reference values is for another driver or firmware: fetch"
        " the one for this version."
    ),
    "*debug mode": _NO_DEBUG,
    "migration agent": _WORDS,
    "guest policy: *": _WORDS,
    "platform: *": (
        "The machine is set up in another way than you ask for: ask the operator to"
        " change its firmware's settings."
    ),
    "*simultaneous multithreading": _WORDS,
    "VMPL": _WORDS,
    "TCB status": (
        "Ask the operator to update the machine as Intel's advisories say. To accept"
        " this status, name it: `tcb_statuses` in the policy, or --accept-tcb."
    ),
    "open advisories": (
        "Read Intel's advisories. Ask the operator to mend them, or accept them in the"
        " policy."
    ),
    "TCB evaluation data number": (
        "What Intel says is of an older round than you accept: ask the operator, or"
        " fetch it with `blindai endorsements fetch`."
    ),
    "*TCB level": (
        "Intel lists no level that this machine reaches: ask the operator to update it."
    ),
    "platform TCB": _FIRMWARE,
    "* TCB": _FIRMWARE,
    "*mitigations": _FIRMWARE,
    "guest SVN": (
        "The image is older than you accept: ask the operator for a newer release."
    ),
    "measurement": _PIN,
    "host data": _PIN,
    "ID key digest": _PIN,
    "author key digest": _PIN,
    "purpose": "This evidence is for something else: ask for one for this purpose.",
    "*nonce": (
        "This evidence answers somebody else's question, or an old one: ask again."
    ),
    "age of the keyset": "Ask again with a nonce, or allow this age in the policy.",
    "configuration digest": (
        "The server runs another configuration: compare `blindai` configurations with"
        " the operator, then pin the digest that you reviewed."
    ),
    "build": _PIN,
}
_OTHERWISE: Final = "Do not trust it until the operator has explained it."


def remedy(check: Check) -> str:
    """What to do about a check that stands in the way; empty for any other."""
    if check.holds:
        return ""
    if check.status is Status.NOT_EVALUATED and check.expected.startswith("the policy"):
        return "Pin a value for it in the policy."
    return known(check.name) or _OTHERWISE


def known(name: str) -> str:
    """What the table says of a name; empty if it does not."""
    return next(
        (text for pattern, text in _TABLE.items() if fnmatchcase(name, pattern)), ""
    )
