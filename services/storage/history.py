"""Price history, saved and loaded in whole columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Select, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.prices import Bars, Closes, Symbol, to_datetime64
from services.market.consensus.corporate_actions import DeclaredActions
from services.market.ports import Revision
from services.storage import tables
from services.storage.corporate_actions import day_of, days_since_1970, load_declared, save_declared
from services.storage.repository import Repository, upsert


class PriceHistoryRepository(Repository):
    """The `HistoryStore` implementation."""

    async def save_closes(self, closes: Closes, at: datetime, declared: DeclaredActions | None = None) -> None:
        """Insert or overwrite session closes by (symbol, source, session), in one transaction.

        A price that replaces another is recorded as a revision at `at`. The actions that the source `declared` for the
        share are saved with them; they replace all that it declared for the days from `declared.since` on.
        """
        rows = _rows_of(closes)
        async with self._database.write() as tx:
            await upsert(tx, tables.revisions, await _find_revisions(tx, closes, rows, at))
            await upsert(tx, tables.closes, rows)
            await _save_declared(tx, closes, declared, at)

    async def replace_closes(self, closes: Closes, at: datetime, declared: DeclaredActions | None = None) -> None:
        """Replace all session closes of their symbol and source, in one transaction.

        Actions that are `declared` are saved with them, as in `save_closes`.
        """
        columns = tables.closes.c
        ours = (columns.symbol == closes.symbol, columns.source == closes.source)
        async with self._database.write() as tx:
            await tx.execute(delete(tables.closes).where(*ours))
            await upsert(tx, tables.closes, _rows_of(closes))
            await _save_declared(tx, closes, declared, at)

    async def load_closes(self, symbol: Symbol, source: str, since: date) -> Closes:
        """Load one source's session closes from `since` on; empty if there are none."""
        table = tables.closes.c
        rows = await self._load(
            select(table.session_day, table.price, table.volume, table.intraday_return)
            .where(table.symbol == symbol, table.source == source, table.session_day >= days_since_1970(since))
            .order_by(table.session_day)
        )
        days, prices, volumes, inside = zip(*rows, strict=True) if rows else ((), (), (), ())
        return Closes(
            symbol=symbol,
            sessions=np.array(days, np.int64).astype("datetime64[D]"),
            prices=np.array(prices, np.float64),
            source=source,
            volumes=np.array(volumes, np.float64),  # None becomes NaN
            open_to_close=np.array(inside, np.float64),
        )

    async def load_declared(self, symbol: Symbol, source: str) -> DeclaredActions | None:
        """Load the actions that one source declares for a share; None if none were ever saved."""
        async with self._database.read() as tx:
            return await load_declared(tx, symbol, source)

    async def revisions(self, symbol: Symbol, limit: int) -> list[Revision]:
        """Return the last revisions of a symbol's closes, newest first."""
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
            await upsert(tx, tables.bars, rows)

    async def load_bars(self, symbol: Symbol, source: str, interval: timedelta, since: datetime) -> Bars:
        """Load one source's bars that open at or after `since`; empty if there are none."""
        table = tables.bars.c
        rows = await self._load(
            select(table.opened_at_s, table.close)
            .where(table.symbol == symbol, table.source == source, table.interval_s == _seconds(interval))
            .where(table.opened_at_s >= int(to_datetime64(since).astype(np.int64)))
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


async def _save_declared(tx: AsyncConnection, closes: Closes, declared: DeclaredActions | None, at: datetime) -> None:
    if declared is not None:
        await save_declared(tx, closes.symbol, declared, at)


async def _find_revisions(
    tx: AsyncConnection, closes: Closes, rows: Sequence[dict[str, Any]], at: datetime
) -> list[dict[str, Any]]:
    """Return revisions for the closes that are stored with another price."""
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
    columns = zip(
        days,
        closes.prices.tolist(),
        _nullable(closes.known_volumes),
        _nullable(closes.known_open_to_close),
        strict=True,
    )
    return [
        {**same, "session_day": day, "price": price, "volume": volume, "intraday_return": inside}
        for day, price, volume, inside in columns
    ]


def _nullable(column: NDArray[np.float64]) -> list[float | None]:
    return [None if isnan(value) else value for value in column.tolist()]


def _revision(row: Row[Any]) -> Revision:
    return Revision(
        symbol=Symbol(row.symbol),
        source=row.source,
        session=day_of(row.session_day),
        old=row.old,
        new=row.new,
        at=row.at,
    )


def _seconds(interval: timedelta) -> int:
    return int(interval.total_seconds())
