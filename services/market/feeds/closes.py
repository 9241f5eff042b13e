"""Checks of a source's closes: which are final, which changed, and whether they fit the known history."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from services.core.prices import Closes, Quote, to_datetime
from services.core.reason import Code, Reason
from services.core.sessions import Sessions
from services.market.ports import EquityPrices

SETTLE_AFTER = timedelta(minutes=15)
LAST_TRADE_WINDOW = timedelta(minutes=20)  # before the close; an older last trade does not confirm the close
MAX_SETTLE_WAIT = timedelta(hours=2)
MIN_REBASE = 0.2  # no correction reaches a fifth; a split rewrites every close before it
RATIO_TOLERANCE, MIN_SPLIT, MIN_SPLIT_SESSIONS = 0.001, 0.01, 3
MAX_MISSING_SESSIONS = 3  # the last close may not be published yet, and New York may have been closed the day before


def final_closes(answer: EquityPrices, sessions: Sessions, now: datetime) -> Closes:
    """Return the closes that will not change; the last session's only once the vendor's clock confirms it."""
    last = sessions.last_closed(now)
    limit = sessions.days[last if _is_settled(answer.quote, to_datetime(sessions.closes_at[last]), now) else last - 1]
    return answer.closes.select(answer.closes.sessions <= limit)


def finished_closes(closes: Closes, sessions: Sessions, now: datetime) -> Closes:
    """Return the closes of the sessions that are over at `now`."""
    return closes.select(closes.sessions <= sessions.days[sessions.last_closed(now)])


def _is_settled(quote: Quote | None, closes_at: datetime, now: datetime) -> bool:
    """Return whether a last trade confirms the close of a session that has ended.

    A trade at or after the close does. From 15 minutes after the close, so does a trade of the last minutes, as in a
    thin ETF, or a source without last trades. An older, frozen quote does not until the maximum wait is over.
    """
    if quote is not None and quote.at >= closes_at:
        return True
    waited = now - closes_at
    fresh = quote is None or quote.at >= closes_at - LAST_TRADE_WINDOW
    return waited >= (SETTLE_AFTER if fresh else MAX_SETTLE_WAIT)


def late_problem(closes: Closes, sessions: Sessions, now: datetime) -> Reason | None:
    """Return the problem if the last three closes are missing.

    A single missing close is not a problem: it may not be published yet, or New York may have been closed.
    """
    last = sessions.last_closed(now)
    if not len(closes) or closes.sessions[-1] > sessions.days[last - MAX_MISSING_SESSIONS]:
        return None
    behind = last - int(np.searchsorted(sessions.days, closes.sessions[-1]))
    return Reason.of(Code.CLOSES_LATE, newest=closes.sessions[-1].item(), behind_sessions=behind)


def changed_closes(known: Closes, fresh: Closes) -> Closes:
    """Return the closes that are new, or whose price, opening or trading status changed.

    Of a volume, only a change between zero and non-zero counts.
    """
    same = np.isin(fresh.sessions, known.sessions)
    rows = np.searchsorted(known.sessions, fresh.sessions[same])
    volumes, known_volumes = fresh.known_volumes[same], known.known_volumes[rows]
    trading_changed = np.isfinite(volumes) & ((volumes == 0) != (known_volumes == 0))
    fresh_returns, known_returns = fresh.known_open_to_close[same], known.known_open_to_close[rows]
    opening_changed = np.isfinite(fresh_returns) & (fresh_returns != known_returns)
    same[same] = (known.prices[rows] == fresh.prices[same]) & ~trading_changed & ~opening_changed
    return fresh.select(~same)


def has_missing_session(known: Closes, sessions: Sessions, since: date) -> bool:
    """Return whether a session since `since` is missing between the first and the last known close."""
    first, last = (max(day, np.datetime64(since, "D")) for day in known.sessions[[0, -1]])
    expected = sessions.days[(sessions.days >= first) & (sessions.days <= last)]
    return not bool(np.isin(expected, known.sessions).all())


def lacks_openings(known: Closes, since: date) -> bool:
    """Return whether no session since `since` has a known opening, as in data that earlier releases stored."""
    return not np.isfinite(known.known_open_to_close[known.sessions >= np.datetime64(since, "D")]).any()


def is_rebased(known: Closes, fresh: Closes) -> bool:
    """Return whether a split has rewritten the history: one common ratio, or one too large for a correction."""
    common, known_rows, fresh_rows = np.intersect1d(known.sessions, fresh.sessions, return_indices=True)
    if not len(common):
        return False
    ratios = fresh.prices[fresh_rows] / known.prices[known_rows]
    is_uniform = bool(np.ptp(ratios) < RATIO_TOLERANCE) and len(common) >= MIN_SPLIT_SESSIONS
    return bool(np.any(np.abs(ratios - 1) > MIN_REBASE)) or (is_uniform and bool(abs(ratios[0] - 1) > MIN_SPLIT))


def is_unrelated(known: Closes, fresh: Closes) -> bool:
    """Return whether the closes belong to another price series: several sessions differ, by no common ratio."""
    _, known_rows, fresh_rows = np.intersect1d(known.sessions, fresh.sessions, return_indices=True)
    ratios = fresh.prices[fresh_rows] / known.prices[known_rows]
    moved = ratios[np.abs(ratios - 1) > MIN_SPLIT]
    return len(moved) >= MIN_SPLIT_SESSIONS and bool(moved.max() / moved.min() - 1 > MIN_SPLIT)


def merge_closes(known: Closes, fresh: Closes) -> Closes:
    """Merge fresh closes into the known ones; a fresh close replaces the known one of its session."""
    unchanged = known.select(~np.isin(known.sessions, fresh.sessions))
    sessions = np.concatenate([unchanged.sessions, fresh.sessions])
    order = np.argsort(sessions)
    return replace(
        fresh,
        sessions=sessions[order],
        prices=np.concatenate([unchanged.prices, fresh.prices])[order],
        volumes=np.concatenate([unchanged.known_volumes, fresh.known_volumes])[order],
        open_to_close=np.concatenate([unchanged.known_open_to_close, fresh.known_open_to_close])[order],
    )
