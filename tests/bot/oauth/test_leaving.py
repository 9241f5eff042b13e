"""A workspace takes the app out: all that it left goes, and nobody else loses anything."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.alerting.records import AlertChange
from services.core.errors import StoreError
from services.core.identity import Channel
from services.rules.grammar import parse_rule
from tests.bot.oauth.conftest import Office
from tests.fakes.alerts import an_alert

HERE, AWAY = Channel(team="T1", id="C1"), Channel(team="T2", id="C1")


async def furnish(office: Office, channel: Channel, **granted: Any) -> None:  # noqa: ANN401 -- of Slack's answer
    await office.install(team={"id": channel.team, "name": channel.team}, **granted)
    await office.app.store.add_rules(channel, [parse_rule("1d 8pp")], "U1", office.clock.at)
    alert = an_alert(channel=channel, closed_at=office.clock.at)
    await office.app.store.record([], [AlertChange(alert=alert, revision=0)], office.clock.at)


async def left(office: Office, channel: Channel) -> tuple[bool, int, int]:
    """Whether the app is installed there, and how many rules and alerts are there."""
    store = office.app.store
    installed = await office.installing.tokens.of(channel.team) is not None
    return installed, len(await store.rules(channel)), len(await store.history(channel, 10))


UNINSTALLED: tuple[str, dict[str, Any]] = ("app_uninstalled", {})
REVOKED: tuple[str, dict[str, Any]] = ("tokens_revoked", {"tokens": {"oauth": ["U1"], "bot": ["UBOT"]}})


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(UNINSTALLED, REVOKED, id="uninstalled, then revoked"),
        pytest.param(REVOKED, UNINSTALLED, id="revoked, then uninstalled"),
    ],
)
async def test_the_end_of_an_installation_is_the_end_of_its_data(
    office: Office, first: tuple[str, dict[str, Any]], then: tuple[str, dict[str, Any]]
) -> None:
    for channel in (HERE, AWAY):
        await furnish(office, channel)
    await left(office, HERE)  # is in memory now

    status = await office.tells(first[0], **first[1])

    assert 200 == status
    assert (False, 0, 0) == await left(office, HERE)
    assert (True, 1, 1) == await left(office, AWAY)
    assert 200 == await office.tells(then[0], **then[1])  # the second event of the same end


@pytest.mark.parametrize("late", [pytest.param(REVOKED, id="revoked"), pytest.param(UNINSTALLED, id="uninstalled")])
async def test_who_installs_again_begins_anew_whatever_is_still_told_of_the_end(
    office: Office, late: tuple[str, dict[str, Any]]
) -> None:
    await furnish(office, HERE)
    ended_at = office.clock.at
    await office.tells("app_uninstalled")
    office.clock.advance(timedelta(minutes=1))
    await office.install(access_token="xoxb-again")

    await office.tells(late[0], at=ended_at, **late[1])

    assert (True, 0, 0) == await left(office, HERE)
    assert "xoxb-again" == (await office.installing.clients.of("T1")).token


async def test_an_organization_can_take_the_app_out_of_one_workspace(office: Office) -> None:
    await office.install(team=None, enterprise={"id": "E1", "name": "Holding"}, is_enterprise_install=True)
    for channel in (HERE, AWAY):
        await office.types("help", team=channel.team, enterprise_id="E1")
        await office.app.store.add_rules(channel, [parse_rule("1d 8pp")], "U1", office.clock.at)

    status = await office.tells("team_access_revoked", team=None, enterprise="E1", team_ids=["T1"])

    assert 200 == status
    assert ((False, 0, 0), (True, 1, 0)) == (await left(office, HERE), await left(office, AWAY))


async def test_a_persons_own_token_is_no_end(office: Office) -> None:
    await furnish(office, HERE)

    await office.tells("tokens_revoked", tokens={"oauth": ["U1"]})

    assert (True, 1, 1) == await left(office, HERE)


async def test_an_end_that_slack_tells_late_spares_what_was_installed_since(office: Office) -> None:
    ended_at: datetime = office.clock.at
    office.clock.advance(timedelta(minutes=5))
    await furnish(office, HERE)

    await office.tells("app_uninstalled", at=ended_at)

    assert (True, 1, 1) == await left(office, HERE)


@pytest.mark.parametrize("broken", ["leave", "find"])
async def test_where_the_database_fails_slack_tells_of_the_end_again(
    office: Office, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    await furnish(office, HERE)

    async def fail(*_arguments: object) -> list[str]:
        raise StoreError("the database is away")

    with monkeypatch.context() as away:
        away.setattr(type(office.installing.store), broken, fail)
        status = await office.tells("app_uninstalled", event_id="Ev1")
    again = await office.tells("app_uninstalled", event_id="Ev1")

    assert (500, 200) == (status, again)
    assert (False, 0, 0) == await left(office, HERE)


async def test_each_workspace_is_told_with_its_own_token(office: Office) -> None:
    await furnish(office, HERE)
    await furnish(office, AWAY, access_token="xoxb-away")
    await office.app.outbox.deliver(office.clock.at)
    await office.tells("app_uninstalled")
    before = len(office.grants.posted)
    await office.app.store.record([], [AlertChange(alert=an_alert(channel=HERE), revision=0)], office.clock.at)
    await office.app.outbox.deliver(office.clock.at)

    assert [("xoxb-acme", "C1"), ("xoxb-away", "C1")] == sorted(office.grants.posted[:before])
    assert before == len(office.grants.posted)
