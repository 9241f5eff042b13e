"""Price history: whole columns in, whole columns out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sqlalchemy import delete, select

from services.domain.prices import Bars, Closes, instant
from services.store import tables
from services.store.part import Part, insert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, timedelta

    from numpy.typing import NDArray
    from sqlalchemy import Row, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.prices import Symbol

CHUNK = 5_000  # rows for each statement; the event loop breathes in between


class History(Part):
    """Implements HistoryStore."""

    async def save_closes(self, closes: Closes) -> None:
        """Insert or overwrite session closes by (symbol, session), in one transaction."""
        async with self._database.write() as tx:
            await _save(tx, tables.closes, _rows_of(closes))

    async def replace_closes(self, closes: Closes) -> None:
        """Let session closes take the place of every one of their symbol, in one transaction."""
        async with self._database.write() as tx:
            await tx.execute(delete(tables.closes).where(tables.closes.c.symbol == closes.symbol))
            await _save(tx, tables.closes, _rows_of(closes))

    async def load_closes(self, symbol: Symbol, since: date) -> Closes:
        """Load session closes from `since` on; empty where there are none. Its source is that of the last close."""
        table = tables.closes.c
        rows = await self._load(
            select(table.session_day, table.price, table.source)
            .where(table.symbol == symbol, table.session_day >= int(np.datetime64(since, "D").astype(np.int64)))
            .order_by(table.session_day)
        )
        sessions, prices, source = _columns(rows, "D")
        return Closes(symbol=symbol, sessions=sessions, prices=prices, source=source)

    async def save_bars(self, bars: Bars) -> None:
        """Insert or overwrite bars by (symbol, interval, opening time), in one transaction."""
        same = {"symbol": bars.symbol, "interval_s": _seconds(bars.interval), "source": bars.source}
        priced = zip(_whole(bars.opened_at, "s"), bars.closes.tolist(), strict=True)
        rows = [{**same, "opened_at_s": second, "close": close} for second, close in priced]
        async with self._database.write() as tx:
            await _save(tx, tables.bars, rows)

    async def load_bars(self, symbol: Symbol, interval: timedelta, since: datetime) -> Bars:
        """Load bars that open at or after `since`; empty where there are none. Its source is that of the last bar."""
        table = tables.bars.c
        rows = await self._load(
            select(table.opened_at_s, table.close, table.source)
            .where(table.symbol == symbol, table.interval_s == _seconds(interval))
            .where(table.opened_at_s >= int(instant(since).astype(np.int64)))
            .order_by(table.opened_at_s)
        )
        opened_at, prices, source = _columns(rows, "s")
        return Bars(symbol=symbol, interval=interval, opened_at=opened_at, closes=prices, source=source)

    async def _load(self, query: Select[int, float, str]) -> Sequence[Row[int, float, str]]:
        async with self._database.read() as tx:
            return (await tx.execute(query)).all()


def _rows_of(closes: Closes) -> list[dict[str, Any]]:
    same = {"symbol": closes.symbol, "source": closes.source}
    priced = zip(_whole(closes.sessions, "D"), closes.prices.tolist(), strict=True)
    return [{**same, "session_day": day, "price": price} for day, price in priced]


async def _save(tx: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    new = insert(tx, table)
    upsert = new.on_conflict_do_update(
        index_elements=table.primary_key,
        set_={column.name: new.excluded[column.name] for column in table.c if not column.primary_key},
    )
    for start in range(0, len(rows), CHUNK):
        await tx.execute(upsert, rows[start : start + CHUNK])


def _columns(
    rows: Sequence[Row[int, float, str]], unit: Literal["D", "s"]
) -> tuple[NDArray[np.datetime64], NDArray[np.float64], str]:
    """Turn rows of (time, price, source) into a datetime64 column, a price column and the last row's source."""
    times, prices, sources = zip(*rows, strict=True) if rows else ((), (), ("",))
    return np.array(times, np.int64).astype(f"datetime64[{unit}]"), np.array(prices, np.float64), sources[-1]


def _whole(times: NDArray[np.datetime64], unit: Literal["D", "s"]) -> list[int]:
    """Count whole days or seconds since 1970-01-01 UTC."""
    whole: list[int] = times.astype(f"datetime64[{unit}]").astype(np.int64).tolist()
    return whole


def _seconds(interval: timedelta) -> int:
    return int(interval.total_seconds())
