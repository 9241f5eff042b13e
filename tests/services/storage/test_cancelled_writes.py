"""A task that is cancelled in the middle of a write leaves the database as it was, and to others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from services.storage.engine import Database

ROWS = [{"n": n} for n in range(20_000)]  # more than are written before the task is cancelled


async def test_a_write_that_is_cut_off_keeps_nobody_waiting(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/store.db?timeout=0")
    async with database.write() as tx:
        await tx.execute(text("CREATE TABLE numbers (n INTEGER)"))
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def tell(number: int) -> int:
        loop.call_soon_threadsafe(begun.set)
        return number

    async def write() -> None:
        async with database.write() as tx:
            sqlite = (await tx.get_raw_connection()).driver_connection
            assert sqlite is not None
            await sqlite.create_function("tell", 1, tell)
            await tx.execute(text("INSERT INTO numbers VALUES (tell(:n))"), ROWS)

    cut = asyncio.create_task(write())
    await begun.wait()
    cut.cancel()
    with pytest.raises(asyncio.CancelledError) as kept:  # as a log keeps it, with all that its frames hold
        await cut
    async with database.write() as tx:
        await tx.execute(text("INSERT INTO numbers VALUES (-1)"))
        found = (await tx.execute(text("SELECT n FROM numbers"))).scalars().all()
    await database.close()

    assert ([-1], True) == (found, kept.value is not None)
