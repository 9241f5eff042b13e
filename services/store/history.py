"""Price history: whole columns in, whole columns out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, select

from services.domain.prices import Bars, Closes, Symbol, instant
from services.ports import Revision
from services.store import tables
from services.store.part import Part, insert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, timedelta

    from sqlalchemy import Row, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

CHUNK = 5_000  # rows for each statement; the event loop breathes in between


class History(Part):
    """Implements HistoryStore."""

    async def save_closes(self, closes: Closes, at: datetime) -> None:
        """Insert or overwrite session closes by (symbol, source, session), in one transaction.

        A price that takes the place of another is noted as a revision made at `at`.
        """
        rows = _rows_of(closes)
        async with self._database.write() as tx:
            await _save(tx, tables.revisions, await _revised(tx, closes, rows, at))
            await _save(tx, tables.closes, rows)

    async def replace_closes(self, closes: Closes) -> None:
        """Let session closes take the place of every one of their symbol and source, in one transaction."""
        columns = tables.closes.c
        ours = (columns.symbol == closes.symbol, columns.source == closes.source)
        async with self._database.write() as tx:
            await tx.execute(delete(tables.closes).where(*ours))
            await _save(tx, tables.closes, _rows_of(closes))

    async def load_closes(self, symbol: Symbol, source: str, since: date) -> Closes:
        """Load one source's session closes from `since` on; empty where there are none."""
        table = tables.closes.c
        rows = await self._load(
            select(table.session_day, table.price, table.volume)
            .where(table.symbol == symbol, table.source == source, table.session_day >= _day(since))
            .order_by(table.session_day)
        )
        days, prices, volumes = zip(*rows, strict=True) if rows else ((), (), ())
        return Closes(
            symbol=symbol,
            sessions=np.array(days, np.int64).astype("datetime64[D]"),
            prices=np.array(prices, np.float64),
            source=source,
            volumes=np.array(volumes, np.float64),  # None becomes NaN
        )

    async def revisions(self, symbol: Symbol, limit: int) -> list[Revision]:
        """List the last revisions of a symbol's closes, newest first."""
        table = tables.revisions
        query = select(table).where(table.c.symbol == symbol).order_by(table.c.id.desc()).limit(limit)
        return [_revision(row) for row in await self._load(query)]

    async def save_bars(self, bars: Bars) -> None:
        """Insert or overwrite bars by (symbol, source, interval, opening time), in one transaction."""
        same = {"symbol": bars.symbol, "source": bars.source, "interval_s": _seconds(bars.interval)}
        seconds = bars.opened_at.astype("datetime64[s]").astype(np.int64).tolist()
        priced = zip(seconds, bars.closes.tolist(), strict=True)
        rows = [{**same, "opened_at_s": second, "close": close} for second, close in priced]
        async with self._database.write() as tx:
            await _save(tx, tables.bars, rows)

    async def load_bars(self, symbol: Symbol, source: str, interval: timedelta, since: datetime) -> Bars:
        """Load one source's bars that open at or after `since`; empty where there are none."""
        table = tables.bars.c
        rows = await self._load(
            select(table.opened_at_s, table.close)
            .where(table.symbol == symbol, table.source == source, table.interval_s == _seconds(interval))
            .where(table.opened_at_s >= int(instant(since).astype(np.int64)))
            .order_by(table.opened_at_s)
        )
        seconds, prices = zip(*rows, strict=True) if rows else ((), ())
        return Bars(
            symbol=symbol,
            interval=interval,
            opened_at=np.array(seconds, np.int64).astype("datetime64[s]"),
            closes=np.array(prices, np.float64),
            source=source,
        )

    async def _load(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with self._database.read() as tx:
            rows: Sequence[Row[Any]] = (await tx.execute(query)).all()
        return rows


async def _revised(
    tx: AsyncConnection, closes: Closes, rows: Sequence[dict[str, Any]], at: datetime
) -> list[dict[str, Any]]:
    """Find the closes that are stored with another price."""
    table = tables.closes.c
    here = (table.symbol == closes.symbol, table.source == closes.source)
    since = min((row["session_day"] for row in rows), default=0)
    query = select(table.session_day, table.price).where(*here, table.session_day >= since)
    stored = {row.session_day: row.price for row in await tx.execute(query)}
    return [
        {
            "symbol": closes.symbol,
            "source": closes.source,
            "session_day": row["session_day"],
            "old": stored[row["session_day"]],
            "new": row["price"],
            "at": at,
        }
        for row in rows
        if stored.get(row["session_day"], row["price"]) != row["price"]
    ]


def _rows_of(closes: Closes) -> list[dict[str, Any]]:
    same = {"symbol": closes.symbol, "source": closes.source}
    days = closes.sessions.astype("datetime64[D]").astype(np.int64).tolist()
    columns = zip(days, closes.prices.tolist(), closes.known_volumes.tolist(), strict=True)
    return [
        {**same, "session_day": day, "price": price, "volume": None if volume != volume else volume}  # noqa: PLR0124 -- NaN
        for day, price, volume in columns
    ]


async def _save(tx: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; those whose key is there already take the place of the old ones."""
    new = insert(tx, table)
    upsert = new.on_conflict_do_update(
        index_elements=table.primary_key,
        set_={column.name: new.excluded[column.name] for column in table.c if not column.primary_key},
    )
    for start in range(0, len(rows), CHUNK):
        await tx.execute(upsert, rows[start : start + CHUNK])


def _revision(row: Row[Any]) -> Revision:
    return Revision(
        symbol=Symbol(row.symbol),
        source=row.source,
        session=np.datetime64(row.session_day, "D").astype(object),
        old=row.old,
        new=row.new,
        at=row.at,
    )


def _day(day: date) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def _seconds(interval: timedelta) -> int:
    return int(interval.total_seconds())
