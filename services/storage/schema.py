"""Schema versions: compare a database with this program, and upgrade it.

Alembic takes 0.1 s and 10 MB to import, so only a database that needs a migration does that.
"""

from enum import Enum
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, func, inspect, select, text, update

from services.core.errors import DatabaseUnavailableError
from services.storage.engine import EMPTY, MIGRATION_LOCK, NO_DATABASE, REVISION, DatabaseMissingError
from services.storage.tables import database_identity, metadata, rules, rules_revision
from services.storage.url import display_name

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0015"  # revision of the newest migration
VERSIONS = "alembic_version"
OLDER = "The database {} is older than this program. Run `minerpulse migrate`."
NEWER = "The database {} is newer than this program. Install the newest MinerPulse."
FOREIGN = (
    "The database {} belongs to another program: it has none of MinerPulse's tables. Name another file with "
    "MINERPULSE_DATABASE_URL."
)


class SchemaStatus(Enum):
    """How a database's schema compares with this program's."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"
    FOREIGN = "foreign"


def schema_status(connection: Connection) -> SchemaStatus:
    """Compare the database's schema with this program's; an unknown revision counts as ahead.

    An SQLite file with tables but without MinerPulse's rules is foreign. On PostgreSQL, programs may share a database.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return SchemaStatus.EMPTY
    if rules.name not in tables and connection.dialect.name == "sqlite":
        return SchemaStatus.FOREIGN
    revision = connection.scalar(text("SELECT version_num FROM alembic_version")) if VERSIONS in tables else None
    if revision is None:
        return SchemaStatus.BEHIND
    if revision == HEAD:
        return SchemaStatus.CURRENT
    return SchemaStatus.BEHIND if revision in _known_revisions() else SchemaStatus.AHEAD


def check(connection: Connection) -> tuple[str, str]:
    """Check that this program can work with the database; create the schema in an empty one.

    Returns its revision and its identity, by which a database that takes its place is noticed.

    Raises DatabaseUnavailableError if the schema is older or newer than this program, or another program's.
    """
    status = schema_status(connection)
    require_usable(status, display_name(connection.engine.url))
    match status:
        case SchemaStatus.EMPTY if connection.engine.url.query.get("vfs") == "memdb":
            _create(connection)
        case SchemaStatus.EMPTY:
            upgrade(connection)
        case SchemaStatus.BEHIND:
            raise DatabaseUnavailableError(OLDER.format(display_name(connection.engine.url)))
        case SchemaStatus.CURRENT:  # a write, so that a read-only file is refused now and not at the first alert
            connection.execute(update(rules_revision).values(revision=rules_revision.c.revision))
    revision, identity = connection.execute(text(REVISION)).one()
    if identity is None:
        raise DatabaseUnavailableError(EMPTY.format(display_name(connection.engine.url)))
    return revision, identity


def require_usable(status: SchemaStatus, name: str) -> None:
    """Raise DatabaseUnavailableError if this program can neither use nor upgrade the database of that name."""
    if status is SchemaStatus.AHEAD:
        raise DatabaseUnavailableError(NEWER.format(name))
    if status is SchemaStatus.FOREIGN:
        raise DatabaseUnavailableError(FOREIGN.format(name))


def require_tables(connection: Connection) -> None:
    """Raise DatabaseMissingError if the database is empty."""
    if schema_status(connection) is SchemaStatus.EMPTY:
        raise DatabaseMissingError(NO_DATABASE.format(display_name(connection.engine.url)))


def upgrade(connection: Connection) -> None:
    """Upgrade the schema to this program's version, within the caller's write transaction.

    SQLite's write transaction excludes concurrent migrations; on PostgreSQL an advisory lock does, which excludes
    claims of ticks too. Raises DatabaseUnavailableError if the schema is newer than this program, or another program's.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    require_usable(schema_status(connection), display_name(connection.engine.url))
    from alembic import command  # noqa: PLC0415 -- see above
    from alembic.config import Config  # noqa: PLC0415 -- see above

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")


def _create(connection: Connection) -> None:
    """Create the newest schema in a database in memory, which is never migrated; the migrations would take 0.3 s."""
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
    connection.execute(rules_revision.insert().values(id=1, revision=0))
    connection.execute(database_identity.insert().values(id=1, identity=uuid4().hex))


def _known_revisions() -> set[str]:
    """Return the revisions of all migrations of this program."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 -- see above

    return {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
