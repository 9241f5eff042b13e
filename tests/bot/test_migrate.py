"""`minerpulse migrate` updates a database's schema and can be repeated."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.bot.conftest import RunCli


def test_a_new_database_is_created_and_a_current_one_unchanged(minerpulse: RunCli, clean: Path) -> None:
    assert minerpulse("migrate") == (0, "The database has been brought up to this version's schema.\n", "")
    assert minerpulse("migrate") == (0, "The database has this version's schema already.\n", "")
    with closing(sqlite3.connect(clean / "minerpulse.db")) as database:
        assert database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_an_unusable_database_is_an_error(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    result = minerpulse("migrate")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Cannot use the database /nowhere/at/all.db: ")
