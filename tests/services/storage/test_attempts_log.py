from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from services.delivery.ports import Delivery
from services.storage import SqlStore, tables
from tests.fakes.alerts import AT
from tests.services.storage.conftest import in_database, post_alert

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store(shared_store: SqlStore) -> SqlStore:
    await post_alert(shared_store)
    return shared_store


async def begin(store: SqlStore, at: datetime) -> Delivery:
    (delivery,) = await store.due(at)
    assert await store.mark_attempting(delivery, at)
    return delivery


async def log(url: str) -> list[tuple[datetime, int, str | None, str | None]]:
    columns = tables.attempts.c
    query = select(columns.at, columns.version, columns.outcome, columns.problem).order_by(columns.id)
    return await in_database(url, lambda connection: [tuple(row) for row in connection.execute(query)])


async def test_every_attempt_is_logged_with_its_outcome(store: SqlStore, migrated_url: str) -> None:
    await store.mark_failed(await begin(store, AT), "429", AT + MINUTE)
    await store.mark_sent(await begin(store, AT + MINUTE), "1700.1", AT + MINUTE)

    assert [(AT, 1, "failed", "429"), (AT + MINUTE, 1, "sent", None)] == await log(migrated_url)


async def test_a_gone_message_and_a_dead_one_have_different_outcomes(store: SqlStore, migrated_url: str) -> None:
    await store.mark_failed(await begin(store, AT), "message_not_found", AT, gone=True)
    await store.mark_dead(await begin(store, AT), "channel_not_found", AT)

    assert [(AT, 1, "gone", "message_not_found"), (AT, 1, "dead", "channel_not_found")] == await log(migrated_url)


async def test_an_attempt_that_a_crash_cut_short_has_no_outcome(store: SqlStore, migrated_url: str) -> None:
    await begin(store, AT)
    await store.mark_sent(await begin(store, AT + MINUTE), "1700.1", AT + MINUTE)

    assert [(AT, 1, None, None), (AT + MINUTE, 1, "sent", None)] == await log(migrated_url)


async def test_a_message_found_after_a_crash_closes_the_attempt(store: SqlStore, migrated_url: str) -> None:
    await store.mark_sent(await begin(store, AT), "1700.1", AT + MINUTE)

    assert [(AT, 1, "sent", None)] == await log(migrated_url)


async def test_a_logged_outcome_is_not_overwritten(store: SqlStore, migrated_url: str) -> None:
    delivery = await begin(store, AT)
    await store.mark_failed(delivery, "429", AT)
    await store.mark_dead(delivery, "channel_not_found", AT)

    assert [(AT, 1, "failed", "429")] == await log(migrated_url)
