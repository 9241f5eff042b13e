"""Notifications between processes on one PostgreSQL: what one saves, the others send at once, without polling."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.errors import DatabaseUnavailableError
from services.storage.engine import Database

CHANNEL = "minerpulse_due"
NOTIFY = f"SELECT pg_notify('{CHANNEL}', '')"
NOTIFY_PROBE = f"SELECT pg_notify('{CHANNEL}', %s)"
PROBE_TIMEOUT_S = 5.0
CHECK_S = 60.0  # how often the connection is tested while nothing comes
RETRY_S = 30.0
log = logging.getLogger(__name__)


class NotDeliveredError(DatabaseUnavailableError):
    """A notification does not arrive, as behind a pooler that shares connections between transactions."""


async def announce(tx: AsyncConnection) -> None:
    """Wake the other processes when this transaction commits; does nothing on SQLite."""
    if tx.dialect.name == "postgresql":
        await tx.exec_driver_sql(NOTIFY)


async def listen(
    database: Database, on_wake: Callable[[], None], on_change: Callable[[bool], None], retry_s: float = RETRY_S
) -> None:
    """Call `on_wake` whenever a process has saved something to send, until cancelled; returns at once on SQLite.

    `on_change` learns whether notifications arrive; while they don't, the caller must poll. Connects again after every
    failure.
    """
    is_logged = False

    def report(arrive: bool) -> None:  # noqa: FBT001 -- as `on_change`
        nonlocal is_logged
        is_logged = is_logged and not arrive
        on_change(arrive)

    while database.url.drivername.startswith("postgresql"):
        try:
            await _listen_once(database, on_wake, report)
        except Exception as error:  # noqa: BLE001 -- any failure of the connection
            if not is_logged:
                log.warning("database notifications aren't arriving; polling instead: %s", _first_line(error))
            is_logged = True
        on_change(False)  # noqa: FBT003 -- a callback
        await asyncio.sleep(retry_s)


async def _listen_once(database: Database, on_wake: Callable[[], None], on_change: Callable[[bool], None]) -> None:
    """Listen on one connection until it breaks."""
    dialect = database.url.get_dialect()()
    psycopg: Any = dialect.import_dbapi()
    _, options = dialect.create_connect_args(database.url)
    connection = await psycopg.AsyncConnection.connect(**options, autocommit=True)
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        await _probe(database, connection)
        on_change(True)  # noqa: FBT003 -- a callback
        on_wake()  # for what was saved before
        while True:
            async for notification in connection.notifies(timeout=CHECK_S):
                if not notification.payload:
                    on_wake()
            await connection.execute("SELECT 1")


async def _probe(database: Database, connection: Any) -> None:  # noqa: ANN401 -- of psycopg, which is optional
    """Send a notification from another connection. Raises NotDeliveredError if it doesn't arrive."""
    token = secrets.token_hex(8)
    async with database.write() as tx:
        await tx.exec_driver_sql(NOTIFY_PROBE, (token,))
    async for notification in connection.notifies(timeout=PROBE_TIMEOUT_S):
        if notification.payload == token:
            return
    raise NotDeliveredError("a pooler between MinerPulse and the database doesn't pass them on.")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
