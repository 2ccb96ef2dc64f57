"""A secret that somebody else put in the place of ours, and that he knows.

He can speak to the TPM, after a boot of his own or before ours has come to its end, and
writes to the folder. What he cannot do is run while the registers stand as ours do.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from blindai.attester.tpm import SealedSecret, Tpm, wire
from blindai.attester.tpm.commands import OWNER, CommandError, Sealed
from blindai.attester.tpm.creation import creation_hash
from blindai.attester.tpm.sealing import DEFAULT_PCRS, OUTSIDE_INFO
from blindai.attester.tpm.templates import STORAGE_KEY, sealed_object
from blindai.errors import ConfigurationError, HardwareError
from blindai.protocol import cbor

KERNEL, HIS_KERNEL = b"k" * 32, b"h" * 32
KNOWN = b"known to somebody else, 32 bytes"
REGISTERS = wire.selection("sha256", DEFAULT_PCRS)
NOT_OURS = "tpm_sealed_key: the secret opens, but the TPM does not say that it was made"
Boot = Callable[..., Tpm]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tpm_sealed_key"


@contextmanager
def storage_key(tpm: Tpm) -> Iterator[int]:
    handle, _ = tpm.create_primary(OWNER, STORAGE_KEY)
    try:
        yield handle
    finally:
        tpm.flush(handle)


def policy_of(values: dict[int, bytes]) -> bytes:
    """TPM2_PolicyPCR's digest (part 3, 23.7) for registers as they will stand."""
    digested = hashlib.sha256(b"".join(values[index] for index in sorted(values)))
    command = struct.pack(">I", 0x17F)
    return hashlib.sha256(bytes(32) + command + REGISTERS + digested.digest()).digest()


def his(
    tpm: Tpm,
    ours: dict[int, bytes],
    *,
    registers: bytes = REGISTERS,
    outside_info: bytes = OUTSIDE_INFO,
) -> Sealed:
    """A secret of his own, which opens while registers stand as ours do."""
    template = sealed_object(policy_of(ours))
    with storage_key(tpm) as parent:
        sealed, _ = tpm.seal(parent, KNOWN, template, outside_info, registers)
    return sealed


def write(path: Path, sealed: Sealed, **changes: object) -> None:
    blob = {
        "version": 2,
        "bank": "sha256",
        "pcrs": list(DEFAULT_PCRS),
        "private": sealed.private,
        "public": sealed.public,
        "ticket": sealed.ticket,
    }
    path.write_bytes(cbor.encode(blob | changes))


def opens(tpm: Tpm, sealed: Sealed) -> bytes:
    """What the policy alone lets out."""
    with storage_key(tpm) as parent:
        session = tpm.start_policy()
        tpm.policy_pcr(session, "sha256", DEFAULT_PCRS)
        handle = tpm.load(parent, sealed)
        secret = tpm.unseal(handle, session)
        tpm.flush(handle)
        tpm.flush(session)
    return secret


def ticket_in(path: Path) -> bytes:
    blob = cbor.decode(path.read_bytes())
    assert isinstance(blob, dict)
    assert isinstance(blob["ticket"], bytes)
    return blob["ticket"]


def test_our_own_opens_after_each_boot_of_the_same(boot: Boot, path: Path) -> None:
    first = SealedSecret(path, boot(KERNEL)).read()

    for _ in range(2):
        assert SealedSecret(path, boot(KERNEL)).read() == first


@pytest.mark.parametrize("kept", [False, True], ids=["his ticket", "our ticket"])
def test_a_secret_made_after_another_boot_is_refused(
    boot: Boot, path: Path, *, kept: bool
) -> None:
    tpm = boot(KERNEL)
    SealedSecret(path, tpm).read()
    ours, ticket = tpm.read_pcrs("sha256", DEFAULT_PCRS), ticket_in(path)
    sealed = his(boot(HIS_KERNEL), ours)
    write(path, sealed, ticket=ticket if kept else sealed.ticket)

    tpm = boot(KERNEL)

    assert opens(tpm, sealed) == KNOWN
    with pytest.raises(ConfigurationError, match=NOT_OURS):
        SealedSecret(path, tpm).read()


def test_a_secret_made_before_all_was_measured_is_refused(
    boot: Boot, path: Path
) -> None:
    ours = boot(KERNEL).read_pcrs("sha256", DEFAULT_PCRS)
    tpm = boot()
    sealed = his(tpm, ours)
    write(path, sealed)
    tpm.extend_pcr(4, [(0x000B, KERNEL)])

    assert opens(tpm, sealed) == KNOWN
    with pytest.raises(ConfigurationError, match=NOT_OURS):
        SealedSecret(path, tpm).read()


@pytest.mark.parametrize(
    "registers",
    [
        pytest.param(struct.pack(">I", 0), id="none"),
        pytest.param(wire.selection("sha256", [0, 2]), id="those that agree"),
        pytest.param(wire.selection("sha1", DEFAULT_PCRS), id="another bank's"),
    ],
)
def test_a_secret_that_names_other_registers_is_refused(
    boot: Boot, path: Path, registers: bytes
) -> None:
    tpm = boot(KERNEL)
    sealed = his(tpm, tpm.read_pcrs("sha256", DEFAULT_PCRS), registers=registers)
    write(path, sealed)

    assert opens(tpm, sealed) == KNOWN
    with pytest.raises(ConfigurationError, match=NOT_OURS):
        SealedSecret(path, tpm).read()


def test_a_secret_that_was_made_for_something_else_is_refused(
    boot: Boot, path: Path
) -> None:
    tpm = boot(KERNEL)
    ours = tpm.read_pcrs("sha256", DEFAULT_PCRS)
    write(path, his(tpm, ours, outside_info=b"somebody's disk"))

    with pytest.raises(ConfigurationError, match=NOT_OURS):
        SealedSecret(path, tpm).read()


def test_what_runs_in_the_same_state_is_not_told_apart(boot: Boot, path: Path) -> None:
    # The limit of all this, as docs/security/limitations.md has it.
    tpm = boot(KERNEL)
    write(path, his(tpm, tpm.read_pcrs("sha256", DEFAULT_PCRS)))

    assert SealedSecret(path, tpm).read() == KNOWN


def test_no_byte_of_a_ticket_can_change(boot: Boot, path: Path) -> None:
    tpm = boot(KERNEL)
    SealedSecret(path, tpm).read()
    blob = cbor.decode(path.read_bytes())
    assert isinstance(blob, dict)
    ticket = ticket_in(path)
    assert len(ticket) >= 2 + 4 + 2 + 32

    for place in range(len(ticket)):
        changed = bytearray(ticket)
        changed[place] ^= 1
        path.write_bytes(cbor.encode(blob | {"ticket": bytes(changed)}))
        with pytest.raises(ConfigurationError, match=NOT_OURS):
            SealedSecret(path, tpm).read()


@pytest.mark.parametrize(
    "ticket",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(struct.pack(">HIH", 0x8021, OWNER, 0), id="a null ticket"),
        pytest.param(struct.pack(">HIH", 0x8021, 0x40000007, 0), id="of no hierarchy"),
        pytest.param(bytes(1000), id="more"),
    ],
)
def test_another_ticket_is_refused(boot: Boot, path: Path, ticket: bytes) -> None:
    tpm = boot(KERNEL)
    SealedSecret(path, tpm).read()
    blob = cbor.decode(path.read_bytes())
    assert isinstance(blob, dict)
    path.write_bytes(cbor.encode(blob | {"ticket": ticket}))

    with pytest.raises(ConfigurationError, match=NOT_OURS):
        SealedSecret(path, tpm).read()


def test_a_file_from_before_there_were_tickets_says_what_to_do(
    boot: Boot, path: Path
) -> None:
    tpm = boot(KERNEL)
    SealedSecret(path, tpm).read()
    blob = cbor.decode(path.read_bytes())
    assert isinstance(blob, dict)
    del blob["ticket"]
    path.write_bytes(cbor.encode(blob | {"version": 1}))

    with pytest.raises(
        ConfigurationError,
        match=r"tpm_sealed_key: .* anybody who can speak to the TPM .* move the file",
    ):
        SealedSecret(path, tpm).read()


def test_a_file_that_lacks_its_ticket_is_refused(boot: Boot, path: Path) -> None:
    tpm = boot(KERNEL)
    SealedSecret(path, tpm).read()
    blob = cbor.decode(path.read_bytes())
    assert isinstance(blob, dict)
    del blob["ticket"]
    path.write_bytes(cbor.encode(blob))

    with pytest.raises(ConfigurationError, match="expected a sealed secret"):
        SealedSecret(path, tpm).read()


def test_nothing_that_is_refused_stays_loaded(boot: Boot, path: Path) -> None:
    tpm = boot(KERNEL)
    ours = tpm.read_pcrs("sha256", DEFAULT_PCRS)
    write(path, his(tpm, ours, outside_info=b"somebody's disk"))

    for _ in range(8):  # more than a TPM has places for
        with pytest.raises(ConfigurationError, match=NOT_OURS):
            SealedSecret(path, tpm).read()


class Late(Tpm):
    """A TPM to which something is measured while a secret is being sealed."""

    def seal(
        self,
        parent: int,
        secret: bytes,
        template: bytes,
        outside_info: bytes,
        registers: bytes,
    ) -> tuple[Sealed, bytes]:
        made = super().seal(parent, secret, template, outside_info, registers)
        self.extend_pcr(11, [(0x000B, bytes(32))])
        return made


def test_a_secret_that_would_not_be_believed_again_is_not_kept(
    swtpm: Tpm, path: Path
) -> None:
    with pytest.raises(HardwareError, match=r"creation data of the PCRs as they"):
        SealedSecret(path, Late(swtpm.transport)).read()

    assert not path.exists()
    assert len(SealedSecret(path, swtpm).read()) == 32


def test_creation_data_are_as_a_tpm_has_them(swtpm: Tpm) -> None:
    swtpm.extend_pcr(4, [(0x000B, KERNEL)])
    values = swtpm.read_pcrs("sha256", DEFAULT_PCRS)
    parent, public = swtpm.create_primary(OWNER, STORAGE_KEY)
    template = sealed_object(policy_of(values))

    sealed, made = swtpm.seal(parent, KNOWN, template, OUTSIDE_INFO, REGISTERS)

    assert made == creation_hash("sha256", values, public, OUTSIDE_INFO)
    handle = swtpm.load(parent, sealed)
    swtpm.certify_creation(handle, made, sealed.ticket)
    with pytest.raises(CommandError, match="TPM2_CertifyCreation"):
        swtpm.certify_creation(handle, bytes(32), sealed.ticket)
