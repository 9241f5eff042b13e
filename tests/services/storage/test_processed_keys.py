import asyncio
from datetime import timedelta

from services.storage import SqlStore
from tests.fakes.alerts import AT
from tests.services.storage.conftest import Start

MINUTE = timedelta(minutes=1)


async def test_one_of_many_processes_claims_a_key(start: Start) -> None:
    stores = [await start() for _ in range(3)]

    claims = await asyncio.gather(*(store.claim_key("event:Ev1", now=AT, ttl=MINUTE) for store in stores))

    assert sorted(claims) == [False, False, True]


async def test_a_confirmed_key_stays_claimed_and_says_until_when(store: SqlStore) -> None:
    assert await store.key_expires_at("event:Ev1") is None
    await store.claim_key("event:Ev1", now=AT, ttl=MINUTE)
    assert AT + MINUTE == await store.key_expires_at("event:Ev1")

    await store.confirm_key("event:Ev1", now=AT + MINUTE / 2, ttl=60 * MINUTE)

    assert AT + 60.5 * MINUTE == await store.key_expires_at("event:Ev1")
    assert not await store.claim_key("event:Ev1", now=AT + 2 * MINUTE, ttl=MINUTE)
    await store.confirm_key("event:Ev2", now=AT, ttl=MINUTE)  # whose lease was released meanwhile
    assert not await store.claim_key("event:Ev2", now=AT, ttl=MINUTE)


async def test_a_key_can_be_claimed_again_when_it_has_expired_or_was_released(store: SqlStore) -> None:
    assert await store.claim_key("event:Ev1", now=AT, ttl=MINUTE)
    assert not await store.claim_key("event:Ev1", now=AT + MINUTE / 2, ttl=MINUTE)
    assert await store.claim_key("event:Ev2", now=AT, ttl=MINUTE)

    assert await store.claim_key("event:Ev1", now=AT + MINUTE, ttl=MINUTE)
    await store.release_key("event:Ev1")
    assert await store.claim_key("event:Ev1", now=AT + MINUTE, ttl=MINUTE)
