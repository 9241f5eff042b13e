from __future__ import annotations

import asyncio

import pytest

from services.market.sources.http.client import MAX_EXTENSION, MIN_BYTES_PER_S, Deadline
from tests.services.market.sources.conftest import run_until


async def test_received_bytes_extend_the_deadline() -> None:
    async with asyncio.timeout_at(begin := asyncio.get_running_loop().time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        deadline.extend(MIN_BYTES_PER_S // 2)
        deadline.extend(MIN_BYTES_PER_S)
        await run_until(0)

        assert begin + 1.5 == timeout.when()


async def test_the_extension_is_bounded() -> None:
    async with asyncio.timeout_at(begin := asyncio.get_running_loop().time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        for _chunk in range(100):
            deadline.extend(MIN_BYTES_PER_S)
        await run_until(0)

        assert begin + MAX_EXTENSION.total_seconds() == pytest.approx(timeout.when())


async def test_the_deadline_is_paused_during_a_rate_limit_wait() -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout_at(begin := loop.time() + 5) as timeout:
        deadline = Deadline(timeout, begin)

        with deadline.paused():
            waited_for = timeout.when()
            await run_until(begin - 4.99)

        assert waited_for is None
        assert (timeout.when() or 0) > begin + 0.009
