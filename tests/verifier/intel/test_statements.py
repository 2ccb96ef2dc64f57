"""Intel's statements and collateral, read field by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.verifier.intel.made_up import INTEL

from blindai.errors import EvidenceError
from blindai.testing.vendors.intel import ISSUED, NEXT_UPDATE
from blindai.testing.vendors.intel_parts import SGX, TDX, as_version_2
from blindai.verifier.intel.collateral import (
    MAX_COLLATERAL_BYTES,
    Collateral,
    parse_collateral,
)
from blindai.verifier.intel.qe_identity import QeIdentity, parse_qe_identity
from blindai.verifier.intel.statements import MAX_ENTRIES, Statement
from blindai.verifier.intel.tcb_info import (
    EnclaveLevel,
    PlatformLevel,
    TcbInfo,
    TdxModule,
    parse_tcb_info,
)

DATE = datetime(2026, 2, 11, tzinfo=UTC)
SGX_COLLATERAL = INTEL.collateral(SGX)
TDX_COLLATERAL = INTEL.collateral(TDX)
SGX_INFO = json.loads(SGX_COLLATERAL["tcb_info"])
TDX_INFO = json.loads(TDX_COLLATERAL["tcb_info"])
QE_IDENTITY = json.loads(SGX_COLLATERAL["qe_identity"])
Read = Callable[[Statement], object]
THING = Statement({"a": 1}, "thing")


class TestStatement:
    @pytest.mark.parametrize(
        ("value", "read", "expected"),
        [
            pytest.param(255, lambda s: s.number("x", 255), 255, id="number"),
            pytest.param(0, lambda s: s.number("x", 255), 0, id="zero"),
            pytest.param("ab", lambda s: s.text("x", 2), "ab", id="text"),
            pytest.param("A-1_b", lambda s: s.word("x"), "A-1_b", id="word"),
            pytest.param("a", lambda s: s.word("x", ("a", "b")), "a", id="known word"),
            pytest.param(["a", "b"], lambda s: s.words("x"), ("a", "b"), id="words"),
            pytest.param("aAfF", lambda s: s.field("x", 2), b"\xaa\xff", id="field"),
            pytest.param("00", lambda s: s.octets("x", 1, 3), b"\x00", id="octets"),
            pytest.param("000000", lambda s: s.octets("x", 1, 3), bytes(3), id="most"),
            pytest.param(
                "2026-02-11T00:00:00Z", lambda s: s.time("x"), DATE, id="time"
            ),
            pytest.param(
                {"a": 1}, lambda s: s.member("x").number("a", 1), 1, id="member"
            ),
            pytest.param(
                [{"a": 1}] * MAX_ENTRIES,
                lambda s: len(s.members("x")),
                MAX_ENTRIES,
                id="members",
            ),
        ],
    )
    def test_a_field_is_read(self, value: object, read: Read, expected: object) -> None:
        assert read(Statement({"x": value}, "thing")) == expected

    @pytest.mark.parametrize(
        ("value", "read"),
        [
            pytest.param(256, lambda s: s.number("x", 255), id="too large"),
            pytest.param(-1, lambda s: s.number("x", 255), id="negative"),
            pytest.param(1.0, lambda s: s.number("x", 255), id="fraction"),
            pytest.param(True, lambda s: s.number("x", 255), id="boolean"),
            pytest.param("1", lambda s: s.number("x", 255), id="digits"),
            pytest.param("abc", lambda s: s.text("x", 2), id="too long"),
            pytest.param("\u00e9", lambda s: s.text("x", 2), id="no ASCII"),
            pytest.param(1, lambda s: s.text("x", 2), id="no text"),
            pytest.param("a b", lambda s: s.word("x"), id="two words"),
            pytest.param("", lambda s: s.word("x"), id="no word"),
            pytest.param("a" * 65, lambda s: s.word("x"), id="long word"),
            pytest.param("c", lambda s: s.word("x", ("a", "b")), id="unknown word"),
            pytest.param("a", lambda s: s.words("x"), id="a word, not words"),
            pytest.param([1], lambda s: s.words("x"), id="numbers, not words"),
            pytest.param(
                ["a"] * (MAX_ENTRIES + 1), lambda s: s.words("x"), id="many words"
            ),
            pytest.param("aa", lambda s: s.field("x", 2), id="a byte too few"),
            pytest.param("aaaaaa", lambda s: s.field("x", 2), id="a byte too many"),
            pytest.param("aaaa ", lambda s: s.octets("x", 1, 3), id="blank"),
            pytest.param("aaa", lambda s: s.octets("x", 1, 3), id="half a byte"),
            pytest.param("", lambda s: s.octets("x", 1, 3), id="no bytes"),
            pytest.param("00000000", lambda s: s.octets("x", 1, 3), id="many bytes"),
            pytest.param([], lambda s: s.octets("x", 0, 3), id="no hexadecimal"),
            pytest.param("2026-02-11", lambda s: s.time("x"), id="date"),
            pytest.param("2026-02-30T00:00:00Z", lambda s: s.time("x"), id="no time"),
            pytest.param(
                "2026-02-11T00:00:00+00:00", lambda s: s.time("x"), id="offset"
            ),
            pytest.param([], lambda s: s.member("x"), id="no object"),
            pytest.param([1], lambda s: s.members("x"), id="no objects"),
            pytest.param({}, lambda s: s.members("x"), id="no array"),
        ],
    )
    def test_anything_else_is_refused(self, value: object, read: Read) -> None:
        with pytest.raises(EvidenceError, match="thing x: expected"):
            read(Statement({"x": value}, "thing"))

    @pytest.mark.parametrize(
        "read",
        [
            lambda s: s.number("x", 1),
            lambda s: s.text("x", 1),
            lambda s: s.word("x"),
            lambda s: s.field("x", 1),
            lambda s: s.time("x"),
            lambda s: s.member("x"),
            lambda s: s.members("x"),
        ],
    )
    def test_a_missing_field_is_refused(self, read: Read) -> None:
        with pytest.raises(EvidenceError, match="thing x: expected"):
            read(THING)

    def test_missing_words_are_none(self) -> None:
        assert THING.words("x") == ()

    @pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"a":1,"a":1}', "{NaN}"])
    def test_other_texts_are_refused(self, text: str) -> None:
        with pytest.raises(EvidenceError, match="thing: JSON: expected"):
            Statement.parse(text, "thing")

    @given(st.binary(max_size=64))
    def test_any_bytes_give_a_statement_or_the_one_error(self, data: bytes) -> None:
        try:
            statement = Statement.parse(data, "thing")
        except EvidenceError:
            return

        assert isinstance(statement, Statement)


def text(info: dict[str, Any], **changes: object) -> str:
    """The statement with some members changed; those that are None left out."""
    members = info | changes
    return json.dumps({k: v for k, v in members.items() if v is not None})


def level(info: dict[str, Any], **changes: object) -> dict[str, Any]:
    """A change to the statement's first level."""
    first = info["tcbLevels"][0] | changes
    return {"tcbLevels": [{k: v for k, v in first.items() if v is not None}]}


class TestTcbInfo:
    def test_of_an_sgx_platform_it_is_read(self) -> None:
        info = parse_tcb_info(json.dumps(SGX_INFO))

        assert (info.tee, info.version) == ("SGX", 3)
        assert (info.issue_date, info.next_update) == (ISSUED, NEXT_UPDATE)
        assert info.fmspc == bytes.fromhex("b0c06f000000")
        assert info.pce_id == bytes(2)
        assert info.evaluation_data_number == 20
        assert info.tdx_modules == {}
        assert info.levels[1:2] == (
            PlatformLevel(
                sgx_components=(4,) * 16,
                pce_svn=13,
                tdx_components=(),
                status="SWHardeningNeeded",
                date=DATE,
                advisory_ids=("INTEL-SA-00615",),
            ),
        )

    def test_of_version_2_it_says_the_same(self) -> None:
        older = parse_tcb_info(json.dumps(as_version_2(SGX_INFO)))
        newer = parse_tcb_info(json.dumps(SGX_INFO))

        assert older.version == 2
        assert older.tee == "SGX"
        assert older.levels == newer.levels

    def test_of_a_tdx_platform_it_is_read(self) -> None:
        info = parse_tcb_info(json.dumps(TDX_INFO))

        assert info.tee == "TDX"
        assert info.levels[0].tdx_components == (6, 1, 3, *[0] * 13)
        older = TdxModule(
            mr_signer=bytes(48), attributes=bytes(8), attributes_mask=b"\xff" * 8
        )
        assert info.tdx_modules["TDX_00"] == older
        assert info.tdx_modules["TDX_01"].levels == (
            EnclaveLevel(isv_svn=6, status="UpToDate", date=DATE, advisory_ids=()),
            EnclaveLevel(
                isv_svn=4,
                status="OutOfDate",
                date=DATE,
                advisory_ids=("INTEL-SA-00700",),
            ),
        )

    def test_of_tdx_1_0_it_has_no_later_modules(self) -> None:
        info = parse_tcb_info(text(TDX_INFO, tdxModuleIdentities=None))

        assert list(info.tdx_modules) == ["TDX_00"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            pytest.param({"version": 4}, "version: expected 2 or 3, got 4", id="4"),
            pytest.param({"id": "QE"}, "id: expected one of SGX, TDX", id="kind"),
            pytest.param({"tcbType": 1}, "tcbType: expected 0", id="type"),
            pytest.param({"fmspc": "00"}, "fmspc: expected 6", id="FMSPC"),
            pytest.param({"pceId": "00"}, "pceId: expected 2", id="PCE-ID"),
            pytest.param({"issueDate": None}, "issueDate", id="issue date"),
            pytest.param({"nextUpdate": None}, "nextUpdate", id="next update"),
            pytest.param(
                {"tcbEvaluationDataNumber": -1}, "tcbEvaluationDataNumber", id="number"
            ),
            pytest.param(
                level(TDX_INFO, tcbStatus="Fine"),
                "tcbStatus: expected one of .* got Fine",
                id="unknown status",
            ),
            pytest.param(level(TDX_INFO, tcbDate=None), "tcbDate", id="no date"),
            pytest.param(
                level(
                    TDX_INFO, tcb={"pcesvn": 1, "sgxtcbcomponents": [{"svn": 1}] * 15}
                ),
                "sgxtcbcomponents: expected 16, got 15",
                id="15 components",
            ),
            pytest.param({"tdxModule": None}, "tdxModule: expected", id="no module"),
        ],
    )
    def test_another_is_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(EvidenceError, match=message):
            parse_tcb_info(text(TDX_INFO, **changes))


class TestQeIdentity:
    def test_it_is_read(self) -> None:
        changes = {"miscselect": "01020304", "miscselectMask": "05060708"}

        assert parse_qe_identity(text(QE_IDENTITY, **changes)) == QeIdentity(
            id="QE",
            issue_date=ISSUED,
            next_update=NEXT_UPDATE,
            evaluation_data_number=20,
            misc_select=bytes([1, 2, 3, 4]),
            misc_select_mask=bytes([5, 6, 7, 8]),
            attributes=b"\x11" + bytes(15),
            attributes_mask=b"\xfb" + b"\xff" * 7 + bytes(8),
            mr_signer=bytes.fromhex(QE_IDENTITY["mrsigner"]),
            isv_prod_id=1,
            levels=(
                EnclaveLevel(isv_svn=8, status="UpToDate", date=DATE, advisory_ids=()),
                EnclaveLevel(
                    isv_svn=4,
                    status="OutOfDate",
                    date=DATE,
                    advisory_ids=("INTEL-SA-00700",),
                ),
            ),
        )

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            pytest.param({"version": 1}, "version: expected 2, got 1", id="version"),
            pytest.param({"id": "QVE"}, "id: expected one of QE, TD_QE", id="kind"),
            pytest.param(
                level(QE_IDENTITY, tcbStatus="SWHardeningNeeded"),
                "tcbStatus: expected one of UpToDate, OutOfDate, Revoked",
                id="a platform's status",
            ),
            pytest.param({"mrsigner": "00"}, "mrsigner: expected 32", id="signer"),
        ],
    )
    def test_another_is_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(EvidenceError, match=message):
            parse_qe_identity(text(QE_IDENTITY, **changes))


class TestCollateral:
    def test_it_is_read(self) -> None:
        collateral = parse_collateral(json.dumps(TDX_COLLATERAL).encode())

        assert collateral.tcb_info.text == TDX_COLLATERAL["tcb_info"]
        assert collateral.qe_identity.text == TDX_COLLATERAL["qe_identity"]
        assert len(collateral.qe_identity.signature) == 64
        assert collateral.tcb_info.signer.name == "Intel SGX TCB Signing"
        assert len(collateral.certificates) == 6
        assert collateral.crls == (collateral.root_ca_crl, collateral.pck_crl)

    @pytest.mark.parametrize("key", TDX_COLLATERAL)
    def test_without_a_member_it_is_refused(self, key: str) -> None:
        data = text(dict(TDX_COLLATERAL), **{key: None}).encode()

        with pytest.raises(EvidenceError, match=f"collateral {key}: expected"):
            parse_collateral(data)

    def test_without_it_there_is_no_verdict(self) -> None:
        with pytest.raises(EvidenceError, match="Intel's collateral, got none"):
            parse_collateral(b"")

    def test_it_has_a_limit(self) -> None:
        with pytest.raises(EvidenceError, match="at most 262144 bytes"):
            parse_collateral(bytes(MAX_COLLATERAL_BYTES + 1))
        with pytest.raises(EvidenceError, match="collateral: JSON"):
            parse_collateral(bytes(MAX_COLLATERAL_BYTES))

    @given(
        st.sampled_from(sorted(TDX_COLLATERAL)),
        st.one_of(st.text(max_size=32), st.integers(), st.none()),
    )
    def test_any_member_gives_collateral_or_the_one_error(
        self, key: str, value: object
    ) -> None:
        data = json.dumps(TDX_COLLATERAL | {key: value}).encode()
        try:
            parsed = parse_collateral(data)
        except EvidenceError:
            return

        assert isinstance(parsed, Collateral)


@given(
    st.sampled_from([*sorted(TDX_INFO), "tcbLevels"]),
    st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["tcb", "svn", "id"]), inner, max_size=3),
        ),
        max_leaves=8,
    ),
)
def test_any_tcb_info_is_read_or_gives_the_one_error(key: str, value: object) -> None:
    try:
        parsed = parse_tcb_info(json.dumps(TDX_INFO | {key: value}))
    except EvidenceError:
        return

    assert isinstance(parsed, TcbInfo)
