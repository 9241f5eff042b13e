"""Rules that apply to every answer of a source: history depth, age limits, clock skew, and logging of faults."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from services.core.prices import Quote, Symbol
from services.core.reason import Code, Reason
from services.market.ports import NamesDropped

HISTORY_START = date(2010, 1, 1)  # no older prices are read; the calendar starts here, before any miner was listed
HOURS_START = date(2015, 1, 1)  # no older hourly prices of a coin are loaded
LOOKBACK = timedelta(days=930)  # what is loaded first: two and a half years for the pivot gauge
FIRST_SESSIONS = {  # of shares that were another business before a merger
    Symbol("WULF"): date(2021, 12, 14),
    Symbol("ABTC"): date(2025, 9, 3),
}
MAX_CLOCK_SKEW = timedelta(minutes=1)  # a vendor's clock may be ahead of ours
ANSWER_TTL = timedelta(seconds=10)  # all callers share one answer for this long
MAX_NAMED = 3  # values in one reason
MAX_LIVE_AGE = timedelta(minutes=20)  # an older trade is not a live price
log = logging.getLogger(__name__)


@dataclass(slots=True)
class FaultLog:
    """Content faults of a source's answers; logs the first fault of a symbol, and its recovery."""

    _open: set[Symbol] = field(default_factory=set)

    def record(self, source: str, symbol: Symbol, fault: Reason | None) -> Reason | None:
        """Return the fault with its source and symbol; None if there is none."""
        if fault is None:
            if symbol in self._open:
                log.info("%s (%s): recovered", source, symbol)
                self._open.discard(symbol)
            return None
        if symbol not in self._open:
            log.warning("%s (%s): %s", source, symbol, fault)
            self._open.add(symbol)
        return Reason.of(Code.SOURCE_FAULT, source=source, symbol=symbol, fault=fault)


def dropped_values(source: object, symbol: Symbol) -> Reason | None:
    """Return which values a source's last answers about a symbol lost because they were unusable; None if none."""
    if not isinstance(source, NamesDropped) or not (values := source.dropped(symbol)):
        return None
    shown = [*values[:MAX_NAMED], *(["…"] if len(values) > MAX_NAMED else [])]
    return Reason.of(Code.VALUES_DROPPED, source=getattr(source, "name", ""), symbol=symbol, values=shown)


def without_future(known: Quote | None, now: datetime) -> Quote | None:
    """Return the known trade; None if it lies ahead of our clock, which was set back since."""
    return None if known is not None and known.at > now + MAX_CLOCK_SKEW else known


def latest_quote(known: Quote | None, fresh: Quote | None, now: datetime) -> tuple[Quote | None, Reason | None]:
    """Return the later trade, and the problem if `fresh` is in the future.

    A vendor's cache can answer with a trade older than the known one. A known trade that lies ahead is dropped, as our
    clock was set back since.
    """
    known = without_future(known, now)
    if fresh is not None and fresh.at > now + MAX_CLOCK_SKEW:
        return known, Reason.of(Code.TRADE_AHEAD_OF_CLOCK, at=fresh.at)
    quotes = [quote for quote in (fresh, known) if quote is not None]
    return max(quotes, key=lambda quote: quote.at, default=None), None


def history_start(symbol: Symbol) -> date:
    """Return the first day whose prices of a share are used."""
    return FIRST_SESSIONS.get(symbol, HISTORY_START)


def lookback_start(now: datetime) -> date:
    """Return the first day that is loaded before the first answer."""
    return (now.astimezone(UTC) - LOOKBACK).date()
