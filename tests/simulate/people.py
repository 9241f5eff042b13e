"""People: their actions at random times, and the results that were reported to them."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from services.alerting.alert import EntryKind
from services.alerting.ports import ChannelRule
from services.alerting.snooze import SnoozeUntil
from services.channels.commands import AlertOutcome, ChannelCommands
from services.core.errors import StorageError, UserInputError
from services.core.identity import Channel, Mention
from tests.fakes.slack import FakeSlack
from tests.simulate.event_log import EventLog
from tests.simulate.plan import CHANNELS, RULES, Action
from tests.simulate.slack import delete_newest_alert

TEAM = "T1"
ENTRY_KINDS = {
    Action.ACKNOWLEDGE: EntryKind.ACKNOWLEDGED,
    Action.UNACKNOWLEDGE: EntryKind.UNACKNOWLEDGED,
    Action.SNOOZE: EntryKind.SNOOZED,
    Action.UNSNOOZE: EntryKind.UNSNOOZED,
    Action.RESOLVE: EntryKind.RESOLVED,
}
ON_CALL = Mention(text="<@U900>", name="@U900")
MENTIONED = {"@desk": ON_CALL, "@boss": Mention(text="<@U901>", name="@U901")}
MUTES = ("2h", "30m", "while shut", "while open", "until open")
QUIET_HOURS = ("quiet 09:30-10:15", "quiet 16:00-09:45", "quiet 22:00-07:00", "quiet 10:00-16:30", "quiet off")
MENTIONS = (
    ("mention @desk", "remind 15m"),
    ("mention @desk", "remind 15m", "escalate 30m @boss"),
    ("escalate 30m #other",),
    ("remind off", "escalate off"),
)
NOTIFICATIONS = (("thread all",), ("thread steps",), ("thread ends",), ("daily on",), ("daily off",), ("broadcast on",))
SNOOZES = (timedelta(minutes=30), timedelta(hours=2), SnoozeUntil.CLOSE, SnoozeUntil.OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedAction:
    """A change of an alert that was reported as done."""

    channel: Channel
    alert_id: int
    kind: EntryKind
    by: str


@dataclass(slots=True)
class People:
    """All users of all channels; each action has its own user ID."""

    random: Random
    slack: FakeSlack
    log: EventLog
    reported: list[ReportedAction] = field(default_factory=list)
    _count: int = 0

    async def act(self, commands: ChannelCommands, action: Action, channel_id: str) -> None:
        """Run one action; rejected and failed actions are only logged."""
        self._count += 1
        channel, by = Channel(team=TEAM, id=channel_id), f"U{self._count}"
        try:
            result = await self._act(commands, action, channel, by)
        except (UserInputError, StorageError) as error:
            result = f"failed: {error}"
        self.log.add("person", by, action.value, "in", channel_id, result)

    async def _act(self, commands: ChannelCommands, action: Action, channel: Channel, by: str) -> str:
        match action:
            case Action.DELETE:
                delete_newest_alert(self.slack, channel.id, self.log)
                return ""
            case Action.ADD:
                added = await commands.add_rule(channel, self.random.choice(RULES), by)
                return f"{added.channel_rule.id} {added.channel_rule.rule}"
            case Action.REMOVE | Action.EDIT | Action.PAUSE | Action.RESUME:
                rules = await commands.rules(channel)
                return await self._change_rule(commands, action, self.random.choice(rules), by) if rules else "no rule"
            case Action.MUTE | Action.UNMUTE:
                text = "off" if action is Action.UNMUTE else self.random.choice(MUTES)
                await commands.settings.mute(channel, text, by)
                return text
            case Action.QUIET | Action.SET_MENTIONS | Action.SET_NOTIFICATIONS:
                return await self._set(commands, action, channel, by)
            case _:
                return await self._change_alert(commands, action, channel, by)

    async def _change_rule(self, commands: ChannelCommands, action: Action, rule: ChannelRule, by: str) -> str:
        channel, number = rule.channel, rule.id
        match action:
            case Action.REMOVE:
                await commands.remove_rule(channel, number, by)
            case Action.PAUSE:
                await commands.pause_rule(channel, number, by)
            case Action.RESUME:
                await commands.resume_rule(channel, number, by)
            case _:
                edited = await commands.edit_rule(channel, number, self.random.choice(RULES), by)
                return f"{number} {rule.rule} to {edited.rule}"
        return f"{number} {rule.rule}"

    async def _set(self, commands: ChannelCommands, action: Action, channel: Channel, by: str) -> str:
        """Change one setting of a channel, or a few that belong together."""
        texts = (
            (self.random.choice(QUIET_HOURS),)
            if action is Action.QUIET
            else self.random.choice({Action.SET_MENTIONS: MENTIONS}.get(action, NOTIFICATIONS))
        )
        other = Channel(team=TEAM, id=next(name for name in CHANNELS if name != channel.id))
        if any("#other" in text for text in texts):
            await commands.settings.set(other, "accept-escalations on", by, lambda _name: None)
        for text in texts:
            await commands.settings.set(channel, text, by, lambda name: MENTIONED.get(name, other))
        return ", ".join(texts)

    async def _change_alert(self, commands: ChannelCommands, action: Action, channel: Channel, by: str) -> str:
        """Change an alert of the channel, an open one if there is any."""
        alerts = await commands.open_alerts(channel) or await commands.history(channel)
        if not alerts:
            return "no alert"
        number = self.random.choice(alerts).id
        outcome = await self._outcome(commands, action, channel, number, by)
        if outcome.changed:
            self.reported.append(ReportedAction(channel=channel, alert_id=number, kind=ENTRY_KINDS[action], by=by))
        return f"alert {number}" if outcome.changed else f"alert {number}, nothing to do"

    async def _outcome(
        self, commands: ChannelCommands, action: Action, channel: Channel, number: int, by: str
    ) -> AlertOutcome:
        match action:
            case Action.ACKNOWLEDGE:
                return await commands.acknowledge(channel, number, by)
            case Action.UNACKNOWLEDGE:
                return await commands.unacknowledge(channel, number, by)
            case Action.SNOOZE:
                return await commands.snooze(channel, number, by, self.random.choice(SNOOZES))
            case Action.UNSNOOZE:
                return await commands.unsnooze(channel, number, by)
            case _:
                return await commands.resolve(channel, number, by, "enough")
