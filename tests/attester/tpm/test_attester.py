"""From a TPM in software to the verifier: measured, quoted, certified, believed."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from blindai.attester.simulated import SimulatedPlatform
from blindai.attester.tpm import (
    AzureAttester,
    SealedSecret,
    Tpm,
    TpmAttester,
)
from blindai.attester.tpm.attester import (
    AZURE_KEY,
    AZURE_REPORT,
    Sources,
    quote,
    read_event_log,
)
from blindai.attester.tpm.commands import ENDORSEMENT
from blindai.attester.tpm.templates import ATTESTATION_KEY
from blindai.errors import (
    AppraisalError,
    HardwareAbsentError,
    HardwareBusyError,
    HardwareError,
)
from blindai.protocol import keyset as binding_of
from blindai.protocol.attestation import (
    AZURE_SNP_TYPE,
    PEM_CHAIN_TYPE,
    Attestation,
    Endorsement,
    Evidence,
    encode_attestation,
)
from blindai.protocol.keyset import Binding, Purpose, Statement
from blindai.protocol.tpm import parse_azure_tdx_evidence
from blindai.testing import NOW, simulated_keyset
from blindai.testing.vendors.azure import TDX, AzureVm, HclFields, runtime_claims
from blindai.testing.vendors.eventlog import Measurement, write_log
from blindai.testing.vendors.pki import der, digest_of, pem
from blindai.testing.vendors.tpm import (
    BOOT,
    MadeUpTpm,
    ak_extensions,
    google_authority,
    google_root,
)
from blindai.verifier import AttestationResult, Policy, SnpPolicy, roots, verify
from blindai.verifier.policy import InsecureRoot
from blindai.verifier.tpm.claims import AzureClaims, TpmClaims
from blindai.verifier.tpm.policy import PcrPin, TpmPolicy

NONCE = bytes(range(32))
BINDING = Binding(bytes(range(32)), None)
EXPECTED = MadeUpTpm().pcrs["sha256"]
MADE_UP = (
    InsecureRoot(vendor="Google", sha256=digest_of(google_root().certificate)),
    InsecureRoot(vendor="AMD", sha256=roots.SIMULATED.digest, product="Genoa"),
)
ACCEPTED = TpmPolicy(
    pcrs=(
        PcrPin(index=4, digests=(EXPECTED[4],)),
        PcrPin(index=11, digests=(EXPECTED[11],)),
    ),
    event_log_pcrs=(0, 4, 7, 11),
    require_secure_boot=True,
)
POLICY = Policy(tpm=ACCEPTED, insecure_roots=MADE_UP)
# TPMT_PUBLIC of a restricted signing key, RSA of 2048 bits, RSASSA with SHA-256.
RSA_KEY = struct.pack(">HHIH", 0x0001, 0x000B, 0x00050072, 0) + struct.pack(
    ">HHHHIH", 0x0010, 0x0014, 0x000B, 2048, 0, 0
)


@pytest.fixture
def event_log(tmp_path: Path) -> Path:
    path = tmp_path / "binary_bios_measurements"
    path.write_bytes(write_log(BOOT))
    return path


@pytest.fixture
def booted(swtpm: Tpm) -> Tpm:
    """A TPM after a machine has measured what it started."""
    for measurement in BOOT:
        swtpm.extend_pcr(measurement.register, [(0x000B, measurement.digest("sha256"))])
    return swtpm


def ecc_key(public: bytes) -> ec.EllipticCurvePublicKey:
    x, y = public[-66:-34], public[-32:]
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(x), int.from_bytes(y), ec.SECP256R1()
    )
    return numbers.public_key()


def rsa_key(public: bytes) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(65537, int.from_bytes(public[-256:])).public_key()


def certified(tpm: Tpm, sources: Sources) -> Sources:
    """The operator's sources, with a certificate of the TPM's own key."""
    key = ecc_key(TpmAttester(tpm).public_key())
    leaf = google_authority().issue("AK", key, extensions=ak_extensions())
    chain = pem(leaf, google_authority().certificate, google_root().certificate)
    return replace(sources, endorsements=(Endorsement(PEM_CHAIN_TYPE, chain),))


def result_of(
    attest: Callable[[Binding], Evidence], policy: Policy = POLICY
) -> AttestationResult:
    keyset = simulated_keyset()
    digest = binding_of.digest(keyset.encode())
    statement = Statement(Purpose.ATTESTATION, digest, NONCE)
    collection = encode_attestation(
        Attestation(
            keyset=keyset.encode(),
            statement=statement.encode(),
            evidence=attest(binding_of.bind(statement)),
        )
    )
    return verify(collection, nonce=NONCE, policy=policy, now=NOW)


def test_a_measured_boot_is_believed(booted: Tpm, event_log: Path) -> None:
    sources = certified(booted, Sources(event_log=event_log))

    result = result_of(TpmAttester(booted, sources).attest)

    claims = result.claims.of(TpmClaims)
    assert result.simulated
    assert claims.pcrs["sha256"] == EXPECTED
    assert claims.boot.google_technology == "sev-snp"


def test_another_boot_is_refused(booted: Tpm, event_log: Path) -> None:
    sources = certified(booted, Sources(event_log=event_log))
    booted.extend_pcr(11, [(0x000B, bytes(32))])

    with pytest.raises(AppraisalError) as caught:
        result_of(TpmAttester(booted, sources).attest)

    names = [finding.name for finding in caught.value.findings]
    assert names == ["PCR 11 (sha256)", "event log"]


def test_a_log_that_does_not_replay_vouches_for_nothing(
    booted: Tpm, event_log: Path
) -> None:
    sources = certified(booted, Sources(event_log=event_log))
    event_log.write_bytes(write_log([*BOOT, Measurement(register=7)]))

    with pytest.raises(AppraisalError) as caught:
        result_of(TpmAttester(booted, sources).attest)

    names = [finding.name for finding in caught.value.findings]
    assert names == ["event log", "secure boot"]


def test_googles_key_and_certificate_are_found(
    booted: Tpm, event_log: Path, write_nv: Callable[..., None]
) -> None:
    handle, public = booted.create_primary(ENDORSEMENT, RSA_KEY)
    booted.flush(handle)
    leaf = google_authority().issue("AK", rsa_key(public), extensions=ak_extensions())
    write_nv(booted, 0x01C10000, der(leaf) + bytes(100))
    write_nv(booted, 0x01C10001, RSA_KEY)
    above = pem(google_authority().certificate, google_root().certificate)
    sources = Sources(
        event_log=event_log, endorsements=(Endorsement(PEM_CHAIN_TYPE, above),)
    )

    result = result_of(TpmAttester(booted, sources).attest)

    assert result.claims.of(TpmClaims).instance is not None


def azure(
    tpm: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
    **changes: object,
) -> Endorsement:
    """A TPM as Azure's paravisor leaves it, and the chain of the hardware's key."""
    handle, public = tpm.create_primary(ENDORSEMENT, RSA_KEY)
    make_persistent(tpm, handle, AZURE_KEY)
    tpm.flush(handle)
    vm = AzureVm(claims=runtime_claims(rsa_key(public)))
    report, chain = vm.report()
    honest = HclFields(payload=report, claims=vm.claims, rest=b"")  # swtpm holds 2048
    fields = replace(honest, **changes)  # type: ignore[arg-type]  # one of many
    write_nv(tpm, AZURE_REPORT, fields.encode())
    return Endorsement(PEM_CHAIN_TYPE, chain)


def test_an_azure_vm_is_believed(
    booted: Tpm,
    event_log: Path,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
) -> None:
    chain = azure(booted, write_nv, make_persistent)
    attester = AzureAttester(
        booted, Sources(event_log=event_log, endorsements=(chain,))
    )
    measurement = SimulatedPlatform().measurement
    policy = replace(POLICY, sev_snp=SnpPolicy(measurements=(measurement,)))

    result = result_of(attester.attest, policy)

    claims = result.claims.of(AzureClaims)
    assert claims.tpm.pcrs["sha256"] == EXPECTED
    assert claims.hardware.measurement == measurement
    assert attester.tee == AZURE_SNP_TYPE


def test_a_td_of_azures_gets_its_quote_elsewhere(
    booted: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
) -> None:
    payload = bytes(range(256)) * 4
    azure(booted, write_nv, make_persistent, report_type=TDX, payload=payload)

    asked: list[bytes] = []

    def quote_td(report: bytes) -> bytes:
        asked.append(report)
        return report[::-1]

    attester = AzureAttester(booted, quote_td=quote_td)
    evidence = [attester.attest(BINDING) for _ in range(2)]

    for each in evidence:
        assert parse_azure_tdx_evidence(each.evidence).td_quote == payload[::-1]
    assert asked == [payload]


def test_a_td_of_azures_without_a_quote_is_refused(
    booted: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
) -> None:
    azure(booted, write_nv, make_persistent, report_type=TDX)

    with pytest.raises(HardwareError, match="a way to a TD quote"):
        AzureAttester(booted).attest(BINDING)


def test_another_report_than_azures_is_refused(
    booted: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
) -> None:
    azure(booted, write_nv, make_persistent, report_type=3)

    with pytest.raises(HardwareError, match="type 2 or 4, got 3"):
        AzureAttester(booted)


def test_a_tpm_elsewhere_is_none_of_azures(swtpm: Tpm) -> None:
    with pytest.raises(HardwareAbsentError, match="Azure"):
        AzureAttester(swtpm)


@pytest.mark.parametrize("kind", [TpmAttester, AzureAttester])
def test_a_sealing_key_is_the_sealed_secret(
    booted: Tpm,
    tmp_path: Path,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
    kind: type[TpmAttester | AzureAttester],
) -> None:
    azure(booted, write_nv, make_persistent)
    sealed = SealedSecret(tmp_path / "sealed", booted)
    attester = kind(booted, Sources(sealed=sealed))

    assert attester.sealing_key() == sealed.read()
    assert "sealed by the TPM" in str(attester.sealing)


@pytest.mark.parametrize("kind", [TpmAttester, AzureAttester])
def test_without_a_file_there_is_no_sealing_key(
    booted: Tpm,
    write_nv: Callable[..., None],
    make_persistent: Callable[[Tpm, int, int], None],
    kind: type[TpmAttester | AzureAttester],
) -> None:
    azure(booted, write_nv, make_persistent)

    assert kind(booted).sealing_key() is None
    assert kind(booted).sealing is None


def test_a_tpm_keeps_no_key_loaded(booted: Tpm) -> None:
    attester = TpmAttester(booted)

    for _ in range(8):  # more than a TPM has places for
        attester.attest(BINDING)


class Restless(Tpm):
    """A TPM whose registers change each time they were read, for a while."""

    left = 0

    def read_pcrs(self, bank: str, indices: object) -> dict[int, bytes]:
        values = super().read_pcrs(bank, indices)  # type: ignore[arg-type]  # as it came
        if self.left:
            self.left -= 1
            self.extend_pcr(10, [(0x000B, bytes(32))])
        return values


def test_registers_and_quote_belong_together(booted: Tpm) -> None:
    restless = Restless(booted.transport)
    restless.left = 3
    key, _ = restless.create_primary(ENDORSEMENT, ATTESTATION_KEY)

    sent = quote(restless, key, b"", Sources())

    assert sent.pcrs["sha256"][10] == restless.read_pcrs("sha256", (10,))[10]


def test_registers_that_never_rest_are_refused(booted: Tpm) -> None:
    restless = Restless(booted.transport)
    restless.left = 100
    key, _ = restless.create_primary(ENDORSEMENT, ATTESTATION_KEY)

    with pytest.raises(HardwareBusyError, match="change while they are quoted"):
        quote(restless, key, b"", Sources())


class Odd(Tpm):
    """A TPM whose key signs with SM3."""

    def quote(
        self, key: int, extra_data: bytes, bank: str, indices: Iterable[int]
    ) -> tuple[bytes, bytes]:
        quoted, signature = super().quote(key, extra_data, bank, indices)
        return quoted, signature[:2] + b"\x00\x12" + signature[4:]


def test_a_key_that_signs_with_an_unknown_hash_is_refused(booted: Tpm) -> None:
    odd = Odd(booted.transport)
    key, _ = odd.create_primary(ENDORSEMENT, ATTESTATION_KEY)

    with pytest.raises(HardwareError, match="a known hash"):
        quote(odd, key, b"", Sources())


@pytest.mark.parametrize(
    ("content", "warning"),
    [(None, "No such file"), (bytes(256 * 1024 + 1), "more than 262144 bytes")],
)
def test_evidence_may_have_no_log(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    content: bytes | None,
    warning: str,
) -> None:
    path = tmp_path / "log"
    if content is not None:
        path.write_bytes(content)

    with caplog.at_level(logging.WARNING):
        assert read_event_log(path) == b""

    assert warning in caplog.text
