"""A TPM's commands: on a TPM in software, and on one that answers as it is told."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from tests.attester.tpm.conftest import AUTH_WRITE_AND_READ

from blindai.attester.tpm import Tpm, wire
from blindai.attester.tpm.commands import ENDORSEMENT, CommandError
from blindai.attester.tpm.templates import ATTESTATION_KEY
from blindai.errors import HardwareBusyError, HardwareError
from blindai.verifier.tpm.quote import parse_quote, parse_signature

INDEX = 0x01800001
RETRY, YIELDED, TESTING = 0x922, 0x908, 0x90A


class FakeTransport:
    """A TPM that gives these answers, and then the last one for ever."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.commands: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        self.commands.append(command)
        return self._answers.pop(0) if self._answers[1:] else self._answers[0]


def answer(code: int = 0, body: bytes = b"", tag: int = wire.NO_SESSIONS) -> bytes:
    return struct.pack(">HII", tag, 10 + len(body), code) + body


def tpm_with(*answers: bytes) -> tuple[Tpm, FakeTransport, list[float]]:
    transport, pauses = FakeTransport(*answers), list[float]()
    return Tpm(transport, pauses.append), transport, pauses


@pytest.mark.parametrize("code", [RETRY, YIELDED, TESTING])
def test_a_tpm_that_is_busy_is_asked_again(code: int) -> None:
    tpm, transport, pauses = tpm_with(answer(code), answer(code), answer())

    tpm.flush(1)

    assert transport.commands == [transport.commands[0]] * 3
    assert len(pauses) == 2


def test_a_tpm_that_stays_busy_fails() -> None:
    tpm, transport, _ = tpm_with(answer(RETRY))

    with pytest.raises(HardwareBusyError, match="TPM2_FlushContext: the TPM stays"):
        tpm.flush(1)

    assert len(transport.commands) == 50


def test_a_tpm_that_refuses_says_how() -> None:
    tpm, _, _ = tpm_with(answer(0x18B))

    with pytest.raises(CommandError, match=r"TPM2_FlushContext: .* 0x18b") as caught:
        tpm.flush(1)

    assert caught.value.code == 0x18B


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(answer()[:-1], id="cut"),
        pytest.param(answer() + b"\x00", id="long"),
        pytest.param(answer(tag=0x00C4), id="a TPM 1.2"),
    ],
)
def test_other_bytes_than_a_response_are_refused(data: bytes) -> None:
    tpm, _, _ = tpm_with(data)

    with pytest.raises(HardwareError, match="TPM2_FlushContext: expected"):
        tpm.flush(1)


def test_other_registers_than_those_asked_for_are_refused() -> None:
    body = bytes(4) + wire.selection("sha256", [1]) + struct.pack(">I", 0)
    tpm, _, _ = tpm_with(answer(body=body))

    with pytest.raises(HardwareError, match=r"sha256 PCRs \[0\], got others"):
        tpm.read_pcrs("sha256", [0])


def test_a_bank_without_registers_or_name_is_left_out() -> None:
    banks = [(0x0004, 0), (0x0012, 1), (0x000B, 1)]
    listed = b"".join(struct.pack(">HBBH", bank, 3, bits, 0) for bank, bits in banks)
    tpm, _, _ = tpm_with(answer(body=struct.pack(">BII", 0, 5, 3) + listed))

    assert tpm.banks() == ("sha256",)


def test_less_than_an_index_holds_is_refused() -> None:
    public = struct.pack(">IHIHH", INDEX, 0x000B, 1 << 18, 0, 4)
    block = struct.pack(">I", 4) + wire.sized(b"ab")
    tpm, _, _ = tpm_with(answer(body=wire.sized(public)), answer(body=block))

    with pytest.raises(HardwareError, match="TPM2_NV_Read: expected 4 bytes"):
        tpm.read_nv(INDEX)


def test_the_registers_of_a_tpm_are_read_and_extended(swtpm: Tpm) -> None:
    before = swtpm.read_pcrs("sha256", range(24))

    swtpm.extend_pcr(4, [(0x000B, b"d" * 32)])

    after = swtpm.read_pcrs("sha256", range(24))
    assert {index for index in before if before[index] != after[index]} == {4}
    assert before[0] == bytes(32)
    assert before[17] == b"\xff" * 32


def test_a_tpm_quotes_what_it_is_given(swtpm: Tpm) -> None:
    key, _ = swtpm.create_primary(ENDORSEMENT, ATTESTATION_KEY)

    quote, signature = swtpm.quote(key, b"e" * 32, "sha256", (0, 7))

    parsed = parse_quote(quote)
    assert parsed.extra_data == b"e" * 32
    assert parsed.selection == (("sha256", (0, 7)),)
    assert parse_signature(signature).hash == "sha256"


def test_the_same_template_gives_the_same_key(swtpm: Tpm) -> None:
    first, one = swtpm.create_primary(ENDORSEMENT, ATTESTATION_KEY)
    swtpm.flush(first)
    _, other = swtpm.create_primary(ENDORSEMENT, ATTESTATION_KEY)

    assert one == other


@pytest.mark.parametrize("attributes", [0x00020002, AUTH_WRITE_AND_READ])
@pytest.mark.parametrize("size", [1, 512, 1300])
def test_an_index_is_read_in_blocks(
    swtpm: Tpm, write_nv: Callable[..., None], size: int, attributes: int
) -> None:
    content = bytes(range(256)) * 6
    write_nv(swtpm, INDEX, content[:size], attributes)

    assert swtpm.has(INDEX)
    assert not swtpm.has(INDEX + 1)
    assert swtpm.read_nv(INDEX) == content[:size]


def test_an_index_that_is_not_there_is_refused(swtpm: Tpm) -> None:
    with pytest.raises(CommandError, match="TPM2_NV_ReadPublic"):
        swtpm.read_nv(INDEX)
