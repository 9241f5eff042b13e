"""Translation of database errors into sentences that explain the fix."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from services.core.errors import DatabaseBusyError, DatabaseUnavailableError

REMEDIES = {
    "unable to open": "Check that its folder exists and is writable.",
    "readonly": "Make the file and its folder writable.",
    "lock timeout": "Another program holds a lock on it; stop that one, or try again.",
    "statement timeout": "It is overloaded, or another program blocks it; try again.",
    "locked": "Another program is writing to it; stop that one, or try again.",
    "is full": "Free some space on its disk.",
    "No space left": "Free some space on its disk.",
    "not a database": "Name another file, or restore this one from a backup.",
    "malformed": "Restore it from a backup.",
    "No module named": "Install the driver that its URL asks for.",
}
MISSING = ("no such table", "no such column", "has no column named")  # in SQLite's errors
DEFAULT_REMEDY = "Check that its URL is right and that it is running."
PROGRAM_ERRORS = (  # bugs, not problems of the environment
    exc.IntegrityError,
    exc.ProgrammingError,
    exc.DataError,
)
ENVIRONMENT_ERRORS = (exc.ArgumentError, exc.InvalidRequestError, exc.TimeoutError, sqlite3.Error, ImportError, OSError)


def is_missing_schema(error: exc.DBAPIError) -> bool:
    """Return whether a statement failed because a table or a column does not exist."""
    sqlstate = getattr(error.orig, "sqlstate", None)  # of PostgreSQL: undefined_table, undefined_column
    return sqlstate in {"42P01", "42703"} or any(text in str(error.orig) for text in MISSING)


@contextmanager
def translate_db_errors(name: str) -> Iterator[None]:
    """Raise any error that keeps the database `name` from being reached or used as DatabaseUnavailableError."""
    try:
        yield
    except PROGRAM_ERRORS:
        raise
    except exc.TimeoutError as error:  # every connection of the pool is taken
        raise DatabaseBusyError(f"The database {name} is busy. Try again in a minute.") from error
    except exc.DBAPIError as error:
        raise unavailable(name, str(error.orig)) from error
    except ENVIRONMENT_ERRORS as error:
        raise unavailable(name, str(error)) from error


def unavailable(name: str, problem: str) -> DatabaseUnavailableError:
    """Return the error of a database `name` with this problem, and its remedy."""
    problem = problem.partition("\n")[0].rstrip(".")
    remedy = next((remedy for text, remedy in REMEDIES.items() if text in problem), DEFAULT_REMEDY)
    kind = DatabaseBusyError if "locked" in problem else DatabaseUnavailableError
    return kind(f"Can't use the database {name}: {problem}. {remedy}")
