"""Databases of every released schema, with data, are migrated to the current one."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection

from services.delivery.ports import ThreadMessage
from services.rules.decide import Side
from services.storage import SchemaStatus, SqlStore, migrate, read_schema_status
from tests.fakes.alerts import AT, CHANNEL
from tests.services.storage.conftest import in_database, upgrade_to
from tests.services.storage.test_migrations import compare
from tests.services.storage.test_price_history import EVER, WGMI

HELD = (Path(__file__).parent / "released.sql").read_text().partition("\n")[2]
RELEASED = ("0001", "0002")


async def create_released_database(url: str, revision: str) -> None:
    """Create a database with the schema and data of a release."""

    def build(connection: Connection) -> None:
        upgrade_to(connection, revision)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
        for statement in filter(str.strip, HELD.split(";\n")):
            connection.exec_driver_sql(statement)

    await in_database(url, build)


async def run_migrate(url: str) -> int:
    """Run the Procfile's release step in its own process, and return its exit code."""
    environment = {**os.environ, "MINERPULSE_DATABASE_URL": url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "migrate", stdout=asyncio.subprocess.DEVNULL, env=environment
    )
    return await process.wait()


@pytest.mark.parametrize("revision", RELEASED)
async def test_an_older_database_is_migrated_with_all_its_data(durable_url: str, revision: str) -> None:
    await create_released_database(durable_url, revision)

    await migrate(durable_url)

    store = await SqlStore.open(durable_url)
    (rule,), (stored,), (line,) = await store.rules(CHANNEL), await store.open_alerts(), await store.due(AT)
    closes = await store.load_closes(WGMI, "yahoo", EVER)
    await store.aclose()
    assert ("1d 8pp", Side.ABOVE, AT) == (str(rule.rule), rule.state.firing, rule.state.fired_at)
    assert "8.3pp is past 8pp, held for 5m" == stored.alert.reason
    assert ("5d joins", "1700.1") == (
        isinstance(line.message, ThreadMessage) and line.message.entry.reason,
        line.thread_id,
    )
    assert [41.2] == closes.prices.tolist()
    assert [] == await compare(durable_url)


async def test_two_processes_can_migrate_an_older_database_concurrently(durable_url: str) -> None:
    await create_released_database(durable_url, RELEASED[-1])

    assert [0, 0] == list(await asyncio.gather(run_migrate(durable_url), run_migrate(durable_url)))

    assert SchemaStatus.CURRENT is await read_schema_status(durable_url)
    assert [] == await compare(durable_url)


async def test_processes_can_create_a_new_database_concurrently(durable_url: str) -> None:
    assert [0] * 3 == await asyncio.gather(*(run_migrate(durable_url) for _ in range(3)))

    assert SchemaStatus.CURRENT is await read_schema_status(durable_url)
    assert [] == await compare(durable_url)
