"""The manifest is valid, and manifest.json matches the command."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jsonschema
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.app import build
from bot.bolt_app import build_bolt
from bot.http.app import SLACK_PATH
from bot.manifest import EVENTS_PATH, PRESENCE_SCOPES
from bot.settings import Settings
from handlers.commands import usage_hint
from handlers.events import EVENTS, MENTION_EVENT, SUBSCRIBED_EVENTS, UNINSTALL_EVENTS, register_uninstall
from tests.bot.conftest import ROOT, RunCli
from tests.fakes.slack import SECRET, TOKEN

SCHEMA = ROOT.parent / "shared" / "reference" / "slack-manifest.schema.2.0.0.json"


def read_manifest(minerpulse: RunCli, *options: str) -> dict[str, Any]:
    result = minerpulse("manifest", *options)
    assert result.code == 0
    document: dict[str, Any] = json.loads(result.out)
    return document


def test_manifest_json_matches_the_command(minerpulse: RunCli) -> None:
    result = minerpulse("manifest")
    assert result.out == (ROOT / "manifest.json").read_text(encoding="utf-8")
    assert result.err.startswith("https://minerpulse.example.com is a placeholder for this app's address.")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://desk.example.com", id="bare"),
        pytest.param("https://desk.example.com/", id="with-a-slash"),
        pytest.param("https://desk.example.com/slack/events", id="whole"),
    ],
)
def test_all_urls_point_to_the_events_endpoint(minerpulse: RunCli, url: str) -> None:
    document = read_manifest(minerpulse, "--url", url)
    [command] = document["features"]["slash_commands"]
    assert command["url"] == f"https://desk.example.com{SLACK_PATH}"
    assert document["settings"]["interactivity"]["request_url"] == command["url"]
    assert document["settings"]["socket_mode_enabled"] is False


def test_the_events_path_matches_the_web_app() -> None:
    assert EVENTS_PATH == SLACK_PATH


def test_socket_mode_needs_no_url(minerpulse: RunCli) -> None:
    document = read_manifest(minerpulse, "--socket")
    assert "url" not in document["features"]["slash_commands"][0]
    assert document["settings"]["interactivity"] == {"is_enabled": True}
    assert document["settings"]["socket_mode_enabled"] is True


def test_only_the_required_scopes_are_requested(minerpulse: RunCli) -> None:
    document = read_manifest(minerpulse, "--socket")
    assert document["oauth_config"]["scopes"] == {
        "bot": [
            *["commands", "chat:write", "channels:history", "groups:history", "channels:read", "groups:read"],
            *["app_mentions:read", "files:write"],
        ]
    }
    [command] = document["features"]["slash_commands"]
    assert (command["command"], command["usage_hint"]) == ("/minerpulse", usage_hint())


DISTRIBUTED = ("--url", "https://desk.example.com", "--distributed")
EXPECTED_UNINSTALL_EVENTS = {
    "app_uninstalled",
    "team_access_revoked",
    "tokens_revoked",
}


def test_a_distributed_app_has_a_redirect_url_and_uninstall_events(
    minerpulse: RunCli,
) -> None:
    document = read_manifest(minerpulse, *DISTRIBUTED)
    settings, oauth = document["settings"], document["oauth_config"]
    assert ["https://desk.example.com/slack/oauth_redirect"] == oauth["redirect_urls"]
    assert {
        "request_url": "https://desk.example.com/slack/events",
        "bot_events": sorted(EXPECTED_UNINSTALL_EVENTS | {MENTION_EVENT, *EVENTS}),
    } == settings["event_subscriptions"]
    assert (True, True) == (settings["org_deploy_enabled"], settings["token_rotation_enabled"])
    assert oauth["scopes"] == read_manifest(minerpulse)["oauth_config"]["scopes"]


def test_a_single_workspace_app_has_no_oauth(minerpulse: RunCli) -> None:
    document = read_manifest(minerpulse)
    assert set(document["settings"]["event_subscriptions"]["bot_events"]) >= EXPECTED_UNINSTALL_EVENTS
    assert "redirect_urls" not in document["oauth_config"]


def test_every_uninstall_event_has_a_listener() -> None:
    """Slack's schema accepts any event name, so a misspelled one would never arrive."""
    bolt = build_bolt(AsyncWebClient(token=TOKEN), SECRET)
    register_uninstall(bolt, NoRemover())
    assert set(UNINSTALL_EVENTS) == EXPECTED_UNINSTALL_EVENTS
    assert len(bolt._async_listeners) == len(UNINSTALL_EVENTS)  # noqa: SLF001 -- Bolt tells it nowhere else


class NoRemover:
    """An installation remover that does nothing."""

    async def uninstall(self, team: str | None, enterprise: str | None, at: datetime) -> None: ...

    async def revoke(self, teams: Sequence[str], at: datetime) -> None: ...


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(("--url", "http://desk.example.com"), "Slack only calls https addresses", id="not-https"),
        pytest.param(("--url", "desk"), "Slack only calls https addresses", id="no-address"),
        pytest.param(
            ("--url", "https://desk.example.com", "--socket"), "--socket can't be combined with --url", id="both"
        ),
        pytest.param(
            ("--distributed", "--socket"), "--socket can't be combined with --distributed", id="many over a socket"
        ),
    ],
)
def test_invalid_urls_and_options_are_rejected(minerpulse: RunCli, options: tuple[str, ...], expected: str) -> None:
    result = minerpulse("manifest", *options)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err


@pytest.mark.skipif(not SCHEMA.is_file(), reason="needs Slack's manifest schema beside this repository")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="http"),
        pytest.param(("--socket",), id="socket"),
        pytest.param(DISTRIBUTED, id="many workspaces"),
    ],
)
def test_slacks_own_schema_accepts_it(minerpulse: RunCli, options: tuple[str, ...]) -> None:
    jsonschema.validate(read_manifest(minerpulse, *options), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_the_events_match_the_listeners(minerpulse: RunCli) -> None:
    document = read_manifest(minerpulse, "--url", "https://desk.example.com")
    assert sorted(SUBSCRIBED_EVENTS) == document["settings"]["event_subscriptions"]["bot_events"]
    assert ["board"] == [shortcut["callback_id"] for shortcut in document["features"]["shortcuts"]]
    assert document["features"]["app_home"]["home_tab_enabled"] is True


EVENT_ROW = re.compile(r"^\| `([a-z_]+)` \|([^|]*)\|", re.MULTILINE)


@pytest.fixture
async def listened(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The events that the wired app has listeners for."""
    names, listen = set[str](), AsyncApp.event

    def record(app: AsyncApp, event: str) -> object:
        names.add(event)
        return listen(app, event)

    monkeypatch.setattr(AsyncApp, "event", record)
    settings = Settings(database_url="sqlite://", etf_sources=("simulated",), crypto_sources=("simulated",))
    async with build(settings):
        return names


@pytest.mark.parametrize("options", [(), ("--socket",), DISTRIBUTED], ids=["http", "socket", "many workspaces"])
def test_the_app_subscribes_to_the_events_that_it_listens_to(
    minerpulse: RunCli, listened: set[str], options: tuple[str, ...]
) -> None:
    document = read_manifest(minerpulse, *options)

    assert sorted(listened) == document["settings"]["event_subscriptions"]["bot_events"]


def test_the_documentation_has_every_event_with_scopes_that_the_app_asks_for(listened: set[str]) -> None:
    text = (ROOT / "docs/reference/slack.md").read_text(encoding="utf-8")
    section = text.partition("## Events")[2].partition("\n## ")[0]
    rows = dict(EVENT_ROW.findall(section))

    assert sorted(listened) == [*rows]
    assert {"app_mentions:read", "channels:read", "groups:read"} == {
        scope for cell in rows.values() for scope in re.findall(r"`(.+?)`", cell)
    }
    assert {*PRESENCE_SCOPES} == {"channels:read", "groups:read"}


def test_the_upgrade_notes_name_every_event_that_ends_an_installation() -> None:
    text = (ROOT / "docs/how-to/upgrade.md").read_text(encoding="utf-8")

    assert [] == [event for event in UNINSTALL_EVENTS if f"`{event}`" not in text]
    assert [] == [scope for scope in PRESENCE_SCOPES if f"`{scope}`" not in text]
