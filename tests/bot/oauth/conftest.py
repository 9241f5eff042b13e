"""A fully wired distributed app, with a fake Slack that grants tokens."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from bot.app import App, build
from bot.health import HealthReport
from bot.http.app import SLACK_PATH, build_web
from bot.http.slack_requests import SlackRequests
from bot.manifest import REDIRECT_PATH
from bot.oauth.build import OAuthParts
from bot.oauth.flow import INSTALL_PATH, STATE_COOKIE
from bot.settings import Settings
from services.storage import generate_key
from tests.fakes.clock import SetClock
from tests.fakes.slack import CLIENT_ID, CLIENT_SECRET, FORM, SECRET, FakeSlack, signed_headers, slack_server


@dataclass(slots=True, kw_only=True)
class OAuthHarness:
    """The app, a browser and the fake Slack."""

    app: App
    oauth: OAuthParts
    clock: SetClock
    slack: FakeSlack
    web: httpx.AsyncClient

    async def start_install(self) -> str:
        """Open the install page; return the state of the redirect."""
        response = await self.web.get(INSTALL_PATH)
        (state,) = parse_qs(urlsplit(response.headers["location"]).query)["state"]
        return state

    async def return_from_slack(self, state: str, cookie: str | None = None, **extra: str) -> httpx.Response:
        """Open the redirect URL with a state, and with its cookie or another one."""
        cookie_state = state if cookie is None else cookie
        query = urlencode({"state": state, **extra})
        return await self.web.get(
            f"{REDIRECT_PATH}?{query}", headers={b"Cookie": f"{STATE_COOKIE}={cookie_state}".encode()}
        )

    async def install(self, **granted: Any) -> None:  # noqa: ANN401 -- any part of Slack's answer
        """Run the whole OAuth flow."""
        self.slack.offer("c", **granted)
        response = await self.return_from_slack(await self.start_install(), code="c")
        assert 200 == response.status_code

    async def send_command(self, text: str, *, team: str = "T1", **extra: str) -> httpx.Response:
        """Send a slash command from a workspace."""
        form = {"command": "/minerpulse", "text": text, "team_id": team, "channel_id": "C1", "user_id": "U1", **extra}
        body = urlencode({**form, "trigger_id": time.monotonic_ns()})  # makes each request unique
        return await self._post(body, "application/x-www-form-urlencoded")

    async def send_event(
        self,
        event_type: str,
        *,
        team: str | None = "T1",
        at: datetime | None = None,
        **extra: Any,  # noqa: ANN401 -- of the event
    ) -> int:
        """Send an event as Slack; return the response status."""
        event_time = int((at or self.clock.at).timestamp())
        enterprise = {"enterprise_id": extra.pop("enterprise")} if "enterprise" in extra else {}
        event_id = extra.pop("event_id", f"Ev{time.monotonic_ns()}")
        document = {"type": "event_callback", "team_id": team, "event_id": event_id, **enterprise}
        payload = {
            "event_time": event_time,
            "event": {"type": event_type, **extra},
            "no_two_are_the_same": time.monotonic_ns(),
        }
        body = json.dumps({**document, **payload})
        return (await self._post(body, "application/json")).status_code

    async def send_payload(self, payload: dict[str, Any], *, team: str = "T1") -> httpx.Response:
        """Send an interaction from a workspace."""
        parties = {"team": {"id": team}, "user": {"id": "U1"}, "trigger_id": str(time.monotonic_ns())}
        return await self._post(urlencode({"payload": json.dumps({**parties, **payload})}), FORM)

    async def verify_url(self) -> httpx.Response:
        """Send Slack's URL verification."""
        return await self._post(json.dumps({"type": "url_verification", "challenge": "3eZb"}), "application/json")

    async def _post(self, body: str, content_type: str) -> httpx.Response:
        response = await self.web.post(SLACK_PATH, content=body, headers=signed_headers(body, content_type))
        await self.app.background.drain()
        return response


@pytest.fixture
async def harness() -> AsyncIterator[OAuthHarness]:
    async with open_oauth_harness() as harness:
        yield harness


@asynccontextmanager
async def open_oauth_harness(
    database_url: str = "sqlite://", *, token_key: str | None = None
) -> AsyncIterator[OAuthHarness]:
    """Run the app on a database, with a key of its own unless one is given."""
    clock = SetClock(datetime(2026, 11, 17, 15, 40, tzinfo=UTC))
    async with slack_server() as server:
        settings = oauth_settings(server.url, database_url, token_key or generate_key())
        async with build(settings, clock=clock) as app:
            assert app.oauth is not None
            web = build_web(SlackRequests(bolt=app.bolt, signing_secret=SECRET), healthy, app.oauth.flow.routes())
            transport = httpx.ASGITransport(web, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://minerpulse") as browser:
                yield OAuthHarness(app=app, oauth=app.oauth, clock=clock, slack=server, web=browser)


def oauth_settings(slack_url: str, database_url: str, token_key: str) -> Settings:
    return Settings(
        slack_client_id=CLIENT_ID,
        slack_client_secret=SecretStr(CLIENT_SECRET),
        slack_signing_secret=SecretStr(SECRET),
        token_keys=(SecretStr(token_key),),
        slack_api_url=f"{slack_url}api/",
        database_url=database_url,
        etf_sources=("simulated",),
        crypto_sources=("simulated",),
    )


async def healthy() -> HealthReport:
    return HealthReport(problems=(), backlog=None)
