"""Closes of an answer: which are final, which are new, and whether they are of the past that is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from services.core.prices import Closes, Quote, moment
from services.core.sessions import Sessions
from services.market.ports import EquityPrices

SETTLED_AFTER = timedelta(minutes=15)
LAST_TRADE = timedelta(minutes=20)  # before the close: an older last trade does not tell the close yet
WAITED_ENOUGH = timedelta(hours=2)
REBASED = 0.2  # no close is corrected by a fifth; a split rewrites every close before it
SAME_RATIO, SPLIT_AT_LEAST, SPLIT_SESSIONS = 0.001, 0.01, 3
LATE_SESSIONS = 3  # the last close may not be out yet, and New York may have been shut on the day before


def final_closes(answer: EquityPrices, sessions: Sessions, now: datetime) -> Closes:
    """Keep the closes that will not move any more, of the last session only once the vendor's clock tells so."""
    last = sessions.last_closed(now)
    limit = sessions.days[last if _settled(answer.quote, moment(sessions.closes_at[last]), now) else last - 1]
    return answer.closes.where(answer.closes.sessions <= limit)


def _settled(quote: Quote | None, closes_at: datetime, now: datetime) -> bool:
    """Tell whether a last trade makes the price of a session that has ended its close.

    It does at or after the close; a quarter of an hour later also where it is one of the last minutes, as in a thin
    ETF. A frozen quote does not, until nothing newer can be hoped for.
    """
    if quote is not None and quote.at >= closes_at:
        return True
    waited = now - closes_at
    fresh = quote is None or quote.at >= closes_at - LAST_TRADE
    return waited >= (SETTLED_AFTER if fresh else WAITED_ENOUGH)


def late_by(closes: Closes, sessions: Sessions, now: datetime) -> str | None:
    """Say where the last three closes are missing: one may not be out yet, and New York may have been shut before."""
    last = sessions.last_closed(now)
    if not len(closes) or closes.sessions[-1] > sessions.days[last - LATE_SESSIONS]:
        return None
    behind = last - int(np.searchsorted(sessions.days, closes.sessions[-1]))
    return f"is late: its newest close is of {closes.sessions[-1]}, {behind} sessions before the last"


def news_of(known: Closes, fresh: Closes) -> Closes:
    """Keep the closes that are not known or not with this price, or of which it is new where they opened or who traded.

    Of trade it is news only whether there was any.
    """
    same = np.isin(fresh.sessions, known.sessions)
    rows = np.searchsorted(known.sessions, fresh.sessions[same])
    volumes, before = fresh.known_volumes[same], known.known_volumes[rows]
    turned = np.isfinite(volumes) & ((volumes == 0) != (before == 0))
    inside, opened = fresh.known_inside[same], known.known_inside[rows]
    moved = np.isfinite(inside) & (inside != opened)
    same[same] = (known.prices[rows] == fresh.prices[same]) & ~turned & ~moved
    return fresh.where(~same)


def has_hole(known: Closes, sessions: Sessions, since: date) -> bool:
    """Tell whether a session between the first and the last known close is missing, from a day on."""
    first, last = (max(day, np.datetime64(since, "D")) for day in known.sessions[[0, -1]])
    inside = sessions.days[(sessions.days >= first) & (sessions.days <= last)]
    return not bool(np.isin(inside, known.sessions).all())


def lacks_openings(known: Closes, since: date) -> bool:
    """Tell whether no session from a day on is known with its opening, as those kept by earlier releases."""
    return not np.isfinite(known.known_inside[known.sessions >= np.datetime64(since, "D")]).any()


def is_rebased(known: Closes, fresh: Closes) -> bool:
    """Tell whether a split has rewritten the past: one ratio throughout, or one that no correction has."""
    shared, mine, theirs = np.intersect1d(known.sessions, fresh.sessions, return_indices=True)
    if not len(shared):
        return False
    ratios = fresh.prices[theirs] / known.prices[mine]
    even = bool(np.ptp(ratios) < SAME_RATIO) and len(shared) >= SPLIT_SESSIONS
    return bool(np.any(np.abs(ratios - 1) > REBASED)) or (even and bool(abs(ratios[0] - 1) > SPLIT_AT_LEAST))


def is_foreign(known: Closes, fresh: Closes) -> bool:
    """Tell whether closes are of another past altogether: moved on several sessions, and by no common ratio."""
    _, mine, theirs = np.intersect1d(known.sessions, fresh.sessions, return_indices=True)
    ratios = fresh.prices[theirs] / known.prices[mine]
    moved = ratios[np.abs(ratios - 1) > SPLIT_AT_LEAST]
    return len(moved) >= SPLIT_SESSIONS and bool(moved.max() / moved.min() - 1 > SPLIT_AT_LEAST)


def merged(known: Closes, fresh: Closes) -> Closes:
    """Put fresh closes among the known ones, in the place of those of the same sessions."""
    kept = known.where(~np.isin(known.sessions, fresh.sessions))
    sessions = np.concatenate([kept.sessions, fresh.sessions])
    order = np.argsort(sessions)
    return replace(
        fresh,
        sessions=sessions[order],
        prices=np.concatenate([kept.prices, fresh.prices])[order],
        volumes=np.concatenate([kept.known_volumes, fresh.known_volumes])[order],
        inside=np.concatenate([kept.known_inside, fresh.known_inside])[order],
    )
