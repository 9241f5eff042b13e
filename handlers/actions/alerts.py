"""Buttons and the snooze menu of an alert's message.

The outbox edits the message; only an action without effect gets a reply.
"""

from handlers.actions.payload import parse_alert_id, parse_snooze
from handlers.render.chart import chart_message, chart_picture
from handlers.render.history import audit_message
from handlers.render.responses import no_close_message, unchanged_message, vote_message
from handlers.request import Reply, Request
from services.channels.commands import AlertOutcome
from services.core.errors import MarketClosedError
from services.market.measure import Window
from services.rules.grammar import parse_rule

SHORTEST = Window.D1  # two points are too few for a line
DEFAULT_WINDOW = Window.D20


async def acknowledge(request: Request) -> Reply | None:
    """Acknowledge the alert."""
    alert_id = parse_alert_id(request.value)
    return _reply(await request.commands.acknowledge(request.channel, alert_id, request.user_id))


async def unacknowledge(request: Request) -> Reply | None:
    """Remove the acknowledgement."""
    alert_id = parse_alert_id(request.value)
    return _reply(await request.commands.unacknowledge(request.channel, alert_id, request.user_id))


async def snooze(request: Request) -> Reply | None:
    """Mute the alert's thread for a while."""
    alert_id, span = parse_snooze(request.value)
    try:
        return _reply(await request.commands.snooze(request.channel, alert_id, request.user_id, span))
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))


async def resolve(request: Request) -> Reply | None:
    """Resolve the alert."""
    alert_id = parse_alert_id(request.value)
    return _reply(await request.commands.resolve(request.channel, alert_id, request.user_id, ""))


def _reply(outcome: AlertOutcome) -> Reply | None:
    return None if outcome.changed else Reply(message=unchanged_message(outcome.alert))


async def vote_useful(request: Request) -> Reply:
    """Store a useful vote on an ended alert and show all votes."""
    return await _vote(request, noise=False)


async def vote_noise(request: Request) -> Reply:
    """Store a noise vote on an ended alert and show all votes."""
    return await _vote(request, noise=True)


async def _vote(request: Request, *, noise: bool) -> Reply:
    votes = await request.commands.vote(request.channel, parse_alert_id(request.value), request.user_id, noise=noise)
    return Reply(message=vote_message(votes, noise=noise))


async def show_audit(request: Request) -> Reply:
    """Show the data behind the alert and the delivery of its messages."""
    audit = await request.commands.audit(request.channel, parse_alert_id(request.value))
    return Reply(message=audit_message(audit, request.now))


async def show_chart(request: Request) -> Reply:
    """Chart both legs over the alert's window as of now, with its rule below, even if the alert has ended."""
    alert = await request.commands.alert(request.channel, parse_alert_id(request.value))
    window = alert.lead.measurement.window
    rule = parse_rule(alert.lead.rule)
    result = await request.commands.chart(request.channel, DEFAULT_WINDOW if window is SHORTEST else window, rule)
    return Reply(message=chart_message(result, request.now), picture=chart_picture(result))
