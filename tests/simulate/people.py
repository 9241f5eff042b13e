"""People: what they do at random moments, and what they were told it came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from services.alerting.alert import EntryKind
from services.alerting.records import ChannelRule
from services.alerting.snooze import SnoozeUntil
from services.channels.commands import AlertOutcome, ChannelCommands
from services.core.errors import StorageError, UserInputError
from services.core.identity import Channel, Mention
from tests.fakes.slack import FakeSlack
from tests.simulate.log import Log
from tests.simulate.plan import CHANNELS, RULES, Act
from tests.simulate.slack import delete_newest_alert

TEAM = "T1"
KINDS = {
    Act.ACKNOWLEDGE: EntryKind.ACKNOWLEDGED,
    Act.UNACKNOWLEDGE: EntryKind.UNACKNOWLEDGED,
    Act.SNOOZE: EntryKind.SNOOZED,
    Act.RESOLVE: EntryKind.RESOLVED,
}
ON_CALL = Mention(text="<@U900>", name="@U900")
OTHERS = {"@desk": ON_CALL, "@boss": Mention(text="<@U901>", name="@U901")}
MUTES = ("2h", "30m", "while shut", "while open", "until open")
HOURS = ("quiet 09:30-10:15", "quiet 16:00-09:45", "quiet 22:00-07:00", "quiet 10:00-16:30", "quiet off")
CALLS = (
    ("mention @desk", "remind 15m"),
    ("mention @desk", "remind 15m", "escalate 30m @boss"),
    ("escalate 30m #other",),
    ("remind off", "escalate off"),
)
TELLS = (("thread all",), ("thread steps",), ("thread ends",), ("daily on",), ("daily off",), ("broadcast on",))
SPANS = (timedelta(minutes=30), timedelta(hours=2), SnoozeUntil.CLOSE, SnoozeUntil.OPEN)


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
    slack: FakeSlack
    log: Log
    done: list[Done] = field(default_factory=list)
    _acts: int = 0

    async def act(self, desk: ChannelCommands, act: Act, channel_id: str) -> None:
        """Do one thing; what is refused, or fails, is left at that."""
        self._acts += 1
        channel, by = Channel(team=TEAM, id=channel_id), f"U{self._acts}"
        try:
            told = await self._act(desk, act, channel, by)
        except (UserInputError, StorageError) as error:
            told = f"in vain: {error}"
        self.log.add("person", by, act.value, "in", channel_id, told)

    async def _act(self, desk: ChannelCommands, act: Act, channel: Channel, by: str) -> str:
        match act:
            case Act.DELETE:
                delete_newest_alert(self.slack, channel.id, self.log)
                return ""
            case Act.ADD:
                added = await desk.add_rule(channel, self.chance.choice(RULES), by)
                return f"{added.channel_rule.id} {added.channel_rule.rule}"
            case Act.REMOVE | Act.EDIT | Act.PAUSE | Act.RESUME:
                rules = await desk.rules(channel)
                return await self._change(desk, act, self.chance.choice(rules), by) if rules else "none there"
            case Act.MUTE | Act.HEAR:
                text = "off" if act is Act.HEAR else self.chance.choice(MUTES)
                await desk.settings.mute(channel, text, by)
                return text
            case Act.QUIET | Act.CALL | Act.TELL:
                return await self._set(desk, act, channel, by)
            case _:
                return await self._treat(desk, act, channel, by)

    async def _change(self, desk: ChannelCommands, act: Act, watch: ChannelRule, by: str) -> str:
        """Change a rule in one way or another."""
        channel, number = watch.channel, watch.id
        match act:
            case Act.REMOVE:
                await desk.remove_rule(channel, number, by)
            case Act.PAUSE:
                await desk.pause_rule(channel, number, by)
            case Act.RESUME:
                await desk.resume_rule(channel, number, by)
            case _:
                edited = await desk.edit_rule(channel, number, self.chance.choice(RULES), by)
                return f"{number} {watch.rule} to {edited.rule}"
        return f"{number} {watch.rule}"

    async def _set(self, desk: ChannelCommands, act: Act, channel: Channel, by: str) -> str:
        """Set one thing in a channel, or a few that belong together."""
        texts = (
            (self.chance.choice(HOURS),) if act is Act.QUIET else self.chance.choice({Act.CALL: CALLS}.get(act, TELLS))
        )
        other = Channel(team=TEAM, id=next(name for name in CHANNELS if name != channel.id))
        for text in texts:
            await desk.settings.set(channel, text, by, lambda name: OTHERS.get(name, other))
        return ", ".join(texts)

    async def _treat(self, desk: ChannelCommands, act: Act, channel: Channel, by: str) -> str:
        """Do something to an alert of the channel, mostly to an open one."""
        alerts = await desk.open_alerts(channel) or await desk.history(channel)
        if not alerts:
            return "no alert there"
        number = self.chance.choice(alerts).id
        outcome = await self._outcome(desk, act, channel, number, by)
        if outcome.changed:
            self.done.append(Done(channel=channel, alert_id=number, kind=KINDS[act], by=by))
        return f"alert {number}" if outcome.changed else f"alert {number}, nothing to do"

    async def _outcome(self, desk: ChannelCommands, act: Act, channel: Channel, number: int, by: str) -> AlertOutcome:
        match act:
            case Act.ACKNOWLEDGE:
                return await desk.acknowledge(channel, number, by)
            case Act.UNACKNOWLEDGE:
                return await desk.unacknowledge(channel, number, by)
            case Act.SNOOZE:
                return await desk.snooze(channel, number, by, self.chance.choice(SPANS))
            case _:
                return await desk.resolve(channel, number, by, "enough")
