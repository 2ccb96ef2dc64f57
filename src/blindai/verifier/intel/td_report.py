"""The report of a TDX trust domain, of TDX 1.0 and of TDX 1.5.

Intel TDX DCAP Quoting Library API, A.3.2 (TD Quote Body, 584 bytes) and A.4 (version
1.5, 648 bytes: the last two fields); the fields are those of TDREPORT_STRUCT in the
Intel TDX Module ABI specification (348551). Numbers little-endian:

    000 TEE_TCB_SVN 16         088 MRTD 48            148 RTMR0 48
    010 MRSEAM 48              0B8 MRCONFIGID 48      178 RTMR1 48
    040 MRSIGNERSEAM 48        0E8 MROWNER 48         1A8 RTMR2 48
    070 SEAMATTRIBUTES 8       118 MROWNERCONFIG 48   1D8 RTMR3 48
    078 TDATTRIBUTES u64                              208 REPORTDATA 64
    080 XFAM u64                                      248 TEE_TCB_SVN2 16
                                                      258 MRSERVICETD 48
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from blindai.errors import EvidenceError

TD_REPORT_10_BYTES: Final = 584
TD_REPORT_15_BYTES: Final = 648


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """A report, cut into its fields but not believed.

    Attributes:
        encoding: All of it, 584 or 648 bytes.
        tee_tcb_svn: Security versions of the TDX module and what loads it when the
            trust domain was made, 16 bytes: number, version of the module, loader, ...
        mr_seam: Measurement of the TDX module, 48 bytes (SHA-384).
        mr_signer_seam: Who signed the TDX module, 48 bytes; zero for Intel.
        seam_attributes: The TDX module's attributes, 8 bytes as they lie.
        td_attributes: The trust domain's attributes, 64 bits.
        xfam: Extended features that it may use, 8 bytes as they lie.
        mr_td: Measurement of what it was made of, its firmware, 48 bytes (SHA-384).
        mr_config_id: The owner's name for a configuration, 48 bytes; zero if none.
        mr_owner: The owner's name, 48 bytes; zero if none.
        mr_owner_config: The owner's name for its own configuration, 48 bytes.
        rtmr: Four registers for what is measured at run time, 48 bytes each.
        report_data: What the trust domain bound, 64 bytes.
        tee_tcb_svn2: As `tee_tcb_svn`, of the TDX module that runs now; None in 1.0.
        mr_service_td: Measurement of the service trust domains bound to it, 48 bytes;
            zero if there are none, as always in 1.0.
    """

    encoding: bytes = field(repr=False)
    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: int
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr: tuple[bytes, ...]
    report_data: bytes
    tee_tcb_svn2: bytes | None
    mr_service_td: bytes


def parse_td_report(data: bytes) -> TdReport:
    """Cut a report into its fields; its length says which version it is of.

    Raises:
        EvidenceError: If it is neither 584 nor 648 bytes.
    """
    if len(data) not in {TD_REPORT_10_BYTES, TD_REPORT_15_BYTES}:
        raise EvidenceError(
            f"TD report: expected {TD_REPORT_10_BYTES} or {TD_REPORT_15_BYTES} bytes,"
            f" got {len(data)}"
        )
    newer = len(data) == TD_REPORT_15_BYTES
    return TdReport(
        encoding=data,
        tee_tcb_svn=data[0x000:0x010],
        mr_seam=data[0x010:0x040],
        mr_signer_seam=data[0x040:0x070],
        seam_attributes=data[0x070:0x078],
        td_attributes=int.from_bytes(data[0x078:0x080], "little"),
        xfam=data[0x080:0x088],
        mr_td=data[0x088:0x0B8],
        mr_config_id=data[0x0B8:0x0E8],
        mr_owner=data[0x0E8:0x118],
        mr_owner_config=data[0x118:0x148],
        rtmr=tuple(data[at : at + 48] for at in range(0x148, 0x208, 48)),
        report_data=data[0x208:0x248],
        tee_tcb_svn2=data[0x248:0x258] if newer else None,
        mr_service_td=data[0x258:0x288] if newer else bytes(48),
    )
