import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from services.alerting.tick_log import Claim
from services.core.errors import DatabaseUnavailableError
from services.core.prices import WGMI_BTC
from services.storage import SqlStore, migrate, schema_is_current
from tests.fakes.alerts import AT, CHANNEL


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(SqlStore.open, id="open"),
        pytest.param(migrate, id="migrate"),
        pytest.param(schema_is_current, id="schema_is_current"),
    ],
)
async def test_a_missing_folder_is_named(use: Callable[[str], Awaitable[object]], tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "store.db"

    with pytest.raises(DatabaseUnavailableError, match=f"{re.escape(str(path))}.*Check that its folder exists"):
        await use(f"sqlite:///{path}")


async def test_a_file_that_is_not_a_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("session,close\n" * 100)

    with pytest.raises(DatabaseUnavailableError, match=r"not a database\. Name another file"):
        await SqlStore.open(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("store.db", "write it as in sqlite:///", id="no scheme"),
        pytest.param("oracle9://desk", "oracle9", id="a database that nobody knows"),
    ],
)
async def test_an_unusable_url_is_explained(url: str, problem: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match=problem):
        await SqlStore.open(url)


async def test_a_database_that_another_program_locks_is_reported_as_locked(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqlStore.open(f"sqlite:///{path}?timeout=0.01")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(DatabaseUnavailableError, match=r"locked\. Another program is writing to it"):
            await store.claim_tick(WGMI_BTC, AT, AT)
        assert [] == await store.rules(CHANNEL)

    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)
    await store.aclose()


async def test_a_read_only_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await migrate(f"sqlite:///{path}")

    with pytest.raises(DatabaseUnavailableError, match="Make the file and its folder writable"):
        await SqlStore.open(f"sqlite:///file:{path}?mode=ro&uri=true")


async def test_a_missing_table_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqlStore.open(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE rules_revision")

    with pytest.raises(DatabaseUnavailableError, match="no such table"):
        await store.rulebook()
    await store.aclose()


async def test_a_password_is_not_in_the_error() -> None:
    with pytest.raises(DatabaseUnavailableError) as raised:
        await SqlStore.open("postgresql+nothing://desk:hunter2@127.0.0.1/minerpulse")

    assert "hunter2" not in str(raised.value)


async def test_an_in_memory_database_survives_a_cancelled_call() -> None:
    store = await SqlStore.open("sqlite://")
    await store.claim_tick(WGMI_BTC, AT, AT)

    cancelled = asyncio.create_task(store.rulebook())
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])

    assert Claim.TAKEN is await store.claim_tick(WGMI_BTC, AT, AT)
    await store.aclose()


async def test_two_in_memory_databases_are_separate() -> None:
    one, other = await SqlStore.open("sqlite://"), await SqlStore.open("sqlite:///:memory:")
    await one.claim_tick(WGMI_BTC, AT, AT)

    assert Claim.OURS is await other.claim_tick(WGMI_BTC, AT, AT)
    await one.aclose()
    await other.aclose()
