"""Alerts: episodes as their messages tell them, recorded together with the rules' states and what is to be told."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, exc, select

from services.alerting.alert import Alert
from services.alerting.records import AlertChange, RuleChange, StateChange, StoredAlert
from services.alerting.tick_log import Tick
from services.core.errors import ConflictError, NotFoundError
from services.core.identity import Channel
from services.core.prices import Pair
from services.storage import tables
from services.storage.alert_writer import read_whole, record_alert
from services.storage.codec import read_pair, read_stored
from services.storage.engine import Database
from services.storage.repository import Repository, rows_of
from services.storage.rules import change_rules, move_rules
from services.storage.ticks import hold_tick

log = logging.getLogger(__name__)


class Alerts(Repository):
    """Implements the alerts of MonitorStore and CommandStore.

    In a list, an alert that cannot be read is left out, so that it keeps nobody from the others.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._unreadable: set[int] = set()

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, on one pair or on all, oldest first."""
        here = _of(channel) if channel else ()
        on_pair = (tables.alerts.c.pair == str(pair),) if pair else ()
        query = select(tables.alerts).where(tables.OPEN, *here, *on_pair).order_by(tables.alerts.c.id)
        async with self._database.read() as tx:
            return self._readable(await tx.execute(query))

    async def ended_alerts(self, pair: Pair, since: datetime) -> list[StoredAlert]:
        """Load the alerts on a pair that have ended since then, oldest first."""
        ended = (tables.alerts.c.pair == str(pair), tables.alerts.c.closed_at >= since)
        query = select(tables.alerts).where(*ended).order_by(tables.alerts.c.id)
        async with self._database.read() as tx:
            return self._readable(await tx.execute(query))

    async def alerted_pairs(self) -> list[Pair]:
        """List the pairs that have open alerts."""
        query = select(tables.alerts.c.pair).where(tables.OPEN).distinct()
        async with self._database.read() as tx:
            return [read_pair(text) for text in await tx.scalars(query)]

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        query = select(tables.alerts).where(tables.alerts.c.id == alert_id, *_of(channel))
        async with self._database.read() as tx:
            row = (await tx.execute(query)).one_or_none()
        if row is None:
            raise NotFoundError(f"No alert {alert_id} in this channel.")
        return read_stored(row)

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Load a channel's last alerts, newest first."""
        columns = tables.alerts.c
        query = select(tables.alerts).where(*_of(channel)).order_by(columns.id.desc()).limit(limit)
        async with self._database.read() as tx:
            return [stored.alert for stored in self._readable(await tx.execute(query))]

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        tick: Tick | None = None,
    ) -> None:
        """Record a tick or a person's act in one transaction; see MonitorStore and CommandStore.

        1. Make sure that a tick is still this process's own.
        2. Move the rules to their new states, and do to them what a person did.
        3. Save the alerts, known ones first: one that closes makes room for one that opens.
        4. Add the timeline entries, and bring the messages that must be delivered up to date.
        """
        async with self._database.write() as tx:
            if tick is not None:
                await hold_tick(tx, tick)
            await move_rules(tx, states)
            await change_rules(tx, rules, at)
            try:
                for change in sorted(alerts, key=lambda change: change.alert.id == 0):
                    await record_alert(tx, change, at)
            except exc.IntegrityError as error:
                raise ConflictError("An alert on that is open already; read the alerts again.") from error

    def _readable(self, rows: Iterable[Row[Any]]) -> list[StoredAlert]:
        """Read the alerts that can be read; each of the others is logged once."""
        read = {row.id: read_whole(row) for row in rows}
        lost = {number for number, stored in read.items() if stored is None}
        for number in sorted(lost - self._unreadable):
            log.error("alert %d cannot be read and is left out; restore its row from a backup", number)
        self._unreadable |= lost
        return [stored for stored in read.values() if stored is not None]


def _of(channel: Channel) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return rows_of(tables.alerts, channel)
