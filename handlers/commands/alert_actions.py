"""/minerpulse ack, unack, snooze and resolve: what the buttons of an alert do, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from handlers import render
from handlers.commands.arguments import alert_meant, wish
from handlers.render.limits import LONGEST_REASON, clip
from handlers.request import Reply
from services.alerting.snooze import parse_span
from services.core.errors import MarketShutError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from handlers.command import Command
    from handlers.render import Message
    from handlers.request import Request
    from services.alerting.snooze import SnoozeUntil
    from services.channels.commands import Outcome


def number_alone(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no number of an alert."""
    if not wish(argument).rest:
        return None
    rows = [command for command in commands if command.words in {("ack",), ("unack",)}]
    return render.usage(rows, "Which alert? Give its number, or none where one alone is open:")


def length_last(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what names no length of time."""
    if _length(argument) is not None:
        return None
    rows = [command for command in commands if command.words == ("snooze",)]
    return render.usage(rows, "For how long? As in 30m, 4h, 2h30m, 1d, until close or until open; 30 days at most:")


async def acknowledge(ask: Request) -> Reply:
    """Mark an alert as seen."""
    number = await alert_meant(ask, wish(ask.value).number)
    return _reply(await ask.desk.acknowledge(ask.channel, number, ask.by), "Acknowledged")


async def unacknowledge(ask: Request) -> Reply:
    """Take that back."""
    number = await alert_meant(ask, wish(ask.value).number)
    return _reply(await ask.desk.unacknowledge(ask.channel, number, ask.by), "No longer acknowledged")


async def snooze(ask: Request) -> Reply:
    """Keep an alert's thread silent for a while."""
    meant = _length(ask.value)
    assert meant is not None, "length_last lets nothing else pass"  # noqa: S101
    number = await alert_meant(ask, meant.number)
    try:
        outcome = await ask.desk.snooze(ask.channel, number, ask.by, meant.span)
    except MarketShutError as error:
        return Reply(message=render.no_close(error.next_open_at))
    return Reply(message=(render.snoozed if outcome.changed else render.unchanged)(outcome.alert))


async def resolve(ask: Request) -> Reply:
    """End an alert by hand."""
    meant = wish(ask.value)
    number = await alert_meant(ask, meant.number)
    return _reply(await ask.desk.resolve(ask.channel, number, ask.by, clip(meant.rest, LONGEST_REASON)), "Resolved")


class _Length(NamedTuple):
    number: int | None
    span: SnoozeUntil | timedelta


def _length(argument: str) -> _Length | None:
    """Read a length, of the alert whose number is in front; in `2 hours` the number is the length's own."""
    meant = wish(argument)
    if (span := parse_span(meant.rest)) is not None:
        return _Length(meant.number, span)
    span = None if argument.startswith("#") else parse_span(argument)
    return None if span is None else _Length(None, span)


def _reply(outcome: Outcome, what: str) -> Reply:
    return Reply(message=render.done(what, outcome.alert) if outcome.changed else render.unchanged(outcome.alert))
