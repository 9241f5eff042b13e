"""A person has opened the app's Home tab."""

from __future__ import annotations

from typing import Any

from handlers.home_tab import publish
from handlers.request import Request


async def hear(ask: Request, body: dict[str, Any]) -> None:
    """Show the tab; its other tabs are Slack's own."""
    if body["event"].get("tab", "home") == "home":
        await publish(ask)
