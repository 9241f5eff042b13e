"""What keeps a database from being used, in words that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from services.core.errors import StoreError

REMEDIES = {
    "unable to open": "Check that its folder exists and may be written to.",
    "readonly": "Make the file and its folder writable.",
    "locked": "Another program is writing to it; stop that one, or try again.",
    "is full": "Free some space on its disk.",
    "not a database": "Name another file, or restore this one from a backup.",
    "malformed": "Restore it from a backup.",
    "No module named": "Install the driver that its URL asks for.",
}
OTHERWISE = "Check that its URL is right and that it is running."
MISTAKES = (exc.IntegrityError, exc.ProgrammingError, exc.DataError)  # of the program, not of its surroundings
TROUBLES = (exc.ArgumentError, exc.InvalidRequestError, exc.TimeoutError, sqlite3.Error, ImportError, OSError)


@contextmanager
def translate_db_errors(name: str) -> Iterator[None]:
    """Raise whatever keeps the database `name` from being reached or used as StoreError."""
    try:
        yield
    except MISTAKES:
        raise
    except exc.DBAPIError as error:
        raise _complaint(name, str(error.orig)) from error
    except TROUBLES as error:
        raise _complaint(name, str(error)) from error


def _complaint(name: str, problem: str) -> StoreError:
    problem = problem.partition("\n")[0].rstrip(".")
    remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in problem), OTHERWISE)
    return StoreError(f"Cannot use the database {name}: {problem}. {remedy}")
