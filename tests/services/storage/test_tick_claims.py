import asyncio
from datetime import timedelta

from services.alerting.tick_log import Claim, Tick
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.storage import SqlStore
from tests.fakes.alerts import AT
from tests.services.storage.conftest import Start

MINUTE = timedelta(minutes=1)
OTHER = Pair(etf=Symbol("MNRS"), crypto=Symbol("BTC"))


async def test_a_tick_is_claimed_once(store: SqlStore) -> None:
    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)
    assert Claim.TAKEN is await store.claim_tick(WGMI_BTC, AT, AT + MINUTE / 2)


async def test_ticks_of_other_pairs_and_boundaries_are_separate(store: SqlStore) -> None:
    await store.claim_tick(WGMI_BTC, AT, AT)

    assert Claim.OURS is await store.claim_tick(OTHER, AT, AT)
    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT + MINUTE, AT)


async def test_a_finished_tick_is_never_claimed_again(store: SqlStore) -> None:
    await store.claim_tick(WGMI_BTC, AT, AT)
    await store.finish_tick(Tick(job=WGMI_BTC, boundary=AT, claimed_at=AT))
    await store.release_tick(WGMI_BTC, AT, AT)

    assert Claim.DONE is await store.claim_tick(WGMI_BTC, AT, AT)
    assert Claim.DONE is await store.claim_tick(WGMI_BTC, AT, AT + 10 * MINUTE)


async def test_an_unfinished_tick_is_taken_over_once_after_a_minute(start: Start) -> None:
    dead, *others = [await start() for _ in range(3)]
    await dead.claim_tick(WGMI_BTC, AT, AT)

    early = [await store.claim_tick(WGMI_BTC, AT, AT + MINUTE - timedelta(microseconds=1)) for store in others]
    late = [await store.claim_tick(WGMI_BTC, AT, AT + MINUTE) for store in others]

    assert ([Claim.TAKEN, Claim.TAKEN], [Claim.OURS, Claim.TAKEN]) == (early, late)


async def test_a_released_tick_can_be_claimed_at_once(store: SqlStore) -> None:
    await store.claim_tick(WGMI_BTC, AT, AT)

    await store.release_tick(WGMI_BTC, AT, AT)

    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)


async def test_a_claim_that_was_taken_over_cannot_be_released(store: SqlStore) -> None:
    await store.claim_tick(WGMI_BTC, AT, AT)
    await store.claim_tick(WGMI_BTC, AT, AT + MINUTE)

    await store.release_tick(WGMI_BTC, AT, AT)

    assert Claim.TAKEN is await store.claim_tick(WGMI_BTC, AT, AT + MINUTE)


async def test_only_one_of_many_concurrent_claims_succeeds(store: SqlStore) -> None:
    claims = await asyncio.gather(*(store.claim_tick(WGMI_BTC, AT, AT) for _ in range(8)))

    assert 1 == claims.count(Claim.OURS)


async def test_only_one_of_two_processes_claims_each_tick(start: Start) -> None:
    processes = [await start(), await start()]
    boundaries = [AT + MINUTE * number for number in range(25)]

    claims = [await asyncio.gather(*(store.claim_tick(WGMI_BTC, at, at) for store in processes)) for at in boundaries]

    assert [{Claim.OURS, Claim.TAKEN}] * 25 == [set(both) for both in claims]


async def test_a_claim_survives_a_restart(start: Start) -> None:
    await (await start()).claim_tick(WGMI_BTC, AT, AT)

    assert Claim.TAKEN is await (await start()).claim_tick(WGMI_BTC, AT, AT)


async def test_a_pair_s_ticks_are_deleted_after_thirty_days(store: SqlStore) -> None:
    for pair, at in [(WGMI_BTC, AT), (WGMI_BTC, AT + MINUTE), (OTHER, AT)]:
        await store.claim_tick(pair, at, at)

    await store.claim_tick(WGMI_BTC, AT + MINUTE + timedelta(days=30), AT)

    assert Claim.TAKEN is await store.claim_tick(WGMI_BTC, AT + MINUTE, AT)
    assert Claim.TAKEN is await store.claim_tick(OTHER, AT, AT)
    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)
