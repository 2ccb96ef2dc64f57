"""The enclave's identity: its keys, the evidence for them, and their rotation.

Private keys are made here, live in memory and are never written down. A keyset is
replaced before clients stop sealing to it, and its keys open requests for a grace
period after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from blindai.errors import HardwareBusyError, HardwareError, OverloadedError
from blindai.protocol import keyset, ohttp
from blindai.protocol.attestation import Attestation, encode_attestation
from blindai.protocol.kem import Kem, generate
from blindai.server.backoff import Backoff
from blindai.server.proving import Signer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from blindai.attester import Attester, DeviceAttester
    from blindai.protocol.attestation import Endorsement, Evidence

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")
MAX_WAITING = 64  # for the hardware, which makes one quote at a time
# A Nitro document's certificate lives for three hours, and endorsements are renewed.
EVIDENCE_LIFE_S = 600.0
_log = logging.getLogger("blindai.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long keys and evidence serve.

    Attributes:
        keys: From a keyset's first second to the last at which clients seal to it.
        overlap: How long before that its successor takes over.
        grace: How long after that its keys still open requests.
        backdate: How long before it was made a keyset counts as valid, for clients
            whose clocks are a little behind.
    """

    keys: timedelta = timedelta(hours=24)
    overlap: timedelta = timedelta(hours=1)
    grace: timedelta = timedelta(minutes=10)
    backdate: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the enclave runs, as its keyset says it.

    Attributes:
        config_digest: SHA-256 of the effective configuration, 32 bytes.
        build: Names the release.
        tls_spki: SHA-256 of the outer TLS key's SubjectPublicKeyInfo, or None.
    """

    config_digest: bytes
    build: str
    tls_spki: bytes | None = None


@dataclass(slots=True, kw_only=True)
class _Generation:
    """One keyset with its private half, and its evidence without a nonce."""

    keyset: keyset.Keyset
    encoded: bytes
    keys: tuple[ohttp.GatewayKey, ...] = field(repr=False)
    signer: Signer
    attestation: Attestation | None = None
    attested_at: float = 0.0

    def fresh(self, now: float) -> Attestation | None:
        """Its evidence without a nonce, unless that is old.

        Args:
            now: Monotonic clock, in seconds.
        """
        return self.attestation if now < self.attested_at + EVIDENCE_LIFE_S else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an operator watches of an enclave; none of it is secret.

    Attributes:
        keys_until: When clients stop sealing to the current keys.
        evidence_age_s: How old the evidence without a nonce is that is in memory, in
            seconds; None if there is none.
        endorsements: What is stapled to that evidence now.
    """

    keys_until: datetime
    evidence_age_s: float | None = None
    endorsements: tuple[Endorsement, ...] = ()


class QuoteLimit:
    """At most so many quotes a second: hardware makes them slowly."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._times: deque[float] = deque()

    def admit(self, now: float) -> None:
        """Count a quote.

        Args:
            now: Monotonic clock, in seconds.

        Raises:
            OverloadedError: If it is one too many.
        """
        while self._times and self._times[0] <= now - 1:
            self._times.popleft()
        if len(self._times) >= self._per_second:
            raise OverloadedError(
                f"evidence: expected at most {self._per_second} quotes a second"
            )
        self._times.append(now)


def leave_as_it_is(evidence: Evidence) -> Evidence:
    """The evidence, with no other endorsements than its own."""
    return evidence


class Enclave:
    """Holds the keysets of one start of the enclave and attests them."""

    def __init__(  # noqa: PLR0913  one argument a part
        self,
        attester: Attester,
        measured: Measured,
        clock: Callable[[], datetime],
        *,
        lifetimes: Lifetimes | None = None,
        quotes_per_second: int = 20,
        endorse: Callable[[Evidence], Evidence] = leave_as_it_is,
        devices: DeviceAttester | None = None,
    ) -> None:
        """Make the first keyset.

        Args:
            attester: Asks the hardware for evidence.
            measured: What the keyset says of what runs.
            clock: The enclave's clock, aware, in UTC.
            lifetimes: How long keys serve.
            quotes_per_second: How often evidence for a nonce is made.
            endorse: Staples to evidence, each time it is sent, what there is then of
                its endorsements; it does not block.
            devices: Asks GPUs for theirs; None where there are none.
        """
        self._attester = attester
        self._devices = devices
        self._measured = measured
        self._clock = clock
        self._endorse = endorse
        self._lifetimes = lifetimes or Lifetimes()
        self._limit = QuoteLimit(quotes_per_second)
        self._quoting = asyncio.Lock()
        self._waiting = 0
        self._backoff = Backoff()
        self._instance = secrets.token_bytes(16)
        self._next_key_id = secrets.randbelow(256)
        self._generations: list[_Generation] = []
        self._keys: dict[int, ohttp.GatewayKey] = {}
        self._signers: dict[int, Signer] = {}
        self._change_at = clock()

    def keys(self) -> Mapping[int, ohttp.GatewayKey]:
        """The keys that open requests now, by key id."""
        self._refresh()
        return self._keys

    @property
    def signers(self) -> Mapping[int, Signer]:
        """What signs by the keysets of the keys that `keys` gave last, by key id."""
        return self._signers

    def key_configs(self) -> bytes:
        """The current key configurations, `application/ohttp-keys`."""
        self._refresh()
        return self._generations[-1].keyset.ohttp_keys

    @property
    def instance(self) -> bytes:
        """Names this start of the enclave, 16 bytes."""
        return self._instance

    def now(self) -> datetime:
        """The enclave's clock: the host's, so it is believed only for freshness."""
        return self._clock()

    def standing(self) -> Standing:
        """How keys and evidence stand; asks no hardware."""
        self._refresh()
        generation = self._generations[-1]
        until, made = generation.keyset.not_after, generation.attestation
        if made is None:
            return Standing(keys_until=until)
        return Standing(
            keys_until=until,
            evidence_age_s=time.monotonic() - generation.attested_at,
            endorsements=self._endorse(made.evidence).endorsements,
        )

    async def attestation(self, nonce: bytes | None) -> bytes:
        """Evidence for the current keyset, as a CMW collection.

        Args:
            nonce: The relying party's challenge, 32 bytes, or None.

        Raises:
            OverloadedError: If too many quotes were asked for.
            HardwareError: If the hardware makes none, or failed a short while ago.
            HardwareBusyError: If it is busy.
        """
        made = await self._make_attestation(nonce)
        evidence = self._endorse(made.evidence)
        return encode_attestation(replace(made, evidence=evidence))

    async def evidence(self) -> Evidence:
        """Evidence of this platform, for no nonce and with its own endorsements."""
        return (await self._make_attestation(None)).evidence

    async def _make_attestation(self, nonce: bytes | None) -> Attestation:
        self._refresh()
        generation = self._generations[-1]
        if nonce is None:
            fresh = generation.fresh(time.monotonic())
            return fresh or await self._attest_once(generation)
        self._limit.admit(time.monotonic())
        async with self._turn():
            return await self._attest(generation, nonce)

    async def _attest_once(self, generation: _Generation) -> Attestation:
        """Evidence without a nonce: made for the first who asks, kept for a while."""
        async with self._turn():
            now = time.monotonic()
            fresh = generation.fresh(now)
            if fresh is None:
                fresh = await self._attest(generation, None)
                generation.attestation, generation.attested_at = fresh, now
            return fresh

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for the hardware, with a bounded number of others.

        Raises:
            OverloadedError: If too many wait.
        """
        if self._waiting >= MAX_WAITING:
            raise OverloadedError(
                f"evidence: expected at most {MAX_WAITING} who wait for the hardware"
            )
        self._waiting += 1
        try:
            async with self._quoting:
                yield
        finally:
            self._waiting -= 1

    async def _attest(
        self, generation: _Generation, nonce: bytes | None
    ) -> Attestation:
        """GPUs answer first: the CPU signs a statement that names what they said."""
        statement = keyset.Statement(
            keyset.Purpose.ATTESTATION, keyset.digest(generation.encoded), nonce
        )
        gpu = await self._attest_devices(statement)
        statement = replace(statement, gpu_digest=keyset.gpu_digest(gpu))
        return Attestation(
            keyset=generation.encoded,
            statement=statement.encode(),
            evidence=await self._ask(self._attester.attest, keyset.bind(statement)),
            gpu=gpu,
        )

    async def _attest_devices(self, statement: keyset.Statement) -> bytes:
        if self._devices is None:
            return b""
        return await self._ask(self._devices.attest, keyset.gpu_nonce(statement))

    async def _ask(
        self, hardware: Callable[[_Question], _Answer], question: _Question
    ) -> _Answer:
        """Ask hardware, unless it failed a short while ago.

        Raises:
            HardwareError: If it did, or fails.
            HardwareBusyError: If it is busy.
        """
        self._backoff.admit(time.monotonic())
        try:
            answer = await asyncio.to_thread(hardware, question)
        except HardwareBusyError:
            raise
        except HardwareError as error:
            pause_s = self._backoff.failed(time.monotonic())
            _log.error("no evidence for %.0f s: %s", pause_s, error.message)
            raise
        self._backoff.succeeded()
        return answer

    def _refresh(self) -> None:
        now = self._clock()
        if now < self._change_at:
            return
        overlap, grace = self._lifetimes.overlap, self._lifetimes.grace
        live = [
            each for each in self._generations if now <= each.keyset.not_after + grace
        ]
        if not live or now >= live[-1].keyset.not_after - overlap:
            live.append(self._make_generation(now))
        self._generations = live
        self._keys = {key.key_id: key for each in live for key in each.keys}
        self._signers = {key.key_id: each.signer for each in live for key in each.keys}
        self._change_at = min(
            live[-1].keyset.not_after - overlap, live[0].keyset.not_after + grace
        )

    def _make_generation(self, now: datetime) -> _Generation:
        keys = tuple(
            ohttp.GatewayKey(self._take_key_id(), generate(kem))
            for kem in (Kem.X_WING, Kem.X25519)
        )
        proof_key = Ed25519PrivateKey.generate()
        made_at = now.replace(microsecond=0)
        made = keyset.Keyset(
            instance=self._instance,
            ohttp_keys=ohttp.encode_key_configs(tuple(key.config for key in keys)),
            proof_key=proof_key.public_key().public_bytes_raw(),
            config_digest=self._measured.config_digest,
            build=self._measured.build,
            not_before=made_at - self._lifetimes.backdate,
            not_after=made_at + self._lifetimes.keys,
            tls_spki=self._measured.tls_spki,
        )
        encoded = made.encode()
        signer = Signer(keyset.digest(encoded), made.config_digest, proof_key)
        return _Generation(keyset=made, encoded=encoded, keys=keys, signer=signer)

    def _take_key_id(self) -> int:
        """The next key id: with two a generation, 128 generations have their own."""
        key_id, self._next_key_id = self._next_key_id, (self._next_key_id + 1) % 256
        return key_id
