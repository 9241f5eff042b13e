"""/minerpulse chart WINDOW: both legs drawn over a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers import render
from handlers.ask import Reply
from handlers.commands.window import window_meant
from services.domain.measure import Window

if TYPE_CHECKING:
    from handlers.ask import Ask

USUAL = Window.D20


async def answer(ask: Ask) -> Reply:
    """Draw both legs over the window that was typed, or over 20 sessions."""
    drawn = await ask.desk.chart(ask.channel, window_meant(ask.value) or USUAL)
    return Reply(message=render.chart(drawn, ask.now), picture=render.chart_picture(drawn))
