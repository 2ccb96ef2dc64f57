"""What each API key may use: refused with 429, the quota's name, and a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from blindai.errors import QuotaError
from blindai.inference.room import Quota
from blindai.server.auth import digest, generate_key
from blindai.server.quotas import Quotas
from blindai.server.settings import (
    ApiKey,
    InferenceSettings,
    Settings,
)
from blindai.server.storage_settings import QuotaSettings

if TYPE_CHECKING:
    from tests.server.conftest import V2, MakeV2, Opened

    from blindai.protocol.bhttp import Fields
    from blindai.server.asgi import Message

NAMES = ("alice", "bob", "root")
KEYS = {name: generate_key() for name in NAMES}
SCOPES = {"root": ("admin",)}


class Time:
    """A monotonic clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def settings(quota: QuotaSettings, **own: QuotaSettings) -> Settings:
    return Settings(
        inference=InferenceSettings(isolation="thread"),
        quota=quota,
        api_keys=tuple(
            ApiKey(
                name=name,
                sha256=digest(key),
                scopes=SCOPES.get(name, ("infer", "upload")),
                quota=own.get(name),
            )
            for name, key in KEYS.items()
        ),
    )


def use(quotas: Quotas, tenant: str = "alice") -> None:
    with quotas.request(tenant):
        pass


def test_a_key_sends_a_second_s_worth_at_once_and_then_waits() -> None:
    time = Time()
    quotas = Quotas(settings(QuotaSettings(requests_per_second=3)), time)

    for _ in range(3):
        use(quotas)
    with pytest.raises(QuotaError, match="requests_per_second: expected at most 3"):
        use(quotas)
    use(quotas, "bob")
    time.now += 0.34
    use(quotas)
    with pytest.raises(QuotaError):
        use(quotas)


def test_a_rate_below_one_says_how_long_to_wait() -> None:
    time = Time()
    quotas = Quotas(settings(QuotaSettings(requests_per_second=0.1)), time)
    use(quotas)

    with pytest.raises(QuotaError) as refused:
        use(quotas)

    assert refused.value.retry_after_s == 10
    time.now += 10
    use(quotas)


def test_tokens_are_not_saved_up() -> None:
    time = Time()
    quotas = Quotas(settings(QuotaSettings(requests_per_second=2)), time)
    use(quotas)
    time.now += 3600

    use(quotas)
    use(quotas)
    with pytest.raises(QuotaError):
        use(quotas)


def test_requests_at_once_are_counted_until_they_end() -> None:
    quotas = Quotas(settings(QuotaSettings(max_concurrent=1)))

    with quotas.request("alice"):
        with pytest.raises(QuotaError, match="max_concurrent: expected at most 1"):
            use(quotas)
        use(quotas, "bob")
    use(quotas)


def test_a_request_that_fails_gives_its_place_back() -> None:
    quotas = Quotas(settings(QuotaSettings(max_concurrent=1)))

    with pytest.raises(ValueError, match="fails"), quotas.request("alice"):
        raise ValueError("fails")

    use(quotas)


def test_a_key_s_own_quota_counts_in_place_of_the_default() -> None:
    default, own = QuotaSettings(max_models=1), QuotaSettings(max_bytes=5)
    quotas = Quotas(settings(default, bob=own))

    assert quotas.kept("alice") == Quota(max_models=1)
    assert quotas.kept("bob") == Quota(max_bytes=5)


def test_by_default_there_is_no_limit() -> None:
    quotas = Quotas(settings(QuotaSettings()))

    for _ in range(1000):
        use(quotas)
    assert quotas.kept("alice") == Quota()


# ------------------------------------------------------------------------ on the wire


def bearer(name: str) -> Fields:
    return ((b"authorization", f"Bearer {KEYS[name]}".encode()),)


async def put(v2: V2, model: str, data: bytes, key: str = "alice") -> Opened:
    return await v2.ask("PUT", f"/v2/models/{model}", data, bearer(key))


@pytest.mark.anyio
async def test_a_refusal_is_429_and_says_which_quota_and_when(
    make_v2: MakeV2, add: bytes
) -> None:
    v2 = await make_v2(settings(QuotaSettings(max_models=1)))
    assert (await put(v2, "a", add)).status == 201

    opened = await put(v2, "b", add)

    assert opened.problem[:2] == (429, "quota-exceeded")
    assert opened.problem[2].startswith("quota max_models: expected at most 1 models")
    assert opened.fields[b"retry-after"] == b"60"
    assert (await put(v2, "b", add, "bob")).status == 201


@pytest.mark.anyio
async def test_bytes_are_counted_when_they_have_arrived(
    make_v2: MakeV2, add: bytes
) -> None:
    v2 = await make_v2(settings(QuotaSettings(max_bytes=len(add))))
    assert (await put(v2, "a", add)).status == 201

    assert (await put(v2, "a", add)).problem[2].startswith("quota max_bytes")


@pytest.mark.anyio
async def test_an_admin_uploads_within_the_owner_s_quota(
    make_v2: MakeV2, add: bytes
) -> None:
    v2 = await make_v2(settings(QuotaSettings(), alice=QuotaSettings(max_bytes=1)))
    assert (await put(v2, "b", add, "bob")).status == 201

    assert (await put(v2, "a", add)).status == 429
    assert (await put(v2, "b", add, "root")).status == 201


@pytest.mark.anyio
async def test_requests_are_limited_for_each_key(make_v2: MakeV2) -> None:
    v2 = await make_v2(settings(QuotaSettings(requests_per_second=0.5)))
    index = ("POST", "/v2/repository/index", b"")

    first = await v2.ask(*index, bearer("alice"))
    second = await v2.ask(*index, bearer("alice"))
    others = await asyncio.gather(*(v2.ask(*index, bearer(each)) for each in NAMES[1:]))

    assert (first.status, second.status) == (200, 429)
    assert second.fields[b"retry-after"] == b"2"
    assert [each.status for each in others] == [200, 200]


@pytest.mark.anyio
async def test_a_request_counts_until_its_answer_has_left(make_v2: MakeV2) -> None:
    v2 = await make_v2(settings(QuotaSettings(max_concurrent=1)))
    index = ("POST", "/v2/repository/index", b"", bearer("alice"))
    begun, reads = asyncio.Event(), asyncio.Event()

    async def slow(_: Message) -> None:
        begun.set()
        await reads.wait()

    first = asyncio.create_task(v2.into(v2.seal(v2.message(*index)), slow))
    await begun.wait()
    assert (await v2.ask(*index)).problem[1] == "quota-exceeded"
    reads.set()
    await first
    assert (await v2.ask(*index)).status == 200


@pytest.mark.anyio
async def test_who_is_not_known_uses_nobody_s_quota(make_v2: MakeV2) -> None:
    v2 = await make_v2(settings(QuotaSettings(requests_per_second=0.5)))

    for _ in range(3):
        assert (await v2.ask("POST", "/v2/repository/index")).status == 401
    assert (
        await v2.ask("POST", "/v2/repository/index", b"", bearer("bob"))
    ).status == (200)
