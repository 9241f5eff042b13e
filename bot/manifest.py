"""The Slack app manifest, for one workspace or for distribution."""

import json
from typing import Any

from handlers.command import SLASH
from handlers.commands import usage_hint
from handlers.events import SUBSCRIBED_EVENTS

REDIRECT_PATH = "/slack/oauth_redirect"
REQUIRED = {
    "commands": "responds to `/minerpulse`",
    "chat:write": "posts alerts and their threads, and edits them in place, in channels that the app is invited to; "
    "shows you why if the shortcut doesn't open",
}
LOOKUP = {
    "channels:history": "looks up whether an alert arrived in a public channel after Slack's response was lost; reads "
    "nothing else",
    "groups:history": "the same in a private channel",
}
PRESENCE = {
    "channels:read": "learns when it is added to or removed from a public channel, and which channels a person is in, "
    "because App Home shows a channel only to its members; lists the app's channels for `rules check --online`",
    "groups:read": "the same for private channels that the app is in",
}
MENTION = {"app_mentions:read": "responds to `@MinerPulse` in channels that it is in; reads no other messages"}
UPLOAD = {"files:write": "uploads charts as pictures; reads no files"}
REQUIRED_SCOPES, LOOKUP_SCOPES, PRESENCE_SCOPES = tuple(REQUIRED), tuple(LOOKUP), tuple(PRESENCE)
SCOPES = REQUIRED | LOOKUP | PRESENCE | MENTION | UPLOAD  # each with what it is for
ALL_SCOPES = tuple(SCOPES)
BOARD_SHORTCUT = {
    "name": "Show the board",
    "type": "global",
    "callback_id": "board",
    "description": "The ETF vs. bitcoin right now",
}
EVENTS_PATH = "/slack/events"
PLACEHOLDER = "https://minerpulse.example.com"
APP_NAME = "MinerPulse"
DESCRIPTION = "Alerts a trading desk when bitcoin miners and bitcoin diverge."


def build_manifest(address: str | None, *, distributed: bool = False) -> dict[str, Any]:
    """Build the manifest for the app's base URL; None for Socket Mode, which needs no URL.

    A `distributed` app is installed by many workspaces over HTTP. It has an OAuth redirect URL and expiring tokens.
    """
    url = None if address is None else f"{address}{EVENTS_PATH}"
    request = {} if url is None else {"url": url}
    interactivity = {} if url is None else {"request_url": url}
    redirect_urls = {"redirect_urls": [f"{address}{REDIRECT_PATH}"]} if distributed else {}
    return {
        "display_information": {"name": APP_NAME, "description": DESCRIPTION, "background_color": "#1d2b3a"},
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": APP_NAME, "always_online": True},
            "shortcuts": [BOARD_SHORTCUT],
            "slash_commands": [
                {
                    "command": SLASH,
                    **request,
                    "description": DESCRIPTION,
                    "usage_hint": usage_hint(),
                    "should_escape": True,
                }
            ],
        },
        "oauth_config": {**redirect_urls, "scopes": {"bot": [*ALL_SCOPES]}},
        "settings": {
            "event_subscriptions": {**interactivity, "bot_events": sorted(SUBSCRIBED_EVENTS)},
            "interactivity": {"is_enabled": True, **interactivity},
            "org_deploy_enabled": distributed,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": distributed,
        },
    }


def base_url(address: str) -> str:
    """Strip the events path and trailing slashes from a URL."""
    return address.rstrip("/").removesuffix(EVENTS_PATH)


def format_manifest(document: dict[str, Any]) -> str:
    """Return a manifest as indented JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False)
