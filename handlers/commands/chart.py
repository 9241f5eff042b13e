"""/minerpulse chart WINDOW: both legs drawn over a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.commands.arguments import window_meant
from handlers.request import Reply
from services.market.measure import Window

if TYPE_CHECKING:
    from handlers.request import Request

USUAL = Window.D20


async def answer(ask: Request) -> Reply:
    """Draw both legs over the window that was typed, or over 20 sessions."""
    drawn = await ask.desk.chart(ask.channel, window_meant(ask.value) or USUAL)
    return Reply(message=render.chart(drawn, ask.now), picture=render.chart_picture(drawn))
