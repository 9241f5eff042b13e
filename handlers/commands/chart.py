"""/minerpulse chart WINDOW: both legs drawn over a window."""

from __future__ import annotations

from handlers.commands.arguments import window_meant
from handlers.render.chart import chart_message, chart_picture
from handlers.request import Reply, Request
from services.market.measure import Window

USUAL = Window.D20


async def answer(ask: Request) -> Reply:
    """Draw both legs over the window that was typed, or over 20 sessions."""
    drawn = await ask.desk.chart(ask.channel, window_meant(ask.value) or USUAL)
    return Reply(message=chart_message(drawn, ask.now), picture=chart_picture(drawn))
