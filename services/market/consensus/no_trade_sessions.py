"""Untraded: sessions of the calendar without any trade, as on a day of mourning that it does not know yet."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from services.core.prices import Quote, moment
from services.core.sessions import Sessions
from services.market.consensus.closes import ConsensusHistory
from services.market.consensus.quorum import Column

EVERYWHERE = timedelta(hours=12)  # after a close, by when every source that answers has it
WITNESSES = 2


def untraded(
    past: ConsensusHistory, last: Quote | None, sessions: Sessions, now: datetime, *, answering: bool
) -> dict[np.datetime64, str]:
    """Find the finished sessions on which no source knows of a trade in a share, each with what is to be told.

    1. Those since the `last` trade, while every source is `answering`.
    2. Those further back that two sources or more should know and do not; a hole at one source alone may be its own.

    A volume of 0 is no trade. That New York was shut is likely, and no more than that.
    """
    keys = past.agreed.keys
    first, end = int(np.searchsorted(sessions.days, keys[0])), sessions.last_closed(now) + 1
    believed = keys[np.isfinite(past.agreed.prices)]
    rows = [first + row for row in np.flatnonzero(~np.isin(sessions.days[first:end], believed)).tolist()]
    reason = f"no {past.symbol} trade from any source: New York may have been shut"
    found = {}
    for row in rows:
        day, since = sessions.days[row], now - moment(sessions.closes_at[row])
        idle = last is not None and last.at < moment(sessions.opens_at[row])
        if any(_has(column, day) for column in past.columns):
            continue
        if (answering and idle) or _missed(past, day, answering=answering and since > EVERYWHERE):
            found[day] = reason
    return found


def _has(column: Column, day: np.datetime64) -> bool:
    """Tell whether a source knows of trades on a day."""
    return bool(np.any(np.isfinite(column.traded[column.keys == day])))


def _missed(past: ConsensusHistory, day: np.datetime64, *, answering: bool) -> bool:
    """Tell whether enough sources reach beyond a session: by a later close, or as they are `answering` long after."""
    reaching = [one for one in past.columns if len(one.keys) and one.keys[0] < day]
    return sum(answering or bool(one.keys[-1] > day) for one in reaching) >= WITNESSES
