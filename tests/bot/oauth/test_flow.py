"""Installation in a workspace: from the install page over Slack's to the first command."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bot.http.app import build_web
from bot.http.slack_requests import ReplayGuard
from bot.manifest import ALL_SCOPES, REDIRECT_PATH
from bot.oauth.flow import INSTALL_PATH, STATE_COOKIE
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.storage.engine import Database
from tests.bot.oauth.conftest import OAuthHarness, healthy
from tests.fakes.alerts import an_alert
from tests.fakes.slack import CLIENT_ID, OAUTH, Fault


async def test_the_install_page_redirects_to_slack_with_a_unique_state(harness: OAuthHarness) -> None:
    response, other = [await harness.web.get(INSTALL_PATH) for _ in range(2)]

    query, cookie = parse_qs(urlsplit(response.headers["location"]).query), response.headers["set-cookie"]
    assert response.headers["location"].startswith("https://slack.com/oauth/v2/authorize?")
    assert (302, [CLIENT_ID]) == (response.status_code, query["client_id"])
    assert [",".join(ALL_SCOPES)] == query["scope"]
    assert f"__Host-minerpulse_state={query['state'][0]}; HttpOnly; Max-Age=600; Path=/;" in cookie
    assert cookie.endswith("SameSite=lax; Secure")
    assert "Domain" not in cookie
    assert response.headers["location"] != other.headers["location"]


async def test_the_install_page_writes_nothing_to_the_database(
    harness: OAuthHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "write", None)

    answers = [await harness.web.get(INSTALL_PATH) for _ in range(3)]

    assert [302] * 3 == [response.status_code for response in answers]


async def test_a_state_of_another_process_is_accepted_once(harness: OAuthHarness) -> None:
    other = replace(harness.oauth.flow, _used_states=ReplayGuard(ttl_s=600))
    web = build_web(None, healthy, other.routes())
    harness.slack.offer("c")
    harness.slack.offer("d")
    state = await harness.start_install()

    first = await harness.return_from_slack(state, code="c")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="https://minerpulse") as harness.web:
        second = await harness.return_from_slack(state, code="d")

    assert (200, 400) == (first.status_code, second.status_code)
    assert "belongs to another browser" in second.text


@pytest.mark.parametrize("state", ["made-up", "gAAAAA", "é", "a" * 5_000])
async def test_a_made_up_state_is_rejected_even_with_its_cookie(harness: OAuthHarness, state: str) -> None:
    response = await harness.return_from_slack(state, code="c")

    assert (400, []) == (response.status_code, harness.slack.calls_of(OAUTH))


@pytest.mark.parametrize("state", ["\u00e9", "gAAAAA\u00e9"])
async def test_a_state_beyond_ascii_is_rejected_with_the_cookie_that_matches_it(
    harness: OAuthHarness, state: str
) -> None:
    cookie = f"{STATE_COOKIE}={state}".encode("latin-1")
    response = await harness.web.get(REDIRECT_PATH, params={"state": state, "code": "c"}, headers={b"Cookie": cookie})

    assert 400 == response.status_code
    assert "another browser" in response.text


async def test_a_stored_token_is_no_state(harness: OAuthHarness) -> None:
    state = harness.oauth.flow.state_cipher.encrypt_at_time(b"xoxb-1", int(harness.clock.at.timestamp())).decode()

    assert 400 == (await harness.return_from_slack(state, cookie=f'"{state}"', code="c")).status_code


@pytest.mark.parametrize(
    ("base_url", "forwarded", "expected"),
    [
        pytest.param("https://minerpulse", "", "max-age=31536000", id="https"),
        pytest.param("http://minerpulse", "https", "max-age=31536000", id="behind a proxy with https"),
        pytest.param("http://minerpulse", "", None, id="http"),
    ],
)
async def test_browsers_that_use_https_are_told_to_stay_with_it(
    harness: OAuthHarness, base_url: str, forwarded: str, expected: str | None
) -> None:
    headers = {"X-Forwarded-Proto": forwarded} if forwarded else {}
    answers = [await harness.web.get(f"{base_url}{path}", headers=headers) for path in (INSTALL_PATH, "/healthz")]

    assert [expected] * 2 == [response.headers.get("strict-transport-security") for response in answers]


async def test_after_installation_the_first_command_is_answered(harness: OAuthHarness) -> None:
    harness.slack.offer("c")
    before = await harness.send_command("help")
    response = await harness.return_from_slack(await harness.start_install(), code="c")
    after = await harness.send_command("help")

    assert (200, "no-store") == (response.status_code, response.headers["cache-control"])
    assert "To get alerts in a channel of Acme &lt;b&gt;, type /invite" in response.text
    assert (200, True) == (before.status_code, before.text.startswith("MinerPulse isn't installed in this workspace"))
    assert "MinerPulse commands: /minerpulse (market now)" in after.json()["text"]


async def test_slacks_url_verification_is_answered(harness: OAuthHarness) -> None:
    assert {"challenge": "3eZb"} == (await harness.verify_url()).json()


@pytest.mark.parametrize(
    ("cookie", "delay", "expected"),
    [
        pytest.param("", timedelta(0), "belongs to another browser", id="no cookie"),
        pytest.param("another", timedelta(0), "belongs to another browser", id="another browser's"),
        pytest.param("\u00e9", timedelta(0), "belongs to another browser", id="a cookie beyond ASCII"),
        pytest.param(None, timedelta(minutes=10), "has expired", id="too late"),
    ],
)
async def test_a_wrong_cookie_or_an_expired_state_is_rejected(
    harness: OAuthHarness, cookie: str | None, delay: timedelta, expected: str
) -> None:
    harness.slack.offer("c")
    state = await harness.start_install()
    harness.clock.advance(delay)

    response = await harness.return_from_slack(state, cookie, code="c")

    assert (400, []) == (response.status_code, harness.slack.calls_of(OAUTH))
    assert expected in response.text


async def test_a_state_can_be_used_once(harness: OAuthHarness) -> None:
    harness.slack.offer("c")
    harness.slack.offer("d")
    state = await harness.start_install()

    answers = [await harness.return_from_slack(state, code=code) for code in ("c", "d")]

    assert [200, 400] == [response.status_code for response in answers]
    assert 1 == len(harness.slack.calls_of(OAUTH))


@pytest.mark.parametrize(
    ("fault", "more", "status", "expected"),
    [
        pytest.param(None, {"error": "access_denied"}, 400, "the installation", id="denied"),
        pytest.param(
            None, {"code": "made-up"}, 400, "Slack rejected the request (invalid_code)", id="a code that is none"
        ),
        pytest.param(None, {}, 400, "Slack rejected the request (invalid_code)", id="no code"),
        pytest.param(Fault(status=503, body="down"), {"code": "c"}, 502, "Start again", id="Slack is down"),
        pytest.param(Fault(body='{"ok": true}'), {"code": "c"}, 400, "lacks", id="an answer of another shape"),
        pytest.param(Fault(body='{"ok": true, "token_type": "user"}'), {"code": "c"}, 400, "lacks", id="another token"),
    ],
)
async def test_a_failed_token_exchange_shows_an_error_and_installs_nothing(
    harness: OAuthHarness, fault: Fault | None, more: dict[str, str], status: int, expected: str
) -> None:
    harness.slack.offer("c")
    if fault is not None:
        harness.slack.fail(OAUTH, fault)

    response = await harness.return_from_slack(await harness.start_install(), **more)

    assert (status, True) == (response.status_code, expected in response.text), response.text
    assert "xox" not in response.text
    assert await harness.oauth.store.find("T1") is None


async def test_an_organization_installs_for_all_its_workspaces(harness: OAuthHarness) -> None:
    await harness.install(team=None, enterprise={"id": "E1", "name": "Holding"}, is_enterprise_install=True)

    in_organization, later = [
        await harness.send_command("help", team="T7", **more) for more in ({"enterprise_id": "E1"}, {})
    ]
    unknown = await harness.send_command("help", team="T8")

    assert "MinerPulse commands: /minerpulse (market now)" in in_organization.json()["text"]
    assert "MinerPulse commands: /minerpulse (market now)" in later.json()["text"]  # its organization is cached by now
    assert unknown.text.startswith("MinerPulse isn't installed")


async def test_reinstalling_uses_the_new_token_at_once(harness: OAuthHarness) -> None:
    await harness.install()
    await harness.oauth.clients.of("T1")
    await harness.install(access_token="xoxb-new")

    assert "xoxb-new" == (await harness.oauth.clients.of("T1")).token


async def test_alerts_use_the_workspace_token_or_else_the_organizations(
    harness: OAuthHarness,
) -> None:
    holding = {"id": "E1", "name": "Holding"}
    await harness.install(team=None, enterprise=holding, is_enterprise_install=True, access_token="xoxb-org")
    await harness.install(team={"id": "T8", "name": "Own"}, enterprise=holding, access_token="xoxb-own")
    for team in ("T7", "T8"):
        await harness.send_command("help", team=team, enterprise_id="E1")
        alert = an_alert(channel=Channel(team=team, id=f"C{team}"))
        await harness.app.store.record([], [AlertChange(alert=alert, revision=0)], harness.clock.at)
    await harness.app.outbox.deliver(harness.clock.at)

    assert [("xoxb-org", "CT7"), ("xoxb-own", "CT8")] == sorted(harness.slack.posted)[:2]
