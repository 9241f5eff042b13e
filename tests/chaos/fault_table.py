"""The table of faults: 20 alerts in one channel while Slack fails for the first 3 s, in real time."""

import asyncio
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.app import App, build
from services.alerting.alert import EntryKind, close
from services.alerting.ports import AlertChange
from services.core.prices import Pair, Symbol
from services.storage import migrate
from tests.chaos.processes import read_record, slack
from tests.chaos.slack import SlackRecord
from tests.chaos.worker import settings
from tests.fakes.alerts import an_alert, an_entry

ALERTS = 20
POLL_S = 0.1
HEAD = ("| fault for 3 s | alert lasts | MinerPulse |", "| --- | --- | --- |")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What Slack shows of 20 alerts at the end.

    Attributes:
        as_firing: Alerts that were first posted while they were open.
        resolved: Alerts that are shown as resolved.
        messages: Messages in the channel.
        replies: Messages in threads.
        first_s: Seconds until the first alert was posted; `last_s` until the last.
    """

    fault: str
    lasts_s: float
    as_firing: int
    resolved: int
    messages: int
    replies: int
    calls: int
    first_s: float
    last_s: float

    def row(self) -> str:
        """Return the outcome as a row of the table."""
        shown = f"{self.as_firing} of {ALERTS} posted while open, {self.resolved} shown as resolved"
        sent = f"{self.messages} messages, {self.replies} thread replies, {self.calls} calls"
        posted = f"first posted after {self.first_s:.0f}–{self.last_s:.0f} s"
        return f"| {self.fault} | {self.lasts_s:g} s | {shown}; {sent}; {posted} |"


CASES = (("none", 8.0), ("429", 8.0), ("429", 40.0), ("500", 8.0), ("lost", 8.0))


async def table() -> str:
    """Run all cases concurrently; return the table."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = await asyncio.gather(
            *[run(fault, lasts_s, await _database(folder, number)) for number, (fault, lasts_s) in enumerate(CASES)]
        )
    return "\n".join([*HEAD, *(outcome.row() for outcome in outcomes)])


async def run(fault: str, lasts_s: float, database: str) -> Outcome:
    """Open 20 alerts, resolve them after `lasts_s`, and wait until everything is delivered."""
    async with slack(fault, 1) as url, build(settings(database, url)) as app:
        delivery = asyncio.create_task(app.outbox.run())
        started_at = time.time()
        await _open_alerts(app)
        await asyncio.sleep(lasts_s)
        await _resolve_alerts(app)
        while (await app.store.backlog(datetime.now(UTC))).waiting:  # noqa: ASYNC110 -- the store has no event
            await asyncio.sleep(POLL_S)
        app.outbox.stop()
        await delivery
        return _outcome(fault, lasts_s, started_at, await read_record(url))


async def _database(folder: str, number: int) -> str:
    """Create a database; not concurrently, because Alembic can't."""
    url = f"sqlite:///{folder}/{number}.db"
    await migrate(url)
    return url


async def _open_alerts(app: App) -> None:
    now = datetime.now(UTC)
    for number in range(ALERTS):
        pair = Pair(etf=Symbol(f"M{number}"), crypto=Symbol("BTC"))
        alert = an_alert(pair=pair, opened_at=now, as_of=now)
        fired = an_entry(at=now, silent=True)
        await app.store.record([], [AlertChange(alert=alert, revision=0, entries=(fired,))], now)
        app.outbox.nudge()


async def _resolve_alerts(app: App) -> None:
    now = datetime.now(UTC)
    for stored in await app.store.open_alerts():
        alert = replace(close(stored.alert, now, "back inside"), as_of=now)
        resolved = an_entry(kind=EntryKind.RESOLVED, at=now, reason="back inside")
        await app.store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=(resolved,))], now)
        app.outbox.nudge()


def _outcome(fault: str, lasts_s: float, started_at: float, record: SlackRecord) -> Outcome:
    roots = [post for post in record["posts"] if post["thread"] is None]
    return Outcome(
        fault=fault,
        lasts_s=lasts_s,
        as_firing=sum("Resolved:" not in post["first"] for post in roots),
        resolved=sum("Resolved:" in post["last"] for post in roots),
        messages=len(roots),
        replies=len(record["posts"]) - len(roots),
        calls=sum(record["calls"].values()),
        first_s=max(0.0, min(post["at"] for post in roots) - started_at),
        last_s=max(post["at"] for post in roots) - started_at,
    )
