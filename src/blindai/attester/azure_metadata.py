"""Azure's metadata service, for what a confidential VM cannot make by itself.

A VM asks its host at a link-local address, in plaintext. What comes back is evidence
and endorsements, which the verifier judges; a wrong answer can only be refused.

    POST /acc/tdquote {"report": TDREPORT in base64url} -> {"quote": base64url}
    GET /metadata/THIM/amd/certification, Metadata: true
        -> {"vcekCert": PEM, "certificateChain": PEM, ...}

Microsoft, "Trusted Hardware Identity Management"; "Azure confidential VM guest
attestation design detail".
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
from typing import Final

from blindai.errors import HardwareError

ADDRESS: Final = "169.254.169.254"
TIMEOUT_S: Final = 10
MAX_BYTES: Final = 64 * 1024


def read_td_quote(report: bytes, address: str = ADDRESS) -> bytes:
    """A TD quote of a TDREPORT.

    Raises:
        HardwareError: If there is none.
    """
    body = json.dumps({"report": base64.urlsafe_b64encode(report).decode().rstrip("=")})
    headers = {"Content-Type": "application/json"}
    quote = _member(_ask(address, "POST", "/acc/tdquote", body, headers), "quote")
    try:
        return base64.urlsafe_b64decode(quote + "=" * (-len(quote) % 4))
    except (binascii.Error, ValueError) as error:
        raise HardwareError("Azure metadata: expected a quote in base64url") from error


def read_amd_certificates(address: str = ADDRESS) -> bytes:
    """The processor's VCEK and AMD's certificates above it, in PEM.

    Raises:
        HardwareError: If there are none.
    """
    path = "/metadata/THIM/amd/certification"
    found = _ask(address, "GET", path, None, {"Metadata": "true"})
    leaf, chain = _member(found, "vcekCert"), _member(found, "certificateChain")
    return leaf.strip().encode() + b"\n" + chain.strip().encode() + b"\n"


def _ask(
    address: str, method: str, path: str, body: str | None, headers: dict[str, str]
) -> object:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read(MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise HardwareError(f"Azure metadata: {path}: {error}") from error
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise HardwareError(f"Azure metadata: {path}: got status {response.status}")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HardwareError(f"Azure metadata: {path}: expected JSON") from error


def _member(value: object, key: str) -> str:
    member = value.get(key) if isinstance(value, dict) else None
    if not isinstance(member, str):
        raise HardwareError(f"Azure metadata: expected {key} to be text")
    return member
