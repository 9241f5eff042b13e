"""Schema versions: compare a database with this program, and upgrade it."""

from enum import Enum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, text, update

from services.core.errors import DatabaseUnavailableError
from services.storage.engine import EMPTY, MIGRATION_LOCK, NO_DATABASE, REVISION, DatabaseMissingError
from services.storage.tables import rules_revision
from services.storage.url import display_name

MIGRATIONS = Path(__file__).parent / "migrations"
OLDER = "The database {} is older than this program; run `minerpulse migrate`."
NEWER = "The database {} is newer than this program; install the newest MinerPulse."


class SchemaStatus(Enum):
    """How a database's schema compares with this program's."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


def schema_status(connection: Connection) -> SchemaStatus:
    """Compare the database's schema with this program's; an unknown revision counts as ahead."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        return SchemaStatus.BEHIND if inspect(connection).get_table_names() else SchemaStatus.EMPTY
    if revision == scripts.get_current_head():
        return SchemaStatus.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    return SchemaStatus.BEHIND if revision in known else SchemaStatus.AHEAD


def check(connection: Connection) -> tuple[str, str]:
    """Check that this program can work with the database; create the schema in an empty one.

    Returns its revision and its identity, by which a database that takes its place is noticed.

    Raises DatabaseUnavailableError if the schema is older or newer than this program.
    """
    match schema_status(connection):
        case SchemaStatus.EMPTY:
            upgrade(connection)
        case SchemaStatus.BEHIND:
            raise DatabaseUnavailableError(OLDER.format(display_name(connection.engine.url)))
        case SchemaStatus.AHEAD:
            raise DatabaseUnavailableError(NEWER.format(display_name(connection.engine.url)))
        case SchemaStatus.CURRENT:  # a write, so that a read-only file is refused now and not at the first alert
            connection.execute(update(rules_revision).values(revision=rules_revision.c.revision))
    revision, identity = connection.execute(text(REVISION)).one()
    if identity is None:
        raise DatabaseUnavailableError(EMPTY.format(display_name(connection.engine.url)))
    return revision, identity


def require_tables(connection: Connection) -> None:
    """Raise DatabaseMissingError if the database is empty."""
    if schema_status(connection) is SchemaStatus.EMPTY:
        raise DatabaseMissingError(NO_DATABASE.format(display_name(connection.engine.url)))


def upgrade(connection: Connection) -> None:
    """Upgrade the schema to this program's version, within the caller's write transaction.

    SQLite's write transaction excludes concurrent migrations; on PostgreSQL an advisory lock does, which excludes
    claims of ticks too. Raises DatabaseUnavailableError if the schema is newer than this program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    if schema_status(connection) is SchemaStatus.AHEAD:
        raise DatabaseUnavailableError(NEWER.format(display_name(connection.engine.url)))
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
