"""Requests of many workspaces, compared with Bolt's own authorization, which calls auth.test (120 ms here)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median
from urllib.parse import urlencode

from cryptography.fernet import Fernet
from slack_bolt.async_app import AsyncApp
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.installation_store.models.bot import Bot
from slack_sdk.web.async_client import AsyncWebClient

from bot.bolt_app import build_bolt
from bot.clock import SystemClock
from bot.oauth.tokens import InstallationCache
from services.core.installation import Installation
from services.storage import SqlStore
from tests.bench.ack import acknowledge
from tests.bench.measurement import Measurement
from tests.fakes.slack import AUTH, SECRET, TOKEN, FakeSlack, command_form, dispatch, slack_server

AUTH_TEST_S = 0.12
WORKSPACES = 40
AT_ONCE = 32


async def bench() -> list[Measurement]:
    """Measure the acknowledgement of a workspace's first request, of a later one, and of 32 first ones at once."""
    slow = FakeSlack(latency=lambda method: AUTH_TEST_S / 2 if method == AUTH else 0.0)
    async with slack_server(slow) as slack, _installations() as installations:
        url = f"{slack.url}api/"
        ours = build_bolt(AsyncWebClient(token=None, base_url=url), SECRET, installations)
        bare = AsyncApp(
            client=AsyncWebClient(base_url=url),
            signing_secret=SECRET,
            installation_store=_Bots(),
            installation_store_bot_only=True,
            process_before_response=True,
        )
        for app in (ours, bare):
            app.command("/minerpulse")(acknowledge)
            await _ack_ms(app, "T0")
        slack.calls.clear()
        first, later = [await _median_ack_ms(ours) for _ in range(2)]
        auth_tests = len(slack.calls_of(AUTH))
        bare_first, bare_later = [await _median_ack_ms(bare) for _ in range(2)]
        installations.invalidate_all()
        last = max(await asyncio.gather(*(_ack_ms(ours, "T1") for _ in range(AT_ONCE))))
        bare_last = max(await asyncio.gather(*(_ack_ms(bare, "T99") for _ in range(AT_ONCE))))
    return [
        _measurement(f"ack of a workspace's first request, {auth_tests} auth.test", first, bare_first),
        _measurement("ack of later requests", later, bare_later),
        _measurement(f"last ack of {AT_ONCE} first requests at once", last, bare_last),
    ]


def _measurement(name: str, ours_ms: float, bare_ms: float) -> Measurement:
    return Measurement(
        name=name,
        measured=ours_ms,
        baseline=bare_ms,
        baseline_name="Bolt's own authorize",
        unit="ms",
        budget=1.0,
        budget_is_ratio=True,
    )


async def _median_ack_ms(app: AsyncApp) -> float:
    return median([await _ack_ms(app, f"T{number}") for number in range(1, WORKSPACES + 1)])


async def _ack_ms(app: AsyncApp, team: str) -> float:
    body = urlencode(command_form("", team_id=team))
    start = time.perf_counter()
    response = await dispatch(app, body)
    if response.body != "ok":
        raise AssertionError(response.body)
    return 1000 * (time.perf_counter() - start)


class _Bots(AsyncInstallationStore):
    """Bolt's installation store, in memory, with a bot in every workspace."""

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
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
async def _installations() -> AsyncIterator[InstallationCache]:
    """Store installations in SQLite, with encrypted tokens."""
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
