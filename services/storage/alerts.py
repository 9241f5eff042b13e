"""Alerts: saved in one transaction with rule states, timeline entries and the messages to deliver."""

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
from services.storage.alert_writer import read_alert_or_none, record_alert
from services.storage.codec import read_pair, read_stored_alert
from services.storage.engine import Database
from services.storage.repository import Repository, in_channel
from services.storage.rules import apply_rule_changes, update_states
from services.storage.ticks import lock_tick

log = logging.getLogger(__name__)


class AlertRepository(Repository):
    """The alert methods of MonitorStore and CommandStore.

    Lists leave out alerts that cannot be read, so that one damaged row does not block the others.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._logged_alerts: set[int] = set()

    async def open_alerts(self, channel: Channel | None = None, *, pair: Pair | None = None) -> list[StoredAlert]:
        """Load the open alerts, of one channel or of all, on one pair or on all, oldest first."""
        here = _alerts_in(channel) if channel else ()
        on_pair = (tables.alerts.c.pair == str(pair),) if pair else ()
        query = select(tables.alerts).where(tables.OPEN, *here, *on_pair).order_by(tables.alerts.c.id)
        async with self._database.read() as tx:
            return self._readable(await tx.execute(query))

    async def closed_alerts(self, pair: Pair, since: datetime) -> list[StoredAlert]:
        """Load the alerts on a pair that were closed since then, oldest first."""
        ended = (tables.alerts.c.pair == str(pair), tables.alerts.c.closed_at >= since)
        query = select(tables.alerts).where(*ended).order_by(tables.alerts.c.id)
        async with self._database.read() as tx:
            return self._readable(await tx.execute(query))

    async def alerted_pairs(self) -> list[Pair]:
        """Return the pairs that have open alerts."""
        query = select(tables.alerts.c.pair).where(tables.OPEN).distinct()
        async with self._database.read() as tx:
            return [read_pair(text) for text in await tx.scalars(query)]

    async def alert(self, channel: Channel, alert_id: int) -> StoredAlert:
        """Load one alert of this channel, open or closed. Raises NotFoundError."""
        query = select(tables.alerts).where(tables.alerts.c.id == alert_id, *_alerts_in(channel))
        async with self._database.read() as tx:
            row = (await tx.execute(query)).one_or_none()
        if row is None:
            raise NotFoundError(f"No alert {alert_id} in this channel.")
        return read_stored_alert(row)

    async def history(self, channel: Channel, limit: int) -> list[Alert]:
        """Load a channel's last alerts, newest first."""
        columns = tables.alerts.c
        query = select(tables.alerts).where(*_alerts_in(channel)).order_by(columns.id.desc()).limit(limit)
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
        """Save a tick or a person's change in one transaction; see MonitorStore and CommandStore.

        1. Check that a tick's lease is still this process's.
        2. Save the rules' new states, and apply people's changes to them.
        3. Save the alerts, known ones first: a closed alert makes room for a new one.
        4. Add the timeline entries, and enqueue or update their messages.
        """
        async with self._database.write() as tx:
            if tick is not None:
                await lock_tick(tx, tick)
            await update_states(tx, states)
            await apply_rule_changes(tx, rules, at)
            try:
                for change in sorted(alerts, key=lambda change: change.alert.id == 0):
                    await record_alert(tx, change, at)
            except exc.IntegrityError as error:
                raise ConflictError("An alert on that is open already; read the alerts again.") from error

    def _readable(self, rows: Iterable[Row[Any]]) -> list[StoredAlert]:
        """Return the alerts that can be read; log each of the others once."""
        read = {row.id: read_alert_or_none(row) for row in rows}
        unreadable = {alert_id for alert_id, stored in read.items() if stored is None}
        for alert_id in sorted(unreadable - self._logged_alerts):
            log.error("alert %d cannot be read and is skipped; restore its row from a backup", alert_id)
        self._logged_alerts |= unreadable
        return [stored for stored in read.values() if stored is not None]


def _alerts_in(channel: Channel) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return in_channel(tables.alerts, channel)
