"""Results of ticks by pair, for the monitoring report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.tick_log import Extreme, PairStatus, TickResult
from services.core.prices import Pair
from services.storage import tables
from services.storage.codec import read_pair, read_prices, write_prices
from services.storage.corporate_actions import days_since_1970
from services.storage.repository import Repository, insert, upsert

_feed_status, _metric_extremes, _ticks = tables.feed_status.c, tables.metric_extremes.c, tables.ticks.c


class TickLogRepository(Repository):
    """The `TickResultStore` implementation."""

    async def pair_statuses(self) -> list[PairStatus]:
        """Load the last status of each pair."""
        async with self._database.read() as tx:
            return [
                PairStatus(
                    pair=read_pair(row.pair),
                    at=row.at,
                    reason=row.reason,
                    usable_at=row.last_usable_at,
                    nodata_since=row.nodata_since,
                    prices=read_prices(row.prices),
                    simulated=row.simulated,
                )
                for row in await tx.execute(select(tables.feed_status))
            ]

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


async def record_tick_result(tx: AsyncConnection, result: TickResult) -> None:
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
    row = {"pair": str(result.pair), "at": result.at, "reason": result.reason, "simulated": result.simulated}
    if result.usable:
        usable = {"last_usable_at": result.at, "nodata_since": None, "prices": write_prices(result.prices)}
        await upsert(tx, tables.feed_status, [{**row, **usable}])
        return
    nodata_since = None if result.waiting else result.at
    new = insert(tx, tables.feed_status).values(**row, last_usable_at=None, nodata_since=nodata_since, prices="[]")
    since: ColumnElement[Any] = func.coalesce(_feed_status.nodata_since, new.excluded.nodata_since)
    updated = {"at": result.at, "reason": result.reason, "nodata_since": since}
    await tx.execute(new.on_conflict_do_update(index_elements=["pair"], set_=updated))
