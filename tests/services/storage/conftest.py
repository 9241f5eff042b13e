"""Stores to test on. One suite runs on every database: another engine is one more row in each table of databases."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar, cast

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from services.alerting.alert import Alert, TimelineEntry
from services.alerting.ports import AlertChange, ChannelRule, MonitorStore
from services.storage import SqlStore, schema
from services.storage.engine import Database
from tests.fakes.alerts import AT, an_alert
from tests.fakes.postgresql import empty_database, migrated_database
from tests.fakes.store_snapshots import open_snapshot

Result = TypeVar("Result")


class Start(Protocol):
    """A function that starts one more process on the same database."""

    async def __call__(self) -> SqlStore: ...


async def in_database(url: str, work: Callable[[Connection], Result]) -> Result:
    """Run a function on a database, in a transaction of its own."""
    database = Database(url)
    try:
        async with database.write() as tx:
            return await tx.run_sync(work)
    finally:
        await database.close()


async def execute(url: str, statement: str) -> None:
    """Execute a statement on a database."""
    await in_database(url, lambda connection: connection.execute(text(statement)))


def upgrade_to(connection: Connection, revision: str) -> None:
    """Upgrade a database to the schema of an earlier release."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    command.upgrade(config, revision)


async def create_schema(url: str, revision: str) -> None:
    """Upgrade an empty database to the schema of an earlier release."""
    await in_database(url, lambda connection: upgrade_to(connection, revision))


async def post_alert(store: SqlStore, alert: Alert | None = None, *entries: TimelineEntry, at: datetime = AT) -> None:
    """Save a new alert with its timeline entries."""
    await store.record([], [AlertChange(alert=alert or an_alert(), revision=0, entries=entries)], at)


async def active_rules(store: MonitorStore) -> list[ChannelRule]:
    """Return the active rules of all channels."""
    return list((await store.rulebook()).rules)


def sqlite_file(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"


def sqlite_memory(_folder: Path) -> str:
    return "sqlite://"


def postgresql(_folder: Path) -> str:
    return empty_database()


@cache
def migrated_image() -> bytes:
    """Return a SQLite file with the current schema."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        schema.upgrade(connection)
        memory = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        image = memory.serialize()
    engine.dispose()
    return image


def migrated_sqlite_file(folder: Path) -> str:
    (folder / "store.db").write_bytes(migrated_image())
    return sqlite_file(folder)


def migrated_postgresql(_folder: Path) -> str:
    return migrated_database()


DURABLE = [pytest.param(sqlite_file, id="sqlite-file"), pytest.param(postgresql, id="postgresql")]
DATABASES = [*DURABLE, pytest.param(sqlite_memory, id="sqlite-memory")]
MIGRATED = [pytest.param(migrated_sqlite_file, id="sqlite-file"), pytest.param(migrated_postgresql, id="postgresql")]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database: Callable[[Path], str] = request.param
    return database(tmp_path)


@pytest.fixture(params=DURABLE)
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database: Callable[[Path], str] = request.param
    return database(tmp_path)


@pytest.fixture(params=MIGRATED)
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the current schema and no data."""
    database: Callable[[Path], str] = request.param
    return database(tmp_path)


@pytest.fixture(params=[*MIGRATED, pytest.param(sqlite_memory, id="sqlite-memory")])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    database: Callable[[Path], str] = request.param
    store = await (open_snapshot() if database is sqlite_memory else SqlStore.open(database(tmp_path)))
    yield store
    await store.aclose()


@pytest.fixture
async def shared_store(migrated_url: str) -> AsyncIterator[SqlStore]:
    """A store on the database at `migrated_url`."""
    async with aclosing(await SqlStore.open(migrated_url)) as store:
        yield store


@pytest.fixture
async def start(migrated_url: str) -> AsyncIterator[Start]:
    """Start processes on one database; none is closed before the test ends, as a crash closes nothing."""
    async with AsyncExitStack() as stack:

        async def one_more() -> SqlStore:
            store = await SqlStore.open(migrated_url)
            stack.push_async_callback(store.aclose)
            return store

        yield one_more
