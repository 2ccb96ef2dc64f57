"""Documents as vendors write them, and a vendor's server that may misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from blindai.endorsements.cache import Cache
from blindai.endorsements.documents import Answer, Kind, Request
from blindai.endorsements.fetch import HttpFetch
from blindai.endorsements.refresh import Refresher, Timing
from blindai.endorsements.sources import Addresses
from blindai.protocol.attestation import (
    SEV_SNP_REPORT_TYPE,
    SGX_QUOTE_TYPE,
    Endorsement,
    Evidence,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(days=30)
LATER = NOW + timedelta(days=365)
FMSPC = "00A067110000"
CHIP_ID = bytes(range(64, 128))
AMD_HWID = "1.3.6.1.4.1.3704.1.4"
AMD_LEVEL = "1.3.6.1.4.1.3704.1.3"
TCB = bytes.fromhex("0a01020304051783")
LEVELS = ((1, 0x0A), (2, 0x01), (3, 0x17), (8, 0x83))  # of Milan and Genoa, as in TCB
INTEL_FMSPC = bytes.fromhex("060a2a864886f84d010d01040406") + bytes.fromhex(FMSPC)
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


@cache
def certificate(
    subject: str,
    issuer: str = "issuer",
    *,
    extensions: tuple[tuple[str, bytes], ...] = (),
    not_after: datetime = LATER,
) -> bytes:
    """A certificate in DER; nobody here looks at its signature."""
    start = NOW - timedelta(days=1)
    builder = x509.CertificateBuilder(
        name(issuer), name(subject), key().public_key(), 7, start, not_after
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    for oid, value in extensions:
        unrecognised = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(unrecognised, critical=False)
    return builder.sign(key(), hashes.SHA256()).public_bytes(DER)


def pem(*certificates: bytes) -> bytes:
    return b"".join(
        x509.load_der_x509_certificate(der).public_bytes(PEM) for der in certificates
    )


@cache
def revoked(issuer: str, *, next_update: datetime = SOON) -> bytes:
    """A CRL in DER with one entry."""
    entry = x509.RevokedCertificateBuilder(3, NOW - timedelta(days=2)).build()
    return (
        x509.CertificateRevocationListBuilder(
            name(issuer), NOW - timedelta(days=1), next_update, [], [entry]
        )
        .add_extension(x509.CRLNumber(1), critical=False)
        .sign(key(), hashes.SHA256())
        .public_bytes(DER)
    )


def integer(value: int) -> bytes:
    """An INTEGER below 256 in DER."""
    content = value.to_bytes(1 + (value > 0x7F))
    return bytes([0x02, len(content)]) + content


def vcek(
    *,
    chip_id: bytes = CHIP_ID,
    product: str = "Genoa",
    levels: tuple[tuple[int, int], ...] = LEVELS,
) -> bytes:
    """A leaf for a chip and its firmware."""
    extensions = tuple(
        (f"{AMD_LEVEL}.{number}", integer(level)) for number, level in levels
    )
    return certificate(
        "SEV-VCEK", f"SEV-{product}", extensions=((AMD_HWID, chip_id), *extensions)
    )


def amd_chain(product: str = "Genoa") -> bytes:
    root = f"ARK-{product}"
    return pem(certificate(f"SEV-{product}", root), certificate(root, root))


def report(
    *,
    version: int = 3,
    cpuid: tuple[int, int] = (0x19, 0x11),
    signing_key: int = 0,
    chip_id: bytes = CHIP_ID,
    tcb: bytes = TCB,
) -> bytes:
    """An SEV-SNP report in which only what is read here is set."""
    data = bytearray(0x4A0)
    data[0x000:0x004] = version.to_bytes(4, "little")
    data[0x048:0x04C] = (signing_key << 2).to_bytes(4, "little")
    data[0x180:0x188] = tcb
    data[0x188], data[0x189] = cpuid
    data[0x1A0:0x1E0] = chip_id
    return bytes(data)


def snp(data: bytes | None = None, *own: Endorsement) -> Evidence:
    return Evidence(
        media_type=SEV_SNP_REPORT_TYPE,
        evidence=report() if data is None else data,
        endorsements=own,
    )


def pck(ca: str = "Intel SGX PCK Platform CA", fmspc: bytes = INTEL_FMSPC) -> bytes:
    return certificate(
        "Intel SGX PCK Certificate",
        ca,
        extensions=(("1.2.840.113741.1.13.1", b"\x30" + bytes([len(fmspc)]) + fmspc),),
    )


def sgx(*certificates: bytes) -> Evidence:
    """A quote of which only the certification data is there."""
    chain = pem(*(certificates or (pck(),)))
    return Evidence(media_type=SGX_QUOTE_TYPE, evidence=bytes(1000) + chain + bytes(9))


def signed_json(
    label: str, *, next_update: str = "2026-07-01T00:00:00Z", **members: object
) -> bytes:
    inner = json.dumps({**members, "nextUpdate": next_update}, separators=(",", ":"))
    return f'{{"{label}":{inner},"signature":"{"ab" * 64}"}}'.encode()


def tcb_info(fmspc: str = FMSPC) -> bytes:
    return signed_json("tcbInfo", id="SGX", version=3, fmspc=fmspc)


def qe_identity(name: str = "QE") -> bytes:
    return signed_json("enclaveIdentity", id=name, version=2)


def signing_chain() -> str:
    root = "Intel SGX Root CA"
    chain = pem(certificate("Intel SGX TCB Signing", root), certificate(root, root))
    return quote(chain.decode())


@dataclass
class Reply:
    """What the server answers at a path.

    Attributes:
        body: The content.
        status: The status.
        fields: Of the header; a content-length there goes before the true one.
        pause_s: How long it waits within the body.
    """

    body: bytes = b""
    status: int = 200
    fields: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0


class Vendor:
    """A server on this machine.

    Attributes:
        replies: By path and query.
        asked: What it was asked, in order.
        url: Where it is.
    """

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.stopping = threading.Event()
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                vendor.asked.append(self.path)
                vendor.headers.append({k.lower(): v for k, v in self.headers.items()})
                reply = vendor.replies.get(self.path, Reply(status=404))
                self.send_response(reply.status)
                fields = {"content-length": str(len(reply.body)), **reply.fields}
                for name, value in fields.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(reply.body[:5])
                    self.wfile.flush()
                    vendor.stopping.wait(reply.pause_s)
                    self.wfile.write(reply.body[5:])
                self.close_connection = fields["content-length"] != str(len(reply.body))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve_amd(self, product: str = "Genoa", levels: str = "") -> None:
        """Have what belongs to `report()`."""
        query = levels or "blSPL=10&teeSPL=01&snpSPL=23&ucodeSPL=131"
        below = f"/vcek/v1/{product}"
        self.replies |= {
            f"{below}/{CHIP_ID.hex()}?{query}": Reply(vcek(product=product)),
            f"{below}/cert_chain": Reply(amd_chain(product)),
            f"{below}/crl": Reply(revoked(f"ARK-{product}")),
        }

    def serve_intel(self) -> None:
        """Have, as a PCCS, what belongs to `sgx()`."""
        below = "/sgx/certification/v4"
        chain = signing_chain()
        self.replies |= {
            f"{below}/tcb?fmspc={FMSPC}": Reply(
                tcb_info(), fields={"TCB-Info-Issuer-Chain": chain}
            ),
            f"{below}/qe/identity": Reply(
                qe_identity(), fields={"SGX-Enclave-Identity-Issuer-Chain": chain}
            ),
            f"{below}/pckcrl?ca=platform&encoding=der": Reply(
                revoked("Intel SGX PCK Platform CA"),
                fields={"SGX-PCK-CRL-Issuer-Chain": chain},
            ),
            f"{below}/rootcacrl": Reply(revoked("Intel SGX Root CA").hex().encode()),
        }


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    serving = Vendor()
    yield serving
    serving.close()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_request(
    url: str = "https://vendor.test/crl", kind: Kind = Kind.CRL, mentions: bytes = b""
) -> Request:
    return Request(name="the CRL", url=url, kind=kind, mentions=mentions)


def an_answer(content: bytes = b"content", *, expires_at: datetime = SOON) -> Answer:
    return Answer(content=content, expires_at=expires_at)


class Waits:
    """Passes time instead of waiting, and ends after some waits.

    Attributes:
        seconds: How long each wait was to be.
        limit: After how many waits to end.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.seconds: list[float] = []
        self.limit = 0
        self.woken = 0

    async def __call__(self, changed: asyncio.Event, seconds: float) -> None:
        if changed.is_set():
            self.woken += 1
            return
        if len(self.seconds) >= self.limit:
            raise asyncio.CancelledError
        self.seconds.append(seconds)
        self.clock.now += timedelta(seconds=seconds)


@pytest.fixture
def waits(clock: Clock) -> Waits:
    return Waits(clock)


class Make:
    """Makes refreshers that ask the local server."""

    def __init__(self, fetch: HttpFetch, vendor: Vendor, timing: Timing) -> None:
        self.fetch = fetch
        self.vendor = vendor
        self.timing = timing

    def __call__(self, folder: Path | None = None) -> Refresher:
        addresses = Addresses(amd=self.vendor.url, intel=self.vendor.url)
        cache = None if folder is None else Cache(folder)
        return Refresher(self.fetch, addresses, self.timing, cache)


@pytest.fixture
async def make(vendor: Vendor, clock: Clock, waits: Waits) -> AsyncIterator[Make]:
    timing = Timing(clock=clock, wait=waits, chance=lambda: 0.0)
    async with HttpFetch(clock, timeout_s=5) as fetch:
        yield Make(fetch, vendor, timing)


async def run(refresher: Refresher, waits: Waits, times: int) -> None:
    """Let it refresh in the background, for so many waits."""
    waits.limit = len(waits.seconds) + times
    with pytest.raises(asyncio.CancelledError):
        await refresher.run()


def stapled(refresher: Refresher, evidence: Evidence | None = None) -> list[str]:
    """The media types of what is stapled."""
    endorsed = refresher.endorse(evidence or snp())
    return [each.media_type for each in endorsed.endorsements]
