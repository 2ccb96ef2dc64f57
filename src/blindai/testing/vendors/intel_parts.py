"""The shapes of Intel's evidence and endorsements, for a made-up Intel.

The layouts stand in `verifier/intel`, field by field; they are written here anew, so
that a mistake in one is not made in both.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509

from blindai.testing.vendors.asn1 import integer, tlv

SGX: Final = 0x00
TDX: Final = 0x81
INTEL_QE_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
QE_SIGNER: Final = bytes.fromhex(
    "8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff"
)
SEPT_VE_DISABLE: Final = 1 << 28
_SGX_EXTENSION: Final = "1.2.840.113741.1.13.1"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclave:
    """What SGX says of an enclave; the defaults are accepted.

    Attributes:
        reserved: What lies in the first reserved field, 12 bytes.
    """

    cpu_svn: bytes = bytes([5] * 16)
    misc_select: int = 0
    reserved: bytes = bytes(12)
    isv_ext_prod_id: bytes = bytes(16)
    flags: int = 0x05
    xfrm: int = 0xE7
    mr_enclave: bytes = b"\xe1" * 32
    mr_signer: bytes = b"\x51" * 32
    config_id: bytes = bytes(64)
    isv_prod_id: int = 7
    isv_svn: int = 3
    config_svn: int = 0
    isv_family_id: bytes = bytes(16)

    def encode(self, report_data: bytes) -> bytes:
        """The report body, 384 bytes."""
        return b"".join(
            (
                struct.pack("<16sI12s16s", self.cpu_svn, self.misc_select,
                            self.reserved, self.isv_ext_prod_id),
                struct.pack("<QQ32s32x32s32x", self.flags, self.xfrm,
                            self.mr_enclave, self.mr_signer),
                struct.pack("<64sHHH42x16s64s", self.config_id, self.isv_prod_id,
                            self.isv_svn, self.config_svn, self.isv_family_id,
                            report_data),
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustDomain:
    """What TDX says of a trust domain; the defaults are accepted.

    Attributes:
        newer: Whether the report is TDX 1.5's, with its last two fields.
    """

    tee_tcb_svn: bytes = bytes([6, 1, 3]) + bytes(13)
    mr_seam: bytes = b"\x5e" * 48
    mr_signer_seam: bytes = bytes(48)
    seam_attributes: int = 0
    td_attributes: int = SEPT_VE_DISABLE
    xfam: int = 0x602E7
    mr_td: bytes = b"\x7d" * 48
    mr_config_id: bytes = bytes(48)
    mr_owner: bytes = bytes(48)
    mr_owner_config: bytes = bytes(48)
    rtmr: tuple[bytes, ...] = (b"\x00" * 48, b"\x01" * 48, b"\x02" * 48, b"\x03" * 48)
    newer: bool = True
    tee_tcb_svn2: bytes = bytes([6, 1, 3]) + bytes(13)
    mr_service_td: bytes = bytes(48)

    def encode(self, report_data: bytes) -> bytes:
        """The report body, 648 bytes, or 584 of TDX 1.0."""
        body = struct.pack("<16s48s48sQQQ", self.tee_tcb_svn, self.mr_seam,
                           self.mr_signer_seam, self.seam_attributes,
                           self.td_attributes, self.xfam)  # fmt: skip
        owner = (self.mr_td, self.mr_config_id, self.mr_owner, self.mr_owner_config)
        body += b"".join((*owner, *self.rtmr, report_data))
        more = self.tee_tcb_svn2 + self.mr_service_td if self.newer else b""
        return body + more


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands before a quote's body."""

    version: int
    tee: int
    key_type: int = 2
    vendor: bytes = INTEL_QE_VENDOR

    def encode(self, body: bytes) -> bytes:
        """The header, 48 bytes; in version 5 also the body's type and size."""
        head = struct.pack("<HHII16s20x", self.version, self.key_type, self.tee,
                           0, self.vendor)  # fmt: skip
        if self.version < 5:
            return head
        kind = 3 if len(body) == 648 else 2
        return head + struct.pack("<HI", kind, len(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteParts:
    """A quote in its parts, each of which a test may put another in place of."""

    version: int
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    attestation_key: bytes = field(repr=False)
    qe_report: bytes = field(repr=False)
    qe_report_signature: bytes = field(repr=False)
    authentication_data: bytes = field(repr=False)
    certificates: bytes = field(repr=False)
    certificates_type: int = 5
    qe_data_type: int = 6
    trailing: bytes = b""

    def encode(self) -> bytes:
        """The quote."""
        certificates = struct.pack(
            "<HI", self.certificates_type, len(self.certificates)
        )
        size = struct.pack("<H", len(self.authentication_data))
        qe_data = (
            self.qe_report
            + self.qe_report_signature
            + size
            + self.authentication_data
            + certificates
            + self.certificates
        )
        if self.version > 3:
            qe_data = struct.pack("<HI", self.qe_data_type, len(qe_data)) + qe_data
        data = self.signature + self.attestation_key + qe_data
        return self.signed + struct.pack("<I", len(data)) + data + self.trailing


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What a platform's certificate says of it; the defaults are up to date.

    Attributes:
        configuration: Dynamic platform, cached keys, multithreading; None if the
            certificate is silent, as the processor authority's are.
    """

    components: tuple[int, ...] = (5,) * 16
    pce_svn: int = 13
    pce_id: bytes = bytes(2)
    fmspc: bytes = bytes.fromhex("b0c06f000000")
    configuration: tuple[bool, bool, bool] | None = (True, True, True)

    def extension(self) -> x509.UnrecognizedExtension:
        """Intel's extension of the certificate."""
        tcb = [_pair(f"2.{n}", integer(v)) for n, v in enumerate(self.components, 1)]
        tcb.append(_pair("2.17", integer(self.pce_svn)))
        tcb.append(_pair("2.18", tlv(0x04, bytes(self.components))))
        pairs = [
            _pair("1", tlv(0x04, bytes(16))),
            _pair("2", tlv(0x30, b"".join(tcb))),
            _pair("3", tlv(0x04, self.pce_id)),
            _pair("4", tlv(0x04, self.fmspc)),
            _pair("5", tlv(0x0A, b"\x01")),
        ]
        if self.configuration is not None:
            flags = b"".join(
                _pair(f"7.{n}", tlv(0x01, b"\xff" if flag else b"\x00"))
                for n, flag in enumerate(self.configuration, 1)
            )
            pairs += [_pair("6", tlv(0x04, bytes(16))), _pair("7", tlv(0x30, flags))]
        value = tlv(0x30, b"".join(pairs))
        return x509.UnrecognizedExtension(x509.ObjectIdentifier(_SGX_EXTENSION), value)


def quoting_enclave(tee: int) -> Enclave:
    """The quoting enclave that `qe_identity` describes."""
    return Enclave(
        flags=0x11, mr_signer=QE_SIGNER, isv_prod_id=2 if tee == TDX else 1, isv_svn=8
    )


def qe_identity(tee: int, issued: str, next_update: str) -> Json:
    """What Intel says of its quoting enclave, version 2."""
    return {
        "id": "TD_QE" if tee == TDX else "QE",
        "version": 2,
        "issueDate": issued,
        "nextUpdate": next_update,
        "tcbEvaluationDataNumber": 20,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": QE_SIGNER.hex().upper(),
        "isvprodid": 2 if tee == TDX else 1,
        "tcbLevels": enclave_levels(8, 4),
    }


def enclave_levels(up_to_date: int, out_of_date: int) -> list[Json]:
    """Two levels of a quoting enclave or TDX module."""
    return [
        _level({"isvsvn": up_to_date}, "UpToDate"),
        _level({"isvsvn": out_of_date}, "OutOfDate", "INTEL-SA-00700"),
    ]


def tcb_info(tee: int, fmspc: bytes, issued: str, next_update: str) -> Json:
    """What Intel says of the platform, version 3."""
    info: Json = {
        "id": "TDX" if tee == TDX else "SGX",
        "version": 3,
        "issueDate": issued,
        "nextUpdate": next_update,
        "fmspc": fmspc.hex().upper(),
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": 20,
        "tcbLevels": [
            platform_level(tee, 5, "UpToDate"),
            platform_level(tee, 4, "SWHardeningNeeded", "INTEL-SA-00615"),
            platform_level(tee, 3, "OutOfDate", "INTEL-SA-00289", "INTEL-SA-00615"),
        ],
    }
    if tee == TDX:
        module = {
            "mrsigner": "00" * 48,
            "attributes": "00" * 8,
            "attributesMask": "FF" * 8,
        }
        line = {"id": "TDX_01", "tcbLevels": enclave_levels(6, 4), **module}
        info |= {"tdxModule": module, "tdxModuleIdentities": [line]}
    return info


def platform_level(tee: int, svn: int, status: str, *advisories: str) -> Json:
    """A level at which each of the platform's components has at least a version."""
    tcb: Json = {"sgxtcbcomponents": [{"svn": svn}] * 16, "pcesvn": 13}
    if tee == TDX:
        tcb["tdxtcbcomponents"] = [{"svn": n} for n in (6, 1, 3, *[0] * 13)]
    return _level(tcb, status, *advisories)


def as_version_2(info: Json) -> Json:
    """A statement about an SGX platform as Intel wrote it before version 3."""
    older = {key: value for key, value in info.items() if key != "id"}
    older["version"] = 2
    older["tcbLevels"] = [_level_of_version_2(level) for level in info["tcbLevels"]]
    return older


def _level_of_version_2(level: Json) -> Json:
    components = level["tcb"]["sgxtcbcomponents"]
    named = {
        f"sgxtcbcomp{n:02}svn": each["svn"] for n, each in enumerate(components, 1)
    }
    return level | {"tcb": named | {"pcesvn": level["tcb"]["pcesvn"]}}


def _level(tcb: Json, status: str, *advisories: str) -> Json:
    level: Json = {"tcb": tcb, "tcbDate": "2026-02-11T00:00:00Z", "tcbStatus": status}
    return level | ({"advisoryIDs": list(advisories)} if advisories else {})


def _pair(number: str, value: bytes) -> bytes:
    oid = bytes.fromhex("2a864886f84d010d01") + bytes(map(int, number.split(".")))
    return tlv(0x30, tlv(0x06, oid) + value)
