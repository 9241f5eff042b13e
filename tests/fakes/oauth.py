"""Slack as many workspaces' app sees it: grants tokens for codes and refresh tokens, and takes messages for each."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CLIENT_ID, CLIENT_SECRET = "11.22", "client-hush"
LASTS_S = 43_200


@dataclass(slots=True)
class Grants:
    """What Slack grants, as its documentation shows the answers; codes and refresh tokens are good for once."""

    url: str = ""
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)  # to the token that it is good for
    asked: list[dict[str, str]] = field(default_factory=list)
    posted: list[tuple[str, str]] = field(default_factory=list)  # token and channel
    broken: web.Response | None = None

    def offer(self, code: str, **more: Any) -> None:  # noqa: ANN401 -- any part of the answer
        """Let a code be turned into an installation, in the workspace T1 where nothing else is said."""
        self.codes[code] = {
            "access_token": "xoxb-acme",
            "token_type": "bot",
            "scope": "commands,chat:write",
            "bot_user_id": "UBOT",
            "app_id": "A1",
            "team": {"id": "T1", "name": "Acme <b>"},
            "enterprise": None,
            "is_enterprise_install": False,
            "authed_user": {"id": "U1"},
            **more,
        }

    async def access(self, request: web.Request) -> web.Response:
        """Answer oauth.v2.access."""
        asked = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(asked)
        if self.broken is not None:
            return self.broken
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            return _refused("bad_client_secret")
        if asked.get("grant_type") == "refresh_token":
            return self._renewed(asked["refresh_token"])
        granted = self.codes.pop(asked.get("code", ""), None)
        return _refused("invalid_code") if granted is None else web.json_response({"ok": True, **granted})

    def _renewed(self, refresh: str) -> web.Response:
        token = self.refresh.pop(refresh, None)
        if token is None:
            return _refused("invalid_refresh_token")
        new = {"access_token": token, "token_type": "bot", "refresh_token": f"{refresh}+", "expires_in": LASTS_S}
        return web.json_response({"ok": True, **new})

    async def post(self, request: web.Request) -> web.Response:
        """Answer chat.postMessage."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        asked = await request.json() if request.content_type == "application/json" else await request.post()
        self.posted.append((token, str(asked["channel"])))
        return web.json_response({"ok": True, "ts": f"{len(self.posted)}.0"})


def _refused(error: str) -> web.Response:
    return web.json_response({"ok": False, "error": error})


@asynccontextmanager
async def granting() -> AsyncIterator[Grants]:
    """Serve it at a free port."""
    grants, app = Grants(), web.Application()
    app.router.add_post("/api/oauth.v2.access", grants.access)
    app.router.add_post("/api/chat.postMessage", grants.post)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    grants.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield grants
    finally:
        await runner.cleanup()
