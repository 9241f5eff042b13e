"""A workspace lets the app in: from the install page over Slack's back to the first command."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from bot.manifest import ALL_SCOPES
from bot.oauth.flow import INSTALL_PATH
from services.alerting.records import AlertChange
from services.core.identity import Channel
from tests.bot.oauth.conftest import Office
from tests.fakes.alerts import an_alert
from tests.fakes.oauth import CLIENT_ID


async def test_the_install_page_sends_the_browser_to_slack_with_a_state_of_its_own(office: Office) -> None:
    answer, other = [await office.web.get(INSTALL_PATH) for _ in range(2)]

    asked, cookie = parse_qs(urlsplit(answer.headers["location"]).query), answer.headers["set-cookie"]
    assert answer.headers["location"].startswith("https://slack.com/oauth/v2/authorize?")
    assert (302, [CLIENT_ID]) == (answer.status_code, asked["client_id"])
    assert [",".join(ALL_SCOPES)] == asked["scope"]
    assert f"minerpulse_state={asked['state'][0]}; HttpOnly; Max-Age=600; Path=/slack/oauth_redirect;" in cookie
    assert cookie.endswith("SameSite=lax; Secure")
    assert answer.headers["location"] != other.headers["location"]


async def test_who_comes_back_has_the_app_and_its_first_command_is_answered(office: Office) -> None:
    office.grants.offer("c")
    before = await office.types("help")
    answer = await office.come_back(await office.set_out(), code="c")
    after = await office.types("help")

    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    assert "In the channel of Acme &lt;b&gt; that is to get alerts, type /invite" in answer.text
    assert (200, True) == (before.status_code, before.text.startswith("MinerPulse is not installed in this workspace"))
    assert "/minerpulse rule add" in after.json()["text"]


async def test_slacks_look_at_the_address_of_events_is_answered(office: Office) -> None:
    assert {"challenge": "3eZb"} == (await office.looks()).json()


@pytest.mark.parametrize(
    ("cookie", "late", "expected"),
    [
        pytest.param("", timedelta(0), "another browser&#x27;s", id="no cookie"),
        pytest.param("another", timedelta(0), "another browser&#x27;s", id="another browser's"),
        pytest.param("\u00e9", timedelta(0), "another browser&#x27;s", id="a cookie beyond ASCII"),
        pytest.param(None, timedelta(minutes=10), "too old", id="too late"),
    ],
)
async def test_who_did_not_set_out_or_comes_late_is_sent_back(
    office: Office, cookie: str | None, late: timedelta, expected: str
) -> None:
    office.grants.offer("c")
    state = await office.set_out()
    office.clock.advance(late)

    answer = await office.come_back(state, cookie, code="c")

    assert (400, []) == (answer.status_code, office.grants.asked)
    assert expected in answer.text


async def test_a_state_is_good_for_once(office: Office) -> None:
    office.grants.offer("c")
    office.grants.offer("d")
    state = await office.set_out()

    answers = [await office.come_back(state, code=code) for code in ("c", "d")]

    assert [200, 400] == [answer.status_code for answer in answers]
    assert 1 == len(office.grants.asked)


@pytest.mark.parametrize(
    ("broken", "more", "status", "expected"),
    [
        pytest.param(None, {"error": "access_denied"}, 400, "nobody agreed to it", id="denied"),
        pytest.param(None, {"code": "made-up"}, 400, "Slack refuses it (invalid_code)", id="a code that is none"),
        pytest.param(None, {}, 400, "Slack refuses it (invalid_code)", id="no code"),
        pytest.param({"status": 503, "text": "down"}, {"code": "c"}, 502, "Begin again", id="Slack is down"),
        pytest.param({"text": '{"ok": true}'}, {"code": "c"}, 400, "lacks", id="an answer of another shape"),
        pytest.param({"text": '{"ok": true, "token_type": "user"}'}, {"code": "c"}, 400, "lacks", id="another token"),
    ],
)
async def test_what_slack_does_not_grant_is_told_and_installs_nothing(
    office: Office, broken: dict[str, str | int] | None, more: dict[str, str], status: int, expected: str
) -> None:
    office.grants.offer("c")
    if broken is not None:
        office.grants.broken = web.Response(content_type="application/json", **broken)  # type: ignore[arg-type]

    answer = await office.come_back(await office.set_out(), **more)

    assert (status, True) == (answer.status_code, expected in answer.text), answer.text
    assert "xox" not in answer.text
    assert await office.installing.store.find("T1") is None


async def test_an_organization_installs_for_all_its_workspaces(office: Office) -> None:
    await office.install(team=None, enterprise={"id": "E1", "name": "Holding"}, is_enterprise_install=True)

    inside, outside = [await office.types("help", team="T7", **more) for more in ({"enterprise_id": "E1"}, {})]
    stranger = await office.types("help", team="T8")

    assert "/minerpulse rule add" in inside.json()["text"]
    assert "/minerpulse rule add" in outside.json()["text"]  # its organization is known by now
    assert stranger.text.startswith("MinerPulse is not installed")


async def test_installing_again_takes_the_new_token_at_once(office: Office) -> None:
    await office.install()
    await office.installing.clients.of("T1")
    await office.install(access_token="xoxb-new")

    assert "xoxb-new" == (await office.installing.clients.of("T1")).token


async def test_alerts_of_an_organizations_workspace_go_out_with_its_own_token_or_else_the_organizations(
    office: Office,
) -> None:
    holding = {"id": "E1", "name": "Holding"}
    await office.install(team=None, enterprise=holding, is_enterprise_install=True, access_token="xoxb-org")
    await office.install(team={"id": "T8", "name": "Own"}, enterprise=holding, access_token="xoxb-own")
    for team in ("T7", "T8"):
        await office.types("help", team=team, enterprise_id="E1")
        alert = an_alert(channel=Channel(team=team, id=f"C{team}"))
        await office.app.store.record([], [AlertChange(alert=alert, revision=0)], office.clock.at)
    await office.app.outbox.deliver(office.clock.at)

    assert [("xoxb-org", "CT7"), ("xoxb-own", "CT8")] == sorted(office.grants.posted)[:2]
