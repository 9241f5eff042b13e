from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from services.alerting.tick_log import Claim
from services.core.errors import StoreError
from services.core.prices import WGMI_BTC
from services.storage import SqlStore, migrate, schema_is_current
from tests.fakes.alerts import AT, DESK


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(SqlStore.open, id="open"),
        pytest.param(migrate, id="migrate"),
        pytest.param(schema_is_current, id="schema_is_current"),
    ],
)
async def test_a_folder_that_is_not_there_is_named(use: Callable[[str], Awaitable[object]], tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "store.db"

    with pytest.raises(StoreError, match=f"{re.escape(str(path))}.*Check that its folder exists"):
        await use(f"sqlite:///{path}")


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("session,close\n" * 100)

    with pytest.raises(StoreError, match=r"not a database\. Name another file"):
        await SqlStore.open(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("store.db", "write it as in sqlite:///", id="no scheme"),
        pytest.param("oracle9://desk", "oracle9", id="a database that nobody knows"),
    ],
)
async def test_a_url_that_cannot_be_used_is_explained(url: str, problem: str) -> None:
    with pytest.raises(StoreError, match=problem):
        await SqlStore.open(url)


async def test_a_database_that_another_program_holds_is_named_locked(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqlStore.open(f"sqlite:///{path}?timeout=0.01")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreError, match=r"locked\. Another program is writing to it"):
            await store.claim_tick(WGMI_BTC, AT, AT)
        assert [] == await store.rules(DESK)

    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT)
    await store.aclose()


async def test_a_read_only_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await migrate(f"sqlite:///{path}")

    with pytest.raises(StoreError, match="Make the file and its folder writable"):
        await SqlStore.open(f"sqlite:///file:{path}?mode=ro&uri=true")


async def test_a_table_that_vanished_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqlStore.open(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE rulebook")

    with pytest.raises(StoreError, match="no such table"):
        await store.rulebook()
    await store.aclose()


async def test_a_password_is_not_told() -> None:
    with pytest.raises(StoreError) as raised:
        await SqlStore.open("postgresql+nothing://desk:hunter2@127.0.0.1/minerpulse")

    assert "hunter2" not in str(raised.value)


async def test_a_memory_survives_a_caller_that_gave_up() -> None:
    store = await SqlStore.open("sqlite://")
    await store.claim_tick(WGMI_BTC, AT, AT)

    cancelled = asyncio.create_task(store.rulebook())
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])

    assert Claim.TAKEN is await store.claim_tick(WGMI_BTC, AT, AT)
    await store.aclose()


async def test_two_memories_are_strangers() -> None:
    one, other = await SqlStore.open("sqlite://"), await SqlStore.open("sqlite:///:memory:")
    await one.claim_tick(WGMI_BTC, AT, AT)

    assert Claim.OURS is await other.claim_tick(WGMI_BTC, AT, AT)
    await one.aclose()
    await other.aclose()
