"""`minerpulse migrate` brings a database up to date, as often as it is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.bot.conftest import Ran


def test_a_new_database_is_made_and_then_left_alone(minerpulse: Callable[..., Ran], clean: Path) -> None:
    assert minerpulse("migrate") == (0, "The database has been brought up to this version's schema.\n", "")
    assert minerpulse("migrate") == (0, "The database has this version's schema already.\n", "")
    with closing(sqlite3.connect(clean / "minerpulse.db")) as database:
        assert database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_a_database_that_cannot_be_used_is_told(
    minerpulse: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    ran = minerpulse("migrate")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Cannot use the database /nowhere/at/all.db: ")
