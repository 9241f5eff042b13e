"""Slack events by type; a new one is a file and a row here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from handlers.events import home_opened, joined, left
from handlers.request import Request

EVENTS: dict[str, Callable[[Request, dict[str, Any]], Awaitable[None]]] = {
    "app_home_opened": home_opened.handle,
    "channel_deleted": left.handle,
    "channel_left": left.handle,
    "group_deleted": left.handle,
    "group_left": left.handle,
    "member_joined_channel": joined.handle,
}
