import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from services.alerting.ports import AlertChange
from services.storage import SqlStore, wakeups
from tests.fakes.alerts import AT, an_alert
from tests.fakes.postgresql import migrated_database

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' OR query = 'SELECT 1'"


@dataclass(slots=True)
class Ear:
    """What a listening process has heard."""

    wakes: int = 0
    states: list[bool] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.wakes += 1
        self.changed.set()

    def change(self, arrive: bool) -> None:
        self.states.append(arrive)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def listening(store: SqlStore) -> AsyncIterator[Ear]:
    ear = Ear()
    task = asyncio.create_task(wakeups.listen(store._database, ear.wake, ear.change, retry_s=0))  # noqa: SLF001
    yield ear
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def stores() -> AsyncIterator[list[SqlStore]]:
    url = migrated_database()
    stores = [await SqlStore.open(url) for _ in range(2)]
    yield stores
    for store in stores:
        await store.aclose()


async def test_what_one_process_saves_wakes_another(stores: list[SqlStore]) -> None:
    async with listening(stores[0]) as ear:
        await ear.until(lambda: ear.wakes == 1)
        await stores[1].record([], [AlertChange(alert=an_alert(), revision=0)], AT)
        await ear.until(lambda: ear.wakes == 2)

    assert [True] == ear.states


async def test_a_broken_connection_is_opened_again(stores: list[SqlStore], caplog: pytest.LogCaptureFixture) -> None:
    async with listening(stores[0]) as ear:
        await ear.until(lambda: ear.wakes == 1)
        async with stores[1]._database.write() as tx:  # noqa: SLF001 -- a fault
            await tx.exec_driver_sql(TERMINATE)
        await ear.until(lambda: ear.wakes == 2)

    assert [True, False, True] == ear.states
    assert 1 == sum("polling instead" in message for message in caplog.messages)


async def test_a_pooler_that_drops_notifications_is_noticed(
    stores: list[SqlStore], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wakeups, "NOTIFY_PROBE", "SELECT %s::text")
    monkeypatch.setattr(wakeups, "PROBE_TIMEOUT_S", 0.1)

    async with listening(stores[0]) as ear:
        await ear.until(lambda: len(ear.states) > 1)

    assert {False} == {*ear.states}
    assert 0 == ear.wakes
    assert 1 == len(caplog.messages)
    assert "a pooler between MinerPulse and the database" in caplog.messages[0]


async def test_sqlite_has_no_notifications() -> None:
    store, ear = await SqlStore.open("sqlite://"), Ear()

    await store.listen(ear.wake, ear.change)

    assert (0, []) == (ear.wakes, ear.states)
    await store.aclose()
