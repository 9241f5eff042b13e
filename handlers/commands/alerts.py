"""/minerpulse ack, unack, snooze, resolve, history and why: a channel's alerts."""

from datetime import timedelta
from typing import NamedTuple

from handlers.command import split_number
from handlers.render.alert_text import alert_subject
from handlers.render.help import expects
from handlers.render.history import audit_message, history_message
from handlers.render.message import REASON_TEXT, clip
from handlers.render.responses import done_message, no_close_message, snoozed_message, unchanged_message
from handlers.request import Reply, Request
from services.alerting.snooze import SnoozeUntil, parse_snooze
from services.channels.commands import AlertOutcome
from services.core.errors import MarketClosedError, NotFoundError


def _is_optional_id(argument: str) -> bool:
    return not split_number(argument).rest


validate_number = expects(
    _is_optional_id, "Which alert? Type its number; you can leave it out if only one is open:", "ack", "unack"
)
validate_audit = expects(_is_optional_id, "Which alert? Type its number, or none for the newest:", "why", "history")


async def acknowledge(request: Request) -> Reply:
    """Acknowledge an alert."""
    alert_id = await _resolve_alert_id(request, split_number(request.value).number)
    return _reply(await request.commands.acknowledge(request.channel, alert_id, request.user_id), "Acknowledged")


async def unacknowledge(request: Request) -> Reply:
    """Remove an acknowledgement."""
    alert_id = await _resolve_alert_id(request, split_number(request.value).number)
    return _reply(
        await request.commands.unacknowledge(request.channel, alert_id, request.user_id),
        "No longer acknowledged",
    )


async def snooze(request: Request) -> Reply:
    """Mute an alert's thread for a while."""
    parsed = _parse_snooze(request.value)
    assert parsed is not None, "validated before"  # noqa: S101
    alert_id = await _resolve_alert_id(request, parsed.alert_id)
    try:
        outcome = await request.commands.snooze(request.channel, alert_id, request.user_id, parsed.span)
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))
    return Reply(message=(snoozed_message if outcome.changed else unchanged_message)(outcome.alert))


async def resolve(request: Request) -> Reply:
    """Resolve an alert manually."""
    parsed = split_number(request.value)
    alert_id = await _resolve_alert_id(request, parsed.number)
    outcome = await request.commands.resolve(request.channel, alert_id, request.user_id, clip(parsed.rest, REASON_TEXT))
    return _reply(outcome, "Resolved")


class _SnoozeArgument(NamedTuple):
    alert_id: int | None
    span: SnoozeUntil | timedelta


def _parse_snooze(argument: str) -> _SnoozeArgument | None:
    """Parse a duration and the alert id before it; in `2 hours` the number is its own, in `1 0m` it isn't."""
    parsed = split_number(argument)
    if (span := parse_snooze(parsed.rest)) is not None:
        return _SnoozeArgument(parsed.number, span)
    is_id = argument.startswith("#") or parsed.rest[:1].isdigit()
    span = None if parsed.number is not None and is_id else parse_snooze(argument)
    return None if span is None else _SnoozeArgument(None, span)


validate_snooze = expects(
    _parse_snooze, "For how long? As in 30m, 4h, 2h30m, 1d, until close or until open; 30 days at most:", "snooze"
)


def _reply(outcome: AlertOutcome, verb: str) -> Reply:
    return Reply(message=done_message(verb, outcome.alert) if outcome.changed else unchanged_message(outcome.alert))


async def _resolve_alert_id(request: Request, number: int | None) -> int:
    """Return the alert id; without a number, that of the only open alert.

    Raises NotFoundError if no alert or several are open.
    """
    if number is not None:
        return number
    match await request.commands.open_alerts(request.channel):
        case []:
            raise NotFoundError("No alert is open in this channel.")
        case [alert]:
            return alert.id
        case alerts:
            names = ", ".join(f"{alert.id} ({alert_subject(alert)})" for alert in alerts)
            raise NotFoundError(f"Several alerts are open here; say which by its number: {names}.")


async def show_history(request: Request) -> Reply:
    """List the channel's recent alerts."""
    alerts, votes = await request.commands.history(request.channel), await request.commands.votes(request.channel)
    return Reply(message=history_message(alerts, votes))


async def show_audit(request: Request) -> Reply:
    """Show the audit log of the alert, by default of the channel's newest."""
    audit = await request.commands.audit(request.channel, split_number(request.value).number)
    return Reply(message=audit_message(audit, request.now))
