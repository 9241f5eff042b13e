"""People: what they do at random moments, and what they were told it came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from services.domain.episode import Channel, EntryKind
from services.domain.errors import ConflictError, MarketShutError, NotFoundError, StoreError
from services.domain.snooze import Span
from tests.simulate.plan import RULES, Act

if TYPE_CHECKING:
    from random import Random

    from services.desk import Desk, Outcome
    from tests.simulate.log import Log
    from tests.simulate.slack import Slack

TEAM = "T1"
KINDS = {
    Act.ACKNOWLEDGE: EntryKind.ACKNOWLEDGED,
    Act.UNACKNOWLEDGE: EntryKind.UNACKNOWLEDGED,
    Act.SNOOZE: EntryKind.SNOOZED,
    Act.RESOLVE: EntryKind.RESOLVED,
}
SPANS = (timedelta(minutes=30), timedelta(hours=2), Span.CLOSE, Span.OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What somebody was told has been done to an alert."""

    channel: Channel
    alert_id: int
    kind: EntryKind
    by: str


@dataclass(slots=True)
class People:
    """Everyone in every channel; each act has a name of its own."""

    chance: Random
    slack: Slack
    log: Log
    done: list[Done] = field(default_factory=list)
    _acts: int = 0

    async def act(self, desk: Desk, act: Act, channel_id: str) -> None:
        """Do one thing; what is refused, or fails, is left at that."""
        self._acts += 1
        channel, by = Channel(team=TEAM, id=channel_id), f"U{self._acts}"
        try:
            told = await self._act(desk, act, channel, by)
        except (ConflictError, MarketShutError, NotFoundError, StoreError) as error:
            told = f"in vain: {error}"
        self.log.add("person", by, act.value, "in", channel_id, told)

    async def _act(self, desk: Desk, act: Act, channel: Channel, by: str) -> str:
        match act:
            case Act.DELETE:
                self.slack.delete(channel.id)
                return ""
            case Act.ADD:
                added = await desk.add_rule(channel, self.chance.choice(RULES), by)
                return f"{added.watch.id} {added.watch.rule}"
            case Act.REMOVE:
                rules = await desk.rules(channel)
                if not rules:
                    return "none there"
                gone = await desk.remove_rule(channel, self.chance.choice(rules).id, by)
                return f"{gone.id} {gone.rule}"
            case _:
                return await self._treat(desk, act, channel, by)

    async def _treat(self, desk: Desk, act: Act, channel: Channel, by: str) -> str:
        """Do something to an alert of the channel, mostly to an open one."""
        alerts = await desk.open_alerts(channel) or await desk.history(channel)
        if not alerts:
            return "no alert there"
        number = self.chance.choice(alerts).id
        outcome = await self._outcome(desk, act, channel, number, by)
        if outcome.changed:
            self.done.append(Done(channel=channel, alert_id=number, kind=KINDS[act], by=by))
        return f"alert {number}" if outcome.changed else f"alert {number}, nothing to do"

    async def _outcome(self, desk: Desk, act: Act, channel: Channel, number: int, by: str) -> Outcome:
        match act:
            case Act.ACKNOWLEDGE:
                return await desk.acknowledge(channel, number, by)
            case Act.UNACKNOWLEDGE:
                return await desk.unacknowledge(channel, number, by)
            case Act.SNOOZE:
                return await desk.snooze(channel, number, by, self.chance.choice(SPANS))
            case _:
                return await desk.resolve(channel, number, by, "enough")
