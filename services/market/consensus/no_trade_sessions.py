"""Calendar sessions without any trade, such as a day of mourning that isn't in the calendar yet."""

from datetime import datetime, timedelta

import numpy as np

from services.core.prices import Quote, to_datetime
from services.core.reason import Code, Reason
from services.core.sessions import Sessions
from services.market.consensus.closes import ConsensusHistory
from services.market.consensus.quorum import SourcePrices

PUBLISHED_AFTER = timedelta(hours=12)  # after a close; every answering source has it by then
MIN_WITNESSES = 2


def no_trade_sessions(
    history: ConsensusHistory, last: Quote | None, sessions: Sessions, now: datetime, *, answering: bool
) -> dict[np.datetime64, Reason]:
    """Return the finished sessions on which no source has a trade in a share, each with the reason.

    1. Sessions since the `last` trade, if every source is `answering`.
    2. Earlier sessions that two or more sources should have and do not. A gap at one source alone may be its own.

    A volume of 0 is not a trade. The reason says only that New York may have been closed.
    """
    keys = history.agreed.keys
    first, end = int(np.searchsorted(sessions.days, keys[0])), sessions.last_closed(now) + 1
    accepted = keys[np.isfinite(history.agreed.prices)]
    rows = [first + row for row in np.flatnonzero(~np.isin(sessions.days[first:end], accepted)).tolist()]
    reason = Reason.of(Code.NO_TRADE_ANYWHERE, symbol=history.symbol)
    found = {}
    for row in rows:
        day, since = sessions.days[row], now - to_datetime(sessions.closes_at[row])
        untraded = last is not None and last.at < to_datetime(sessions.opens_at[row])
        if any(_has_trade(column, day) for column in history.sources):
            continue
        if (answering and untraded) or _is_missing_at_witnesses(
            history, day, answering=answering and since > PUBLISHED_AFTER
        ):
            found[day] = reason
    return found


def _has_trade(prices: SourcePrices, day: np.datetime64) -> bool:
    """Return whether a source has a trade on a day."""
    return bool(np.any(np.isfinite(prices.traded_prices[prices.keys == day])))


def _is_missing_at_witnesses(history: ConsensusHistory, day: np.datetime64, *, answering: bool) -> bool:
    """Return whether enough sources cover a session: they have a later close, or are `answering` long after it."""
    covering = [prices for prices in history.sources if len(prices.keys) and prices.keys[0] < day]
    return sum(answering or bool(prices.keys[-1] > day) for prices in covering) >= MIN_WITNESSES
