"""The process under test: everything as `bot.app.build` wires it, with the clockwork and the delivery running.

It says `ready`, then `claim BOUNDARY` and `lease KEY` as it gets them, and `tick` after each.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from bot.app import build
from bot.scheduler import TickScheduler
from bot.settings import Settings, SlackMode
from services.alerting.tick_log import Claim
from services.core.clock import last_boundary
from services.core.prices import Pair
from services.delivery.ports import Delivery
from services.storage import SqlStore
from tests.chaos.scene import TICK_S, Scene, Seesaw
from tests.fakes.slack import SECRET, TOKEN

LOOKS = timedelta(seconds=0.05)  # by the wall: the outbox sleeps in the wall's time


@dataclass(slots=True)
class Telling:
    """The real store, which says aloud what work it gives to this process."""

    store: SqlStore

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    async def claim_tick(self, pair: Pair, since: datetime, at: datetime) -> Claim:
        claim = await self.store.claim_tick(pair, since, at)
        if claim is Claim.OURS:
            _say(f"claim {since.isoformat()}")
        return claim

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        leased = await self.store.mark_attempting(delivery, at)
        if leased is not None:
            _say(f"lease {leased.key}")
        return leased


async def run(played: str, database: str, slack: str, log: str) -> None:
    """Tick and deliver until the process is ended."""
    logging.basicConfig(
        filename=log, level="WARNING", format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )
    scene = Scene.read(played)
    clock = scene.clock
    market = Seesaw(scene, clock)
    async with build(settings(database, slack), clock=clock, equity=market, crypto=market) as app:
        store: Any = Telling(app.store)
        monitor, outbox = replace(app.monitor, store=store), replace(app.outbox, store=store, max_sleep=LOOKS)
        _say("ready")
        await asyncio.gather(outbox.run(), _tick_on(TickScheduler(monitor=monitor, clock=clock), scene))


def settings(database: str, slack: str) -> Settings:
    """The settings of a whole app on this Slack; ticks are as close as can be."""
    return Settings(
        slack_bot_token=SecretStr(TOKEN),
        slack_signing_secret=SecretStr(SECRET),
        slack_app_token=None,
        slack_mode=SlackMode.HTTP,
        slack_api_url=f"{slack}api/",
        database_url=database,
        tick_seconds=TICK_S,
    )


async def _tick_on(ticker: TickScheduler, scene: Scene) -> None:
    """Tick at each boundary of the scene's time, as the scheduler does by the wall's."""
    every = timedelta(seconds=TICK_S)
    while True:
        await ticker.tick()
        _say("tick")
        now = ticker.clock.now()
        await asyncio.sleep((last_boundary(now, every) + every - now).total_seconds() / scene.speed)


def _say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 -- whoever began it waits for that
