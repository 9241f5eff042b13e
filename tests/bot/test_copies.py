"""`minerpulse backup`, `restore` and `move` copy a whole database, or change nothing."""

import asyncio
import sqlite3
from contextlib import aclosing, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from services.core.prices import WGMI_BTC
from services.rules.grammar import parse_rule
from services.storage import SqlStore, copies, database_lock
from services.storage.tables import metadata
from tests.bot.conftest import CliResult, RunCli
from tests.fakes.alerts import AT, CHANNEL, an_alert
from tests.fakes.postgresql import empty_database, migrated_database
from tests.services.storage.conftest import execute, in_database, post_alert

HERE = "sqlite:///minerpulse.db"
RULE, OTHER = "1d 8pp", "5d 15pp"


async def fill(url: str = HERE) -> None:
    """Create a database with a rule, an alert with its message, and a tick."""
    async with aclosing(await SqlStore.open(url)) as store:
        await store.add_rules(CHANNEL, [parse_rule(RULE)], "U1", AT)
        await post_alert(store, an_alert())
        await store.claim_tick(WGMI_BTC, AT, AT)


async def add_rule(rule: str, url: str = HERE) -> None:
    """Add a rule to a database."""
    async with aclosing(await SqlStore.open(url)) as store:
        await store.add_rules(CHANNEL, [parse_rule(rule)], "U1", AT)


async def rules(url: str = HERE) -> list[str]:
    """Return the rules of the channel."""
    async with aclosing(await SqlStore.open(url, create=False)) as store:
        return [str(one.rule) for one in await store.rules(CHANNEL)]


def row_counts(url: str) -> dict[str, int]:
    """Return the number of rows of each table."""

    def count(connection: Connection) -> dict[str, int]:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
        }

    return asyncio.run(in_database(url, count))


def words(result: CliResult) -> str:
    """Return what a command printed, on one line."""
    return " ".join((result.out + result.err).split())


@pytest.fixture
def filled(clean: Path) -> Path:
    """The folder of a database with data."""
    asyncio.run(fill())
    return clean


def test_a_backup_is_complete_while_a_process_writes_and_readable_by_its_owner_only(
    minerpulse: RunCli, filled: Path
) -> None:
    with closing(sqlite3.connect(filled / "minerpulse.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE rules SET rule = 'half written'")
        result = minerpulse("backup", "-o", "copy.db")
        writer.execute("ROLLBACK")

    assert 0 == result.code
    assert "Wrote copy.db" in result.out
    assert row_counts(HERE) == row_counts("sqlite:///copy.db")
    assert [RULE] == asyncio.run(rules("sqlite:///copy.db"))
    assert 0o600 == (filled / "copy.db").stat().st_mode & 0o777
    assert [] == list(filled.glob(".*"))


def test_a_backup_that_fails_leaves_the_file_that_was_there(
    minerpulse: RunCli, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (filled / "copy.db").write_text("older")

    def fail(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "_sync", fail)
    result = minerpulse("backup", "-o", "copy.db")

    assert 1 == result.code
    assert "Free some space" in result.err
    assert "older" == (filled / "copy.db").read_text()
    assert [] == list(filled.glob(".*"))


def test_a_backup_needs_a_database(minerpulse: RunCli, clean: Path) -> None:
    assert "There is no database at" in words(minerpulse("backup"))
    assert [] == list(clean.iterdir())


@pytest.mark.parametrize(("command", "advice"), [("backup", "pg_dump"), ("restore copy.db", "pg_restore")])
def test_for_postgresql_its_own_program_is_named(
    minerpulse: RunCli, filled: Path, monkeypatch: pytest.MonkeyPatch, command: str, advice: str
) -> None:
    (filled / "copy.db").touch()
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", "postgresql://ann:secret@db/desk")
    result = minerpulse(*command.split())

    assert 1 == result.code
    assert advice in result.err
    assert "secret" not in result.err


def test_a_restored_database_has_the_rows_of_the_backup_and_the_other_one_is_kept(
    minerpulse: RunCli, filled: Path
) -> None:
    minerpulse("backup", "-o", "copy.db")
    asyncio.run(add_rule(OTHER))
    result = minerpulse("restore", "copy.db")
    (previous,) = filled.glob("minerpulse.db.before-*")

    assert 0 == result.code
    assert previous.name in words(result)
    assert [RULE] == asyncio.run(rules())
    assert [RULE, OTHER] == asyncio.run(rules(f"sqlite:///{previous.name}"))


def test_a_restore_creates_a_database_that_is_missing(minerpulse: RunCli, filled: Path) -> None:
    minerpulse("backup", "-o", "copy.db")
    (filled / "minerpulse.db").unlink()

    assert (0, f"Restored {filled / 'minerpulse.db'} from copy.db.\n", "") == minerpulse("restore", "copy.db")
    assert [RULE] == asyncio.run(rules())


def test_a_restore_keeps_what_the_journal_of_a_killed_process_holds(minerpulse: RunCli, filled: Path) -> None:
    minerpulse("backup", "-o", "copy.db")
    with closing(sqlite3.connect(filled / "minerpulse.db")) as writer:
        writer.execute("UPDATE rules SET rule = ?", (OTHER,))
        writer.commit()
        for name in ("minerpulse.db", "minerpulse.db-wal"):
            (filled / f"killed{name}").write_bytes((filled / name).read_bytes())
    (filled / "minerpulse.db").write_bytes((filled / "killedminerpulse.db").read_bytes())
    (filled / "minerpulse.db-wal").write_bytes((filled / "killedminerpulse.db-wal").read_bytes())
    minerpulse("restore", "copy.db")
    (previous,) = filled.glob("minerpulse.db.before-*[0-9]")

    assert [RULE] == asyncio.run(rules())
    assert [OTHER] == asyncio.run(rules(f"sqlite:///{previous.name}"))


def test_a_database_in_use_is_not_replaced(minerpulse: RunCli, filled: Path) -> None:
    minerpulse("backup", "-o", "copy.db")
    asyncio.run(add_rule(OTHER))
    with database_lock(HERE):
        result = minerpulse("restore", "copy.db")

    assert 1 == result.code
    assert "A MinerPulse process is using the database" in result.err
    assert [RULE, OTHER] == asyncio.run(rules())
    assert [] == list(filled.glob("*before*"))


def corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_text(path: Path) -> None:
    path.write_text("Date,Close\n2026-11-16,20.0\n" * 100)


def replace_by_foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE places (url TEXT)")


@pytest.mark.parametrize("damage", [corrupt, truncate, empty, replace_by_text, replace_by_foreign])
def test_a_backup_that_cannot_be_used_changes_nothing(minerpulse: RunCli, filled: Path, damage: object) -> None:
    minerpulse("backup", "-o", "copy.db")
    assert callable(damage)
    damage(filled / "copy.db")
    before = (filled / "minerpulse.db").read_bytes()
    result = minerpulse("restore", "copy.db")

    assert (1, "") == (result.code, result.out)
    assert result.err.endswith(".\n")
    assert before == (filled / "minerpulse.db").read_bytes()
    assert [] == [*filled.glob("*before*"), *filled.glob(".*")]


@pytest.mark.parametrize("create", [empty_database, migrated_database], ids=["empty", "migrated"])
def test_all_rows_move_to_postgresql_where_new_ones_get_new_numbers(
    minerpulse: RunCli, filled: Path, monkeypatch: pytest.MonkeyPatch, create: object
) -> None:
    assert callable(create)
    target = create()
    before = row_counts(HERE)
    result = minerpulse("move", "--to", target)
    after = row_counts(target)
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", target)
    asyncio.run(add_rule(OTHER, target))

    assert 0 == result.code
    assert f"Copied {sum(before.values())} rows in {len(before)} tables from {filled / 'minerpulse.db'}" in words(
        result
    )
    assert before == after
    assert before == row_counts(HERE)
    assert [RULE, OTHER] == asyncio.run(rules(target))
    assert 0 == minerpulse("migrate").code


def test_a_move_back_to_sqlite_ends_where_it_began(
    minerpulse: RunCli, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = empty_database()
    minerpulse("move", "--to", target)
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", target)
    result = minerpulse("move", "--to", "sqlite:///back.db")

    assert 0 == result.code
    assert dump(filled / "minerpulse.db") == dump(filled / "back.db")


def dump(path: Path) -> list[str]:
    """Return the rows of an SQLite database as statements."""
    with closing(sqlite3.connect(path)) as database:
        return sorted(line for line in database.iterdump() if line.startswith("INSERT"))


def test_nothing_moves_to_a_database_that_has_data(minerpulse: RunCli, filled: Path) -> None:
    asyncio.run(fill("sqlite:///other.db"))
    before = dump(filled / "other.db")
    result = minerpulse("move", "--to", "sqlite:///other.db")

    assert 1 == result.code
    assert "other.db already has data in" in result.err
    assert before == dump(filled / "other.db")


@pytest.mark.parametrize("locked", [HERE, "sqlite:///new.db"], ids=["source", "target"])
def test_nothing_moves_while_a_process_uses_one_of_the_two(minerpulse: RunCli, filled: Path, locked: str) -> None:
    with database_lock(locked):
        result = minerpulse("move", "--to", "sqlite:///new.db")

    assert 1 == result.code
    assert "A MinerPulse process is using the database" in result.err
    assert not (filled / "new.db").exists()


def test_nothing_moves_from_a_postgresql_that_ticked_just_now(
    minerpulse: RunCli, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = empty_database()
    minerpulse("move", "--to", source)
    now = datetime.now(UTC).isoformat()
    asyncio.run(execute(source, f"UPDATE ticks SET claimed_at = '{now}'"))  # noqa: S608 -- ours
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", source)
    result = minerpulse("move", "--to", "sqlite:///new.db")

    assert 1 == result.code
    assert "less than 2 minutes ago" in result.err
    assert not (filled / "new.db").exists()


@pytest.mark.parametrize("target", ["sqlite:///new.db", "postgresql"])
def test_a_move_that_breaks_off_leaves_nothing(
    minerpulse: RunCli, filled: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    url = empty_database() if target == "postgresql" else target
    monkeypatch.setattr(copies, "_copy_table", break_off(copies._copy_table))  # noqa: SLF001 -- a fault in the middle
    result = minerpulse("move", "--to", url)

    assert 1 == result.code
    assert "Free some space" in result.err
    assert not list(filled.glob("new.db*"))
    if target == "postgresql":
        assert [] == asyncio.run(in_database(url, table_names))


def table_names(connection: Connection) -> list[str]:
    return connection.dialect.get_table_names(connection)


def break_off(copy: object) -> object:
    """Return a copier that fails at the third table."""
    copied = []

    async def fail(*arguments: object) -> int:
        copied.append(arguments)
        if len(copied) > 2:
            raise OSError(28, "No space left on device")
        assert callable(copy)
        return int(await copy(*arguments))

    return fail


def test_a_database_is_not_moved_to_itself(minerpulse: RunCli, filled: Path) -> None:
    result = minerpulse("move", "--to", f"sqlite:///{filled / 'minerpulse.db'}")

    assert 1 == result.code
    assert "can't be moved to itself" in result.err
