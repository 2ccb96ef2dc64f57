"""The Nitro Security Module's device: what is asked, and each way it can fail."""

from __future__ import annotations

import errno
import os
import sys
import termios
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindai.attester.nsm import NSM_IOCTL_RAW, PATH, Kernel, NsmAttester
from blindai.errors import HardwareAbsentError, HardwareBusyError, HardwareError
from blindai.protocol.attestation import NITRO_DOCUMENT_TYPE
from blindai.protocol.keyset import Binding
from blindai.testing import NOW
from blindai.testing.devices.nsm import Nsm
from blindai.testing.vendors.aws import Aws
from blindai.verifier.nitro.document import parse_document

BINDING = Binding(bytes(range(32)), bytes(range(32, 64)))
AWS = Aws()


def nsm(**changes: object) -> Nsm:
    return Nsm(aws=AWS, clock=lambda: NOW, **changes)  # type: ignore[arg-type]  # one of many


def test_the_document_binds_what_it_was_asked_to() -> None:
    device = nsm()
    attester = NsmAttester(device)

    evidence = attester.attest(BINDING)

    assert evidence.media_type == attester.tee == NITRO_DOCUMENT_TYPE
    document = parse_document(evidence.evidence).document
    assert document.user_data == BINDING.digest
    assert document.nonce == BINDING.nonce
    assert document.public_key is None
    assert not device.is_open


def test_without_a_nonce_the_document_has_none() -> None:
    evidence = NsmAttester(nsm()).attest(Binding(bytes(32), None))

    assert parse_document(evidence.evidence).document.nonce is None


def test_the_request_is_what_the_module_reads() -> None:
    device = nsm()
    NsmAttester(device).attest(BINDING)

    asked = {"user_data": BINDING.digest, "nonce": BINDING.nonce, "public_key": None}
    assert device.requests == [{"Attestation": asked}]


def test_the_ioctl_is_linux_s() -> None:
    size, magic, function = 32, 0x0A, 0
    number = 3 << 30 | size << 16 | magic << 8 | function
    assert number == NSM_IOCTL_RAW


def test_the_module_is_looked_for() -> None:
    device = nsm()

    NsmAttester(device).require_module()
    assert not device.is_open
    assert not device.requests


def test_there_is_no_sealing_key() -> None:
    attester = NsmAttester(nsm())

    assert attester.sealing_key() is None
    assert attester.sealing is None


def test_signals_are_waited_out() -> None:
    device = nsm(interruptions=9)

    assert NsmAttester(device).attest(BINDING).evidence
    assert not device.interruptions


def test_endless_signals_are_an_error() -> None:
    with pytest.raises(HardwareError, match="cannot be asked for a document, EINTR"):
        NsmAttester(nsm(interruptions=1000)).attest(BINDING)


@pytest.mark.parametrize(
    "code",
    ["InvalidArgument", "InvalidOperation", "InputTooLarge", "InternalError"],
)
def test_an_error_of_the_module_s_is_named(code: str) -> None:
    device = nsm(answer=cbor2.dumps({"Error": code}))

    with pytest.raises(
        HardwareError, match=f"expected a document, got the error {code}"
    ):
        NsmAttester(device).attest(BINDING)
    assert not device.is_open


def test_an_answer_that_just_fits_is_taken() -> None:
    frame = len(cbor2.dumps({"Attestation": {"document": bytes(0x2000)}})) - 0x2000
    document = bytes(0x3000 - frame)
    answer = cbor2.dumps({"Attestation": {"document": document}})

    assert len(answer) == 0x3000
    assert NsmAttester(nsm(answer=answer)).attest(BINDING).evidence == document


def test_an_answer_that_does_not_fit_is_an_error() -> None:
    answer = cbor2.dumps({"Attestation": {"document": bytes(0x3000)}})

    with pytest.raises(HardwareError, match="got the error BufferTooSmall"):
        NsmAttester(nsm(answer=answer)).attest(BINDING)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"Error": "\x1b[2J"}, id="error of no known name"),
        pytest.param({"Error": 1}, id="error that is a number"),
        pytest.param({"Attestation": {}}, id="no document"),
        pytest.param({"Attestation": {"document": b""}}, id="empty document"),
        pytest.param({"Attestation": {"document": "text"}}, id="document of text"),
        pytest.param({"Attestation": None}, id="null"),
        pytest.param({"DescribeNSM": {}}, id="answer to another request"),
        pytest.param(["Attestation"], id="list"),
        pytest.param("LockPCR", id="text"),
        pytest.param({}, id="empty map"),
    ],
)
def test_an_answer_of_another_shape_is_refused(answer: object) -> None:
    device = nsm(answer=cbor2.dumps(answer))

    with pytest.raises(
        HardwareError, match=r"expected a document, got another answer\n"
    ):
        NsmAttester(device).attest(BINDING)


@pytest.mark.parametrize("length", [0, 1, 5, 100, 4000])
def test_an_answer_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(HardwareError, match="answered with other than CBOR"):
        NsmAttester(nsm(length=length)).attest(BINDING)


def test_bytes_after_the_answer_are_refused() -> None:
    answer = cbor2.dumps({"Error": "InternalError"})

    with pytest.raises(HardwareError, match="answered with other than CBOR"):
        NsmAttester(nsm(answer=answer, length=len(answer) + 1)).attest(BINDING)


def test_a_length_beyond_the_room_is_refused() -> None:
    with pytest.raises(HardwareError, match="at most 12288 bytes, got 12289"):
        NsmAttester(nsm(length=0x3001)).attest(BINDING)


class Failing(Nsm):
    """A device whose exchange fails."""

    number = 0

    def ioctl(self, _descriptor: int, _request: int, _message: bytearray, /) -> int:
        raise OSError(self.number, "failed")


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        pytest.param(errno.EIO, HardwareError, r"EIO\n", id="I/O"),
        pytest.param(errno.EBUSY, HardwareBusyError, "EBUSY", id="busy"),
        pytest.param(errno.ENOTTY, HardwareError, "ENOTTY; the driver", id="driver"),
        pytest.param(errno.EMSGSIZE, HardwareError, "takes less", id="too long"),
    ],
)
def test_a_failing_device_is_an_error_that_says_what_to_do(
    number: int, error: type[HardwareError], message: str
) -> None:
    device = Failing(aws=AWS, clock=lambda: NOW)
    device.number = number

    with pytest.raises(
        error, match=f"{PATH}: cannot be asked for a document, .*"
    ) as got:
        NsmAttester(device).attest(BINDING)
    assert message.removesuffix(r"\n") in str(got.value)
    assert not device.is_open


@pytest.mark.skipif(Path(PATH).exists(), reason="this is a Nitro enclave")
def test_outside_an_enclave_the_error_says_so() -> None:
    with pytest.raises(HardwareError, match="ENOENT; run this in a Nitro enclave"):
        NsmAttester().attest(BINDING)
    with pytest.raises(HardwareAbsentError, match="/dev/nsm: cannot be opened, ENOENT"):
        NsmAttester().require_module()


def test_the_kernel_writes_over_the_message() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"four")
    message = bytearray(4)

    assert Kernel().ioctl(reader, termios.FIONREAD, message) == 0
    assert int.from_bytes(message, sys.byteorder) == 4
    os.close(reader)
    os.close(writer)


def test_the_kernel_refuses_the_ioctl_on_another_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kernel = Kernel()
    descriptor = kernel.open(str(tmp_path / "file"), 0)

    with pytest.raises(OSError, match="Inappropriate ioctl"):
        kernel.ioctl(descriptor, NSM_IOCTL_RAW, bytearray(32))
    kernel.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        kernel.close(descriptor)


@given(st.binary(max_size=64))
def test_any_answer_gives_a_document_or_the_error(answer: bytes) -> None:
    try:
        evidence = NsmAttester(nsm(answer=answer)).attest(BINDING)
    except HardwareError:
        return
    assert evidence.evidence
