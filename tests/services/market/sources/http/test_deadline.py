from __future__ import annotations

import asyncio

import pytest

from services.market.sources.http.client import MOST_EXTRA, SLOWEST, Deadline
from tests.services.market.sources.conftest import until


async def test_bytes_that_come_earn_the_time_that_they_take_on_a_slow_line() -> None:
    async with asyncio.timeout_at(begin := asyncio.get_running_loop().time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        deadline.came(SLOWEST // 2)
        deadline.came(SLOWEST)
        await until(0)

        assert begin + 1.5 == timeout.when()


async def test_however_much_comes_there_is_an_end() -> None:
    async with asyncio.timeout_at(begin := asyncio.get_running_loop().time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        for _chunk in range(100):
            deadline.came(SLOWEST)
        await until(0)

        assert begin + MOST_EXTRA.total_seconds() == pytest.approx(timeout.when())


async def test_time_stands_still_during_the_wait_for_a_turn() -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout_at(begin := loop.time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        with deadline.standing_still():
            waited_for = timeout.when()
            await until(begin - 4.99)

        assert waited_for is None
        assert (timeout.when() or 0) > begin + 0.009
