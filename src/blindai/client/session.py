"""What a client does with a verified enclave, without doing any I/O.

A `Session` exists only for an `AttestationResult`; only a session seals. A `Sealing`
turns one request into sealed bytes, an `Opening` turns the sealed answer back. Sync and
async transports move the bytes between them and decide nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from blindai.errors import (
    BinaryHttpError,
    ProtocolError,
)
from blindai.protocol import bhttp, kem, ohttp
from blindai.protocol import ohttp_chunked as chunked
from blindai.protocol.attestation import parse_attestation
from blindai.protocol.bhttp import Content, RequestHead, ResponseHead
from blindai.protocol.bhttp_decoder import ResponseDecoder
from blindai.protocol.chunk_writers import ChunkWriter, WholeWriter
from blindai.protocol.chunks import CHUNK_BYTES
from blindai.verifier.endorsed import bring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from blindai.protocol.attestation import Attestation, Endorsement
    from blindai.protocol.buffers import Bytes
    from blindai.protocol.store_mark import StoreMark
    from blindai.verifier.result import AttestationResult

_PREFERENCE: Final = (kem.Kem.X_WING, kem.Kem.X25519)


class Session:
    """A verified enclave that requests may be sealed to.

    Attributes:
        result: What was verified, and how.
        seen: How new its stores were, as far as was known then, by their names.
    """

    def __init__(
        self,
        result: AttestationResult,
        process: Callable[[], int],
        seen: Mapping[bytes, StoreMark] | None = None,
        *,
        collection: bytes = b"",
        brought: tuple[Endorsement, ...] = (),
    ) -> None:
        """Take the enclave's preferred key.

        Args:
            result: What was verified.
            process: Names the running process, so that no key which was made ahead is
                used twice, in a process and in its fork.
            seen: How new its stores were when they were last seen; unknown if None.
            collection: What was verified: the CMW collection that came.
            brought: Endorsements that this client brought to it.

        Raises:
            ProtocolError: If the enclave offers no key that is known here.
        """
        self.result = result
        self.seen: Mapping[bytes, StoreMark] = seen or {}
        configs = ohttp.parse_key_configs(result.keyset.ohttp_keys)
        by_kem = {config.key.kem: config for config in reversed(configs)}
        offered = [by_kem[kind] for kind in _PREFERENCE if kind in by_kem]
        if not offered:
            raise ProtocolError("keyset: expected a key of X-Wing or X25519, got none")
        self._collection = collection
        self._brought = brought
        self._attestation: Attestation | None = None
        self._config = offered[0]
        self._process = process
        self._spare: list[tuple[int, chunked.RequestSealer]] = []

    def usable(self, now: datetime) -> bool:
        """Whether the enclave still wants requests sealed to this key."""
        return now <= self.result.keyset.not_after

    @property
    def attestation(self) -> Attestation:
        """What was verified, for whoever wants to verify it again."""
        if self._attestation is None:
            came = parse_attestation(self._collection)
            evidence = came.evidence
            whole = bring(evidence.endorsements, self._brought)
            evidence = replace(evidence, endorsements=whole)
            self._attestation = replace(came, evidence=evidence)
        return self._attestation

    def begin(self, head: RequestHead) -> Sealing:
        """Begin to seal a request; each needs a sealing of its own."""
        return Sealing(self._take_spare() or self._make(), head)

    def prepare(self) -> None:
        """Make the key of the next request, while the enclave works on this one."""
        if not self._spare:
            self._spare.append((self._process(), self._make()))

    def _make(self) -> chunked.RequestSealer:
        return chunked.RequestSealer(self._config)

    def _take_spare(self) -> chunked.RequestSealer | None:
        try:
            made_in, sealer = self._spare.pop()
        except IndexError:  # also where another thread was quicker
            return None
        return sealer if made_in == self._process() else None


class Sealing:
    """Seals one request, once: all of it, or piece by piece."""

    def __init__(self, sealer: chunked.RequestSealer, head: RequestHead) -> None:
        self._sealer = sealer
        self._writer = ChunkWriter(sealer.chunks, sealer.header, CHUNK_BYTES)
        self._head = head
        self._begun = False

    def whole(self, content: Sequence[Bytes]) -> WholeWriter:
        """Seal a request whose content is in memory."""
        sizes = [memoryview(data).nbytes for data in content]
        head = bhttp.encode_whole_request_head(self._head, sum(sizes))
        return self._sealer.whole((head, *content))

    def add(self, content: Bytes) -> Iterator[bytes]:
        """Take content; give the sealed bytes that are ready."""
        yield from self._writer.write(self._take_head())
        for data in bhttp.encode_content(content):
            yield from self._writer.write(data)

    def end(self) -> Iterator[bytes]:
        """Give the last sealed bytes."""
        yield from self._writer.write(self._take_head() + bhttp.encode_end())
        yield self._writer.end()

    def opening(self) -> Opening:
        """What opens the answer, and no other."""
        return Opening(self._sealer.encapsulation)

    def _take_head(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return bhttp.encode_request_head(self._head)


class Opening:
    """Opens one answer, piece by piece.

    Attributes:
        head: Status and fields, once they have arrived.
    """

    def __init__(self, encapsulation: ohttp.Encapsulation) -> None:
        self.head: ResponseHead | None = None
        self._opener = chunked.ResponseOpener(encapsulation)
        self._decoder = ResponseDecoder()

    @property
    def content_bytes(self) -> int | None:
        """Bytes of all the content, once it has begun, where the answer says so."""
        return self._decoder.content_bytes

    def feed(self, sealed: Bytes) -> list[bytes]:
        """Take sealed bytes; give the content that opened.

        Raises:
            SealingError: If the answer was changed, or is not for this request.
        """
        pieces: list[bytes] = []
        for plaintext in self._opener.feed(sealed):
            pieces += self._decode(plaintext)
        return pieces

    def finish(self) -> list[bytes]:
        """The answer has ended: give the last of its content.

        Raises:
            SealingError: If it was cut short or changed.
        """
        pieces = self._decode(self._opener.finish())
        self._decoder.finish()
        return pieces

    def require_head(self) -> ResponseHead:
        """Status and fields of an answer that has ended.

        Raises:
            BinaryHttpError: If it had none.
        """
        if self.head is None:
            raise BinaryHttpError("answer: expected a head, got the end")
        return self.head

    def _decode(self, plaintext: bytes) -> list[bytes]:
        pieces: list[bytes] = []
        for event in self._decoder.feed(plaintext):
            match event:
                case ResponseHead():
                    self.head = event
                case Content(data=data):
                    pieces.append(bytes(data))
                case _:  # trailers and the end
                    pass
        return pieces
