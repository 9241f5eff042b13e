"""An app that many workspaces install: wired whole, before a Slack that grants tokens."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from bot.app import App, build
from bot.health import Report
from bot.http.app import SLACK_PATH, build_web
from bot.http.slack_requests import SlackRequests, signed
from bot.oauth.build import OAuthParts
from bot.oauth.flow import COOKIE, INSTALL_PATH, REDIRECT_PATH
from bot.settings import Settings
from services.storage import new_key
from tests.fakes.clock import SetClock
from tests.fakes.oauth import CLIENT_ID, CLIENT_SECRET, Grants, granting
from tests.fakes.slack import SECRET

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(slots=True, kw_only=True)
class Office:
    """The app, a browser, and Slack on both sides of it."""

    app: App
    installing: OAuthParts
    clock: SetClock
    grants: Grants
    web: httpx.AsyncClient

    async def set_out(self) -> str:
        """Ask for the install page, and give the state that the browser is sent on with."""
        answer = await self.web.get(INSTALL_PATH)
        (state,) = parse_qs(urlsplit(answer.headers["location"]).query)["state"]
        return state

    async def come_back(self, state: str, cookie: str | None = None, **more: str) -> httpx.Response:
        """Come back from Slack with a state, and the cookie of it or another one."""
        held = state if cookie is None else cookie
        query = urlencode({"state": state, **more})
        return await self.web.get(f"{REDIRECT_PATH}?{query}", headers={b"Cookie": f"{COOKIE}={held}".encode()})

    async def install(self, **granted: Any) -> None:  # noqa: ANN401 -- any part of Slack's answer
        """Go the whole way."""
        self.grants.offer("c", **granted)
        answer = await self.come_back(await self.set_out(), code="c")
        assert 200 == answer.status_code

    async def types(self, text: str, *, team: str = "T1", **more: str) -> httpx.Response:
        """Type a command in a workspace."""
        form = {"command": "/minerpulse", "text": text, "team_id": team, "channel_id": "C1", "user_id": "U1", **more}
        body = urlencode({**form, "trigger_id": time.monotonic_ns()})  # no two are the same
        return await self._sends(body, "application/x-www-form-urlencoded")

    async def tells(self, kind: str, *, team: str | None = "T1", at: datetime | None = None, **more: Any) -> int:  # noqa: ANN401 -- of the event
        """Let Slack tell an event; the status that it gets."""
        told_at = int((at or self.clock.at).timestamp())
        enterprise = {"enterprise_id": more.pop("enterprise")} if "enterprise" in more else {}
        event_id = more.pop("event_id", f"Ev{time.monotonic_ns()}")
        document = {"type": "event_callback", "team_id": team, "event_id": event_id, **enterprise}
        told = {"event_time": told_at, "event": {"type": kind, **more}, "no_two_are_the_same": time.monotonic_ns()}
        body = json.dumps({**document, **told})
        return (await self._sends(body, "application/json")).status_code

    async def looks(self) -> httpx.Response:
        """Let Slack look whether the address of events is ours."""
        return await self._sends(json.dumps({"type": "url_verification", "challenge": "3eZb"}), "application/json")

    async def _sends(self, body: str, content_type: str) -> httpx.Response:
        stamp = str(int(time.time()))
        headers = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signed(SECRET, stamp, body.encode()).decode(),
        }
        answer = await self.web.post(SLACK_PATH, content=body, headers=headers)
        await self.app.errands.drain()
        return answer


@pytest.fixture
async def office(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    clock = SetClock(datetime(2026, 11, 17, 15, 40, tzinfo=UTC))
    async with granting() as grants:
        settings = Settings(
            slack_client_id=CLIENT_ID,
            slack_client_secret=SecretStr(CLIENT_SECRET),
            slack_signing_secret=SecretStr(SECRET),
            token_keys=(SecretStr(new_key()),),
            slack_api_url=f"{grants.url}api/",
            database_url="sqlite://",
            etf_sources=("simulated",),
            crypto_sources=("simulated",),
        )
        async with build(settings, clock=clock) as app:
            assert app.installing is not None
            web = build_web(SlackRequests(bolt=app.bolt, signing_secret=SECRET), healthy, app.installing.flow.routes())
            transport = httpx.ASGITransport(web, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://minerpulse") as browser:
                yield Office(app=app, installing=app.installing, clock=clock, grants=grants, web=browser)


async def healthy() -> Report:
    return Report(troubles=(), backlog=None)
