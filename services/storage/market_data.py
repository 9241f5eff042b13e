"""Market history: closes, bars and corporate actions of each source, in whole columns, and fund holdings."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from itertools import groupby
from math import isnan
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Row, Select, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.prices import Bars, Closes, Symbol, to_datetime64
from services.market.consensus.corporate_actions import Action, ActionKind, DeclaredActions
from services.market.holdings import Holding, HoldingKind, Holdings
from services.market.ports import Revision
from services.storage import tables
from services.storage.codec import day_of, days_since_1970
from services.storage.repository import Repository, upsert

_actions, _coverage, _holdings = tables.corporate_actions, tables.action_coverage, tables.holdings


class HistoryRepository(Repository):
    """The `HistoryStore` and `HoldingsStore` implementation."""

    async def save_closes(self, closes: Closes, at: datetime, declared: DeclaredActions | None = None) -> None:
        """Insert or overwrite session closes by (symbol, source, session), in one transaction.

        A price that replaces another is recorded as a revision at `at`. The actions that the source `declared` for the
        share are saved with them; they replace all that it declared for the days from `declared.since` on.
        """
        rows = _rows_of_closes(closes)
        async with self._database.write() as tx:
            await upsert(tx, tables.revisions, await _find_revisions(tx, closes, rows, at))
            await upsert(tx, tables.closes, rows)
            if declared is not None:
                await _save_actions(tx, closes.symbol, declared, at)

    async def replace_closes(self, closes: Closes, at: datetime, declared: DeclaredActions | None = None) -> None:
        """Replace all session closes of their symbol and source, in one transaction.

        Actions that are `declared` are saved with them, as in `save_closes`.
        """
        ours = _of_symbol(tables.closes, closes.symbol, closes.source)
        async with self._database.write() as tx:
            await tx.execute(delete(tables.closes).where(*ours))
            await upsert(tx, tables.closes, _rows_of_closes(closes))
            if declared is not None:
                await _save_actions(tx, closes.symbol, declared, at)

    async def load_closes(self, symbol: Symbol, source: str, since: date) -> Closes:
        """Load one source's session closes from `since` on; empty if there are none."""
        table = tables.closes.c
        rows = await self._load_raw(
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
            return await _load_declared(tx, symbol, source)

    async def revisions(self, symbol: Symbol, limit: int) -> list[Revision]:
        """Return the last revisions of a symbol's closes, newest first."""
        table = tables.revisions
        query = select(table).where(table.c.symbol == symbol).order_by(table.c.id.desc()).limit(limit)
        return [_read_revision(row) for row in await self._load(query)]

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
        rows = await self._load_raw(
            select(table.opened_at_s, table.close)
            .where(table.symbol == symbol, table.source == source, table.interval_s == _seconds(interval))
            .where(table.opened_at_s >= int(to_datetime64(since).astype(np.int64)))
            .order_by(table.opened_at_s)
        )
        return Bars(
            symbol=symbol,
            interval=interval,
            opened_at=np.fromiter(map(itemgetter(0), rows), np.int64, len(rows)).astype("datetime64[s]"),
            closes=np.fromiter(map(itemgetter(1), rows), np.float64, len(rows)),
            source=source,
        )

    async def save_holdings(self, snapshots: Sequence[Holdings]) -> list[date]:
        """Save holdings in one transaction; each replaces all stored ones of its fund and day.

        Returns the days whose holdings were replaced.
        """
        replaced = []
        async with self._database.write() as tx:
            for one in snapshots:
                same_day = _holdings.c.fund == one.fund, _holdings.c.as_of_day == days_since_1970(one.as_of)
                if (await tx.execute(delete(_holdings).where(*same_day))).rowcount:
                    replaced.append(one.as_of)
                await tx.execute(_holdings.insert(), _rows_of_holdings(one))
        return replaced

    async def load_holdings(self, fund: Symbol) -> list[Holdings]:
        """Load every day's holdings of a fund, oldest first."""
        query = select(_holdings).where(_holdings.c.fund == fund).order_by(_holdings.c.as_of_day, _holdings.c.position)
        async with self._database.read() as tx:
            rows = (await tx.execute(query)).all()
        return [_read_holdings(list(day)) for _, day in groupby(rows, key=lambda row: row.as_of_day)]

    async def _load(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with self._database.read() as tx:
            rows: Sequence[Row[Any]] = (await tx.execute(query)).all()
        return rows

    async def _load_raw(self, query: Select[Any]) -> Sequence[tuple[Any, ...]]:
        """Return the driver's own tuples: SQLAlchemy's rows take four times as long. Integers and floats only."""
        async with self._database.read() as tx:
            with closing(await tx.execute(query)) as result:
                return result.cursor.fetchall() if result.cursor else ()


async def _find_revisions(
    tx: AsyncConnection, closes: Closes, rows: Sequence[dict[str, Any]], at: datetime
) -> list[dict[str, Any]]:
    """Return revisions for the closes that are stored with another price."""
    table = tables.closes.c
    here = _of_symbol(tables.closes, closes.symbol, closes.source)
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


def _rows_of_closes(closes: Closes) -> list[dict[str, Any]]:
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


def _read_revision(row: Row[Any]) -> Revision:
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


async def _save_actions(tx: AsyncConnection, symbol: Symbol, declared: DeclaredActions, at: datetime) -> None:
    """Replace a source's declared actions from a day on.

    An action that is declared again keeps its `recorded_at`; the others get `at`.
    """
    ours = (
        *_of_symbol(_actions, symbol, declared.source),
        _actions.c.session_day >= days_since_1970(declared.since),
    )
    recorded = {
        (row.session_day, row.kind, row.value): row.recorded_at
        for row in await tx.execute(select(_actions).where(*ours))
    }
    rows = [(days_since_1970(one.session), one.kind.value, one.value) for one in declared.actions]
    same = {"symbol": symbol, "source": declared.source}
    await tx.execute(delete(_actions).where(*ours))
    await upsert(
        tx,
        _actions,
        [
            {**same, "session_day": row[0], "kind": row[1], "value": row[2], "recorded_at": recorded.get(row, at)}
            for row in rows
        ],
    )
    before = await _load_since(tx, symbol, declared.source)
    since = min(declared.since, before or declared.since)
    await upsert(tx, _coverage, [{**same, "since_day": days_since_1970(since)}])


async def _load_declared(tx: AsyncConnection, symbol: Symbol, source: str) -> DeclaredActions | None:
    """Load the actions that one source declares for a share; None if none were ever saved."""
    since = await _load_since(tx, symbol, source)
    if since is None:
        return None
    query = (
        select(_actions).where(*_of_symbol(_actions, symbol, source)).order_by(_actions.c.session_day, _actions.c.kind)
    )
    actions = [
        Action(session=day_of(row.session_day), kind=ActionKind(row.kind), value=row.value)
        for row in await tx.execute(query)
    ]
    return DeclaredActions(source=source, since=since, actions=tuple(actions))


async def _load_since(tx: AsyncConnection, symbol: Symbol, source: str) -> date | None:
    found = (await tx.execute(select(_coverage.c.since_day).where(*_of_symbol(_coverage, symbol, source)))).scalar()
    return None if found is None else day_of(found)


def _of_symbol(table: Table, symbol: Symbol, source: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.symbol == symbol, table.c.source == source


def _rows_of_holdings(one: Holdings) -> list[dict[str, Any]]:
    same = {"fund": one.fund, "as_of_day": days_since_1970(one.as_of), "source": one.source}
    return [
        {
            **same,
            "position": position,
            "ticker": holding.ticker,
            "exchange": holding.exchange,
            "name": holding.name,
            "kind": holding.kind.value,
            "weight": holding.weight,
            "shares": holding.shares,
            "market_value": holding.market_value,
        }
        for position, holding in enumerate(one.positions)
    ]


def _read_holdings(rows: Sequence[Row[Any]]) -> Holdings:
    return Holdings(
        fund=Symbol(rows[0].fund),
        as_of=day_of(rows[0].as_of_day),
        source=rows[0].source,
        positions=tuple(_read_positions(rows)),
    )


def _read_positions(rows: Iterable[Row[Any]]) -> Iterable[Holding]:
    for row in rows:
        yield Holding(
            ticker=row.ticker,
            weight=row.weight,
            kind=HoldingKind(row.kind),
            exchange=row.exchange,
            name=row.name,
            shares=row.shares,
            market_value=row.market_value,
        )
