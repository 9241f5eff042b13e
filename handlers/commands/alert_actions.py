"""/minerpulse ack, unack, snooze and resolve: typed forms of an alert's buttons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from handlers.command import Command
from handlers.commands.arguments import resolve_alert_id, split_number
from handlers.render.help import usage_message
from handlers.render.limits import REASON_TEXT, clip
from handlers.render.message import Message
from handlers.render.responses import done_message, no_close_message, snoozed_message, unchanged_message
from handlers.request import Reply, Request
from services.alerting.snooze import SnoozeUntil, parse_snooze
from services.channels.commands import AlertOutcome
from services.core.errors import MarketClosedError


def validate_number(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument isn't an alert id."""
    if not split_number(argument).rest:
        return None
    rows = [command for command in commands if command.words in {("ack",), ("unack",)}]
    return usage_message(rows, "Which alert? Give its number, or none where one alone is open:")


def validate_snooze(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument has no duration."""
    if _parse_snooze(argument) is not None:
        return None
    rows = [command for command in commands if command.words == ("snooze",)]
    return usage_message(rows, "For how long? As in 30m, 4h, 2h30m, 1d, until close or until open; 30 days at most:")


async def acknowledge(request: Request) -> Reply:
    """Acknowledge an alert."""
    alert_id = await resolve_alert_id(request, split_number(request.value).number)
    return _reply(await request.commands.acknowledge(request.channel, alert_id, request.user_id), "Acknowledged")


async def unacknowledge(request: Request) -> Reply:
    """Remove an acknowledgement."""
    alert_id = await resolve_alert_id(request, split_number(request.value).number)
    return _reply(
        await request.commands.unacknowledge(request.channel, alert_id, request.user_id),
        "No longer acknowledged",
    )


async def snooze(request: Request) -> Reply:
    """Mute an alert's thread for a while."""
    parsed = _parse_snooze(request.value)
    assert parsed is not None, "validated by validate_snooze"  # noqa: S101
    alert_id = await resolve_alert_id(request, parsed.alert_id)
    try:
        outcome = await request.commands.snooze(request.channel, alert_id, request.user_id, parsed.span)
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))
    return Reply(message=(snoozed_message if outcome.changed else unchanged_message)(outcome.alert))


async def resolve(request: Request) -> Reply:
    """Resolve an alert manually."""
    parsed = split_number(request.value)
    alert_id = await resolve_alert_id(request, parsed.number)
    return _reply(
        await request.commands.resolve(request.channel, alert_id, request.user_id, clip(parsed.rest, REASON_TEXT)),
        "Resolved",
    )


class _SnoozeArgument(NamedTuple):
    alert_id: int | None
    span: SnoozeUntil | timedelta


def _parse_snooze(argument: str) -> _SnoozeArgument | None:
    """Parse a duration and the alert id before it; in `2 hours` the number belongs to the duration."""
    parsed = split_number(argument)
    if (span := parse_snooze(parsed.rest)) is not None:
        return _SnoozeArgument(parsed.number, span)
    span = None if argument.startswith("#") else parse_snooze(argument)
    return None if span is None else _SnoozeArgument(None, span)


def _reply(outcome: AlertOutcome, verb: str) -> Reply:
    return Reply(message=done_message(verb, outcome.alert) if outcome.changed else unchanged_message(outcome.alert))
