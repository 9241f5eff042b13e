from __future__ import annotations

import asyncio

import pytest

from services.core.concurrency import gather_all


async def test_results_come_in_argument_order() -> None:
    async def slow() -> int:
        await asyncio.sleep(0)
        return 1

    async def fast() -> str:
        return "b"

    assert (1, "b", 1) == await gather_all(slow(), fast(), slow())


async def test_a_failure_is_raised_after_the_others_finish() -> None:
    ended = asyncio.Event()

    async def fail() -> None:
        raise ValueError("no")

    async def end() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ended.set()

    with pytest.raises(ValueError, match="no"):
        await gather_all(fail(), end())
    assert ended.is_set()
