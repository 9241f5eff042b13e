"""A lock beside a SQLite file, by which a process notices another one on the same file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import exc, make_url

from services.storage.location import create_data_folder

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

PRIVATE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLock:
    """A SQLite `file` and whether this process alone uses it. Other databases are always ours."""

    file: Path | None = None
    is_ours: bool = True


@contextmanager
def database_lock(url: str) -> Iterator[DatabaseLock]:
    """Lock the file of a database URL until the end of the block.

    The lock is on a file beside it, named like SQLite's own, because a lock on the database would disturb SQLite's. It
    ends with the process. A folder that cannot be written to has no lock.
    """
    file = _sqlite_file(url)
    if file is None or fcntl is None:
        yield DatabaseLock(file=file)
        return
    lock = Path(f"{file}-lock")
    try:
        create_data_folder(file)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError:
        yield DatabaseLock(file=file)
        return
    try:
        is_ours = _try_lock(descriptor)
        try:
            yield DatabaseLock(file=file, is_ours=is_ours)
        finally:
            if is_ours:
                with suppress(OSError):
                    lock.unlink()
    finally:
        os.close(descriptor)


def _sqlite_file(url: str) -> Path | None:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        return None
    if not parsed.drivername.startswith("sqlite") or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database)).absolute()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
