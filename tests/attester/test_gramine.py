"""Gramine's pseudo-files: one quote at a time, for DCAP only; MRENCLAVE's key."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.attester.conftest import BINDING, BOUND, sgx_quote

from blindai.attester import Attester
from blindai.attester.gramine import GramineAttester
from blindai.errors import HardwareAbsentError, HardwareError
from blindai.protocol.attestation import SGX_QUOTE_TYPE
from blindai.protocol.keyset import Binding
from blindai.testing.devices import FakeFiles, FakeGramine, Fault


@pytest.fixture
def tree() -> FakeGramine:
    return FakeGramine(sgx_quote)


def attester(tree: FakeGramine, *faults: Fault) -> GramineAttester:
    return GramineAttester(files=FakeFiles(tree, faults))


def test_it_is_an_attester(tree: FakeGramine) -> None:
    each: Attester = attester(tree)

    assert each.tee == SGX_QUOTE_TYPE
    assert each.sealing is not None
    assert "MRENCLAVE" in each.sealing


def test_evidence_is_the_quote(tree: FakeGramine) -> None:
    evidence = attester(tree).attest(BINDING)

    assert evidence.media_type == SGX_QUOTE_TYPE
    assert evidence.evidence == sgx_quote(BOUND)
    assert evidence.endorsements == ()


@pytest.mark.parametrize("piece_bytes", [1, 100])
def test_short_reads_are_continued(tree: FakeGramine, piece_bytes: int) -> None:
    files = FakeFiles(tree, piece_bytes=piece_bytes)

    assert GramineAttester(files=files).attest(BINDING).evidence == sgx_quote(BOUND)


@pytest.mark.parametrize(
    ("call", "name"),
    [("open", "quote"), ("read", "quote"), ("write", "user_report_data")],
)
def test_interrupted_calls_are_made_again(
    tree: FakeGramine, call: str, name: str
) -> None:
    each = attester(tree, Fault(call, name, errno.EINTR, 2))

    assert each.attest(BINDING).evidence == sgx_quote(BOUND)


def test_report_data_is_written_whole(tree: FakeGramine) -> None:
    files = FakeFiles(tree, taken_bytes=32)

    with pytest.raises(HardwareError, match="take 64 bytes at once, took 32"):
        GramineAttester(files=files).attest(BINDING)


def test_dcap_may_end_with_a_line() -> None:
    ended = FakeGramine(sgx_quote, attestation_type=b"dcap\n")

    assert attester(ended).attest(BINDING).evidence == sgx_quote(BOUND)


@pytest.mark.parametrize("scheme", [b"none", b"epid", b"", b"dcap2"])
def test_any_other_scheme_is_refused(scheme: bytes) -> None:
    other = FakeGramine(sgx_quote, attestation_type=scheme)

    for ask in (lambda: attester(other).attest(BINDING), attester(other).sealing_key):
        with pytest.raises(HardwareError, match=r"expected dcap, got .*manifest"):
            ask()


def test_outside_gramine_it_is_absent(tree: FakeGramine) -> None:
    each = GramineAttester("/elsewhere", FakeFiles(tree))

    with pytest.raises(HardwareAbsentError, match="run the server under gramine-sgx"):
        each.attest(BINDING)


def test_a_quoting_enclave_that_does_not_answer_is_named(tree: FakeGramine) -> None:
    each = attester(tree, Fault("open", "quote", errno.EACCES))

    with pytest.raises(HardwareError, match="EACCES; the quoting enclave does not"):
        each.attest(BINDING)


def test_a_stale_quote_is_refused() -> None:
    stale = FakeGramine(lambda _: sgx_quote(bytes(64)))

    with pytest.raises(HardwareError, match="bind what the device was given"):
        attester(stale).attest(BINDING)


def test_calls_are_made_one_at_a_time() -> None:
    running = threading.Semaphore(1)

    def quote(bound: bytes) -> bytes:
        assert running.acquire(blocking=False), "expected one quote at a time"
        threading.Event().wait(0.002)
        running.release()
        return sgx_quote(bound)

    each = attester(FakeGramine(quote))
    bindings = [Binding(bytes([number]) * 32, None) for number in range(16)]

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(each.attest, bindings))

    assert [one.evidence for one in made] == [
        sgx_quote(one.report_data) for one in bindings
    ]


class TestSealingKey:
    """32 bytes from the 16 that EGETKEY gives for this MRENCLAVE."""

    def test_it_is_found_again_and_is_not_gramine_s_own(
        self, tree: FakeGramine
    ) -> None:
        key = attester(tree).sealing_key()

        assert key is not None
        assert len(key) == 32
        assert bytes(range(16)) not in key
        assert attester(tree).sealing_key() == key

    def test_it_is_another_for_another_enclave(self, tree: FakeGramine) -> None:
        other = FakeGramine(sgx_quote, sealing_secret=b"o" * 16)

        assert attester(other).sealing_key() != attester(tree).sealing_key()

    @pytest.mark.parametrize("size", [0, 15])
    def test_a_short_secret_is_refused(self, size: int) -> None:
        short = FakeGramine(sgx_quote, sealing_secret=bytes(size))

        with pytest.raises(HardwareError, match=f"expected 16 bytes, got {size}"):
            attester(short).sealing_key()

    def test_a_long_secret_is_refused(self) -> None:
        long = FakeGramine(sgx_quote, sealing_secret=bytes(17))

        with pytest.raises(HardwareError, match="expected at most 16 bytes"):
            attester(long).sealing_key()
