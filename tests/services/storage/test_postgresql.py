"""Behavior of a database server: outages, reconnects, and passwords that must not be shown."""

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from services.alerting.tick_log import Claim
from services.core.errors import DatabaseUnavailableError
from services.core.prices import WGMI_BTC
from services.storage import SqlStore
from services.storage.engine import IDLE_TIMEOUT_S, Database
from tests.fakes import postgresql
from tests.fakes.alerts import AT
from tests.services.storage.conftest import post_alert


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await SqlStore.open(postgresql.empty_database())
    yield store
    await store.aclose()


async def test_a_server_restart_loses_nothing(store: SqlStore) -> None:
    await post_alert(store)
    (delivery,) = await store.due(AT)
    await store.mark_attempting(delivery, AT)

    postgresql.stop()
    try:
        with pytest.raises(
            DatabaseUnavailableError, match=r"Can't use the database postgresql.*Check that its URL is right"
        ):
            await store.mark_sent(delivery, "1.2", AT)
    finally:
        postgresql.start()
    await store.mark_sent(delivery, "1.2", AT)

    assert [] == await store.due(AT + timedelta(hours=1))


async def test_a_connection_that_breaks_while_reading_leaves_no_cursor_open() -> None:
    """psycopg warns about an unclosed cursor when it is collected."""
    url = postgresql.empty_database()
    database, other = Database(url), Database(url)

    async def read_on() -> None:
        async with database.read() as tx:
            backend = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            async with other.write() as killer:
                await killer.execute(text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})
            await tx.stream(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailableError):
        await read_on()
    gc.collect()
    for one in (database, other):
        await one.close()


async def test_the_transaction_of_a_frozen_process_times_out() -> None:
    database = Database(postgresql.empty_database())
    async with database.write() as tx:
        ends = (await tx.execute(text("SHOW idle_in_transaction_session_timeout"))).scalar_one()
    await database.close()

    assert f"{IDLE_TIMEOUT_S}s" == ends


async def test_one_of_many_processes_gets_each_tick_and_each_message() -> None:
    url = postgresql.empty_database()
    stores = [await SqlStore.open(url) for _ in range(6)]
    await post_alert(stores[0])
    (delivery,) = await stores[0].due(AT)

    claims = await asyncio.gather(*(store.claim_tick(WGMI_BTC, AT, AT) for store in stores))
    leases = await asyncio.gather(*(store.mark_attempting(delivery, AT) for store in stores))

    assert [Claim.OURS] == [claim for claim in claims if claim is not Claim.TAKEN]
    assert 1 == len(leases) - leases.count(None)
    for store in stores:
        await store.aclose()


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(
        DatabaseUnavailableError, match=r"Can't use the database postgres.*Check that its URL is right"
    ) as refused:
        await SqlStore.open("postgres://desk:hush-hush@127.0.0.1:1/minerpulse")

    assert "hush-hush" not in str(refused.value)


async def test_another_kind_of_database_is_refused_with_the_supported_urls() -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"Set MINERPULSE_DATABASE_URL to sqlite:///FILE or"):
        await SqlStore.open("mysql://desk@127.0.0.1/minerpulse")
