"""Chart: both legs drawn over the window that an alert is about."""

from __future__ import annotations

from handlers.actions.payload import alert_id
from handlers.render.chart import chart_message, chart_picture
from handlers.request import Reply, Request
from services.market.measure import Window
from services.rules.grammar import parse_rule

TWO_POINTS = Window.D1  # which is no curve
INSTEAD = Window.D20


async def answer(ask: Request) -> Reply:
    """Draw the alert's pair as it is now, with its rule beneath, also for an alert that has ended."""
    alert = await ask.desk.alert(ask.channel, alert_id(ask.value))
    window = alert.lead.measurement.window
    rule = parse_rule(alert.lead.rule)
    drawn = await ask.desk.chart(ask.channel, INSTEAD if window is TWO_POINTS else window, rule)
    return Reply(message=chart_message(drawn, ask.now), picture=chart_picture(drawn))
