"""What every answer of a source is held against: the clock, the trade known before, and what was wrong last time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from services.core.prices import Quote, Symbol

BEGINNING = date(2015, 1, 1)  # nothing older is read; the calendar reaches back to it
NEEDED = timedelta(days=930)  # the pivot gauge's two years and the half before; percentiles need 504 sessions
AHEAD = timedelta(minutes=1)  # by which a vendor's clock may be before ours
SHARED_FOR = timedelta(seconds=10)  # how long one answer serves everyone who asks
LIVE_AT_MOST = timedelta(minutes=20)  # a trade older than this is no live price
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Faults:
    """What is wrong with the content of answers that came; the first of a symbol is logged, and the end of it."""

    _open: set[Symbol] = field(default_factory=set)

    def note(self, source: str, symbol: Symbol, problem: str | None) -> str | None:
        """Give the problem in the source's name."""
        if problem is None:
            if symbol in self._open:
                log.info("%s on %s: its answers can be used again", source, symbol)
                self._open.discard(symbol)
            return None
        told = f"{source} on {symbol}: {problem}"
        if symbol not in self._open:
            log.warning("%s", told)
            self._open.add(symbol)
        return told


def newer(known: Quote | None, fresh: Quote | None, now: datetime) -> tuple[Quote | None, str | None]:
    """Choose the later trade, as a vendor's cache must not turn the clock back; and say where one is of the future."""
    if fresh is not None and fresh.at > now + AHEAD:
        return known, f"its last trade is of {fresh.at:%H:%M:%S} UTC, ahead of our clock"
    quotes = [quote for quote in (fresh, known) if quote is not None]
    return max(quotes, key=lambda quote: quote.at, default=None), None


def oldest_needed(now: datetime) -> date:
    """Tell from which day on every window and every look-back has what it needs."""
    return (now.astimezone(UTC) - NEEDED).date()
