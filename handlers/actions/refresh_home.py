"""Refresh button of the Home tab."""

from __future__ import annotations

from handlers.home_tab import publish_home
from handlers.request import Request


async def run(request: Request) -> None:
    """Publish the Home tab again."""
    await publish_home(request)
