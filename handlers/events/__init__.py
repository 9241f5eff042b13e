"""What Slack tells of by itself, by the event's type; a new one is a file and a row here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from handlers.events import home_opened, joined, left
from handlers.request import Request

EVENTS: dict[str, Callable[[Request, dict[str, Any]], Awaitable[None]]] = {
    "app_home_opened": home_opened.hear,
    "channel_deleted": left.hear,
    "channel_left": left.hear,
    "group_deleted": left.hear,
    "group_left": left.hear,
    "member_joined_channel": joined.hear,
}
