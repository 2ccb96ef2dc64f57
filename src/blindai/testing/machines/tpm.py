"""A made-up machine with a TPM in software, whose key a made-up Google certifies."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from blindai.attester.tpm import SealedSecret, Tpm, TpmAttester
from blindai.attester.tpm.attester import Sources
from blindai.protocol.attestation import PEM_CHAIN_TYPE, Endorsement
from blindai.protocol.tpm import HASH_NUMBERS
from blindai.testing.devices.swtpm import start_swtpm
from blindai.testing.machines.machine import Machine
from blindai.testing.vendors.eventlog import write_log
from blindai.testing.vendors.pki import FIRST, LAST, Validity, digest_of, p256, pem
from blindai.testing.vendors.tpm import (
    BOOT,
    MadeUpTpm,
    ak_extensions,
    google_authority,
    google_root,
    secure_boot,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blindai.testing.vendors.eventlog import Measurement

_KERNEL: Final = 11  # the register of the kernel
_SECURE_BOOT: Final = 7
_BANK: Final = "sha256"
_POLICY: Final = """\
version = 1

[tpm]
event_log_pcrs = [0, 4, 7, 11]
require_secure_boot = true

[[tpm.pcrs]]
index = 4
digests = ["{loader}"]

[[tpm.pcrs]]
index = 11
digests = ["{kernel}"]

[[insecure_roots]]
vendor = "Google"
sha256 = "{root}"
"""


def tpm(changes: Mapping[str, str]) -> Machine:
    """A machine that measures what it starts.

    Args:
        changes: `boot` is the kernel that it starts, `log` the one that it writes down
            instead, `secure_boot` off if it is `off`, `ak_not_after` the end of its
            key's certificate in ISO 8601. `signing_key`, with any value, has another
            key certified.

    Raises:
        ValueError: If it is none of these, or no such value.
        HardwareAbsentError: If there is no `swtpm`.
    """
    fields = dict(changes)
    secure = fields.pop("secure_boot", "on") != "off"
    words: dict[str, str] = {
        name: fields.pop(name) for name in ("boot", "log") if name in fields
    }
    last = datetime.fromisoformat(fields.pop("ak_not_after", LAST.isoformat()))
    forged = fields.pop("signing_key", None) is not None
    if fields:
        raise ValueError(f"changes: expected known fields, got {', '.join(fields)}")
    device, folder = start_swtpm()
    asked = Tpm(device)
    log = measure(asked, words, secure=secure)
    event_log = folder / "binary_bios_measurements"
    event_log.write_bytes(write_log(log))
    key = p256().public_key() if forged else _key(TpmAttester(asked).public_key())
    sources = Sources(
        event_log=event_log,
        endorsements=(_certificates(key, Validity(FIRST, last)),),
        sealed=SealedSecret(folder / "tpm_sealed_key", asked),
    )
    usual = MadeUpTpm().pcrs[_BANK]
    policy = _POLICY.format(
        loader=usual[4].hex(),
        kernel=usual[_KERNEL].hex(),
        root=digest_of(google_root().certificate).hex(),
    )
    return Machine(attester=TpmAttester(asked, sources), policy=policy)


def measure(
    tpm: Tpm, words: Mapping[str, str], *, secure: bool
) -> tuple[Measurement, ...]:
    """Measure what a machine starts, and say what it writes down about that.

    Args:
        tpm: Where to measure.
        words: `boot` is another kernel, `log` the one that is written down instead.
        secure: Whether secure boot is on.
    """
    boot = _boot(words.get("boot"), secure=secure)
    for measured in boot:
        digest = measured.digest(_BANK)
        tpm.extend_pcr(measured.register, [(HASH_NUMBERS[_BANK], digest)])
    return _boot(words["log"], secure=secure) if "log" in words else boot


def _boot(kernel: str | None, *, secure: bool) -> tuple[Measurement, ...]:
    """What the machine measures; another kernel, or without secure boot."""

    def changed(each: Measurement) -> Measurement:
        if each.register == _KERNEL and kernel is not None:
            return replace(each, data=kernel.encode())
        if each.register == _SECURE_BOOT and each.data == secure_boot().data:
            return secure_boot(on=secure)
        return each

    return tuple(map(changed, BOOT))


def _key(public: bytes) -> ec.EllipticCurvePublicKey:
    """The key in a TPMT_PUBLIC on P-256: it ends with X and Y, each after its size."""
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(public[-66:-34]), int.from_bytes(public[-32:]), ec.SECP256R1()
    )
    return numbers.public_key()


def _certificates(key: ec.EllipticCurvePublicKey, validity: Validity) -> Endorsement:
    leaf = google_authority().issue(
        "Made-up AK", key, validity=validity, extensions=ak_extensions()
    )
    above = (google_authority().certificate, google_root().certificate)
    return Endorsement(PEM_CHAIN_TYPE, pem(leaf, *above))
