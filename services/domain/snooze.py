"""Snooze: for how long a person can ask for silence, and when that ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from services.domain.errors import MarketShutError

if TYPE_CHECKING:
    from services.domain.sessions import MarketState


class Span(Enum):
    """What is offered, in this order; LENGTHS has those that are as long at any time."""

    HALF_HOUR = "30m"
    HOUR = "1h"
    FOUR_HOURS = "4h"
    CLOSE = "close"
    OPEN = "open"


LENGTHS = {
    Span.HALF_HOUR: timedelta(minutes=30),
    Span.HOUR: timedelta(hours=1),
    Span.FOUR_HOURS: timedelta(hours=4),
}


def end_of(span: Span, market: MarketState, now: datetime) -> datetime:
    """Tell when a snooze that begins now ends. Raises MarketShutError where there is no close to wait for."""
    if span is Span.OPEN:
        return market.next_open_at
    if span is not Span.CLOSE:
        return now + LENGTHS[span]
    if not market.is_open:
        raise MarketShutError(market.next_open_at)
    return market.closes_at
