"""The table of faults: 20 alerts in one channel while Slack misbehaves for the first 3 s, by the clock on the wall."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.app import App, build
from services.alerting.alert import EntryKind, close
from services.alerting.records import AlertChange
from services.core.prices import Pair, Symbol
from services.storage import migrate
from tests.chaos.crew import ledger, slack
from tests.chaos.slack import Ledger
from tests.chaos.worker import settings
from tests.fakes.alerts import an_alert, an_entry

ALERTS = 20
LOOK_S = 0.1
HEAD = ("| fault for 3 s | alert lasts | MinerPulse |", "| --- | --- | --- |")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What Slack shows of 20 alerts in the end.

    `as_firing` were first told while they were open, `resolved` are told to have ended; `messages` are those in the
    channel, `lines` those in threads. `first_s` and `last_s` are when the first and the last alert was first told.
    """

    fault: str
    lasts_s: float
    as_firing: int
    resolved: int
    messages: int
    lines: int
    calls: int
    first_s: float
    last_s: float

    def row(self) -> str:
        """Write it as a row of the table."""
        what = "none" if self.fault == "fair" else self.fault
        told = f"{self.as_firing} of {ALERTS} told while they last, {self.resolved} as resolved"
        sent = f"{self.messages} messages, {self.lines} lines, {self.calls} calls"
        return (
            f"| {what} | {self.lasts_s:g} s | {told}; {sent}; first told after {self.first_s:.0f}–{self.last_s:.0f} s |"
        )


CASES = (("fair", 8.0), ("429", 8.0), ("429", 40.0), ("500", 8.0), ("lost", 8.0))


async def table() -> str:
    """Run every case side by side; give the table."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = await asyncio.gather(
            *[run(fault, lasts_s, await _database(folder, place)) for place, (fault, lasts_s) in enumerate(CASES)]
        )
    return "\n".join([*HEAD, *(outcome.row() for outcome in outcomes)])


async def run(fault: str, lasts_s: float, database: str) -> Outcome:
    """Record 20 alerts, end them after so long, and wait until everything is delivered."""
    async with slack(fault, 1) as url, build(settings(database, url)) as app:
        delivery = asyncio.create_task(app.outbox.run())
        began = time.time()
        await _begin(app)
        await asyncio.sleep(lasts_s)
        await _end(app)
        while (await app.store.backlog(datetime.now(UTC))).waiting:  # noqa: ASYNC110 -- the store has no event
            await asyncio.sleep(LOOK_S)
        app.outbox.stop()
        await delivery
        return _outcome(fault, lasts_s, began, await ledger(url))


async def _database(folder: str, place: int) -> str:
    """Make a database; one after the other, as Alembic works on one at a time."""
    url = f"sqlite:///{folder}/{place}.db"
    await migrate(url)
    return url


async def _begin(app: App) -> None:
    now = datetime.now(UTC)
    for number in range(ALERTS):
        pair = Pair(etf=Symbol(f"M{number}"), crypto=Symbol("BTC"))
        alert = an_alert(pair=pair, opened_at=now, as_of=now)
        fired = an_entry(at=now, silent=True)
        await app.store.record([], [AlertChange(alert=alert, revision=0, entries=(fired,))], now)
        app.outbox.nudge()


async def _end(app: App) -> None:
    now = datetime.now(UTC)
    for stored in await app.store.open_alerts():
        alert = replace(close(stored.alert, now, "back inside"), as_of=now)
        resolved = an_entry(kind=EntryKind.RESOLVED, at=now, reason="back inside")
        await app.store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=(resolved,))], now)
        app.outbox.nudge()


def _outcome(fault: str, lasts_s: float, began: float, told: Ledger) -> Outcome:
    roots = [post for post in told["posts"] if post["thread"] is None]
    return Outcome(
        fault=fault,
        lasts_s=lasts_s,
        as_firing=sum("Resolved after" not in post["first"] for post in roots),
        resolved=sum("Resolved after" in post["last"] for post in roots),
        messages=len(roots),
        lines=len(told["posts"]) - len(roots),
        calls=sum(told["calls"].values()),
        first_s=max(0.0, min(post["at"] for post in roots) - began),
        last_s=max(post["at"] for post in roots) - began,
    )
