"""Chart button of an alert: both legs over the alert's window."""

from __future__ import annotations

from handlers.actions.payload import parse_alert_id
from handlers.render.chart import chart_message, chart_picture
from handlers.request import Reply, Request
from services.market.measure import Window
from services.rules.grammar import parse_rule

SHORTEST = Window.D1  # two points are not a curve
DEFAULT_WINDOW = Window.D20


async def run(request: Request) -> Reply:
    """Chart the alert's pair as of now with its rule below, even if the alert has ended."""
    alert = await request.commands.alert(request.channel, parse_alert_id(request.value))
    window = alert.lead.measurement.window
    rule = parse_rule(alert.lead.rule)
    result = await request.commands.chart(request.channel, DEFAULT_WINDOW if window is SHORTEST else window, rule)
    return Reply(message=chart_message(result, request.now), picture=chart_picture(result))
