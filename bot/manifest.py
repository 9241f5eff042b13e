"""The manifest that the Slack app is created from: for one workspace, or for many that install it."""

from __future__ import annotations

import json
from typing import Any

from bot.oauth.flow import REDIRECT_PATH
from handlers.command import SLASH
from handlers.commands import usage_hint
from handlers.events import EVENTS
from handlers.uninstall import EVENTS as LEAVING

NEEDED = {
    "commands": "`/minerpulse`, and its answers",
    "chat:write": "alerts, edited in place, with their threads, in channels that the app is invited to; to you, why "
    "the shortcut did not open",
}
LOOK_UP = {
    "channels:history": "whether an alert has arrived in a public channel where its answer was lost; no more is read",
    "groups:history": "the same in a private channel",
}
PRESENCE = {
    "channels:read": "to be told when it is added to a public channel, and taken out of one",
    "groups:read": "the same for a private channel",
}
PICTURES = {"files:write": "charts as pictures, as files that it uploads itself; it reads none"}
SCOPES, LOOK_UP_SCOPES, PRESENCE_SCOPES = tuple(NEEDED), tuple(LOOK_UP), tuple(PRESENCE)
ALL_SCOPES = (*SCOPES, *LOOK_UP_SCOPES, *PRESENCE_SCOPES, *PICTURES)
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


def manifest(address: str | None, *, distributed: bool = False) -> dict[str, Any]:
    """Describe the app as Slack reaches it at an address; None for Socket Mode, which needs none.

    A `distributed` app is installed by many workspaces, over HTTP: it has a way back from Slack's page, tokens that
    expire, and is told when one uninstalls it.
    """
    url = None if address is None else f"{address}{PATH}"
    request = {} if url is None else {"url": url}
    interactivity = {} if url is None else {"request_url": url}
    redirect = {"redirect_urls": [f"{address}{REDIRECT_PATH}"]} if distributed else {}
    events = (*EVENTS, *LEAVING) if distributed else EVENTS
    return {
        "display_information": {"name": NAME, "description": ABOUT, "background_color": "#1d2b3a"},
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": NAME, "always_online": True},
            "shortcuts": [BOARD_SHORTCUT],
            "slash_commands": [
                {"command": SLASH, **request, "description": ABOUT, "usage_hint": usage_hint(), "should_escape": True}
            ],
        },
        "oauth_config": {**redirect, "scopes": {"bot": [*ALL_SCOPES]}},
        "settings": {
            "event_subscriptions": {**interactivity, "bot_events": sorted(events)},
            "interactivity": {"is_enabled": True, **interactivity},
            "org_deploy_enabled": distributed,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": distributed,
        },
    }


def base(address: str) -> str:
    """Cut the address of the app, or of its endpoint, down to where its paths begin."""
    return address.rstrip("/").removesuffix(PATH)


def readme_table() -> str:
    """Give the scopes as a table in Markdown."""
    rows = [f"| `{scope}` | {reason} |" for scope, reason in (NEEDED | LOOK_UP | PRESENCE | PICTURES).items()]
    return "\n".join(["| Scope | What for |", "|---|---|", *rows])


def written(document: dict[str, Any]) -> str:
    """Write a manifest as people read it."""
    return json.dumps(document, indent=2, ensure_ascii=False)
