"""A database that disappears, is replaced, is emptied or blocked while the app runs."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url, text

from bot.scheduler import FailureLog
from services.alerting.tick_log import Claim
from services.core.errors import DatabaseUnavailableError
from services.core.prices import WGMI_BTC
from services.rules.grammar import parse_rule
from services.storage import SqlStore, database_path, migrate
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
    tables = (
        "votes",
        "attempts",
        "deliveries",
        "timeline_entries",
        "pages",
        "alerts",
        "managed_rules",
        "rules",
        "ticks",
    )
    for table in (*tables, "alembic_version"):
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


async def replace_sqlite(url: str, folder: Path) -> None:
    """Restore another database into the open file, as `sqlite3 store.db '.restore other.db'` does."""
    other = folder / "other.db"
    await migrate(f"sqlite:///{other}")
    with closing(sqlite3.connect(other)) as source, closing(sqlite3.connect(database_path(url) or "")) as target:
        source.backup(target)


async def replace_postgresql(url: str, _folder: Path) -> None:
    """Drop the database and create an empty one of its name with the current schema."""
    name, server = make_url(url).database, make_url(url).set(database="postgres")
    with psycopg.connect(server.render_as_string(), autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name or "")))
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name or "")))
    await migrate(url)


REPLACE = {"sqlite": replace_sqlite, "postgresql": replace_postgresql}


async def test_a_database_in_the_place_of_another_is_refused_by_ticks_and_health_checks_and_logged_once(
    migrated_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.storage.engine")
    problem = "was replaced by another one while MinerPulse was running. Restart MinerPulse to use the new one, or res"
    store = await SqlStore.open(migrated_url)
    await store.claim_tick(WGMI_BTC, AT, AT)

    await REPLACE[make_url(migrated_url).get_backend_name()](migrated_url, tmp_path)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailableError, match=problem):
            await store.backlog(AT)
        with pytest.raises(DatabaseUnavailableError, match=problem):
            await store.claim_tick(WGMI_BTC, AT, AT)
        with pytest.raises(DatabaseUnavailableError, match=problem):
            await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
        with suppress(DatabaseUnavailableError):  # on SQLite, a read that checks nothing does not claim a recovery
            await store.rules(CHANNEL)
    await store.aclose()
    restarted = await SqlStore.open(migrated_url)
    claim = await restarted.claim_tick(WGMI_BTC, AT, AT)
    rules = await restarted.rules(CHANNEL)
    await restarted.aclose()

    assert (Claim.OURS, []) == (claim, rules)
    assert ["ERROR"] == [record.levelname for record in caplog.records]


async def test_no_transaction_of_postgresql_reads_or_writes_a_replaced_database() -> None:
    url = migrated_database()
    store = await SqlStore.open(url)

    await replace_postgresql(url, Path())
    refused = (store.rules(CHANNEL), store.claim_key("one", now=AT, ttl=timedelta(minutes=1)), store.open_alerts())
    for work in refused:
        with pytest.raises(DatabaseUnavailableError, match="was replaced by another one"):
            await work
    await store.aclose()


async def test_a_restored_backup_of_the_same_database_is_used_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.storage.engine")
    url, backup = migrated_sqlite_file(tmp_path), tmp_path / "backup.db"
    store = await SqlStore.open(url)
    with closing(sqlite3.connect(tmp_path / "store.db")) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    await replace_sqlite(url, tmp_path)
    with pytest.raises(DatabaseUnavailableError, match="was replaced by another one"):
        await store.backlog(AT)

    with closing(sqlite3.connect(backup)) as source, closing(sqlite3.connect(tmp_path / "store.db")) as target:
        source.backup(target)
    claim = await store.claim_tick(WGMI_BTC, AT, AT)
    await store.aclose()

    assert Claim.OURS is claim
    assert ["ERROR", "INFO"] == [record.levelname for record in caplog.records]


async def test_a_database_without_its_identity_is_refused(migrated_url: str) -> None:
    store = await SqlStore.open(migrated_url)
    await execute(migrated_url, "DELETE FROM database_identity")

    with pytest.raises(DatabaseUnavailableError, match="has lost its tables"):
        await store.backlog(AT)
    with pytest.raises(DatabaseUnavailableError, match="has lost its tables"):
        await SqlStore.open(migrated_url)
    await store.aclose()


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
