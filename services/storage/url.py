"""Database URLs: parsed and checked, with errors that show nothing of a password."""

import re
from pathlib import Path
from typing import Any

from sqlalchemy import URL, exc, make_url

from services.core.errors import DatabaseUnavailableError

FORMS = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
INVALID = f"Can't use the database URL: {{}}. Set MINERPULSE_DATABASE_URL to {FORMS}{{}}."
SEVERAL_HOSTS = ", or for several hosts to postgresql://USER:PASSWORD@/NAME?host=HOST1:5432&host=HOST2:5432"
ESCAPES = "; in the user name and password write @ as %40, : as %3A, / as %2F and % as %25"
MAX_PORT = 65535
DRIVERS = {"sqlite": {"", "aiosqlite", "pysqlite"}, "postgresql": {"", "psycopg"}, "postgres": {"", "psycopg"}}
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+(%\w+)?", re.ASCII)
_OPTION = re.compile(r"option \"(\w+)\"", re.ASCII)


def parse_url(text: str) -> URL:
    """Return a checked URL. Raises DatabaseUnavailableError with the part that is wrong."""
    try:
        url = make_url(text)
    except exc.ArgumentError:
        raise _invalid("it isn't in a known form") from None
    except ValueError:
        if "," in text:
            raise _invalid("it names several hosts, or its port isn't a number", SEVERAL_HOSTS) from None
        raise _invalid("its port isn't a number", ESCAPES) from None
    kind, _, driver = url.drivername.partition("+")
    if kind not in DRIVERS:
        raise _invalid(f"MinerPulse doesn't support {kind}")
    if driver not in DRIVERS[kind]:
        raise _invalid(f"MinerPulse doesn't use the driver {driver}; remove +{driver}")
    if "\0" in text:
        raise _invalid("it contains a null character")
    return _checked_sqlite(url) if kind == "sqlite" else _checked_postgresql(url)


def display_name(url: URL) -> str:
    """Return the absolute path of an SQLite file, or a URL without the password and the options."""
    if not url.drivername.startswith("sqlite"):
        return url.set(drivername="postgresql", query={}).render_as_string()
    path = sqlite_path(url)
    return str(path) if path else url.database or "in memory"


def sqlite_path(url: URL) -> Path | None:
    """Return the absolute path of a database file; None for one in memory, or one that SQLite finds by a URI."""
    if url.database in {None, "", ":memory:"} or "uri" in url.query:
        return None
    return Path(str(url.database)).absolute()


def _checked_sqlite(url: URL) -> URL:
    if url.host:
        raise _invalid("a slash is missing before the file; sqlite:///FILE has three")
    try:
        float(str(url.query.get("timeout", 0)))
    except ValueError:
        raise _invalid("its timeout isn't a number of seconds") from None
    unknown = sorted(set(url.query) - {"timeout"})
    if unknown and "uri" not in url.query:
        raise _invalid(f"SQLite has no option {unknown[0]}; remove it")
    return url


def _checked_postgresql(url: URL) -> URL:
    """Check what SQLAlchemy and psycopg would reject later, or would print with a part of the password."""
    if "@" in f"{url.host}{url.database}" or (url.host and not _HOST.fullmatch(url.host)):
        if "," in (url.host or ""):
            raise _invalid("it names several hosts", SEVERAL_HOSTS)
        raise _invalid("its host can't be read", ESCAPES)
    if url.port is not None and not 0 < url.port <= MAX_PORT:
        raise _invalid(f"its port isn't between 1 and {MAX_PORT}")
    url = url.set(drivername="postgresql+psycopg")
    dialect = url.get_dialect()()
    psycopg: Any = dialect.import_dbapi()
    _, options = dialect.create_connect_args(url)
    try:
        psycopg.conninfo.make_conninfo("", **options)
    except psycopg.Error as error:
        option = _OPTION.search(str(error))
        if option is None:
            raise _invalid("PostgreSQL's client can't read its options") from None
        reason = ", and MinerPulse works with PgBouncer without it" if option[1] == "pgbouncer" else ""
        raise _invalid(f"PostgreSQL's client has no option {option[1]}{reason}; remove it") from None
    return url


def _invalid(problem: str, addition: str = "") -> DatabaseUnavailableError:
    return DatabaseUnavailableError(INVALID.format(problem, addition))
