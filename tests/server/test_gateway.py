"""Outside the seal: three addresses, bare statuses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from blindai.attester.simulated import SimulatedAttester
from blindai.errors import ConfigurationError, SealingError
from blindai.protocol import keyset, ohttp
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.attestation import MEDIA_TYPE, Evidence, parse_attestation
from blindai.protocol.keyset import Binding
from blindai.protocol.names import ATTESTATION_PATH, GATEWAY_PATH
from blindai.server.gateway import GatewayLimits

if TYPE_CHECKING:
    from tests.server.conftest import Answer, Door, MakeDoor, MakeEnclave

    from blindai.server.asgi import App, Message, Receive, Scope, Send

KEY_PROBLEM = b"https://iana.org/assignments/http-problem-types#ohttp-key"
WHOLE = ohttp.REQUEST_TYPE


def assert_bare(answer: Answer, status: int) -> None:
    """A status, and not a word more."""
    assert answer.complete, "expected a complete answer"
    assert answer.status == status, f"expected {status}, got {answer.status}"
    assert answer.body == b"", f"expected no body, got {len(answer.body)} bytes"
    assert b"content-type" not in answer.headers
    assert answer.headers[b"content-length"] == b"0"
    assert answer.headers[b"cache-control"] == b"no-store"


@pytest.mark.anyio
async def test_key_configurations_are_public(door: Door) -> None:
    answer = await door.call("GET", GATEWAY_PATH)

    assert answer.status == 200
    assert answer.headers[b"content-type"] == b"application/ohttp-keys"
    assert answer.headers[b"content-length"] == str(len(answer.body)).encode()
    assert answer.body == door.enclave.key_configs()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "nonce"),
    [(b"", None), (b"nonce=" + b"aB" * 32, b"\xab" * 32)],
    ids=["none", "nonce"],
)
async def test_evidence_is_public_and_agrees_with_the_key_configurations(
    door: Door, query: bytes, nonce: bytes | None
) -> None:
    answer = await door.call("GET", ATTESTATION_PATH, query=query)

    assert answer.status == 200
    assert answer.headers[b"content-type"] == MEDIA_TYPE.encode()
    attestation = parse_attestation(answer.body)
    assert keyset.parse_statement(attestation.statement).nonce == nonce
    claimed = keyset.parse_keyset(attestation.keyset).ohttp_keys
    assert claimed == (await door.call("GET", GATEWAY_PATH)).body


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query",
    [
        b"nonce=",
        b"nonce=" + b"a" * 63,
        b"nonce=" + b"a" * 65,
        b"nonce=" + b"g" * 64,
        b"nonce=" + b"a" * 64 + b"\n",
        b"nonce=" + b"a" * 64 + b"&nonce=" + b"b" * 64,
        b"NONCE=" + b"a" * 64,
        b"other",
    ],
)
async def test_a_malformed_nonce_is_a_bad_request(door: Door, query: bytes) -> None:
    assert_bare(await door.call("GET", ATTESTATION_PATH, query=query), 400)


@pytest.mark.anyio
async def test_too_many_quotes_are_refused_for_a_second(
    make_door: MakeDoor, make_enclave: MakeEnclave, echo: App
) -> None:
    door = make_door(echo, make_enclave(quotes_per_second=1))
    query = b"nonce=" + b"0" * 64
    await door.call("GET", ATTESTATION_PATH, query=query)

    answer = await door.call("GET", ATTESTATION_PATH, query=query)

    assert_bare(answer, 429)
    assert answer.headers[b"retry-after"] == b"1"
    assert (await door.call("GET", ATTESTATION_PATH)).status == 200


class BrokenAttester(SimulatedAttester):
    def attest(self, binding: Binding) -> Evidence:
        raise ConfigurationError(f"no hardware for {len(binding.digest)} bytes")


@pytest.mark.anyio
async def test_hardware_that_fails_is_a_bare_503_and_a_line_in_the_log(
    make_door: MakeDoor,
    make_enclave: MakeEnclave,
    echo: App,
    caplog: pytest.LogCaptureFixture,
) -> None:
    door = make_door(echo, make_enclave(hardware=BrokenAttester()))

    assert_bare(await door.call("GET", ATTESTATION_PATH), 503)

    assert "evidence could not be made" in caplog.text


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "get"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [(GATEWAY_PATH, b"GET, POST"), (ATTESTATION_PATH, b"GET")],
)
async def test_another_method_is_refused_bare(
    door: Door, method: str, path: str, allowed: bytes
) -> None:
    answer = await door.call(method, path)

    assert_bare(answer, 405)
    assert answer.headers[b"allow"] == allowed


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "path", ["/", "/v2", "/v2/health/live", "/metrics", GATEWAY_PATH + "/", "//"]
)
async def test_there_is_nothing_else_in_plaintext(
    door: Door, method: str, path: str
) -> None:
    assert_bare(await door.call(method, path), 404)


@pytest.mark.anyio
async def test_a_websocket_is_refused(door: Door) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await door.gateway({"type": "websocket", "path": "/"}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1003}]


@pytest.mark.anyio
async def test_the_lifespan_is_the_applications(make_door: MakeDoor) -> None:
    scopes: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        scopes.append(scope["type"])

    door = make_door(app)
    await door.gateway({"type": "lifespan"}, _never, _nowhere)

    assert scopes == ["lifespan"]


async def _never() -> Message:
    raise AssertionError("expected nothing to be received")


async def _nowhere(_: Message) -> None:
    raise AssertionError("expected nothing to be sent")


@pytest.mark.anyio
@pytest.mark.parametrize("config", [0, 1], ids=["X-Wing", "X25519"])
@pytest.mark.parametrize("size", [0, 1, 100_000])
async def test_a_chunked_request_is_answered_chunked(
    door: Door, config: int, size: int
) -> None:
    message = door.message("POST", "/", bytes(size))
    sealer = chunked.RequestSealer(door.configs()[config])
    sealed = sealer.header + sealer.chunks.seal_final(message)
    opener = chunked.ResponseOpener(sealer.encapsulation)

    answer = await door.post([sealed])

    plaintext = b"".join(opener.feed(answer.body)) + opener.finish()
    assert answer.headers[b"content-type"] == b"message/ohttp-chunked-res"
    assert answer.headers[b"incremental"] == b"?1"
    assert answer.headers[b"content-length"] == str(len(answer.body)).encode()
    assert bytes(size) in plaintext


@pytest.mark.anyio
async def test_a_whole_request_is_answered_whole(door: Door) -> None:
    sealing = door.seal_whole(door.message("POST", "/", b"content"))

    answer = await door.post([sealing.body], WHOLE)

    assert answer.headers[b"content-type"] == b"message/ohttp-res"
    assert sealing.open(answer.body).content == b"content"


@pytest.mark.anyio
async def test_the_media_type_is_read_without_parameters_in_any_case(
    door: Door,
) -> None:
    sealing = door.seal_whole(door.message("POST", "/", b"content"))

    answer = await door.post([sealing.body], "Message/OHTTP-Req ; a=b")

    assert sealing.open(answer.body).content == b"content"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "media_type", ["", "application/json", "message/bhttp", "message/ohttp-res", "a;b"]
)
async def test_another_media_type_is_refused(door: Door, media_type: str) -> None:
    assert_bare(await door.post([door.seal().body], media_type), 415)


@pytest.mark.anyio
@pytest.mark.parametrize("media_type", [chunked.REQUEST_TYPE, WHOLE])
async def test_sealed_garbage_is_a_bare_400(door: Door, media_type: str) -> None:
    key_id = door.configs()[0].key_id
    header = door.seal_whole(b"").body[: ohttp.HEADER_BYTES]

    for garbage in (b"", bytes([key_id]) * 4, header, header + bytes(4000)):
        answer = await door.post([garbage], media_type)
        assert answer.status == 400, f"expected 400, got {answer.status}"


@pytest.mark.anyio
@pytest.mark.parametrize("flipped", [7, 500, 1130, 1140, -1])
async def test_a_flipped_bit_is_a_bare_400(door: Door, flipped: int) -> None:
    sealed = bytearray(door.seal_whole(door.message()).body)
    sealed[flipped] ^= 1

    assert_bare(await door.post([bytes(sealed)], WHOLE), 400)


@pytest.mark.anyio
@pytest.mark.parametrize("media_type", [chunked.REQUEST_TYPE, WHOLE])
@pytest.mark.parametrize("byte", [0, 2, 4, 6], ids=["key id", "KEM", "KDF", "AEAD"])
async def test_a_header_of_another_key_names_the_problem_and_no_more(
    door: Door, media_type: str, byte: int
) -> None:
    message = door.message()
    sealings = {
        chunked.REQUEST_TYPE: door.seal(message),
        WHOLE: door.seal_whole(message),
    }
    sealed = bytearray(sealings[media_type].body)
    sealed[byte] ^= 0x80

    answer = await door.post([bytes(sealed)], media_type)

    assert answer.status == 400
    assert answer.headers[b"content-type"] == b"application/problem+json"
    expected = b'{"type": "%s", "title": "key identifier unknown"}' % KEY_PROBLEM
    assert answer.body == expected


@pytest.mark.anyio
async def test_a_chunked_request_does_not_pass_for_a_whole_one(door: Door) -> None:
    sealing = door.seal(door.message())

    assert_bare(await door.post([sealing.body], WHOLE), 400)


@pytest.mark.anyio
async def test_a_whole_request_over_the_limit_is_a_bare_413(
    make_door: MakeDoor, echo: App
) -> None:
    door = make_door(echo, limits=GatewayLimits(max_whole_bytes=3000))
    sealed = door.seal_whole(door.message("POST", "/", bytes(3000))).body

    assert_bare(await door.post([sealed[:2000], sealed[2000:]], WHOLE), 413)


@pytest.mark.anyio
async def test_a_whole_request_at_the_limit_is_answered(
    make_door: MakeDoor, echo: App
) -> None:
    door = make_door(echo)
    sealing = door.seal_whole(door.message("POST", "/", bytes(3000)))
    door = make_door(
        echo, door.enclave, GatewayLimits(max_whole_bytes=len(sealing.body))
    )

    assert (await door.send(sealing)).content == bytes(3000)


@pytest.mark.anyio
async def test_a_client_that_says_nothing_is_a_bare_408(
    make_door: MakeDoor, echo: App
) -> None:
    door = make_door(echo, limits=GatewayLimits(idle_timeout_s=0.02))

    assert_bare(await door.post([door.seal().header], ending=()), 408)


@pytest.mark.anyio
async def test_a_client_that_goes_before_anything_opened_gets_no_answer(
    door: Door,
) -> None:
    answer = await door.post([door.seal().header], ending=[{"type": "http.disconnect"}])

    assert answer.status == 0, f"expected no answer, got {answer.status}"


@pytest.mark.anyio
async def test_an_answer_opens_for_the_client_that_asked_only(door: Door) -> None:
    mine, yours = door.seal(), door.seal()

    answer = await door.post(mine.pieces)

    with pytest.raises(SealingError):
        yours.open(answer.body)


@pytest.mark.anyio
async def test_two_answers_to_the_same_bytes_differ(door: Door) -> None:
    sealing = door.seal(b"malformed")

    one, other = [await door.post(sealing.pieces) for _ in range(2)]

    assert one.body[:32] != other.body[:32], "expected a fresh response nonce"


@pytest.mark.anyio
async def test_nothing_that_a_user_sends_is_logged(
    make_door: MakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    marker = "MARKER-5f0c9d"
    caplog.set_level(logging.DEBUG)

    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        body = (await receive())["body"]
        raise RuntimeError(f"{scope['path']} {scope['headers']} {body}")

    door = make_door(app)
    fields = (
        (b"authorization", marker.encode()),
        (marker.lower().encode(), b"value"),
    )

    opened = await door.ask("POST", f"/{marker}?{marker}", marker.encode(), fields)
    await door.call("GET", f"/{marker}", query=marker.encode())
    await door.call("GET", ATTESTATION_PATH, query=marker.encode())
    await door.post([marker.encode()])
    await door.send(door.seal(marker.encode()))
    await door.send(door.seal(door.message(date=marker.encode())))

    assert opened.problem == (500, "internal", "the enclave failed to answer")
    assert opened.json["request_id"] in caplog.text
    assert "RuntimeError at" in caplog.text
    assert marker.lower() not in caplog.text.lower()
