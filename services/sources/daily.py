"""New York's days: the closes of finished sessions out of daily rows, and trades that were made within a session."""

from __future__ import annotations

from datetime import time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from services.domain.prices import Closes
from services.domain.sessions import sessions_around

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from services.domain.prices import Symbol

NEW_YORK = ZoneInfo("America/New_York")
NOT_NEW_YORK = "is not traded in US dollars in New York, so it has no New York close; choose a US listing"
EVENING = time(17)  # an hour after the close, a daily row is no live price any more
RECENT = timedelta(days=7)


def final_closes(symbol: Symbol, source: str, rows: Mapping[date, float], since: date, now: datetime) -> Closes:
    """Make columns of the rows from `since` on; today's is left out until the evening, as nothing tells its time."""
    local = now.astimezone(NEW_YORK)
    last = local.date() if local.time() >= EVENING else local.date() - timedelta(days=1)
    days = sorted(day for day in rows if since <= day <= last)
    return Closes(
        symbol=symbol,
        sessions=np.array(days, dtype="datetime64[D]"),
        prices=np.array([rows[day] for day in days], dtype=np.float64),
        source=source,
    )


def in_session(at: datetime, now: datetime) -> bool:
    """Tell whether a trade of the last days was made in New York's regular hours; before and after, few trade."""
    if not now - RECENT <= at <= now + RECENT:
        return False
    state = sessions_around(now.date(), since=(now - 2 * RECENT).date()).state(at)
    return state.is_open or at == state.closes_at
