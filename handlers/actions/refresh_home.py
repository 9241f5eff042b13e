"""Refresh on the Home tab: the tab again, as it is now."""

from __future__ import annotations

from handlers.home_tab import publish
from handlers.request import Request


async def answer(ask: Request) -> None:
    """Show the tab as it is now."""
    await publish(ask)
