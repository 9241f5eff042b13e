"""/minerpulse ack, unack, snooze and resolve: what the buttons of an alert do, typed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from handlers.command import Command
from handlers.commands.arguments import alert_meant, wish
from handlers.render.help import usage_message
from handlers.render.limits import LONGEST_REASON, clip
from handlers.render.message import Message
from handlers.render.responses import done_message, no_close_message, snoozed_message, unchanged_message
from handlers.request import Reply, Request
from services.alerting.snooze import SnoozeUntil, parse_span
from services.channels.commands import Outcome
from services.core.errors import MarketShutError


def number_alone(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what is no number of an alert."""
    if not wish(argument).rest:
        return None
    rows = [command for command in commands if command.words in {("ack",), ("unack",)}]
    return usage_message(rows, "Which alert? Give its number, or none where one alone is open:")


def length_last(argument: str, commands: Sequence[Command]) -> Message | None:
    """Refuse what names no length of time."""
    if _length(argument) is not None:
        return None
    rows = [command for command in commands if command.words == ("snooze",)]
    return usage_message(rows, "For how long? As in 30m, 4h, 2h30m, 1d, until close or until open; 30 days at most:")


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
        return Reply(message=no_close_message(error.next_open_at))
    return Reply(message=(snoozed_message if outcome.changed else unchanged_message)(outcome.alert))


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
    return Reply(message=done_message(what, outcome.alert) if outcome.changed else unchanged_message(outcome.alert))
