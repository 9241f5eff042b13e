"""The manifest that the Slack app is created from."""

from __future__ import annotations

import json
from typing import Any

from handlers.commands import usage_hint
from handlers.commands.command import SLASH
from handlers.events import EVENTS

SCOPES = ("commands", "chat:write")
LOOK_UP_SCOPES = ("channels:history", "groups:history")  # to see whether a message arrived whose answer was lost
PRESENCE_SCOPES = ("channels:read", "groups:read")  # to be told when it is added to a channel, and taken out of one
BOARD_SHORTCUT = {
    "name": "Show the board",
    "type": "global",
    "callback_id": "board",
    "description": "The ETF against bitcoin, now",
}
PATH = "/slack/events"
PLACEHOLDER = "https://minerpulse.example.com"
NAME = "MinerPulse"
ABOUT = "Tells a trading desk when bitcoin miners stop moving with bitcoin."


def manifest(url: str | None) -> dict[str, Any]:
    """Describe the app as Slack reaches it at `url`; None for Socket Mode, which needs no address."""
    request = {} if url is None else {"url": url}
    interactivity = {} if url is None else {"request_url": url}
    return {
        "display_information": {"name": NAME, "description": ABOUT, "background_color": "#1d2b3a"},
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": False,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": NAME, "always_online": True},
            "shortcuts": [BOARD_SHORTCUT],
            "slash_commands": [
                {"command": SLASH, **request, "description": ABOUT, "usage_hint": usage_hint(), "should_escape": False}
            ],
        },
        "oauth_config": {"scopes": {"bot": [*SCOPES, *LOOK_UP_SCOPES, *PRESENCE_SCOPES]}},
        "settings": {
            "event_subscriptions": {**interactivity, "bot_events": sorted(EVENTS)},
            "interactivity": {"is_enabled": True, **interactivity},
            "org_deploy_enabled": False,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": False,
        },
    }


def endpoint(address: str) -> str:
    """Complete the address of the app to that of its one endpoint."""
    return f"{address.rstrip('/').removesuffix(PATH)}{PATH}"


def written(document: dict[str, Any]) -> str:
    """Write a manifest as people read it."""
    return json.dumps(document, indent=2, ensure_ascii=False)
