"""What a hostile operator puts before an honest enclave, and what he answers there.

Each answer is a function of the enclave and of the nonce that the relying party sent.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection

from blindai.protocol import keyset, ohttp
from blindai.protocol.attestation import (
    Attestation,
    encode_attestation,
    parse_attestation,
)
from blindai.protocol.kem import Kem, generate
from blindai.protocol.names import ATTESTATION_PATH
from blindai.server.asgi import Receive, Scope, Send

OLD_NONCE = bytes(range(32))
Answer = Callable[[str, bytes], bytes | None]


class Front:
    """An ASGI application that answers everything as its operator likes.

    Attributes:
        enclave: The address of the enclave behind it.
        answer: What it answers; None for a status of 502.
    """

    def __init__(self) -> None:
        self.enclave = ""
        self.answer: Answer = honest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        nonce = bytes.fromhex(scope["query_string"].decode().removeprefix("nonce="))
        body = self.answer(self.enclave, nonce)
        status = 502 if body is None else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body or b""})


def honest(enclave: str, nonce: bytes) -> bytes:
    """What the enclave answers."""
    connection = HTTPConnection(enclave.removeprefix("http://"))
    with closing(connection):
        connection.request("GET", f"{ATTESTATION_PATH}?nonce={nonce.hex()}")
        response = connection.getresponse()
        assert response.status == HTTPStatus.OK
        return response.read()


def nothing(_enclave: str, _nonce: bytes) -> None:
    """No answer of an enclave's."""


def cut_short(enclave: str, nonce: bytes) -> bytes:
    """All but the last byte."""
    return honest(enclave, nonce)[:-1]


def replayed(enclave: str, _nonce: bytes) -> bytes:
    """What it answered to somebody else."""
    return honest(enclave, OLD_NONCE)


def replayed_for_this_nonce(enclave: str, nonce: bytes) -> bytes:
    """The same, with this nonce written into the statement."""
    return _stated(_ask(enclave, OLD_NONCE), nonce=nonce)


def other_keys(enclave: str, nonce: bytes) -> bytes:
    """The operator's own keys, beside evidence for the enclave's."""
    asked = _ask(enclave, nonce)
    return encode_attestation(replace(asked, keyset=_own_keys(asked)))


def other_keys_stated(enclave: str, nonce: bytes) -> bytes:
    """The same, with a statement that names them."""
    asked = _ask(enclave, nonce)
    own = _own_keys(asked)
    return _stated(replace(asked, keyset=own), keyset_digest=keyset.digest(own))


def gpus_left_out(enclave: str, nonce: bytes) -> bytes:
    """The CPU's evidence alone."""
    return encode_attestation(replace(_ask(enclave, nonce), gpu=b""))


def gpus_replayed(enclave: str, nonce: bytes) -> bytes:
    """The CPU's evidence, beside what the GPUs answered to somebody else."""
    gpu = _ask(enclave, OLD_NONCE).gpu
    return encode_attestation(replace(_ask(enclave, nonce), gpu=gpu))


def _ask(enclave: str, nonce: bytes) -> Attestation:
    return parse_attestation(honest(enclave, nonce))


def _stated(attestation: Attestation, **changes: bytes) -> bytes:
    """The attestation with another statement."""
    statement = keyset.parse_statement(attestation.statement)
    changed = replace(statement, **changes)  # type: ignore[arg-type]  # bytes all
    return encode_attestation(replace(attestation, statement=changed.encode()))


def _own_keys(attestation: Attestation) -> bytes:
    """A keyset like the enclave's, whose private keys the operator has."""
    key = ohttp.GatewayKey(1, generate(Kem.X_WING))
    own = ohttp.encode_key_configs((key.config,))
    return replace(keyset.parse_keyset(attestation.keyset), ohttp_keys=own).encode()
