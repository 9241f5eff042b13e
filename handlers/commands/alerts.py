"""/minerpulse ack, unack, snooze, unsnooze, resolve, test, history and why: a channel's alerts."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from handlers.command import split_number
from handlers.render.alert_text import alert_subject, mark_alert
from handlers.render.drill import drill_message
from handlers.render.help import expects
from handlers.render.history import audit_message, history_message
from handlers.render.message import REASON_TEXT, clip
from handlers.render.responses import (
    done_message,
    no_close_message,
    not_snoozed_message,
    snoozed_message,
    unchanged_message,
)
from handlers.request import Reply, Request
from services.alerting.alert import Alert
from services.alerting.setting_syntax import OFF
from services.alerting.snooze import SnoozeUntil, parse_snooze
from services.channels.commands import AlertOutcome
from services.core.errors import MarketClosedError, NotFoundError


def _is_optional_id(argument: str) -> bool:
    return not split_number(argument).rest


validate_number = expects(
    _is_optional_id, "Which alert? Type its number; you can omit it if only one is open:", "ack", "unack"
)
validate_unsnooze = expects(
    _is_optional_id, "Which alert? Type its number; you can omit it if only one is snoozed:", "unsnooze", "snooze"
)
validate_audit = expects(_is_optional_id, "Which alert? Type its number, or omit it for the newest:", "why", "history")


async def acknowledge(request: Request) -> Reply:
    """Acknowledge an alert."""
    alert_id = await _resolve_alert_id(request, split_number(request.value).number)
    return _reply(await request.commands.acknowledge(request.channel, alert_id, request.user_id), "Acknowledged")


async def unacknowledge(request: Request) -> Reply:
    """Remove an acknowledgement."""
    alert_id = await _resolve_alert_id(request, split_number(request.value).number)
    return _reply(
        await request.commands.unacknowledge(request.channel, alert_id, request.user_id),
        "Acknowledgement removed",
    )


async def snooze(request: Request) -> Reply:
    """Mute an alert's thread for a while; `off` ends that."""
    parsed = _parse_snooze(request.value)
    assert parsed is not None, "validated before"  # noqa: S101
    if parsed.span is None:
        return await _unsnooze(request, parsed.alert_id)
    alert_id = await _resolve_alert_id(request, parsed.alert_id)
    try:
        outcome = await request.commands.snooze(request.channel, alert_id, request.user_id, parsed.span)
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))
    return Reply(message=(snoozed_message if outcome.changed else unchanged_message)(outcome.alert))


async def unsnooze(request: Request) -> Reply:
    """End the snooze of an alert."""
    return await _unsnooze(request, split_number(request.value).number)


async def _unsnooze(request: Request, number: int | None) -> Reply:
    """End a snooze; without a number, the only one. Raises NotFoundError if no alert or several are snoozed."""
    if number is None:
        open_alerts = await request.commands.open_alerts(request.channel)
        snoozed = [alert for alert in open_alerts if alert.is_snoozed(request.now)]
        number = _only_one(snoozed, "No alert is snoozed in this channel.", "Several alerts are snoozed here")
    outcome = await request.commands.unsnooze(request.channel, number, request.user_id)
    if not outcome.changed:
        return Reply(message=not_snoozed_message(outcome.alert))
    return Reply(message=done_message("Snooze ended", outcome.alert))


async def resolve(request: Request) -> Reply:
    """Resolve an alert manually."""
    parsed = split_number(request.value)
    alert_id = await _resolve_alert_id(request, parsed.number)
    outcome = await request.commands.resolve(request.channel, alert_id, request.user_id, clip(parsed.rest, REASON_TEXT))
    return _reply(outcome, "Resolved")


class _SnoozeArgument(NamedTuple):
    """The alert, None for the only one, and for how long; None ends the snooze."""

    alert_id: int | None
    span: SnoozeUntil | timedelta | None


def _parse_snooze(argument: str) -> _SnoozeArgument | None:
    """Parse a duration and the alert id before it; in `2 hours` the number is its own, in `1 0m` it isn't."""
    parsed = split_number(argument)
    if parsed.rest.lower() == OFF:
        return _SnoozeArgument(parsed.number, None)
    if (span := parse_snooze(parsed.rest)) is not None:
        return _SnoozeArgument(parsed.number, span)
    is_id = argument.startswith("#") or parsed.rest[:1].isdigit()
    span = None if parsed.number is not None and is_id else parse_snooze(argument)
    return None if span is None else _SnoozeArgument(None, span)


validate_snooze = expects(
    _parse_snooze, "For how long? Type 30m, 4h, 2h30m, 1d, until close or until open (at most 30 days):", "snooze"
)


def _reply(outcome: AlertOutcome, verb: str) -> Reply:
    return Reply(message=done_message(verb, outcome.alert) if outcome.changed else unchanged_message(outcome.alert))


async def _resolve_alert_id(request: Request, number: int | None) -> int:
    """Return the alert id; without a number, that of the only open alert.

    Raises NotFoundError if no alert or several are open.
    """
    if number is not None:
        return number
    open_alerts = await request.commands.open_alerts(request.channel)
    return _only_one(open_alerts, "No alert is open in this channel.", "Several alerts are open here")


def _only_one(alerts: Sequence[Alert], none: str, several: str) -> int:
    """Return the id of the only alert. Raises NotFoundError with one of these texts if there are none or several."""
    match alerts:
        case []:
            raise NotFoundError(none)
        case [alert]:
            return alert.id
        case _:
            names = ", ".join(f"{alert.id} ({mark_alert(alert_subject(alert), alert)})" for alert in alerts)
            raise NotFoundError(f"{several}; add the number of one: {names}.")


async def start_drill(request: Request) -> Reply:
    """Post a test alert."""
    started = await request.commands.start_drill(request.channel, request.user_id)
    return Reply(message=drill_message(started))


async def show_history(request: Request) -> Reply:
    """List the channel's recent alerts."""
    alerts, votes = await request.commands.history(request.channel), await request.commands.votes(request.channel)
    return Reply(message=history_message(alerts, votes, request.now))


async def show_audit(request: Request) -> Reply:
    """Show the audit log of the alert, by default of the channel's newest."""
    audit = await request.commands.audit(request.channel, split_number(request.value).number)
    return Reply(message=audit_message(audit, request.now))
