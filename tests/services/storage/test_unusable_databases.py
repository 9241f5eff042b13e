import asyncio
import os
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from services.alerting.tick_log import Claim
from services.core.errors import DatabaseUnavailableError
from services.core.prices import WGMI_BTC
from services.storage import DatabaseMissingError, SqlStore, migrate, read_schema_status
from services.storage.url import display_name, parse_url
from tests.fakes.alerts import AT, CHANNEL


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(SqlStore.open, id="open"),
        pytest.param(migrate, id="migrate"),
        pytest.param(read_schema_status, id="read_schema_status"),
    ],
)
async def test_a_missing_folder_is_named(use: Callable[[str], Awaitable[object]], tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "store.db"

    with pytest.raises(DatabaseUnavailableError, match=f"{re.escape(str(path))}.*Check that its folder exists"):
        await use(f"sqlite:///{path}")


async def test_a_folder_in_the_place_of_the_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=f"{re.escape(str(tmp_path))} is a folder\\. Name a file in it"):
        await SqlStore.open(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("password", ["me:hush@h/db", "me@h/db?password=hush"])
def test_the_name_of_a_database_shows_no_password(password: str) -> None:
    assert "hush" not in display_name(parse_url(f"postgresql://{password}"))


async def test_a_file_that_is_not_a_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("session,close\n" * 100)

    with pytest.raises(DatabaseUnavailableError, match=r"not a database\. Name another file"):
        await SqlStore.open(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("store.db", "it isn't in a known form", id="no scheme"),
        pytest.param("oracle9://desk", "MinerPulse doesn't support oracle9", id="a database that nobody knows"),
        pytest.param("postgresql+asyncpg://me:hush@h/db", "remove +asyncpg", id="another driver"),
        pytest.param("postgresql://me:hush@h/db?pgbouncer=true", "has no option pgbouncer, and", id="PgBouncer"),
        pytest.param("postgresql://me:hush@h/db?pool_size=5", "has no option pool_size; remove it", id="option"),
        pytest.param("postgresql://me:hush@a:5432,b:5432/db", "it names several hosts", id="several hosts with ports"),
        pytest.param("postgresql://me:hush@a,b/db", "it names several hosts", id="several hosts"),
        pytest.param("postgresql://me:hush@h:abc/db", "its port isn't a number", id="port in words"),
        pytest.param("postgresql://me:hush@h:99999/db", "its port isn't between 1 and 65535", id="port too high"),
        pytest.param("postgresql://me:12@hush@h/db", "its host can't be read", id="an @ in the password"),
        pytest.param("postgresql://me:12@hush:7@h:5432/db", "it", id="an @ and a : in the password"),
        pytest.param("postgresql://me:12@hush/7@h/db", "its host can't be read", id="an @ and a / in the password"),
        pytest.param("postgresql://me:hush@ho st/db", "its host can't be read", id="a space in the host"),
        pytest.param("postgresql://me:hush@h/d\0b", "a null character", id="a null character"),
        pytest.param("sqlite://hush.db", "a slash is missing before the file", id="two slashes"),
        pytest.param("sqlite:///hush.db?timeout=long", "its timeout isn't a number", id="timeout in words"),
        pytest.param("sqlite:///hush.db?mode=ro", "SQLite has no option mode", id="option of SQLite"),
    ],
)
@pytest.mark.parametrize("use", [SqlStore.open, migrate, read_schema_status])
async def test_an_unusable_url_is_explained_in_a_line_without_the_password(
    use: Callable[[str], Awaitable[object]], url: str, problem: str
) -> None:
    with pytest.raises(DatabaseUnavailableError) as refused:
        await use(url)

    assert str(refused.value).startswith("Can't use the database URL: ")
    assert problem in str(refused.value)
    assert "Set MINERPULSE_DATABASE_URL to sqlite:///FILE or postgresql://" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "hush" not in f"{refused.value!r}"


@pytest.mark.parametrize("password", ["hu%40sh", "hu/sh", "hu#sh", "hu?sh", "hu:sh", "hu%25sh"])
async def test_an_unreachable_server_is_named_without_password_and_options(password: str) -> None:
    with pytest.raises(DatabaseUnavailableError) as refused:
        await SqlStore.open(f"postgresql://me:{password}@127.0.0.1:1/db?application_name=secret")

    assert "Can't use the database postgresql://me:***@127.0.0.1:1/db: connection failed" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_several_hosts_are_accepted_as_options() -> None:
    url = parse_url("postgresql://me:hush@/db?host=a:5432&host=b:5433")

    assert ("postgresql+psycopg", ("a:5432", "b:5433")) == (url.drivername, url.query["host"])


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


@pytest.mark.parametrize("exists", [False, True])
async def test_without_create_a_missing_or_empty_database_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "store.db"
    if exists:
        path.touch()

    with pytest.raises(DatabaseMissingError, match=re.escape(f"no database at {path} yet. `minerpulse run` creates")):
        await SqlStore.open("sqlite:///store.db", create=False)

    assert ({"store.db": 0} if exists else {}) == sizes(tmp_path)


async def test_a_database_has_the_name_of_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await SqlStore.open("sqlite:///store.db")
    await store.aclose()

    assert str(tmp_path / "store.db") == store.name
    await (await SqlStore.open("sqlite:///store.db", create=False)).aclose()


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


def file_modes(folder: Path) -> dict[str, str]:
    return {file.name: f"{file.stat().st_mode & 0o777:o}" for file in folder.iterdir()}


async def test_a_new_database_and_its_journals_are_private(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    umask = os.umask(0o022)
    try:
        store = await SqlStore.open(f"sqlite:///{path}")
        await store.claim_key("a", now=AT, ttl=timedelta(minutes=1))
        modes = file_modes(tmp_path)
        await store.aclose()
    finally:
        os.umask(umask)

    assert {"store.db": "600", "store.db-wal": "600", "store.db-shm": "600"} == modes


async def test_the_mode_of_an_existing_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch(0o640)
    await (await SqlStore.open(f"sqlite:///{path}")).aclose()

    assert {"store.db": "640"} == file_modes(tmp_path)
