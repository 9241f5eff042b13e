"""The process under test: the app of `bot.app.build`, with ticks and delivery running.

It prints `ready`, then `claim BOUNDARY` and `lease KEY` when it gets them, and `tick` after each tick.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from bot.app import build
from bot.clock import SystemClock
from bot.scheduler import TickScheduler, schedule
from bot.settings import Settings, SlackMode
from services.alerting.tick_log import Claim
from services.core.clock import last_boundary
from services.core.prices import Pair
from services.delivery.ports import Delivery
from services.storage import SqlStore
from tests.chaos.scenario import TICK_S, Scenario, SpreadSource
from tests.fakes.slack import SECRET, TOKEN

MAX_SLEEP = timedelta(seconds=0.05)  # the outbox sleeps in real time


@dataclass(slots=True)
class PrintingStore:
    """The real store; it prints the work that this process gets."""

    store: SqlStore

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    async def claim_tick(self, pair: Pair, since: datetime, at: datetime) -> Claim:
        claim = await self.store.claim_tick(pair, since, at)
        if claim is Claim.OURS:
            _print(f"claim {since.isoformat()}")
        return claim

    async def mark_attempting(self, delivery: Delivery, at: datetime) -> Delivery | None:
        leased = await self.store.mark_attempting(delivery, at)
        if leased is not None:
            _print(f"lease {leased.key}")
        return leased


async def run(scenario_text: str, database: str, slack: str, log: str) -> None:
    """Tick and deliver until the process is killed."""
    logging.basicConfig(
        filename=log, level="WARNING", format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )
    scenario = Scenario.read(scenario_text)
    clock = scenario.clock
    market = SpreadSource(scenario, clock)
    async with build(settings(database, slack), clock=clock, equity=market, crypto=market) as app:
        store: Any = PrintingStore(app.store)
        monitor, outbox = replace(app.monitor, store=store), replace(app.outbox, store=store, max_sleep=MAX_SLEEP)
        _print("ready")
        await asyncio.gather(outbox.run(), _run_ticks(TickScheduler(monitor=monitor, clock=clock), scenario))


def settings(database: str, slack: str) -> Settings:
    """Return the settings of a whole app on this Slack, with the shortest tick interval."""
    return Settings(
        slack_bot_token=SecretStr(TOKEN),
        slack_signing_secret=SecretStr(SECRET),
        slack_app_token=None,
        slack_mode=SlackMode.HTTP,
        slack_api_url=f"{slack}api/",
        database_url=database,
        tick_seconds=TICK_S,
    )


async def _run_ticks(ticker: TickScheduler, scenario: Scenario) -> None:
    """Tick on the real schedule, or, if the scenario's time is faster, at each boundary of that."""
    every = timedelta(seconds=TICK_S)

    async def tick() -> None:
        await ticker.tick()
        _print("tick")

    if scenario.speed == 1:
        schedule(tick, SystemClock(), every)
        await asyncio.Event().wait()
    while True:
        await tick()
        now = ticker.clock.now()
        await asyncio.sleep((last_boundary(now, every) + every - now).total_seconds() / scenario.speed)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- the parent process waits for it
