"""The schema's versions: what a database has, what this program needs, and the way from one to the other."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, update

from services.core.errors import StoreError
from services.storage.tables import rulebook

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x6D696E65  # any number that nothing else in the database locks
OLDER = "The database is older than this program; run `minerpulse migrate`."
NEWER = "The database is newer than this program; install the newest MinerPulse."


class SchemaStatus(Enum):
    """How a database's schema compares with this program's."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


def schema_status(connection: Connection) -> SchemaStatus:
    """Compare the database's schema with this program's; one that this program does not know is ahead."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        return SchemaStatus.BEHIND if inspect(connection).get_table_names() else SchemaStatus.EMPTY
    if revision == scripts.get_current_head():
        return SchemaStatus.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    return SchemaStatus.BEHIND if revision in known else SchemaStatus.AHEAD


def check(connection: Connection) -> None:
    """Make sure that this program can work with the database; an empty one is made ready.

    Raises StoreError where the schema is older or newer than this program.
    """
    match schema_status(connection):
        case SchemaStatus.EMPTY:
            upgrade(connection)
        case SchemaStatus.BEHIND:
            raise StoreError(OLDER)
        case SchemaStatus.AHEAD:
            raise StoreError(NEWER)
        case SchemaStatus.CURRENT:  # a write, so that a read-only file is refused now and not at the first alert
            connection.execute(update(rulebook).values(revision=rulebook.c.revision))


def upgrade(connection: Connection) -> None:
    """Bring the schema to this program's version, within the caller's write transaction.

    SQLite's write transaction shuts out whoever else migrates; on PostgreSQL a lock does, until it ends. Raises
    StoreError where the schema is newer than this program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    if schema_status(connection) is SchemaStatus.AHEAD:
        raise StoreError(NEWER)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
