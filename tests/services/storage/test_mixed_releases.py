"""A process keeps running while another release migrates its database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text

from services.alerting.records import AlertChange
from services.alerting.tick_log import Claim
from services.core.errors import DatabaseUnavailableError
from services.core.prices import WGMI_BTC
from services.rules.grammar import parse_rule
from services.storage import SqlStore, migrate
from services.storage.engine import MIGRATION_LOCK, Database
from services.storage.token_encryption import generate_key
from tests.fakes.alerts import AT, CHANNEL, an_alert
from tests.services.storage.test_migrations import run

MIGRATED = r"was migrated by another release of MinerPulse; this process must be updated or restarted\.$"
NEXT_RELEASE = "UPDATE alembic_version SET version_num = '9999'"


@pytest.fixture
async def store(durable_url: str) -> AsyncIterator[SqlStore]:
    """A store whose database the next release migrates in the test."""
    store = await SqlStore.open(durable_url)
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    yield store
    await store.aclose()


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda store: store.claim_tick(WGMI_BTC, AT, AT), id="tick"),
        pytest.param(lambda store: store.record([], [AlertChange(alert=an_alert(), revision=0)], AT), id="alert"),
        pytest.param(lambda store: store.add_rules(CHANNEL, [parse_rule("5d 15pp")], "U1", AT), id="rule"),
        pytest.param(lambda store: store.installations([generate_key()]).reencrypt_tokens(), id="installation"),
    ],
)
async def test_a_running_process_stops_writing_after_another_release_migrated(
    store: SqlStore, durable_url: str, write: Callable[[SqlStore], Awaitable[object]]
) -> None:
    await run(durable_url, NEXT_RELEASE)

    with pytest.raises(DatabaseUnavailableError, match=MIGRATED):
        await write(store)

    assert ([], 1) == (await store.open_alerts(), len(await store.rules(CHANNEL)))


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE rules RENAME COLUMN edit_count TO edits", "ALTER TABLE rules RENAME TO channel_rules"],
    ids=["column", "table"],
)
async def test_a_statement_that_fails_on_the_next_schema_names_the_cause(
    store: SqlStore, durable_url: str, change: str
) -> None:
    for statement in (change, NEXT_RELEASE):
        await run(durable_url, statement)

    with pytest.raises(DatabaseUnavailableError, match=MIGRATED):
        await store.rules(CHANNEL)


async def test_the_error_names_the_database_without_its_password(store: SqlStore, durable_url: str) -> None:
    await run(durable_url, NEXT_RELEASE)

    with pytest.raises(DatabaseUnavailableError) as raised:
        await store.claim_tick(WGMI_BTC, AT, AT)

    assert f"The database {store.name} was migrated" in str(raised.value)


async def test_a_process_writes_again_after_the_database_was_restored(store: SqlStore, durable_url: str) -> None:
    await run(durable_url, "UPDATE alembic_version SET version_num = '9' || version_num")
    with pytest.raises(DatabaseUnavailableError):
        await store.claim_tick(WGMI_BTC, AT, AT)

    await run(durable_url, "UPDATE alembic_version SET version_num = substr(version_num, 2)")

    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)


async def test_migrating_to_the_same_schema_does_not_disturb_a_running_process(
    store: SqlStore, durable_url: str
) -> None:
    await migrate(durable_url)

    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)


async def test_no_write_is_committed_by_the_old_release_once_the_migration_has_begun(
    store: SqlStore, durable_url: str
) -> None:
    """The write waits for the migration, sees its revision, and is refused."""
    database = Database(durable_url)
    async with database.write() as tx:
        if tx.dialect.name == "postgresql":
            await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        writing = asyncio.create_task(store.claim_tick(WGMI_BTC, AT, AT))
        await asyncio.wait([writing], timeout=0.2)
        waited = not writing.done()
        await tx.execute(text(NEXT_RELEASE))
    await database.close()

    with pytest.raises(DatabaseUnavailableError, match=MIGRATED):
        await writing
    assert waited
