from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from services.domain.prices import WGMI_BTC, Pair, Symbol
from tests.fakes.alerts import AT

if TYPE_CHECKING:
    from services.ports import Store
    from tests.services.store.conftest import Start

MINUTE = timedelta(minutes=1)
OTHER = Pair(etf=Symbol("MNRS"), crypto=Symbol("BTC"))


async def test_a_tick_is_claimed_once(store: Store) -> None:
    assert await store.claim_tick(WGMI_BTC, AT)
    assert not await store.claim_tick(WGMI_BTC, AT)


async def test_other_pairs_and_boundaries_are_other_ticks(store: Store) -> None:
    await store.claim_tick(WGMI_BTC, AT)

    assert await store.claim_tick(OTHER, AT)
    assert await store.claim_tick(WGMI_BTC, AT + MINUTE)


async def test_many_at_once_make_one_claim(store: Store) -> None:
    claims = await asyncio.gather(*(store.claim_tick(WGMI_BTC, AT) for _ in range(8)))

    assert claims.count(True) == 1


async def test_two_processes_make_one_claim_for_each_tick(start: Start) -> None:
    processes = [await start(), await start()]
    boundaries = [AT + MINUTE * number for number in range(25)]

    claims = await asyncio.gather(*(store.claim_tick(WGMI_BTC, at) for at in boundaries for store in processes))

    assert [True] * 25 == [first != second for first, second in zip(claims[::2], claims[1::2], strict=True)]


async def test_a_claim_outlives_a_restart(start: Start) -> None:
    await (await start()).claim_tick(WGMI_BTC, AT)

    assert not await (await start()).claim_tick(WGMI_BTC, AT)


async def test_a_pairs_ticks_are_forgotten_after_thirty_days(store: Store) -> None:
    for pair, at in [(WGMI_BTC, AT), (WGMI_BTC, AT + MINUTE), (OTHER, AT)]:
        await store.claim_tick(pair, at)

    await store.claim_tick(WGMI_BTC, AT + MINUTE + timedelta(days=30))

    assert await store.claim_tick(WGMI_BTC, AT)
    assert not await store.claim_tick(WGMI_BTC, AT + MINUTE)
    assert not await store.claim_tick(OTHER, AT)
