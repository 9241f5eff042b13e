"""Ticks: their claims, the transaction that records what they or people change, and their results."""

import logging
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exc, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.notice import Notice
from services.alerting.ports import AlertChange, RuleChange, StateChange
from services.alerting.tick_log import Claim, Extreme, Job, LastTick, PairStatus, Tick, TickResult
from services.core.errors import ConflictError, LeaseLostError
from services.core.prices import Pair
from services.storage import tables
from services.storage.alerts import record_alerts
from services.storage.channels import add_notice
from services.storage.codec import (
    days_since_1970,
    read_optional_reason,
    read_pair,
    read_prices,
    write_prices,
    write_reason,
)
from services.storage.repository import BULK_SIZE, Repository, batched, insert, upsert
from services.storage.rules import apply_rule_changes, update_states

RETENTION = timedelta(days=30)
LEASE = timedelta(minutes=1)
CLOCK_TOLERANCE = timedelta(seconds=10)  # by which the clocks of machines on one database may differ
log = logging.getLogger(__name__)

_feed_status, _metric_extremes, _ticks = tables.feed_status.c, tables.metric_extremes.c, tables.ticks.c


class TickRepository(Repository):
    """The methods of MonitorStore and ChannelStore on ticks and on what they record."""

    async def claim_tick(self, job: Job, boundary: datetime, at: datetime) -> Claim:
        """Claim one round of a job, also if its owner has not finished it in time; delete the job's old ticks.

        Ticks that a clock dated ahead of this one are discarded, as they would block all others until then.
        """
        new = {"job": str(job), "boundary": boundary, "claimed_at": at, "done": False}
        overdue = ~_ticks.done & (_ticks.claimed_at <= at - LEASE)
        async with self._database.write(check_revision=True) as tx:
            await tx.execute(delete(tables.ticks).where(_ticks.job == str(job), _ticks.boundary < boundary - RETENTION))
            claim = insert(tx, tables.ticks).values(new)
            takeover = claim.on_conflict_do_update(
                index_elements=["job", "boundary"], set_={"claimed_at": at}, where=overdue
            )
            if (await tx.execute(takeover.returning(_ticks.job))).first():
                await _discard_ahead(tx, max(at, boundary), _ticks.job == str(job))
                return Claim.OURS
            done = (await tx.execute(select(_ticks.done).where(*_tick_key(job, boundary)))).scalar_one()
        return Claim.DONE if done else Claim.TAKEN

    async def finish_tick(self, tick: Tick, result: TickResult | None = None) -> None:
        """Mark a tick as done, unless another process took it over, and save its result."""
        ours = (*_tick_key(tick.job, tick.boundary), _ticks.claimed_at == tick.claimed_at)
        done = update(tables.ticks).where(*ours).values(done=True, verdict=result and result.verdict)
        async with self._database.write() as tx:
            if (await tx.execute(done)).rowcount and result is not None:
                await _record_result(tx, result)

    async def release_tick(self, job: Job, boundary: datetime, at: datetime) -> None:
        """Release a claim that was made at `at`, unless another process took it over."""
        ours = (*_tick_key(job, boundary), _ticks.claimed_at == at, ~_ticks.done)
        async with self._database.write() as tx:
            await tx.execute(delete(tables.ticks).where(*ours))

    async def discard_ahead(self, at: datetime) -> None:
        """Discard ticks that lie ahead of `at`, which a clock has dated that was set back since."""
        async with self._database.write() as tx:
            await _discard_ahead(tx, at)

    async def record(
        self,
        states: Sequence[StateChange],
        alerts: Sequence[AlertChange],
        at: datetime,
        *,
        rules: Sequence[RuleChange] = (),
        notices: Sequence[Notice] = (),
        tick: Tick | None = None,
    ) -> None:
        """Save a tick or a person's change in one transaction; see MonitorStore and ChannelStore.

        1. Check that a tick's lease is still this process's.
        2. Save the rules' new states, and apply people's changes to them.
        3. Save the alerts, known ones first: a closed alert makes room for a new one.
        4. Add the timeline entries and notices, and enqueue or update their messages.
        """
        async with self._database.write() as tx:
            if tick is not None:
                await _lock_tick(tx, tick)
            await update_states(tx, states)
            await apply_rule_changes(tx, rules, at)
            try:
                for batch in batched(sorted(alerts, key=lambda change: change.alert.id == 0), BULK_SIZE):
                    await record_alerts(tx, batch, at)
            except exc.IntegrityError as error:
                raise ConflictError("Such an alert is already open; read the alerts again.") from error
            for notice in notices:
                await add_notice(tx, notice, at)
        self._count_events(alerts)

    async def pair_statuses(self) -> list[PairStatus]:
        """Load the last status of each pair."""
        async with self._database.read() as tx:
            return [
                PairStatus(
                    pair=read_pair(row.pair),
                    at=row.at,
                    reason=read_optional_reason(row.reason),
                    usable_at=row.last_usable_at,
                    nodata_since=row.nodata_since,
                    prices=read_prices(row.prices),
                    simulated=row.simulated,
                )
                for row in await tx.execute(select(tables.feed_status))
            ]

    async def last_ticks(self, pairs: Collection[Pair]) -> dict[Pair, LastTick]:
        """Load the last tick of each of these pairs that is done."""
        by_job = {str(pair): pair for pair in pairs}
        newest = (
            select(_ticks.job, func.max(_ticks.boundary).label("boundary"))
            .where(_ticks.done, _ticks.job.in_(by_job))
            .group_by(_ticks.job)
            .subquery()
        )
        query = select(_ticks.job, _ticks.claimed_at, _ticks.verdict).join(
            newest, (newest.c.job == _ticks.job) & (newest.c.boundary == _ticks.boundary)
        )
        async with self._database.read() as tx:
            return {
                by_job[row.job]: LastTick(at=row.claimed_at, verdict=row.verdict) for row in await tx.execute(query)
            }

    async def verdicts(self, pair: Pair, begin: datetime, end: datetime) -> dict[str, int]:
        """Count a pair's finished ticks from `begin` until before `end`, by the verdict on their prices."""
        span = (_ticks.job == str(pair), _ticks.boundary >= begin, _ticks.boundary < end, _ticks.done)
        query = (
            select(func.coalesce(_ticks.verdict, "unknown").label("verdict"), func.count().label("number"))
            .where(*span)
            .group_by(_ticks.verdict)
        )
        async with self._database.read() as tx:
            return {row.verdict: row.number for row in await tx.execute(query)}

    async def extremes(self, pair: Pair, session: date) -> dict[str, Extreme]:
        """Load the high and low of each metric of a pair in a session."""
        query = select(tables.metric_extremes).where(
            _metric_extremes.pair == str(pair), _metric_extremes.session_day == days_since_1970(session)
        )
        async with self._database.read() as tx:
            return {
                row.metric_key: Extreme(high=row.high, high_at=row.high_at, low=row.low, low_at=row.low_at)
                for row in await tx.execute(query)
            }


async def _discard_ahead(tx: AsyncConnection, at: datetime, *which: ColumnElement[bool]) -> None:
    """Delete ticks that lie ahead of `at`; if there are any, bring the waits that the same clock has set forward.

    A message whose attempt may still be running waits for a lease, so that it is looked up and not sent twice.
    """
    deleted = await tx.execute(delete(tables.ticks).where(_ticks.boundary > at + CLOCK_TOLERANCE, *which))
    if not deleted.rowcount:
        return
    log.warning("%d ticks are dated ahead of %s UTC; they are discarded", deleted.rowcount, f"{at:%Y-%m-%d %H:%M:%S}")
    latest = at + LEASE
    deliveries, backoff, status = tables.deliveries.c, tables.channel_backoff.c, tables.feed_status.c
    waiting = (deliveries.sent_version < deliveries.version, deliveries.next_at > latest)
    await tx.execute(update(tables.deliveries).where(*waiting).values(next_at=latest))
    await tx.execute(update(tables.channel_backoff).where(backoff.until > latest).values(until=latest))
    await tx.execute(update(tables.feed_status).where(status.nodata_since > at).values(nodata_since=at))


async def _lock_tick(tx: AsyncConnection, tick: Tick) -> None:
    """Check that a tick is ours and the job's last, and keep others from taking it over until the transaction ends.

    Raises LeaseLostError.
    """
    last = select(tables.ticks).where(_ticks.job == str(tick.job)).order_by(_ticks.boundary.desc()).limit(1)
    row = (await tx.execute(last.with_for_update())).one_or_none()
    if row is None or (row.boundary, row.claimed_at) != (tick.boundary, tick.claimed_at):
        raise LeaseLostError(f"The tick of {tick.boundary:%H:%M:%S} UTC on {tick.job} came too late.")


async def _record_result(tx: AsyncConnection, result: TickResult) -> None:
    """Save a tick's result: the state of the pair's prices, and new highs and lows."""
    await _record_feed_status(tx, result)
    rows = [
        {
            "pair": str(result.pair),
            "session_day": days_since_1970(reading.session),
            "metric_key": reading.metric,
            **{f"{side}{part}": value for side in ("high", "low") for part, value in _at(reading.value, reading.at)},
        }
        for reading in result.metric_values
    ]
    if rows:
        new = insert(tx, tables.metric_extremes)
        higher, lower = new.excluded.high > _metric_extremes.high, new.excluded.low < _metric_extremes.low
        updated = {
            name: case((higher if name.startswith("high") else lower, new.excluded[name]), else_=_metric_extremes[name])
            for name in ("high", "high_at", "low", "low_at")
        }
        await tx.execute(
            new.on_conflict_do_update(index_elements=tables.metric_extremes.primary_key, set_=updated), rows
        )


def _at(value: float, at: datetime) -> Sequence[tuple[str, Any]]:
    return ("", value), ("_at", at)


async def _record_feed_status(tx: AsyncConnection, result: TickResult) -> None:
    """Replace the last status of a pair; `nodata_since` stays until prices are usable again."""
    reason = None if result.reason is None else write_reason(result.reason)
    row = {"pair": str(result.pair), "at": result.at, "reason": reason, "simulated": result.simulated}
    if result.usable:
        usable = {"last_usable_at": result.at, "nodata_since": None, "prices": write_prices(result.prices)}
        await upsert(tx, tables.feed_status, [{**row, **usable}])
        return
    nodata_since = None if result.waiting else result.at
    new = insert(tx, tables.feed_status).values(**row, last_usable_at=None, nodata_since=nodata_since, prices="[]")
    since: ColumnElement[Any] = func.coalesce(_feed_status.nodata_since, new.excluded.nodata_since)
    updated = {"at": result.at, "reason": reason, "nodata_since": since}
    await tx.execute(new.on_conflict_do_update(index_elements=["pair"], set_=updated))


def _tick_key(job: Job, boundary: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _ticks.job == str(job), _ticks.boundary == boundary
