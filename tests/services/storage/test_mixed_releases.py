"""A process keeps running while another release migrates its database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from sqlalchemy import Engine, event, text

from services.alerting.ports import AlertChange
from services.alerting.tick_log import Claim
from services.core.errors import DatabaseUnavailableError
from services.core.prices import WGMI_BTC
from services.rules.grammar import parse_rule
from services.storage import SqlStore, migrate
from services.storage.engine import CHECK_INTERVAL_S, LOCK_SCHEMA, MIGRATION_LOCK, REVISION, Database
from services.storage.installations import generate_key
from tests.fakes.alerts import AT, CHANNEL, an_alert
from tests.services.storage.conftest import execute

MIGRATED = r"was migrated by another release of MinerPulse; this process must be updated or restarted\.$"
NEXT_RELEASE = "UPDATE alembic_version SET version_num = '9999'"


class Monotonic:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL statements of all engines, as they are executed."""
    executed: list[str] = []

    def append(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        executed.append(statement)

    event.listen(Engine, "before_cursor_execute", append)
    yield executed
    event.remove(Engine, "before_cursor_execute", append)


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
async def store(migrated_url: str, monotonic: Monotonic) -> AsyncIterator[SqlStore]:
    """A store whose database the next release migrates in the test."""
    store = await SqlStore.open(migrated_url, monotonic=monotonic)
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    yield store
    await store.aclose()


def open_alert(store: SqlStore) -> Awaitable[None]:
    return store.record([], [AlertChange(alert=an_alert(), revision=0)], AT)


async def test_a_running_process_claims_no_tick_after_another_release_migrated(
    store: SqlStore, migrated_url: str
) -> None:
    await execute(migrated_url, NEXT_RELEASE)

    with pytest.raises(DatabaseUnavailableError, match=MIGRATED):
        await store.claim_tick(WGMI_BTC, AT, AT)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(open_alert, id="alert"),
        pytest.param(lambda store: store.add_rules(CHANNEL, [parse_rule("5d 15pp")], "U1", AT), id="rule"),
        pytest.param(lambda store: store.installations([generate_key()]).reencrypt_tokens(), id="installation"),
    ],
)
async def test_a_running_process_writes_nothing_a_minute_after_another_release_migrated(
    store: SqlStore, migrated_url: str, monotonic: Monotonic, write: Callable[[SqlStore], Awaitable[object]]
) -> None:
    await execute(migrated_url, NEXT_RELEASE)
    monotonic.now += CHECK_INTERVAL_S

    with pytest.raises(DatabaseUnavailableError, match=MIGRATED):
        await write(store)

    assert ([], 1) == (await store.open_alerts(), len(await store.rules(CHANNEL)))


async def test_a_refused_tick_stops_every_later_write(store: SqlStore, migrated_url: str) -> None:
    await execute(migrated_url, NEXT_RELEASE)
    with pytest.raises(DatabaseUnavailableError):
        await store.claim_tick(WGMI_BTC, AT, AT)

    with pytest.raises(DatabaseUnavailableError, match=MIGRATED):
        await open_alert(store)


async def test_the_revision_is_read_once_a_minute_and_locked_by_ticks_only(
    store: SqlStore, monotonic: Monotonic, statements: list[str]
) -> None:
    """A lock and a read in every write would cost two more round trips to PostgreSQL."""

    async def checks(write: Awaitable[object]) -> list[str]:
        statements.clear()
        await write
        return [one for one in statements if one == REVISION]

    at_once = await checks(open_alert(store))
    monotonic.now += CHECK_INTERVAL_S
    after_a_minute = await checks(store.add_rules(CHANNEL, [parse_rule("5d 15pp")], "U1", AT))
    next_write = await checks(store.add_rules(CHANNEL, [parse_rule("20d 30pp")], "U1", AT))
    assert ([], [REVISION], []) == (at_once, after_a_minute, next_write)
    assert LOCK_SCHEMA not in statements

    assert [REVISION] == await checks(store.claim_tick(WGMI_BTC, AT, AT))
    assert (store.name.startswith("postgresql")) == (LOCK_SCHEMA in statements)


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE rules RENAME COLUMN edit_count TO edits", "ALTER TABLE rules RENAME TO channel_rules"],
    ids=["column", "table"],
)
async def test_a_statement_that_fails_on_the_next_schema_names_the_cause(
    store: SqlStore, migrated_url: str, change: str
) -> None:
    for statement in (change, NEXT_RELEASE):
        await execute(migrated_url, statement)

    with pytest.raises(DatabaseUnavailableError, match=MIGRATED):
        await store.rules(CHANNEL)


async def test_the_error_names_the_database_without_its_password(store: SqlStore, migrated_url: str) -> None:
    await execute(migrated_url, NEXT_RELEASE)

    with pytest.raises(DatabaseUnavailableError) as raised:
        await store.claim_tick(WGMI_BTC, AT, AT)

    assert f"The database {store.name} was migrated" in str(raised.value)


async def test_a_process_writes_again_after_the_database_was_restored(store: SqlStore, migrated_url: str) -> None:
    await execute(migrated_url, "UPDATE alembic_version SET version_num = '9' || version_num")
    with pytest.raises(DatabaseUnavailableError):
        await store.claim_tick(WGMI_BTC, AT, AT)

    await execute(migrated_url, "UPDATE alembic_version SET version_num = substr(version_num, 2)")

    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)


async def test_migrating_to_the_same_schema_does_not_disturb_a_running_process(
    store: SqlStore, migrated_url: str
) -> None:
    await migrate(migrated_url)

    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)


async def test_no_tick_is_claimed_by_the_old_release_after_the_migration_starts(
    store: SqlStore, migrated_url: str
) -> None:
    """The claim waits for the migration, sees its revision, and is refused."""
    database = Database(migrated_url)
    async with database.write() as tx:
        if tx.dialect.name == "postgresql":
            await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        writing = asyncio.create_task(store.claim_tick(WGMI_BTC, AT, AT))
        for _ in range(50):  # longer than the claim would take
            await store.rules(CHANNEL)
        waited = not writing.done()
        await tx.execute(text(NEXT_RELEASE))
    await database.close()

    with pytest.raises(DatabaseUnavailableError, match=MIGRATED):
        await writing
    assert waited
