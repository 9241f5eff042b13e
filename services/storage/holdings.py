"""Fund holdings; each day's are saved and replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Row, delete, select

from services.core.prices import Symbol
from services.market.holdings import Holding, HoldingKind, Holdings
from services.storage.repository import Repository
from services.storage.tables import holdings

EPOCH = date(1970, 1, 1)


class HoldingsRepository(Repository):
    """The `HoldingsStore` implementation."""

    async def save_holdings(self, snapshots: Sequence[Holdings]) -> list[date]:
        """Save holdings in one transaction; each replaces all stored ones of its fund and day.

        Returns the days whose holdings were replaced.
        """
        replaced = []
        async with self._database.write() as tx:
            for one in snapshots:
                same_day = holdings.c.fund == one.fund, holdings.c.as_of_day == _day(one.as_of)
                if (await tx.execute(delete(holdings).where(*same_day))).rowcount:
                    replaced.append(one.as_of)
                await tx.execute(holdings.insert(), _rows(one))
        return replaced

    async def load_holdings(self, fund: Symbol) -> list[Holdings]:
        """Load every day's holdings of a fund, oldest first."""
        query = select(holdings).where(holdings.c.fund == fund).order_by(holdings.c.as_of_day, holdings.c.position)
        async with self._database.read() as tx:
            rows = (await tx.execute(query)).all()
        return [_read(list(day)) for _, day in groupby(rows, key=lambda row: row.as_of_day)]


def _rows(one: Holdings) -> list[dict[str, Any]]:
    same = {"fund": one.fund, "as_of_day": _day(one.as_of), "source": one.source}
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


def _read(rows: Sequence[Row[Any]]) -> Holdings:
    return Holdings(
        fund=Symbol(rows[0].fund),
        as_of=EPOCH + timedelta(days=rows[0].as_of_day),
        source=rows[0].source,
        positions=tuple(_positions(rows)),
    )


def _positions(rows: Iterable[Row[Any]]) -> Iterable[Holding]:
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


def _day(day: date) -> int:
    return (day - EPOCH).days
