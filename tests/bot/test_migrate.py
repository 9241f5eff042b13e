"""`minerpulse migrate` updates a database's schema and can be repeated."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import platformdirs
import pytest

from tests.bot.conftest import RunCli
from tests.bot.documents.test_schemas import validator


def test_a_new_database_is_created_and_a_current_one_unchanged(minerpulse: RunCli, clean: Path) -> None:
    assert minerpulse("migrate") == (0, "The database was created.\n", "")
    assert minerpulse("migrate") == (0, "The database already has this version's schema.\n", "")
    with closing(sqlite3.connect(clean / "minerpulse.db")) as database:
        assert database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_a_dry_run_creates_nothing(minerpulse: RunCli, clean: Path) -> None:
    assert minerpulse("migrate", "--dry-run") == (0, "The database would be created.\n", "")
    assert [] == list(clean.iterdir())


def test_a_dry_run_upgrades_nothing(minerpulse: RunCli, clean: Path) -> None:
    with closing(sqlite3.connect(clean / "minerpulse.db")) as database:
        database.execute("CREATE TABLE rules (id INTEGER PRIMARY KEY)")

    for expected in ("The database would be upgraded to this version's schema.\n",) * 2:
        assert minerpulse("migrate", "--dry-run") == (0, expected, "")
    document = json.loads(minerpulse("migrate", "--dry-run", "--json").out)
    validator("migrate").validate(document)
    assert ("behind", True) == (document["status"], document["dry_run"])


@pytest.mark.parametrize("command", ["migrate", "migrate --dry-run", "why", "holdings list", "doctor"])
def test_a_database_of_another_program_is_named_and_unchanged(minerpulse: RunCli, clean: Path, command: str) -> None:
    path = clean / "minerpulse.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE places (url TEXT); CREATE TABLE alembic_version (version_num TEXT);")

    result = minerpulse(*command.split())

    assert 1 == result.code
    assert "belongs to another program" in " ".join((result.out + result.err).split())
    assert "older" not in result.out + result.err
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_schema").fetchall()
    assert [("places",), ("alembic_version",)] == tables


def test_an_unusable_database_is_an_error(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    result = minerpulse("migrate")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Can't use the database /nowhere/at/all.db: ")


def test_the_data_folder_is_created_for_its_owner_when_the_database_is(
    minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = clean / "share" / "minerpulse"
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_names, **_options: folder)
    before = minerpulse("why"), folder.exists()
    result = minerpulse("migrate")

    assert (1, False) == (before[0].code, before[1])
    assert "There is no database at" in before[0].err
    assert (0, 0o700) == (result.code, folder.stat().st_mode & 0o777)
    assert (folder / "minerpulse.db").is_file()
