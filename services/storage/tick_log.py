"""Looks: what each tick saw of its pair, kept so that silence can be proved."""

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

_sights, _extremes, _ticks = tables.sights.c, tables.extremes.c, tables.ticks.c


class Looks(Repository):
    """Implements TickResultStore."""

    async def sights(self) -> list[PairStatus]:
        """Load what was last seen of each pair."""
        async with self._database.read() as tx:
            return [
                PairStatus(
                    pair=read_pair(row.pair),
                    at=row.at,
                    reason=row.reason,
                    usable_at=row.usable_at,
                    dark_at=row.dark_at,
                    prices=read_prices(row.prices),
                    simulated=row.simulated,
                )
                for row in await tx.execute(select(tables.sights))
            ]

    async def verdicts(self, pair: Pair, begin: datetime, end: datetime) -> dict[str, int]:
        """Count the ticks of a pair that were done from `begin` until before `end`, by the verdict on their prices."""
        span = (_ticks.job == str(pair), _ticks.boundary >= begin, _ticks.boundary < end, _ticks.done)
        query = (
            select(func.coalesce(_ticks.verdict, "unknown").label("verdict"), func.count().label("number"))
            .where(*span)
            .group_by(_ticks.verdict)
        )
        async with self._database.read() as tx:
            return {row.verdict: row.number for row in await tx.execute(query)}

    async def extremes(self, pair: Pair, session: date) -> dict[str, Extreme]:
        """Load how far each look at a pair went in a session."""
        query = select(tables.extremes).where(
            _extremes.pair == str(pair), _extremes.session_day == days_since_1970(session)
        )
        async with self._database.read() as tx:
            return {
                row.look: Extreme(high=row.high, high_at=row.high_at, low=row.low, low_at=row.low_at)
                for row in await tx.execute(query)
            }


async def note_look(tx: AsyncConnection, look: TickResult) -> None:
    """Note what a tick saw: since when prices are missing, or that they are there, and how far values went."""
    await _note_sight(tx, look)
    rows = [
        {
            "pair": str(look.pair),
            "session_day": days_since_1970(reading.session),
            "look": reading.look,
            **{f"{side}{part}": value for side in ("high", "low") for part, value in _at(reading.value, reading.at)},
        }
        for reading in look.readings
    ]
    if rows:
        new = insert(tx, tables.extremes)
        higher, lower = new.excluded.high > _extremes.high, new.excluded.low < _extremes.low
        kept = {
            name: case((higher if name.startswith("high") else lower, new.excluded[name]), else_=_extremes[name])
            for name in ("high", "high_at", "low", "low_at")
        }
        await tx.execute(new.on_conflict_do_update(index_elements=tables.extremes.primary_key, set_=kept), rows)


def _at(value: float, at: datetime) -> Sequence[tuple[str, Any]]:
    return ("", value), ("_at", at)


async def _note_sight(tx: AsyncConnection, look: TickResult) -> None:
    """Take the place of what was seen before; what went dark stays so until prices can be used again."""
    row = {"pair": str(look.pair), "at": look.at, "reason": look.reason, "simulated": look.simulated}
    if look.usable:
        seen = {"usable_at": look.at, "dark_at": None, "prices": write_prices(look.prices)}
        await upsert(tx, tables.sights, [{**row, **seen}])
        return
    dark_at = None if look.waiting else look.at
    new = insert(tx, tables.sights).values(**row, usable_at=None, dark_at=dark_at, prices="[]")
    since: ColumnElement[Any] = func.coalesce(_sights.dark_at, new.excluded.dark_at)
    kept = {"at": look.at, "reason": look.reason, "dark_at": since}
    await tx.execute(new.on_conflict_do_update(index_elements=["pair"], set_=kept))
