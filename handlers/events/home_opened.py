"""Event: a person opened the app's Home."""

from __future__ import annotations

from typing import Any

from handlers.home_tab import publish_home
from handlers.request import Request


async def handle(request: Request, body: dict[str, Any]) -> None:
    """Publish the Home tab; Slack renders the other tabs itself."""
    if body["event"].get("tab", "home") == "home":
        await publish_home(request)
