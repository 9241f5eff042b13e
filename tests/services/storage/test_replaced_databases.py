"""A database that disappears, is replaced, is emptied or blocked while the app runs."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.scheduler import FailureLog
from services.core.errors import DatabaseUnavailableError
from services.core.prices import WGMI_BTC
from services.storage import SqlStore
from services.storage.engine import TIMEOUTS, Database
from tests.fakes.alerts import AT, CHANNEL
from tests.fakes.postgresql import migrated_database
from tests.services.storage.conftest import execute, migrated_image, migrated_sqlite_file


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(migrated_image())
    new.replace(path)


@pytest.mark.parametrize(
    ("happen", "problem"),
    [
        pytest.param(delete, "has disappeared. Put it back", id="deleted"),
        pytest.param(replace, "was replaced while MinerPulse was running. Restart MinerPulse", id="replaced"),
    ],
)
async def test_a_file_that_is_no_longer_the_open_one_is_refused_until_it_is_back(
    tmp_path: Path, happen: Callable[[Path], None], problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.storage.engine")
    store, path = await SqlStore.open(migrated_sqlite_file(tmp_path)), tmp_path / "store.db"
    kept = tmp_path / "kept.db"
    kept.hardlink_to(path)

    happen(path)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailableError, match=problem):
            await store.rules(CHANNEL)
        with pytest.raises(DatabaseUnavailableError, match=problem):
            await store.claim_tick(WGMI_BTC, AT, AT)
    path.unlink(missing_ok=True)
    path.hardlink_to(kept)
    recovered = await store.rules(CHANNEL)
    await store.aclose()

    assert [] == recovered
    assert ["ERROR", "INFO"] == [record.levelname for record in caplog.records]


async def test_a_database_that_loses_its_tables_is_reported_once(
    migrated_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.storage.engine")
    store = await SqlStore.open(migrated_url)
    tables = ("votes", "attempts", "deliveries", "timeline_entries", "alerts", "rules", "ticks", "alembic_version")
    for table in tables:
        await execute(migrated_url, f"DROP TABLE {table}")

    for _ in range(3):
        with pytest.raises(DatabaseUnavailableError, match=r"has lost its tables\. Restore it from a backup"):
            await store.open_alerts()
        with pytest.raises(DatabaseUnavailableError, match="has lost its tables"):
            await store.claim_tick(WGMI_BTC, AT, AT)
        with pytest.raises(DatabaseUnavailableError, match="has lost its tables"):
            await store.backlog(AT)
    with pytest.raises(DatabaseUnavailableError) as raised:
        await store.open_alerts()
    FailureLog("ticks are failing", "").log_failure(raised.value, AT - AT)
    await store.aclose()

    assert ["ERROR"] == [record.levelname for record in caplog.records]


async def test_a_missing_table_of_postgresql_is_a_storage_error() -> None:
    url = migrated_database()
    store = await SqlStore.open(url)
    await execute(url, "DROP TABLE processed_keys")

    with pytest.raises(DatabaseUnavailableError, match="processed_keys"):
        await store.claim_key("one", now=AT, ttl=AT - AT)
    await store.aclose()


async def test_a_locked_table_of_postgresql_is_an_error_after_the_lock_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.storage.engine.TIMEOUTS", TIMEOUTS.replace("'10s'", "'1ms'"))
    url = migrated_database()
    store, other = await SqlStore.open(url), Database(url)

    async with other.write() as tx:
        await tx.execute(text("LOCK TABLE deliveries, ticks IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DatabaseUnavailableError, match=r"lock timeout\. Another program holds a lock on it"):
            await store.backlog(AT)
        with pytest.raises(DatabaseUnavailableError, match="lock timeout"):
            await store.claim_tick(WGMI_BTC, AT, AT)
    after = await store.backlog(AT)
    await asyncio.gather(store.aclose(), other.close())

    assert 0 == after.waiting
