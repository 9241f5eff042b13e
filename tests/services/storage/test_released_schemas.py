"""Databases of every released schema, with data in them, on their way to this program's."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from services.delivery.ports import ThreadMessage
from services.rules.decide import Side
from services.storage import SqlStore, schema_is_current
from services.storage.engine import Database
from services.storage.schema import MIGRATIONS
from tests.fakes.alerts import AT, DESK
from tests.services.storage.test_migrations import compare
from tests.services.storage.test_price_history import EVER, WGMI

HELD = (Path(__file__).parent / "released.sql").read_text().partition("\n")[2]
RELEASED = ("0001", "0002")


async def make(url: str, revision: str) -> None:
    """Make a database as that release left it behind."""

    def build(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, revision)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
        for statement in filter(str.strip, HELD.split(";\n")):
            connection.exec_driver_sql(statement)

    database = Database(url)
    async with database.write() as tx:
        await tx.run_sync(build)
    await database.close()


async def migrating(url: str) -> int:
    """Run the release step of the Procfile in a process of its own; its exit code."""
    environment = {**os.environ, "MINERPULSE_DATABASE_URL": url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "migrate", stdout=asyncio.subprocess.DEVNULL, env=environment
    )
    return await process.wait()


@pytest.mark.parametrize("revision", RELEASED)
async def test_two_processes_bring_an_older_database_here_with_all_that_it_holds(
    durable_url: str, revision: str
) -> None:
    await make(durable_url, revision)

    assert [0, 0] == list(await asyncio.gather(migrating(durable_url), migrating(durable_url)))

    store = await SqlStore.open(durable_url)
    (rule,), (stored,), (line,) = await store.rules(DESK), await store.open_alerts(), await store.due(AT)
    closes = await store.load_closes(WGMI, "yahoo", EVER)
    await store.aclose()
    assert ("1d 8pp", Side.ABOVE, AT) == (str(rule.rule), rule.state.firing, rule.state.fired_at)
    assert "8.3pp is past 8pp, held for 5m" == stored.alert.reason
    assert ("5d joins", "1700.1") == (isinstance(line.told, ThreadMessage) and line.told.entry.reason, line.thread_id)
    assert [41.2] == closes.prices.tolist()
    assert [] == await compare(durable_url)


async def test_processes_that_make_a_new_database_at_once_do_no_harm(durable_url: str) -> None:
    assert [0] * 3 == await asyncio.gather(*(migrating(durable_url) for _ in range(3)))

    assert await schema_is_current(durable_url)
    assert [] == await compare(durable_url)
