"""A task that is cancelled during a write leaves the database unchanged, and unlocked for others."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from services.storage.engine import Database

ROWS = [{"n": n} for n in range(20_000)]  # more than are written before the task is cancelled


async def test_a_cancelled_write_releases_its_lock(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/store.db?timeout=0")
    async with database.write() as tx:
        await tx.execute(text("CREATE TABLE numbers (n INTEGER)"))
    loop, started = asyncio.get_running_loop(), asyncio.Event()

    def signal_start(number: int) -> int:
        loop.call_soon_threadsafe(started.set)
        return number

    async def write() -> None:
        async with database.write() as tx:
            sqlite = (await tx.get_raw_connection()).driver_connection
            assert sqlite is not None
            await sqlite.create_function("signal_start", 1, signal_start)
            await tx.execute(text("INSERT INTO numbers VALUES (signal_start(:n))"), ROWS)

    writing = asyncio.create_task(write())
    await started.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:  # referenced with all its frames, as by a log record
        await writing
    async with database.write() as tx:
        await tx.execute(text("INSERT INTO numbers VALUES (-1)"))
        found = (await tx.execute(text("SELECT n FROM numbers"))).scalars().all()
    await database.close()

    assert ([-1], True) == (found, cancelled.value is not None)
