"""A real PostgreSQL for tests: a scratch cluster per test process, on a socket in a temporary folder."""

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, make_url

from services.storage import schema

DEBIAN = Path("/usr/lib/postgresql")
SAFE = ("max_connections=200", "listen_addresses=")
FAST = ("fsync=off", "full_page_writes=off", "autovacuum=off", *SAFE)
FILE_COPY_SINCE = 150_000  # as an option; older servers always copy files, which takes half the time of the log
MISSING = "PostgreSQL is not installed here (Debian's package postgresql)"
USER = "minerpulse"
_numbers = count(1)


def empty_database() -> str:
    """Return the URL of a new, empty database; skip the test if PostgreSQL isn't installed."""
    return _create("template1")


def migrated_database() -> str:
    """Return the URL of a new database with the current schema; skip the test if PostgreSQL isn't installed."""
    return _create(_migrated_template())


@cache
def _migrated_template() -> str:
    """Create a database with the current schema, of which others are copies, and return its name."""
    url = make_url(empty_database())
    engine = create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        schema.upgrade(connection)
    return str(url.database)


def _create(template: str) -> str:
    folder = cluster()
    if folder is None:
        pytest.skip(MISSING)
    name = f"test_{next(_numbers)}"
    with psycopg.connect(host=str(folder), user=USER, dbname="postgres", autocommit=True) as connection:
        strategy = "STRATEGY FILE_COPY" if connection.info.server_version >= FILE_COPY_SINCE else ""
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
    return f"postgresql://{USER}@/{name}?host={folder}"


def stop() -> None:
    """Stop this process's cluster and drop all connections; `start` restarts it."""
    _control("-m", "immediate", "stop")


def start(options: Sequence[str] = FAST) -> None:
    """Start this process's cluster again; with SAFE each commit is flushed to disk, as in production."""
    settings = " ".join(f"-c {one}" for one in (*options, f"unix_socket_directories={cluster()}"))
    _control("-l", f"{cluster()}/log", "-o", settings, "start")


@cache
def cluster() -> Path | None:
    """Start a cluster once per process and return its socket folder; None if PostgreSQL isn't installed."""
    if _programs() is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="minerpulse-"))
    owner = _owner()
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    _run(folder, "initdb", "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    settings = " ".join(f"-c {one}" for one in (*FAST, f"unix_socket_directories={folder}"))
    _run(folder, "pg_ctl", "-w", "-l", f"{folder}/log", "-o", settings, "start")
    atexit.register(_end, folder)
    return folder


def _end(folder: Path) -> None:
    _run(folder, "pg_ctl", "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def _control(*arguments: str) -> None:
    folder = cluster()
    assert folder is not None
    _run(folder, "pg_ctl", "-w", *arguments)


def _run(folder: Path, program: str, *arguments: str) -> None:
    command = [f"{_programs()}/{program}", "-D", f"{folder}/data", *arguments]
    owner = _owner()
    subprocess.run(  # noqa: S603 -- the cluster's own programs
        command,
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        user=owner.pw_uid if owner else None,
        group=owner.pw_gid if owner else None,
    )


def _programs() -> Path | None:
    newest = sorted(DEBIAN.glob("*/bin/initdb"))
    found = str(newest[-1]) if newest else shutil.which("initdb")
    return Path(found).parent if found else None


def _owner() -> pwd.struct_passwd | None:
    """Return another user to run PostgreSQL as if this one is root, which PostgreSQL refuses."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None
