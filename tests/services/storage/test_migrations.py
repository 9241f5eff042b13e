from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from services.alerting.ports import StateChange
from services.core.errors import DatabaseUnavailableError
from services.delivery.ports import Delivery, ThreadMessage
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.storage import SchemaStatus, SqlStore, migrate, read_schema_status, schema
from services.storage.codec import write_alert, write_entry
from services.storage.tables import metadata
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.services.storage.conftest import active_rules, create_schema, execute, in_database, post_alert, upgrade_to

# A delivered alert and a waiting thread reply in schema 0002.
EARLIER = """
INSERT INTO alerts (team, channel, pair, subject, side, revision, alert)
VALUES ('T1', 'C1', 'WGMI/BTC', 'divergence', 'above', 1, :alert);
INSERT INTO entries (alert_id, entry) VALUES (1, :line);
INSERT INTO deliveries
(key, alert_id, entry_id, version, sent_version, message_id, attempts, attempting, next_at, since)
VALUES ('own', 1, NULL, 1, 1, '1700.1', 0, FALSE, :at, :at), ('line', 1, 1, 1, 0, NULL, 0, FALSE, :at, :at);
INSERT INTO attempts (delivery_id, version, at, outcome) VALUES (1, 1, :at, 'sent');
INSERT INTO ticks (pair, boundary, claimed_at, done) VALUES ('WGMI/BTC', :at, :at, TRUE)
"""


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


async def compare(url: str) -> list[object]:
    return await in_database(url, differences)


async def test_the_migrations_create_the_tables_that_the_program_uses(durable_url: str) -> None:
    await migrate(durable_url)

    assert [] == await compare(durable_url)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("ALTER TABLE rules DROP COLUMN nodata_since", id="a column"),
        pytest.param("DROP INDEX uq_alerts_open", id="an index"),
        pytest.param("DROP TABLE ticks", id="a table"),
    ],
)
async def test_a_missing_migration_is_detected(durable_url: str, statement: str) -> None:
    await migrate(durable_url)
    await execute(durable_url, statement)

    assert len(await compare(durable_url)) == 1


def test_the_program_knows_the_newest_migration() -> None:
    assert schema.HEAD == ScriptDirectory(str(schema.MIGRATIONS)).get_current_head()


async def test_opening_an_empty_database_creates_the_schema(url: str) -> None:
    store = await SqlStore.open(url)

    assert [] == await store.rules(CHANNEL)
    await store.aclose()


async def test_a_database_in_memory_has_the_tables_indexes_and_rows_that_the_migrations_make(tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path}/store.db"
    await migrate(file)
    migrated, created = [await describe(await SqlStore.open(url)) for url in (file, "sqlite://")]

    assert migrated == created


async def describe(store: SqlStore) -> dict[str, object]:
    """Return the columns, constraints, indexes and rows of each table, and close the store."""
    async with store._database.read() as tx:  # noqa: SLF001 -- what is behind the store
        described = await tx.run_sync(_describe)
    await store.aclose()
    return described


def _describe(connection: Connection) -> dict[str, object]:
    inspector = inspect(connection)
    described: dict[str, object] = {}
    for table in inspector.get_table_names():
        rows = [row._asdict() for row in connection.execute(text(f"SELECT * FROM {table}"))]  # noqa: S608 -- ours
        foreign = [{**key, "name": None} for key in inspector.get_foreign_keys(table)]  # SQLite cannot rename them
        indexes = [
            {**index, "dialect_options": {key: str(value) for key, value in index.get("dialect_options", {}).items()}}
            for index in inspector.get_indexes(table)
        ]
        described[table] = [
            sorted(map(repr, inspector.get_columns(table))),
            inspector.get_pk_constraint(table)["constrained_columns"],
            sorted(map(repr, foreign)),
            sorted(map(repr, inspector.get_unique_constraints(table))),
            sorted(map(repr, indexes)),
            [row | {"identity": "…"} if "identity" in row else row for row in rows],
        ]
    return described


async def test_only_a_migrated_database_is_current(durable_url: str) -> None:
    before = await read_schema_status(durable_url)
    await migrate(durable_url)

    assert (SchemaStatus.EMPTY, SchemaStatus.CURRENT) == (before, await read_schema_status(durable_url))


async def test_migrating_again_changes_nothing(durable_url: str) -> None:
    store = await SqlStore.open(durable_url)
    added = await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)

    await migrate(durable_url)

    assert added == await active_rules(store)
    await store.aclose()


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009"])
async def test_rules_of_every_earlier_schema_can_be_used(durable_url: str, revision: str) -> None:
    await create_schema(durable_url, revision)
    await execute(
        durable_url,
        "INSERT INTO rules (id, team, channel, rule, created_by, created_at, revision, firing) "
        "VALUES (1, 'T1', 'C1', '1d 8pp', 'U1', '2026-11-17 15:40:00', 1, 'above')",
    )

    await migrate(durable_url)
    store = await SqlStore.open(durable_url)
    (rule,) = await store.rules(CHANNEL)
    await store.record([StateChange(rule_id=1, before=rule.state, after=RuleState())], [], AT)

    assert ("1d 8pp", Side.ABOVE, None, 0) == (str(rule.rule), rule.state.firing, rule.paused_at, rule.edition)
    assert [] == await compare(durable_url)
    await store.aclose()


async def test_concurrent_migrations_are_safe(durable_url: str) -> None:
    await asyncio.gather(*(migrate(durable_url) for _ in range(4)))

    assert SchemaStatus.CURRENT is await read_schema_status(durable_url)
    assert [] == await compare(durable_url)


async def test_a_migration_waits_for_a_writer_of_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        async def end_write(_seconds: float) -> None:
            if writer.in_transaction:
                writer.execute("COMMIT")

        monkeypatch.setattr(asyncio, "sleep", end_write)
        await migrate(f"sqlite:///{path}")

    assert SchemaStatus.CURRENT is await read_schema_status(f"sqlite:///{path}")


async def test_opening_an_older_database_asks_to_migrate(durable_url: str) -> None:
    await execute(durable_url, "CREATE TABLE rules (id INTEGER PRIMARY KEY)")

    with pytest.raises(DatabaseUnavailableError, match="Run `minerpulse migrate`"):
        await SqlStore.open(durable_url)


async def test_a_newer_database_is_refused_and_unchanged(durable_url: str) -> None:
    await migrate(durable_url)
    await execute(durable_url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseUnavailableError, match="newer than this program"):
        await SqlStore.open(durable_url)
    with pytest.raises(DatabaseUnavailableError, match="newer than this program"):
        await migrate(durable_url)
    with pytest.raises(DatabaseUnavailableError, match="newer than this program"):
        await read_schema_status(durable_url)


async def test_alerts_entries_and_attempts_of_an_earlier_schema_are_migrated(durable_url: str) -> None:
    alert, line = write_alert(an_alert(id=1)), write_entry(an_entry())
    values = {"at": "2026-11-17 15:40:00+00:00", "alert": alert, "line": line}

    def fill(connection: Connection) -> None:
        upgrade_to(connection, "0002")
        for statement in EARLIER.split(";"):
            connection.execute(text(statement), values)

    await in_database(durable_url, fill)
    await migrate(durable_url)

    assert [] == await compare(durable_url)
    store = await SqlStore.open(durable_url)
    (waiting,) = await store.due(AT)
    assert (CHANNEL, "line", "1700.1") == (waiting.channel, waiting.key, waiting.thread_id)
    assert isinstance(waiting.message, ThreadMessage)
    audit = await store.alert_audit(CHANNEL, 1)
    assert [("sent", "1700.1"), (None, None)] == [
        (one.attempts[0].outcome if one.attempts else None, one.message_id) for one in audit.postings
    ]
    await post_alert(store, an_alert(side=Side.BELOW))
    assert ["alert:2", "line"] == [one.key[:7].rstrip(":") for one in await deliver_all(store)]
    await store.aclose()


async def deliver_all(store: SqlStore) -> list[Delivery]:
    """Deliver all that is due, one after another."""
    delivered = []
    while due := await store.due(AT):
        delivered += due
        await store.mark_sent(due[0], "1700.9", AT)
    return delivered
