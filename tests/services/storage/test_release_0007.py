"""A database of the previous release, with rows in every table, works after `migrate`.

released_0007.sql was written by that release's own services: an alert that a tick opened and a person acknowledged, a
muted channel with rules, votes and undelivered messages, and one value of each stored kind with every field filled.
"""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Integer, inspect, text

from services.alerting.alert import EntryKind
from services.alerting.notice import Outage
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.core.prices import WGMI_BTC, Symbol
from services.rules.decide import Side
from services.storage import SqlStore, migrate
from services.storage.codec import STORED
from services.storage.migrations.versions.m0008_standard_names import TABLES
from services.storage.tables import metadata
from tests.fakes.alerts import an_entry
from tests.services.storage.conftest import create_schema, in_database
from tests.services.storage.test_migrations import compare

SQL = (Path(__file__).parent / "released_0007.sql").read_text("utf-8").partition("\n")[2].partition("\n")[2]
KEY = base64.urlsafe_b64encode(b"0007" * 8).decode()
CHANNEL, MUTED = Channel(team="T1", id="C1"), Channel(team="T1", id="C2")
AT = datetime(2026, 3, 4, 15, 10, tzinfo=UTC)
WGMI = Symbol("WGMI")
JSON_COLUMNS = {
    "alerts": ("alert", "alert"),
    "timeline_entries": ("entry", "entry"),
    "channels": ("settings", "settings"),
    "feed_status": ("prices", "prices"),
    "notices": ("content", None),  # its kind is in the row
}


def fill(connection: Connection) -> None:
    """Insert the rows, and let PostgreSQL number new ones after them."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
    for statement in filter(str.strip, SQL.split(";\n")):
        connection.exec_driver_sql(statement.replace("%", "%%") if "%" in statement else statement)
    if connection.dialect.name == "postgresql":
        for table in inspect(connection).get_table_names():
            columns = {column["name"]: column["type"] for column in inspect(connection).get_columns(table)}
            if isinstance(columns.get("id"), Integer):
                number = f"setval(pg_get_serial_sequence('{table}', 'id'), max(id))"
                connection.exec_driver_sql(f"SELECT {number} FROM {table} HAVING max(id) > 0")  # noqa: S608 -- a table


def count_rows(connection: Connection) -> dict[str, int]:
    names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names}  # noqa: S608 -- names of tables


ADDED = {  # tables of later schemas, with their rows
    "processed_keys": 0,
    "database_identity": 1,
    "pages": 0,
    "sinks": 0,
    "sink_holds": 0,
    "managed_rules": 0,
    "source_records": 0,
}
DROPPED = "oauth_states"
DROPPED_FIELD = "closings"  # of a track record: how episodes ended, which is not shown any more


@pytest.fixture
async def released(durable_url: str) -> str:
    """Create the database of the release before."""
    await create_schema(durable_url, "0007")
    await in_database(durable_url, fill)
    return durable_url


@pytest.fixture
async def migrated(released: str) -> AsyncIterator[SqlStore]:
    await migrate(released)
    store = await SqlStore.open(released)
    yield store
    await store.aclose()


async def test_no_table_is_empty_and_no_row_is_lost(released: str) -> None:
    before: dict[str, int] = await in_database(released, count_rows)

    await migrate(released)

    assert min(before.values()) > 0
    renamed = {TABLES.get(name, name): number for name, number in before.items() if name != DROPPED}
    assert await in_database(released, count_rows) == renamed | ADDED
    assert {table.name for table in metadata.sorted_tables} == {*renamed, *ADDED}
    assert [] == await compare(released)


LATER_KINDS = {"change", "escalation_source", "untraded", "retired_rules", "page_failed"}


async def test_every_stored_value_is_read_without_loss(released: str) -> None:
    await migrate(released)

    def read(connection: Connection) -> list[tuple[str, str]]:
        found = []
        for table, (column, kind) in JSON_COLUMNS.items():
            root = "kind" if kind is None else f"'{kind}'"
            rows = connection.execute(text(f"SELECT {root}, {column} FROM {table}"))  # noqa: S608 -- the names above
            found += [(row[0], row[1]) for row in rows]
        return found

    stored: list[tuple[str, str]] = await in_database(released, read)

    for kind, written in stored:
        adapter = STORED[kind].adapter
        again = adapter.dump_json(adapter.validate_json(written))
        assert _has_all(json.loads(again), json.loads(written))
    assert set(STORED) - LATER_KINDS == {kind for kind, _ in stored}


def _has_all(read: object, written: object) -> bool:
    """Return whether a JSON value has everything that was written; later releases add fields."""
    match read, written:
        case dict(), dict():
            kept = {key: value for key, value in written.items() if key != DROPPED_FIELD}
            return all(key in read and _has_all(read[key], value) for key, value in kept.items())
        case list(), list():
            return len(read) == len(written) and all(map(_has_all, read, written))
        case _:
            return read == written


async def test_an_open_alert_stays_open_and_takes_the_next_change(migrated: SqlStore) -> None:
    (stored,) = await migrated.open_alerts(CHANNEL)
    rules = {str(one.rule): one.state.firing for one in await migrated.rules(CHANNEL)}

    change = AlertChange(
        alert=stored.alert,
        revision=stored.revision,
        entries=(an_entry(kind=EntryKind.ACKNOWLEDGED, at=AT),),
    )
    await migrated.record([], [change], AT)

    assert {"1d 8pp": Side.ABOVE, "5d 15pp": None} == rules
    assert ("9pp is past 8pp, held for 5m", "U2") == (
        str(stored.alert.reason),
        stored.alert.acknowledged and stored.alert.acknowledged.by,
    )
    assert stored.revision + 1 == (await migrated.open_alerts(CHANNEL))[0].revision


async def test_undelivered_messages_are_still_due(migrated: SqlStore) -> None:
    due = await migrated.due(AT + timedelta(hours=2))

    assert CHANNEL in {one.channel for one in due}
    problems = [one.problem for one in await migrated.delivery_problems() if one.channel == MUTED]
    assert ["not_in_channel", "invalid_blocks"] == problems


async def test_all_other_data_is_still_loaded(migrated: SqlStore) -> None:
    installations = migrated.installations([KEY])
    workspace, organization = await installations.find("T1"), await installations.find("T9")
    votes = await migrated.votes(MUTED)
    (holdings,) = await migrated.load_holdings(WGMI)
    closes = await migrated.load_closes(WGMI, "Yahoo", date(2026, 1, 1))

    assert ("Acme", "Acme Holding") == (workspace and workspace.name, organization and organization.name)
    assert (1, 0) == (votes[3].noise, votes[3].useful)
    assert ["MARA"] == [position.ticker for position in holdings.positions]
    assert [20.0] == closes.prices[-1:].tolist()
    assert [20.5] == [revision.old for revision in await migrated.revisions(WGMI, 10)]
    assert {"1d spread", "5d spread"} == set(await migrated.extremes(WGMI_BTC, date(2026, 3, 4)))
    assert len(await migrated.open_notices(Outage)) > 0
    assert "mute 1d" in {change.summary for change in await migrated.channel_changes(MUTED, 10)}
