"""What sources declare of shares, kept beside their closes."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
from sqlalchemy import ColumnElement, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.prices import Symbol
from services.market.consensus.corporate_actions import Action, Declared, Kind
from services.storage.repository import upsert
from services.storage.tables import actions, declared


async def save_declared(tx: AsyncConnection, symbol: Symbol, told: Declared, at: datetime) -> None:
    """Let what a source declares from a day on take the place of what it declared for those days.

    What it declares as before keeps the moment at which it was noted; the rest is noted at `at`.
    """
    ours = (*_of(actions, symbol, told.source), actions.c.session_day >= days_since_1970(told.since))
    noted = {
        (row.session_day, row.kind, row.value): row.noted_at for row in await tx.execute(select(actions).where(*ours))
    }
    rows = [(days_since_1970(one.session), one.kind.value, one.value) for one in told.actions]
    same = {"symbol": symbol, "source": told.source}
    await tx.execute(delete(actions).where(*ours))
    await upsert(
        tx,
        actions,
        [
            {**same, "session_day": row[0], "kind": row[1], "value": row[2], "noted_at": noted.get(row, at)}
            for row in rows
        ],
    )
    before = await _since(tx, symbol, told.source)
    since = min(told.since, before or told.since)
    await upsert(tx, declared, [{**same, "since_day": days_since_1970(since)}])


async def load_declared(tx: AsyncConnection, symbol: Symbol, source: str) -> Declared | None:
    """Load what one source declares of a share; None where nothing was ever saved of that."""
    since = await _since(tx, symbol, source)
    if since is None:
        return None
    query = select(actions).where(*_of(actions, symbol, source)).order_by(actions.c.session_day, actions.c.kind)
    told = [
        Action(session=day_of(row.session_day), kind=Kind(row.kind), value=row.value) for row in await tx.execute(query)
    ]
    return Declared(source=source, since=since, actions=tuple(told))


def days_since_1970(day: date) -> int:
    """Turn a day into the number that the tables keep."""
    return int(np.datetime64(day, "D").astype(np.int64))


def day_of(number: int) -> date:
    """Turn the number that the tables keep into a day."""
    day: date = np.datetime64(number, "D").astype(object)
    return day


async def _since(tx: AsyncConnection, symbol: Symbol, source: str) -> date | None:
    found = (await tx.execute(select(declared.c.since_day).where(*_of(declared, symbol, source)))).scalar()
    return None if found is None else day_of(found)


def _of(table: Table, symbol: Symbol, source: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.symbol == symbol, table.c.source == source
