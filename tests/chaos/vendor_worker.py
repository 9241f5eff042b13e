"""A whole worker process on vendors behind HTTP: ticks, delivery and health endpoints, in the scenario's time.

It prints the port of its health endpoints. MINERPULSE_SOURCE_URLS says where the vendors are.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bot.app import build
from bot.health import Health
from bot.http.app import build_web
from bot.http.server import Server
from bot.scheduler import TickScheduler
from bot.serve import POLL_INTERVAL, freeze_gc
from services.core.clock import last_boundary
from tests.chaos.scenario import TICK_S, Scenario
from tests.chaos.worker import settings


@dataclass(frozen=True, slots=True)
class SteppedClock:
    """A clock in the scenario's time, ahead by a span that all processes read from a file."""

    scenario: Scenario

    @property
    def _file(self) -> Path:
        return Path(f"{self.scenario.spread_file}.ahead")

    def now(self) -> datetime:
        return self.scenario.clock.now() + timedelta(seconds=float(self._file.read_text()))

    def step(self, ahead: timedelta) -> None:
        staged = self._file.with_suffix(".new")
        staged.write_text(f"{ahead.total_seconds()}")
        staged.replace(self._file)


async def run(scenario_text: str, database: str, slack: str, log: str) -> None:
    """Tick, deliver and answer health checks until the process is killed."""
    logging.basicConfig(filename=log, level="WARNING", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    scenario = Scenario.read(scenario_text)
    clock = SteppedClock(scenario)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with build(settings(database, slack), clock=clock, network_sources=()) as app:
            freeze_gc()
            app.outbox.max_sleep = POLL_INTERVAL
            ticker = TickScheduler(monitor=app.monitor, clock=app.clock, maintenance=app.maintenance)
            health = Health(ticker, app.store, app.client)
            print(listener.getsockname()[1], flush=True)  # noqa: T201 -- read by the parent process
            server = Server(build_web(None, health.report))
            await asyncio.gather(server.serve(sockets=[listener]), app.outbox.run(), _run_ticks(health, scenario))


async def _run_ticks(health: Health, scenario: Scenario) -> None:
    """Tick at each boundary of the scenario's time, which APScheduler doesn't know."""
    every = timedelta(seconds=TICK_S)
    while True:
        await health.run()
        now = health.scheduler.clock.now()
        await asyncio.sleep((last_boundary(now, every) + every - now).total_seconds() / scenario.speed)
