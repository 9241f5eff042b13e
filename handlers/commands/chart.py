"""/minerpulse chart [WINDOW]: both legs over a window."""

from __future__ import annotations

from handlers.commands.arguments import parse_window
from handlers.render.chart import chart_message, chart_picture
from handlers.request import Reply, Request
from services.market.measure import Window

DEFAULT_WINDOW = Window.D20


async def run(request: Request) -> Reply:
    """Chart both legs over the window, 20 sessions by default."""
    drawn = await request.commands.chart(request.channel, parse_window(request.value) or DEFAULT_WINDOW)
    return Reply(message=chart_message(drawn, request.now), picture=chart_picture(drawn))
