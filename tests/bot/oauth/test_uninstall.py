"""Uninstalling deletes a workspace's data and no other's."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.alerting.ports import AlertChange
from services.core.errors import DatabaseUnavailableError
from services.core.identity import Channel
from services.rules.grammar import parse_rule
from tests.bot.oauth.conftest import OAuthHarness
from tests.fakes.alerts import an_alert
from tests.fakes.slack import error_response

FIRST, SECOND = Channel(team="T1", id="C1"), Channel(team="T2", id="C1")


async def install_with_data(harness: OAuthHarness, channel: Channel, **granted: Any) -> None:  # noqa: ANN401 -- of Slack's answer
    await harness.install(team={"id": channel.team, "name": channel.team}, **granted)
    await harness.app.store.add_rules(channel, [parse_rule("1d 8pp")], "U1", harness.clock.at)
    alert = an_alert(channel=channel, closed_at=harness.clock.at)
    await harness.app.store.record([], [AlertChange(alert=alert, revision=0)], harness.clock.at)


async def remaining(harness: OAuthHarness, channel: Channel) -> tuple[bool, int, int]:
    """Return whether the app is installed, and the number of rules and alerts."""
    store = harness.app.store
    installed = await harness.oauth.installation_cache.get(channel.team) is not None
    return installed, len(await store.rules(channel)), len(await store.history(channel, 10))


UNINSTALLED: tuple[str, dict[str, Any]] = ("app_uninstalled", {})
REVOKED: tuple[str, dict[str, Any]] = ("tokens_revoked", {"tokens": {"oauth": ["U1"], "bot": ["UBOT"]}})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(UNINSTALLED, REVOKED, id="uninstalled, then revoked"),
        pytest.param(REVOKED, UNINSTALLED, id="revoked, then uninstalled"),
    ],
)
async def test_uninstalling_deletes_the_workspaces_data(
    harness: OAuthHarness, first: tuple[str, dict[str, Any]], second: tuple[str, dict[str, Any]]
) -> None:
    for channel in (FIRST, SECOND):
        await install_with_data(harness, channel)
    await remaining(harness, FIRST)  # caches the installation

    status = await harness.send_event(first[0], **first[1])

    assert 200 == status
    assert (False, 0, 0) == await remaining(harness, FIRST)
    assert (True, 1, 1) == await remaining(harness, SECOND)
    assert 200 == await harness.send_event(second[0], **second[1])  # the second event of the same removal


@pytest.mark.parametrize("event", [pytest.param(REVOKED, id="revoked"), pytest.param(UNINSTALLED, id="uninstalled")])
async def test_a_late_uninstall_event_spares_a_reinstallation(
    harness: OAuthHarness, event: tuple[str, dict[str, Any]]
) -> None:
    await install_with_data(harness, FIRST)
    ended_at = harness.clock.at
    await harness.send_event("app_uninstalled")
    harness.clock.advance(timedelta(minutes=1))
    await harness.install(access_token="xoxb-again")

    await harness.send_event(event[0], at=ended_at, **event[1])

    assert (True, 0, 0) == await remaining(harness, FIRST)
    assert "xoxb-again" == (await harness.oauth.clients.of("T1")).token


async def test_an_organization_can_revoke_access_to_one_workspace(harness: OAuthHarness) -> None:
    await harness.install(team=None, enterprise={"id": "E1", "name": "Holding"}, is_enterprise_install=True)
    for channel in (FIRST, SECOND):
        await harness.send_command("help", team=channel.team, enterprise_id="E1")
        await harness.app.store.add_rules(channel, [parse_rule("1d 8pp")], "U1", harness.clock.at)

    status = await harness.send_event("team_access_revoked", team=None, enterprise="E1", team_ids=["T1"])

    assert 200 == status
    assert ((False, 0, 0), (True, 1, 0)) == (await remaining(harness, FIRST), await remaining(harness, SECOND))


@pytest.mark.parametrize("event", [pytest.param(REVOKED, id="revoked"), pytest.param(UNINSTALLED, id="uninstalled")])
async def test_an_event_of_one_workspace_keeps_its_organization(
    harness: OAuthHarness, event: tuple[str, dict[str, Any]]
) -> None:
    await harness.install(team=None, enterprise={"id": "E1", "name": "Holding"}, is_enterprise_install=True)
    for channel in (FIRST, SECOND):
        await harness.send_command("help", team=channel.team, enterprise_id="E1")
        await harness.app.store.add_rules(channel, [parse_rule("1d 8pp")], "U1", harness.clock.at)

    for _ in range(2):
        assert 200 == await harness.send_event(event[0], enterprise="E1", **event[1])

    assert [(True, 1, 0)] * 2 == [await remaining(harness, channel) for channel in (FIRST, SECOND)]


@pytest.mark.parametrize("event", [pytest.param(REVOKED, id="revoked"), pytest.param(UNINSTALLED, id="uninstalled")])
async def test_an_event_of_the_organization_ends_it(harness: OAuthHarness, event: tuple[str, dict[str, Any]]) -> None:
    await harness.install(team=None, enterprise={"id": "E1", "name": "Holding"}, is_enterprise_install=True)
    for channel in (FIRST, SECOND):
        await harness.send_command("help", team=channel.team, enterprise_id="E1")
        await harness.app.store.add_rules(channel, [parse_rule("1d 8pp")], "U1", harness.clock.at)

    assert 200 == await harness.send_event(event[0], team=None, enterprise="E1", **event[1])

    assert [(False, 0, 0)] * 2 == [await remaining(harness, channel) for channel in (FIRST, SECOND)]


async def test_a_press_in_a_workspace_without_the_app_is_answered(harness: OAuthHarness) -> None:
    press = {"type": "block_actions", "actions": [{"action_id": "acknowledge", "value": "1"}]}
    url = f"{harness.slack.url}responses/9"
    pressed = await harness.send_payload({**press, "response_url": url})
    view = {
        "id": "V1",
        "type": "modal",
        "callback_id": "rule_editor",
        "private_metadata": "{}",
        "state": {"values": {}},
    }
    submitted = await harness.send_payload({"type": "view_submission", "view": view})

    (answer,) = harness.slack.responses
    assert (200, 200) == (pressed.status_code, submitted.status_code)
    assert "MinerPulse isn't installed in this workspace" in answer["text"]
    assert ("ephemeral", False) == (answer["response_type"], answer["replace_original"])
    assert "update" == submitted.json()["response_action"]
    assert "MinerPulse isn't installed" in str(submitted.json()["view"])


PRESS_AT_HOME: dict[str, Any] = {
    "type": "block_actions",
    "actions": [{"action_id": "refresh_home", "value": "home"}],
    "view": {"id": "V1", "type": "home"},
}
SHORTCUT: dict[str, Any] = {"type": "shortcut", "callback_id": "board"}


@pytest.mark.parametrize("payload", [PRESS_AT_HOME, SHORTCUT], ids=["Home", "shortcut"])
@pytest.mark.parametrize(
    ("installed", "named"),
    [
        pytest.param(
            {"team": None, "enterprise": {"id": "E1", "name": "Holding"}, "is_enterprise_install": True},
            {"view": {"id": "V1", "type": "home", "app_installed_team_id": "T9"}, "enterprise": {"id": "E1"}},
            id="organization, found by Bolt",
        ),
        pytest.param(
            {"team": None, "enterprise": {"id": "E1", "name": "Holding"}, "is_enterprise_install": True},
            {"enterprise": None, "enterprise_id": None, "team": {"id": "T9", "enterprise_id": "E1"}},
            id="organization of the person's workspace",
        ),
        pytest.param(
            {"team": {"id": "T2", "name": "Two"}},
            {"user": {"id": "U1", "team_id": "T2"}},
            id="the person's own workspace",
        ),
    ],
)
async def test_a_press_without_response_url_is_answered_with_another_token_that_it_names(
    harness: OAuthHarness, payload: dict[str, Any], installed: dict[str, Any], named: dict[str, Any]
) -> None:
    await harness.install(access_token="xoxb-other", **installed)
    pressed = await harness.send_payload({**payload, **named}, team="T9")

    assert 200 == pressed.status_code
    assert {"xoxb-other"} == {call.token for call in harness.slack.calls if call.method.startswith("views.")}


async def test_a_press_that_no_token_can_answer_is_logged_once_per_workspace(
    harness: OAuthHarness, caplog: pytest.LogCaptureFixture
) -> None:
    for team in ("T8", "T9", "T8", "T9"):
        for payload in (PRESS_AT_HOME, SHORTCUT):
            assert 200 == (await harness.send_payload(payload, team=team)).status_code

    logged = [record.getMessage() for record in caplog.records if "is not installed there" in record.getMessage()]
    assert ["workspace T8", "workspace T9"] == [line.partition(" sends")[0] for line in logged]
    assert "install the app there again" in logged[0]
    assert [] == harness.slack.calls


async def test_a_form_that_slack_refuses_to_open_fails_quietly(
    harness: OAuthHarness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.install(team={"id": "T2", "name": "Two"})
    harness.slack.fail("views.open", error_response("expired_trigger_id"))
    pressed = await harness.send_payload({**SHORTCUT, "user": {"id": "U1", "team_id": "T2"}}, team="T9")

    assert 200 == pressed.status_code
    assert "expired_trigger_id" in caplog.text
    assert [] == harness.slack.views("views.open")


async def test_a_revoked_user_token_deletes_nothing(harness: OAuthHarness) -> None:
    await install_with_data(harness, FIRST)

    await harness.send_event("tokens_revoked", tokens={"oauth": ["U1"]})

    assert (True, 1, 1) == await remaining(harness, FIRST)


async def test_an_uninstall_event_from_before_the_installation_is_ignored(harness: OAuthHarness) -> None:
    ended_at: datetime = harness.clock.at
    harness.clock.advance(timedelta(minutes=5))
    await install_with_data(harness, FIRST)

    await harness.send_event("app_uninstalled", at=ended_at)

    assert (True, 1, 1) == await remaining(harness, FIRST)


@pytest.mark.parametrize("failing_method", ["uninstall", "find"])
async def test_a_failed_uninstall_is_retried_by_slack(
    harness: OAuthHarness, monkeypatch: pytest.MonkeyPatch, failing_method: str
) -> None:
    await install_with_data(harness, FIRST)

    async def fail(*_arguments: object) -> list[str]:
        raise DatabaseUnavailableError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(harness.oauth.store), failing_method, fail)
        status = await harness.send_event("app_uninstalled", event_id="Ev1")
    retry = await harness.send_event("app_uninstalled", event_id="Ev1")

    assert (500, 200) == (status, retry)
    assert (False, 0, 0) == await remaining(harness, FIRST)


async def test_an_uninstall_event_whose_first_process_died_is_handled_again(harness: OAuthHarness) -> None:
    await install_with_data(harness, FIRST)
    await harness.app.store.claim_key("event:Ev1", now=harness.clock.at, ttl=timedelta(days=1))

    assert 200 == await harness.send_event("app_uninstalled", event_id="Ev1")
    assert (False, 0, 0) == await remaining(harness, FIRST)


async def test_each_workspace_gets_messages_with_its_own_token(harness: OAuthHarness) -> None:
    await install_with_data(harness, FIRST)
    await install_with_data(harness, SECOND, access_token="xoxb-away")
    await harness.app.outbox.deliver(harness.clock.at)
    await harness.send_event("app_uninstalled")
    before = len(harness.slack.posted)
    await harness.app.store.record([], [AlertChange(alert=an_alert(channel=FIRST), revision=0)], harness.clock.at)
    await harness.app.outbox.deliver(harness.clock.at)

    assert [("xoxb-acme", "C1"), ("xoxb-away", "C1")] == sorted(harness.slack.posted[:before])
    assert before == len(harness.slack.posted)
