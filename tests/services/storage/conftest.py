"""Stores to test on. One suite runs on every database: another engine is one more row in each of the two tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest

from services.alerting.ports import MonitorStore
from services.alerting.records import ChannelRule
from services.channels.ports import Store
from services.storage import SqlStore
from tests.fakes.postgresql import empty_database


class Start(Protocol):
    """A function that starts one more process on the same database."""

    async def __call__(self) -> SqlStore: ...


async def active_rules(store: MonitorStore) -> list[ChannelRule]:
    """Return the active rules of all channels."""
    return list((await store.rulebook()).rules)


def sqlite_file(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"


def sqlite_memory(_folder: Path) -> str:
    return "sqlite://"


def postgresql(_folder: Path) -> str:
    return empty_database()


DURABLE = [pytest.param(sqlite_file, id="sqlite-file"), pytest.param(postgresql, id="postgresql")]
DATABASES = [*DURABLE, pytest.param(sqlite_memory, id="sqlite-memory")]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database: Callable[[Path], str] = request.param
    return database(tmp_path)


@pytest.fixture(params=DURABLE)
def durable_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database: Callable[[Path], str] = request.param
    return database(tmp_path)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await SqlStore.open(url)
    yield store
    await store.aclose()


@pytest.fixture
async def start(durable_url: str) -> AsyncIterator[Start]:
    """Start processes on one database; none is closed before the test ends, as a crash closes nothing."""
    async with AsyncExitStack() as stack:

        async def one_more() -> SqlStore:
            store = await SqlStore.open(durable_url)
            stack.push_async_callback(store.aclose)
            return store

        yield one_more
