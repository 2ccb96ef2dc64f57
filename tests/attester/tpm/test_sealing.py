"""A secret that a TPM opens only after the same boot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from blindai.attester.tpm import SealedSecret, Tpm
from blindai.attester.tpm.sealing import DEFAULT_PCRS
from blindai.errors import ConfigurationError
from blindai.protocol import cbor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tpm_sealed_key"


def test_a_secret_is_the_same_each_time(swtpm: Tpm, path: Path) -> None:
    first = SealedSecret(path, swtpm).read()

    assert len(first) == 32
    assert SealedSecret(path, swtpm).read() == first
    assert first not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir() if each.is_file()] == [
        path.name
    ]


def test_two_secrets_differ(swtpm: Tpm, path: Path) -> None:
    other = path.with_name("other")

    assert SealedSecret(path, swtpm).read() != SealedSecret(other, swtpm).read()


def test_what_an_interrupted_start_left_is_replaced(swtpm: Tpm, path: Path) -> None:
    path.with_name(f"{path.name}.part").write_bytes(b"half")

    assert len(SealedSecret(path, swtpm).read()) == 32


@pytest.mark.parametrize("register", DEFAULT_PCRS)
def test_a_secret_does_not_open_after_another_boot(
    swtpm: Tpm, path: Path, register: int
) -> None:
    SealedSecret(path, swtpm).read()
    swtpm.extend_pcr(register, [(0x000B, bytes(32))])

    with pytest.raises(ConfigurationError, match="measured at boot has changed"):
        SealedSecret(path, swtpm).read()


def test_registers_it_is_not_sealed_to_may_change(swtpm: Tpm, path: Path) -> None:
    first = SealedSecret(path, swtpm).read()
    swtpm.extend_pcr(10, [(0x000B, bytes(32))])

    assert SealedSecret(path, swtpm).read() == first


def test_a_tpm_keeps_nothing_of_it_loaded(swtpm: Tpm, path: Path) -> None:
    for _ in range(8):  # more than a TPM has places for
        SealedSecret(path, swtpm).read()
    swtpm.extend_pcr(0, [(0x000B, bytes(32))])
    for _ in range(8):
        with pytest.raises(ConfigurationError):
            SealedSecret(path, swtpm).read()


def changed(path: Path, **changes: object) -> None:
    blob = cbor.decode(path.read_bytes())
    assert isinstance(blob, dict)
    path.write_bytes(cbor.encode(blob | changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda p: p.write_bytes(b"?"), "CBOR", id="no CBOR"),
        pytest.param(
            lambda p: p.write_bytes(cbor.encode([])), "a sealed secret", id="a list"
        ),
        pytest.param(lambda p: changed(p, more=1), "a sealed secret", id="more keys"),
        pytest.param(lambda p: changed(p, version=3), "got another", id="version"),
        pytest.param(lambda p: changed(p, bank="sha384"), "got another", id="bank"),
        pytest.param(lambda p: changed(p, pcrs=[0]), "PCRs 0, 2, 4", id="registers"),
        pytest.param(lambda p: changed(p, private=1), "a sealed", id="private"),
        pytest.param(lambda p: changed(p, public="x"), "a sealed", id="public"),
        pytest.param(lambda p: changed(p, ticket=None), "a sealed", id="ticket"),
        pytest.param(
            lambda p: changed(p, private=bytes(1 << 17)), "CBOR", id="too long"
        ),
        pytest.param(
            lambda p: changed(p, private=bytes(64)), "does not open it", id="foreign"
        ),
    ],
)
def test_another_file_is_refused(
    swtpm: Tpm, path: Path, change: Callable[[Path], object], message: str
) -> None:
    SealedSecret(path, swtpm).read()
    change(path)

    with pytest.raises(ConfigurationError, match=message):
        SealedSecret(path, swtpm).read()
