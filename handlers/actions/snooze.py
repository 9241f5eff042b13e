"""Snooze: keep an alert's thread silent for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from handlers import render
from handlers.actions.value import OUT_OF_USE, alert_and_span
from handlers.ask import Reply
from services.domain.errors import NotFoundError

if TYPE_CHECKING:
    from datetime import datetime

    from handlers.ask import Ask
    from services.domain.sessions import MarketState

LENGTHS = {"30m": timedelta(minutes=30), "1h": timedelta(hours=1), "4h": timedelta(hours=4)}


async def answer(ask: Ask) -> Reply | None:
    """Mark the alert; its message is edited by the outbox, so only what changed nothing is told."""
    number, span = alert_and_span(ask.value)
    now = ask.now
    market = ask.desk.market.history.sessions(now).state(now)
    until = end_of(span, market, now)
    if until is None:
        return Reply(message=render.no_close(market))
    outcome = await ask.desk.snooze(ask.channel, number, ask.by, until)
    return None if outcome.changed else Reply(message=render.unchanged(outcome.alert))


def end_of(span: str, market: MarketState, now: datetime) -> datetime | None:
    """Tell when a snooze ends; None for a close that is past already. Raises NotFoundError for an unknown span."""
    match span:
        case "open":
            return market.next_open_at
        case "close":
            return market.closes_at if market.is_open else None
        case _ if span in LENGTHS:
            return now + LENGTHS[span]
        case _:
            raise NotFoundError(OUT_OF_USE)
