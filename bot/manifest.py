"""The Slack app manifest, for one workspace or for distribution."""

import json
from typing import Any

from bot.oauth.flow import REDIRECT_PATH
from handlers.command import SLASH
from handlers.commands import usage_hint
from handlers.events import EVENTS, UNINSTALL_EVENTS

REQUIRED = {
    "commands": "`/minerpulse`, and its answers",
    "chat:write": "alerts, edited in place, with their threads, in channels that the app is invited to; to you, why "
    "the shortcut did not open",
}
LOOKUP = {
    "channels:history": "whether an alert has arrived in a public channel where its answer was lost; no more is read",
    "groups:history": "the same in a private channel",
}
PRESENCE = {
    "channels:read": "when it is added to a public channel or taken out of one; which ones a person is in, so that the "
    "app's Home shows a channel to its members only",
    "groups:read": "the same for private channels that the app is in",
}
UPLOAD = {"files:write": "charts as pictures, as files that it uploads itself; it reads none"}
REQUIRED_SCOPES, LOOKUP_SCOPES, PRESENCE_SCOPES = tuple(REQUIRED), tuple(LOOKUP), tuple(PRESENCE)
ALL_SCOPES = (*REQUIRED_SCOPES, *LOOKUP_SCOPES, *PRESENCE_SCOPES, *UPLOAD)
BOARD_SHORTCUT = {
    "name": "Show the board",
    "type": "global",
    "callback_id": "board",
    "description": "The ETF against bitcoin, now",
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
            "event_subscriptions": {**interactivity, "bot_events": sorted((*EVENTS, *UNINSTALL_EVENTS))},
            "interactivity": {"is_enabled": True, **interactivity},
            "org_deploy_enabled": distributed,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": distributed,
        },
    }


def base_url(address: str) -> str:
    """Strip the events path and trailing slashes from a URL."""
    return address.rstrip("/").removesuffix(EVENTS_PATH)


def scopes_table() -> str:
    """Return the scopes as a Markdown table."""
    rows = [f"| `{scope}` | {reason} |" for scope, reason in (REQUIRED | LOOKUP | PRESENCE | UPLOAD).items()]
    return "\n".join(["| Scope | What for |", "|---|---|", *rows])


def format_manifest(document: dict[str, Any]) -> str:
    """Return a manifest as indented JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False)
