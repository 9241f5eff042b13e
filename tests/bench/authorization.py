"""Requests of many workspaces, beside Bolt's own way, which asks Slack's auth.test; here that takes 120 ms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median
from urllib.parse import urlencode

from aiohttp import web
from cryptography.fernet import Fernet
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltRequest
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.installation_store.models.bot import Bot
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.http.slack_requests import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from bot.oauth.tokens import InstallationCache
from bot.slack import build_bolt
from services.core.installation import Installation
from services.storage import SqlStore
from tests.bench.measurement import Measurement
from tests.fakes.slack import SECRET, TOKEN

AUTH_TEST_S = 0.12
WORKSPACES = 40
AT_ONCE = 32


async def bench() -> list[Measurement]:
    """The acknowledgement of a workspace's first request, of a later one, and of 32 first ones at once."""
    asked: list[float] = []
    async with _slack(asked) as url, _store() as tokens:
        ours = build_bolt(AsyncWebClient(token=None, base_url=url), SECRET, tokens)
        theirs = AsyncApp(
            client=AsyncWebClient(base_url=url),
            signing_secret=SECRET,
            installation_store=_Bots(),
            installation_store_bot_only=True,
            process_before_response=True,
        )
        for app in (ours, theirs):
            app.command("/minerpulse")(_bare)
            await _ack_ms(app, "T0")
        asked.clear()
        first, known = [await _acks_ms(ours) for _ in range(2)]
        mine = len(asked)
        their_first, their_known = [await _acks_ms(theirs) for _ in range(2)]
        tokens.invalidate_all()
        crowd = max(await asyncio.gather(*(_ack_ms(ours, "T1") for _ in range(AT_ONCE))))
        their_crowd = max(await asyncio.gather(*(_ack_ms(theirs, "T99") for _ in range(AT_ONCE))))
    return [
        _measurement(f"ack of a workspace's first request, {mine} auth.test", first, their_first),
        _measurement("ack of its later ones", known, their_known),
        _measurement(f"last ack of {AT_ONCE} first requests at once", crowd, their_crowd),
    ]


def _measurement(what: str, ours_ms: float, bare_ms: float) -> Measurement:
    beside = "Bolt's own authorize"
    return Measurement(name=what, measured=ours_ms, baseline=bare_ms, baseline_name=beside, unit="ms", budget=1.0, budget_is_ratio=True)


async def _acks_ms(app: AsyncApp) -> float:
    return median([await _ack_ms(app, f"T{number}") for number in range(1, WORKSPACES + 1)])


async def _ack_ms(app: AsyncApp, team: str) -> float:
    body = urlencode({"command": "/minerpulse", "text": "", "team_id": team, "channel_id": "C1", "user_id": "U1"})
    at = str(int(time.time()))
    headers = {
        "content-type": ["application/x-www-form-urlencoded"],
        TIMESTAMP_HEADER: [at],
        SIGNATURE_HEADER: [sign(SECRET, at, body.encode()).decode()],
    }
    began = time.perf_counter()
    response = await app.async_dispatch(AsyncBoltRequest(body=body, headers={**headers}))
    if response.body != "ok":
        raise AssertionError(response.body)
    return 1000 * (time.perf_counter() - began)


async def _bare(ack: AsyncAck) -> None:
    await ack("ok")


class _Bots(AsyncInstallationStore):
    """Bolt's store in memory: every workspace has the app."""

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        """Give the bot of a workspace."""
        return Bot(
            app_id="A1",
            enterprise_id=enterprise_id,
            team_id=team_id,
            bot_token=f"{TOKEN}-{team_id}",
            bot_id="BBOT",
            bot_user_id="UBOT",
            is_enterprise_install=is_enterprise_install,
            installed_at=time.time(),
        )


@asynccontextmanager
async def _store() -> AsyncIterator[InstallationCache]:
    """Keep the installations in SQLite, their tokens sealed."""
    store = await SqlStore.open("sqlite://")
    installations = store.installations([Fernet.generate_key().decode()])
    for number in range(WORKSPACES + 1):
        await installations.save(
            Installation(
                home=f"T{number}",
                enterprise=None,
                name="Acme",
                bot_token=TOKEN,
                bot_user="UBOT",
                scopes=("commands",),
                installed_by="U1",
                installed_at=datetime.now(UTC),
            )
        )
    yield InstallationCache(store=installations, clock=SystemClock())
    await store.aclose()


@asynccontextmanager
async def _slack(asked: list[float]) -> AsyncIterator[str]:
    async def auth_test(_request: web.Request) -> web.Response:
        asked.append(time.perf_counter())
        await asyncio.sleep(AUTH_TEST_S)
        return web.json_response(
            {"ok": True, "team_id": "T1", "user_id": "UBOT", "bot_id": "BBOT", "url": "", "user": "b"}
        )

    app = web.Application()
    app.router.add_post("/api/auth.test", auth_test)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    await runner.cleanup()
