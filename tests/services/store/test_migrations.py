from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text

from services.domain.decide import RuleState, Side
from services.domain.errors import StoreError
from services.domain.rule import parse_rule
from services.ports import StateChange
from services.store import SqlStore, migrate, schema_is_current
from services.store.engine import Database
from services.store.schema import MIGRATIONS
from services.store.tables import metadata
from tests.fakes.alerts import AT, DESK
from tests.services.store.conftest import standing

if TYPE_CHECKING:
    from sqlalchemy import Connection


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


async def compare(url: str) -> list[object]:
    database = Database(url)
    async with database.read() as tx:
        found = await tx.run_sync(differences)
    await database.close()
    return found


async def run(url: str, statement: str) -> None:
    database = Database(url)
    async with database.write() as tx:
        await tx.execute(text(statement))
    await database.close()


async def to(url: str, revision: str) -> None:
    """Bring an empty database to an earlier schema."""

    def upgrade(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, revision)

    database = Database(url)
    async with database.write() as tx:
        await tx.run_sync(upgrade)
    await database.close()


async def test_the_migrations_make_the_tables_that_the_program_uses(durable_url: str) -> None:
    await migrate(durable_url)

    assert [] == await compare(durable_url)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("ALTER TABLE rules DROP COLUMN dark_at", id="a column"),
        pytest.param("DROP INDEX uq_alerts_open", id="an index"),
        pytest.param("DROP TABLE ticks", id="a table"),
    ],
)
async def test_what_a_migration_forgot_would_be_noticed(durable_url: str, statement: str) -> None:
    await migrate(durable_url)
    await run(durable_url, statement)

    assert len(await compare(durable_url)) == 1


async def test_an_empty_database_is_made_ready_when_it_is_opened(url: str) -> None:
    store = await SqlStore.open(url)

    assert [] == await store.rules(DESK)
    await store.aclose()


async def test_only_a_migrated_database_is_current(durable_url: str) -> None:
    before = await schema_is_current(durable_url)
    await migrate(durable_url)

    assert (False, True) == (before, await schema_is_current(durable_url))


async def test_migrating_again_keeps_what_is_there(durable_url: str) -> None:
    store = await SqlStore.open(durable_url)
    added = await store.add_rules(DESK, [parse_rule("1d 8pp")], "U1", AT)

    await migrate(durable_url)

    assert added == await standing(store)
    await store.aclose()


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_rules_and_alerts_of_every_earlier_schema_go_on(durable_url: str, revision: str) -> None:
    await to(durable_url, revision)
    await run(
        durable_url,
        "INSERT INTO rules (id, team, channel, rule, created_by, created_at, revision, firing) "
        "VALUES (1, 'T1', 'C1', '1d 8pp', 'U1', '2026-11-17 15:40:00', 1, 'above')",
    )

    await migrate(durable_url)
    store = await SqlStore.open(durable_url)
    (watch,) = await store.rules(DESK)
    await store.record([StateChange(rule_id=1, before=watch.state, after=RuleState())], [], AT)

    assert ("1d 8pp", Side.ABOVE, None, 0) == (str(watch.rule), watch.state.firing, watch.paused_at, watch.edition)
    assert [] == await compare(durable_url)
    await store.aclose()


async def test_migrating_many_times_at_once_does_no_harm(durable_url: str) -> None:
    await asyncio.gather(*(migrate(durable_url) for _ in range(4)))

    assert await schema_is_current(durable_url)
    assert [] == await compare(durable_url)


async def test_opening_an_older_database_asks_to_migrate(durable_url: str) -> None:
    await run(durable_url, "CREATE TABLE rules (id INTEGER PRIMARY KEY)")

    with pytest.raises(StoreError, match="run `minerpulse migrate`"):
        await SqlStore.open(durable_url)


async def test_a_newer_database_is_refused_and_left_alone(durable_url: str) -> None:
    await migrate(durable_url)
    await run(durable_url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match="newer than this program"):
        await SqlStore.open(durable_url)
    with pytest.raises(StoreError, match="newer than this program"):
        await migrate(durable_url)
    assert not await schema_is_current(durable_url)
