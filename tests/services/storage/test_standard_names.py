"""Migration 0008: data of schema 0007 arrives unchanged under the new names."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Connection, DateTime, Float, Integer, MetaData, insert, inspect, select
from sqlalchemy.exc import IntegrityError

from services.alerting.alert import EntryKind
from services.storage import SqlStore, migrate, tables
from services.storage.tables import UtcDateTime
from tests.fakes.alerts import AT, CHANNEL, an_entry
from tests.services.storage.conftest import create_schema, in_database, post_alert
from tests.services.storage.test_migrations import compare

m0008: Any = import_module("services.storage.migrations.versions.m0008_standard_names")
rename_stored_keys: Callable[[Connection], None] = m0008._rename_stored_keys  # noqa: SLF001 -- one step of the migration
ROWS = 3  # in each table
START = datetime(2026, 11, 17, 15, 40, 0, 123456, tzinfo=UTC)
JSON = {"told": {"at": "2026-11-17T15:40:00Z", "of": 0.08299999999999999}, "by": "U1", "reason": "µ “8pp”"}
NEW_JSON = '{"last_reported":{"at":"2026-11-17T15:40:00Z","of":0.08299999999999999},"by":"U1","reason":"µ “8pp”"}'


def value_of(column: Column[Any], number: int) -> object:
    """Return a value of the column's type that no other row of the table has in a key."""
    match column.type:
        case Boolean():
            return bool(number % 2)
        case Integer():
            return number
        case DateTime() | UtcDateTime():
            return START + timedelta(minutes=number)
        case Float():
            return number + 0.1
        case _:
            return f"{column.name} {number} “µ”"


def fill(connection: Connection) -> None:
    """Insert rows into every table of schema 0007, with a value in every column."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.sorted_tables:
        if table.name == "alembic_version":
            continue
        connection.execute(table.delete())
        numbers = range(1, 2 if table.name == "rulebook" else ROWS + 1)
        connection.execute(
            table.insert(), [{column.name: value_of(column, number) for column in table.c} for number in numbers]
        )


def contents(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        name: [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
        for name, table in metadata.tables.items()
        if name != "alembic_version"
    }


def renamed(old: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return the contents of schema 0007 under the names of 0008."""
    columns = {(table, before): after for table, before, after in m0008.COLUMNS}
    return {
        (new := m0008.TABLES.get(name, name)): [
            {columns.get((new, key), key): value for key, value in row.items()} for row in rows
        ]
        for name, rows in old.items()
    }


async def test_all_data_of_schema_0007_is_there_under_the_new_names(durable_url: str) -> None:
    await create_schema(durable_url, "0007")
    await in_database(durable_url, fill)
    before = await in_database(durable_url, contents)

    await migrate(durable_url)

    after = await in_database(durable_url, contents)
    assert after.keys() == tables.metadata.tables.keys()
    identity = after.pop("database_identity")
    assert 1 == len(identity)
    new_tables = set(after) - set(renamed(before))
    assert {name: [] for name in new_tables} == {name: after.pop(name) for name in new_tables}
    assert {None} == {row.pop("permalink") for row in after["alerts"]}  # a column of 0011
    assert {2} == {row.pop("priority") for row in after["deliveries"]}  # a column of 0015
    assert {name: rows for name, rows in renamed(before).items() if name != "oauth_states"} == after
    assert [] == await compare(durable_url)


def names(connection: Connection) -> set[str]:
    """Return the names of all indexes; on PostgreSQL also of keys and sequences."""
    found = inspect(connection)
    result = {str(index["name"]) for table in found.get_table_names() for index in found.get_indexes(table)}
    if connection.dialect.name == "postgresql":
        result |= set(found.get_sequence_names())
        for table in found.get_table_names():
            result |= {str(key["name"]) for key in found.get_foreign_keys(table)}
            result.add(str(found.get_pk_constraint(table)["name"]))
    return result


async def test_indexes_keys_and_sequences_have_the_new_names(migrated_url: str) -> None:
    found = await in_database(migrated_url, names)

    expected = {str(index.name) for table in tables.metadata.sorted_tables for index in table.indexes}
    if migrated_url.startswith("postgres"):
        expected |= {str(key.name) for table in tables.metadata.sorted_tables for key in table.constraints}
        expected |= {f"{m0008.TABLES[name]}_id_seq" for name in m0008.NUMBERED}
    assert set() == expected - found
    old_names = {f"pk_{name}" for name in m0008.TABLES} | {f"{name}_id_seq" for name in m0008.NUMBERED}
    old_names |= {old for old, *_ in m0008.INDEXES} | {old for _, old, _ in m0008.FOREIGN_KEYS}
    assert set() == old_names & found


async def test_new_rows_get_the_next_numbers_and_constraints_hold(durable_url: str) -> None:
    await create_schema(durable_url, "0007")
    await migrate(durable_url)

    def use(connection: Connection) -> int:
        entry = tables.timeline_entries
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(insert(entry).values(alert_id=9, entry="{}"))
        row = {"team": "T1", "channel": "C1", "rule": "1d 8pp", "created_by": "U1", "created_at": AT, "revision": 1}
        connection.execute(insert(tables.rules).values(row))
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(insert(tables.rules).values(row))
        return int(connection.execute(select(tables.rules.c.edit_count)).scalar_one())

    assert 0 == await in_database(durable_url, use)
    store = await SqlStore.open(durable_url)
    assert [] == await store.rule_audits(CHANNEL, 5)
    await store.aclose()


@pytest.fixture
def stored_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    roots = ("alert", "entry", "settings", "prices", "outage", "digest")
    keys = {(root, "told"): "last_reported" for root in roots} | {("digest", "alerts.told"): "last_reported"}
    monkeypatch.setattr(m0008, "STORED_KEYS", keys)
    monkeypatch.setattr(m0008, "BATCH_SIZE", 3)


JSON_COLUMNS = {
    "alerts": "alert",
    "timeline_entries": "entry",
    "channels": "settings",
    "notices": "content",
    "feed_status": "prices",
}


@pytest.mark.usefixtures("stored_keys")
@pytest.mark.parametrize("count", [0, 1, 3, 7], ids=["no rows", "one row", "one batch", "several batches"])
async def test_keys_of_stored_json_are_renamed_in_every_table(migrated_url: str, count: int) -> None:
    def store_json(connection: Connection) -> None:
        for name, column in JSON_COLUMNS.items():
            for number in range(1, count + 1):
                values = {one.name: value_of(one, number) for one in tables.metadata.tables[name].c}
                values[column] = json.dumps(JSON, ensure_ascii=False, separators=(",", ":"))
                if name == "notices":
                    values["kind"] = "outage"
                connection.execute(insert(tables.metadata.tables[name]).values(values))

    await in_database(migrated_url, store_json)
    before = await in_database(migrated_url, contents)
    await in_database(migrated_url, rename_stored_keys)
    after = await in_database(migrated_url, contents)

    for name, column in JSON_COLUMNS.items():
        assert [{**row, column: NEW_JSON} for row in before[name]] == after[name]


@pytest.mark.usefixtures("stored_keys")
@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        pytest.param(
            "digest",
            '{"alerts":[{"told":1},{"told":2}]}',
            '{"alerts":[{"last_reported":1},{"last_reported":2}]}',
            id="in a list",
        ),
        pytest.param("digest", '{"alert":{"told":1}}', '{"alert":{"told":1}}', id="only at its path"),
        pytest.param("brief", '{"told":1}', '{"told":1}', id="only of its kind"),
        pytest.param("outage", '{ "since": 1e-07 }', '{ "since": 1e-07 }', id="unchanged without such a key"),
        pytest.param("outage", '{"told": 1', '{"told": 1', id="unchanged if it is not JSON"),
        pytest.param("outage", '{"told":null}', '{"last_reported":null}', id="null"),
    ],
)
async def test_only_the_listed_keys_of_a_kind_are_renamed(
    migrated_url: str, kind: str, before: str, after: str
) -> None:
    row = {"team": "T1", "channel": "C1", "name": "one", "kind": kind, "opened_at": AT, "revision": 1}

    await in_database(migrated_url, lambda tx: tx.execute(insert(tables.notices).values(**row, content=before)))
    await in_database(migrated_url, rename_stored_keys)

    assert [after] == [notice["content"] for notice in (await in_database(migrated_url, contents))["notices"]]


async def test_a_person_s_entries_are_still_found_after_their_keys_were_renamed(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store searches entries as text, so that they must be written without spaces."""
    monkeypatch.setattr(m0008, "STORED_KEYS", {("entry", "reason"): "why"})
    store = await SqlStore.open(migrated_url)
    entry = an_entry(kind=EntryKind.ACKNOWLEDGED, by="U1")
    await post_alert(store, None, entry)

    await in_database(migrated_url, rename_stored_keys)

    assert [CHANNEL] == await store.channels_of("T1", "U1")
    assert "why" in (await in_database(migrated_url, contents))["timeline_entries"][0]["entry"]
    await store.aclose()
