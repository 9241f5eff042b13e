"""The manifest is what Slack takes, and the file in the root is the command's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.http.app import SLACK_PATH
from bot.manifest import PATH
from bot.slack import build_bolt
from handlers.commands import usage_hint
from handlers.events import EVENTS as HEARD
from handlers.uninstall import EVENTS as LEFT
from handlers.uninstall import register_uninstall
from tests.bot.conftest import ROOT, Ran
from tests.fakes.slack import SECRET, TOKEN

SCHEMA = ROOT.parent / "shared" / "reference" / "slack-manifest.schema.2.0.0.json"


def printed(minerpulse: Callable[..., Ran], *options: str) -> dict[str, Any]:
    ran = minerpulse("manifest", *options)
    assert ran.code == 0
    document: dict[str, Any] = json.loads(ran.out)
    return document


def test_the_file_in_the_root_is_what_the_command_prints(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("manifest")
    assert ran.out == (ROOT / "manifest.json").read_text(encoding="utf-8")
    assert ran.err == "https://minerpulse.example.com stands for this app's address; give --url, or --socket.\n"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://desk.example.com", id="bare"),
        pytest.param("https://desk.example.com/", id="with-a-slash"),
        pytest.param("https://desk.example.com/slack/events", id="whole"),
    ],
)
def test_slack_is_pointed_at_the_one_endpoint(minerpulse: Callable[..., Ran], url: str) -> None:
    document = printed(minerpulse, "--url", url)
    [command] = document["features"]["slash_commands"]
    assert command["url"] == f"https://desk.example.com{SLACK_PATH}"
    assert document["settings"]["interactivity"]["request_url"] == command["url"]
    assert document["settings"]["socket_mode_enabled"] is False


def test_the_endpoint_is_that_of_the_web_app() -> None:
    assert PATH == SLACK_PATH


def test_socket_mode_needs_no_address(minerpulse: Callable[..., Ran]) -> None:
    document = printed(minerpulse, "--socket")
    assert "url" not in document["features"]["slash_commands"][0]
    assert document["settings"]["interactivity"] == {"is_enabled": True}
    assert document["settings"]["socket_mode_enabled"] is True


def test_it_asks_for_no_more_than_it_needs(minerpulse: Callable[..., Ran]) -> None:
    document = printed(minerpulse, "--socket")
    assert document["oauth_config"]["scopes"] == {
        "bot": [
            *["commands", "chat:write", "channels:history", "groups:history", "channels:read", "groups:read"],
            "files:write",
        ]
    }
    [command] = document["features"]["slash_commands"]
    assert (command["command"], command["usage_hint"]) == ("/minerpulse", usage_hint())


MANY = ("--url", "https://desk.example.com", "--distributed")
LISTENED_TO = {"app_uninstalled", "team_access_revoked", "tokens_revoked"}  # of the end of an installation


def test_many_workspaces_find_their_way_back_and_are_heard_when_they_leave(minerpulse: Callable[..., Ran]) -> None:
    document = printed(minerpulse, *MANY)
    settings, oauth = document["settings"], document["oauth_config"]
    assert ["https://desk.example.com/slack/oauth_redirect"] == oauth["redirect_urls"]
    assert {
        "request_url": "https://desk.example.com/slack/events",
        "bot_events": sorted(LISTENED_TO | set(HEARD)),
    } == settings["event_subscriptions"]
    assert (True, True) == (settings["org_deploy_enabled"], settings["token_rotation_enabled"])
    assert oauth["scopes"] == printed(minerpulse)["oauth_config"]["scopes"]


def test_one_workspace_is_not_installed_from_afar(minerpulse: Callable[..., Ran]) -> None:
    document = printed(minerpulse)
    assert not LISTENED_TO & set(document["settings"]["event_subscriptions"]["bot_events"])
    assert "redirect_urls" not in document["oauth_config"]


def test_each_event_that_is_asked_for_has_a_listener() -> None:
    """Slack's schema takes any name of an event, and the app would wait for a misspelt one for ever."""
    bolt = build_bolt(AsyncWebClient(token=TOKEN), SECRET)
    register_uninstall(bolt, Nobody())
    assert set(LEFT) == LISTENED_TO
    assert len(bolt._async_listeners) == len(LEFT)  # noqa: SLF001 -- Bolt tells it nowhere else


class Nobody:
    """A doorkeeper before whom nobody comes."""

    async def leave(self, team: str | None, enterprise: str | None, at: datetime) -> None: ...

    async def expel(self, teams: Sequence[str], at: datetime) -> None: ...


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(("--url", "http://desk.example.com"), "Slack calls https addresses only", id="not-https"),
        pytest.param(("--url", "desk"), "Slack calls https addresses only", id="no-address"),
        pytest.param(("--url", "https://desk.example.com", "--socket"), "--socket needs no --url", id="both"),
        pytest.param(("--distributed", "--socket"), "--socket serves one workspace", id="many over a socket"),
    ],
)
def test_an_address_that_slack_cannot_call_is_refused(
    minerpulse: Callable[..., Ran], options: tuple[str, ...], told: str
) -> None:
    ran = minerpulse("manifest", *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


@pytest.mark.skipif(not SCHEMA.is_file(), reason="needs Slack's manifest schema beside this repository")
@pytest.mark.parametrize(
    "options",
    [pytest.param((), id="http"), pytest.param(("--socket",), id="socket"), pytest.param(MANY, id="many workspaces")],
)
def test_slacks_own_schema_accepts_it(minerpulse: Callable[..., Ran], options: tuple[str, ...]) -> None:
    jsonschema.validate(printed(minerpulse, *options), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_it_is_told_of_exactly_what_it_listens_to(minerpulse: Callable[..., Ran]) -> None:
    document = printed(minerpulse, "--url", "https://desk.example.com")
    assert sorted(HEARD) == document["settings"]["event_subscriptions"]["bot_events"]
    assert ["board"] == [shortcut["callback_id"] for shortcut in document["features"]["shortcuts"]]
    assert document["features"]["app_home"]["home_tab_enabled"] is True
