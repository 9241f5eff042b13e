"""Dividends and splits that sources declare, stored beside their closes."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
from sqlalchemy import ColumnElement, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.prices import Symbol
from services.market.consensus.corporate_actions import Action, ActionKind, DeclaredActions
from services.storage.repository import upsert
from services.storage.tables import action_coverage, corporate_actions


async def save_declared(tx: AsyncConnection, symbol: Symbol, declared: DeclaredActions, at: datetime) -> None:
    """Replace what a source declares from a day on.

    An action that is declared again keeps its `recorded_at`; the others get `at`.
    """
    ours = (
        *_of_symbol(corporate_actions, symbol, declared.source),
        corporate_actions.c.session_day >= days_since_1970(declared.since),
    )
    recorded = {
        (row.session_day, row.kind, row.value): row.recorded_at
        for row in await tx.execute(select(corporate_actions).where(*ours))
    }
    rows = [(days_since_1970(one.session), one.kind.value, one.value) for one in declared.actions]
    same = {"symbol": symbol, "source": declared.source}
    await tx.execute(delete(corporate_actions).where(*ours))
    await upsert(
        tx,
        corporate_actions,
        [
            {**same, "session_day": row[0], "kind": row[1], "value": row[2], "recorded_at": recorded.get(row, at)}
            for row in rows
        ],
    )
    before = await _load_since(tx, symbol, declared.source)
    since = min(declared.since, before or declared.since)
    await upsert(tx, action_coverage, [{**same, "since_day": days_since_1970(since)}])


async def load_declared(tx: AsyncConnection, symbol: Symbol, source: str) -> DeclaredActions | None:
    """Load the actions that one source declares for a share; None if none were ever saved."""
    since = await _load_since(tx, symbol, source)
    if since is None:
        return None
    query = (
        select(corporate_actions)
        .where(*_of_symbol(corporate_actions, symbol, source))
        .order_by(corporate_actions.c.session_day, corporate_actions.c.kind)
    )
    actions = [
        Action(session=day_of(row.session_day), kind=ActionKind(row.kind), value=row.value)
        for row in await tx.execute(query)
    ]
    return DeclaredActions(source=source, since=since, actions=tuple(actions))


def days_since_1970(day: date) -> int:
    """Return a date as the stored day number."""
    return int(np.datetime64(day, "D").astype(np.int64))


def day_of(number: int) -> date:
    """Return the date of a stored day number."""
    day: date = np.datetime64(number, "D").astype(object)
    return day


async def _load_since(tx: AsyncConnection, symbol: Symbol, source: str) -> date | None:
    found = (
        await tx.execute(select(action_coverage.c.since_day).where(*_of_symbol(action_coverage, symbol, source)))
    ).scalar()
    return None if found is None else day_of(found)


def _of_symbol(table: Table, symbol: Symbol, source: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.symbol == symbol, table.c.source == source
