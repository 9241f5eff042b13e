"""What people do to the rules of a channel: each act is kept, and told in the thread of an open alert."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from services.alerting.alert import EntryKind, Subject
from services.alerting.feedback import Noise, noise_of
from services.alerting.open_alerts import OpenAlerts
from services.alerting.ports import SettingChange
from services.alerting.records import ChannelRule, RuleAudit, RuleAuditKind, RuleChange, UnreadableRule
from services.channels.permissions import EVERYONE, RulePermissions
from services.channels.ports import CommandStore
from services.core.clock import Clock
from services.core.errors import ConflictError, NoHistoryError, NotFoundError
from services.core.identity import Channel
from services.core.prices import WGMI_BTC, Pair
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketService
from services.rules.rule import DEFAULT_RULES, Direction, Rule

TRIES = 5
ACTS_SHOWN = 3
LEFT_SETTINGS = "all but zone, thread and editors was taken back, as MinerPulse was taken out of the channel"
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A rule that stands in a channel now; `new` is False where it stood there before."""

    watch: ChannelRule
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A rule that reads otherwise now; `changed` is False where the rule with this number has stood there before."""

    rule_id: int
    before: str
    rule: Rule
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """A rule that was paused or resumed; `changed` is False where it was so before."""

    watch: ChannelRule
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The rules of a channel, those of them that cannot be read, and what people did to them last, newest first.

    `noise` has, by a rule's number, how many of its alerts were noise, where anybody has judged one.
    """

    watches: tuple[ChannelRule, ...]
    lost: tuple[UnreadableRule, ...] = ()
    acts: tuple[RuleAudit, ...] = ()
    noise: Mapping[int, Noise] = field(default_factory=dict)


@dataclass(slots=True)
class RuleCommands:
    """The commands that change rules; whatever they change is stored before people are answered, then delivered."""

    store: CommandStore
    market: MarketService
    clock: Clock
    nudge: Callable[[], None]
    pair: Pair = WGMI_BTC
    editors: RulePermissions = EVERYONE

    async def rules(self, channel: Channel) -> list[ChannelRule]:
        """List a channel's rules."""
        return await self.store.rules(channel)

    async def listing(self, channel: Channel) -> Listing:
        """List a channel's rules with those that cannot be read, what was done to them last, and their noise."""
        watches = await self.store.rules(channel)
        return Listing(
            watches=tuple(watches),
            noise=await noise_rates(self.store, channel, watches),
            lost=tuple(await self.store.lost_rules(channel)),
            acts=tuple(await self.store.acts(channel, ACTS_SHOWN)),
        )

    async def check_editor(self, channel: Channel, by: str) -> None:
        """See that a person may change the rules of a channel. Raises NotAllowedError, which names who may."""
        self.editors.check((await self.store.channel(channel)).settings, by)

    async def start(self, channel: Channel, by: str) -> list[ChannelRule]:
        """Give a channel the default rules; those that it has stay as they are."""
        await self.check_editor(channel, by)
        rules = [parse_rule(text, self.pair) for text in DEFAULT_RULES]
        return await self.store.add_rules(channel, rules, by, self.clock.now())

    async def add_rule(self, channel: Channel, text: str, by: str) -> Added:
        """Add a rule as typed; one that names no pair is about the board's. Raises RuleError, or NoHistoryError."""
        await self.check_editor(channel, by)
        rule, now = await self._read(text), self.clock.now()

        async def add() -> Added:
            known = {watch.rule: watch for watch in await self.store.rules(channel)}
            if rule in known:
                return Added(watch=known[rule], new=False)
            episodes = OpenAlerts.of(await self.store.open_alerts(channel), now)
            episodes.mention(f"{rule} was added", by)
            alerts = episodes.changes()
            watches = await self.store.add_rules(channel, [rule], by, now, alerts=alerts)
            if alerts:
                self.nudge()
            return Added(watch=watches[0], new=True)

        return await retry_on_conflict(add)

    async def edit_rule(self, channel: Channel, rule_id: int, text: str, by: str) -> Edited:
        """Change a rule to what is typed; it is decided anew at the next tick.

        Its open alert goes on where it is about the same still: that pair, subject and side. Otherwise the rule leaves
        it. Raises RuleError, NoHistoryError, or NotFoundError.
        """
        await self.check_editor(channel, by)
        rule, now = await self._read(text), self.clock.now()

        async def edit() -> Edited:
            watch = await self.store.rule(channel, rule_id)
            twins = [one.id for one in await self.store.rules(channel) if one.rule == rule]
            if twins:
                return Edited(rule_id=twins[0], before=str(watch.rule), rule=rule, changed=False)
            episodes = OpenAlerts.of(await self.store.open_alerts(channel), now)
            state = _edit(episodes, watch, rule, by)
            episodes.mention(f"{watch.rule} is now {rule}", by)
            change = RuleChange(kind=RuleAuditKind.EDITED, watch=watch, by=by, rule=rule, state=state)
            await self.store.record([], episodes.changes(), now, rules=[change])
            return Edited(rule_id=rule_id, before=str(watch.rule), rule=rule, changed=True)

        return await self._done(edit)

    async def pause_rule(self, channel: Channel, rule_id: int, by: str) -> Switched:
        """Stop watching a rule until it is resumed; it leaves the alert that it keeps open. Raises NotFoundError."""
        await self.check_editor(channel, by)
        now = self.clock.now()

        async def pause() -> Switched:
            watch = _readable(await self.store.rule(channel, rule_id))
            if watch.paused_at is not None:
                return Switched(watch=watch, changed=False)
            episodes = OpenAlerts.of(await self.store.open_alerts(channel), now)
            episodes.drop(rule_id, by, f"{watch.rule} was paused", note=EntryKind.PAUSED)
            episodes.mention(f"{watch.rule} was paused", by)
            change = RuleChange(kind=RuleAuditKind.PAUSED, watch=watch, by=by)
            await self.store.record([], episodes.changes(), now, rules=[change])
            return Switched(watch=watch, changed=True)

        return await self._done(pause)

    async def resume_rule(self, channel: Channel, rule_id: int, by: str) -> Switched:
        """Watch a paused rule again, as if it were new. Raises NotFoundError."""
        await self.check_editor(channel, by)
        now = self.clock.now()

        async def resume() -> Switched:
            watch = _readable(await self.store.rule(channel, rule_id))
            if watch.paused_at is None:
                return Switched(watch=watch, changed=False)
            episodes = OpenAlerts.of(await self.store.open_alerts(channel), now)
            episodes.mention(f"{watch.rule} was resumed", by)
            change = RuleChange(kind=RuleAuditKind.RESUMED, watch=watch, by=by)
            await self.store.record([], episodes.changes(), now, rules=[change])
            return Switched(watch=watch, changed=True)

        return await self._done(resume)

    async def remove_rule(self, channel: Channel, rule_id: int, by: str) -> ChannelRule | UnreadableRule:
        """Remove a rule, and close the alert that it alone kept open. Raises NotFoundError."""
        await self.check_editor(channel, by)
        now = self.clock.now()

        async def remove() -> ChannelRule | UnreadableRule:
            watch = await self.store.rule(channel, rule_id)
            episodes = OpenAlerts.of(await self.store.open_alerts(channel), now)
            episodes.drop(rule_id, by)
            episodes.mention(f"{watch.rule} was removed", by)
            change = RuleChange(kind=RuleAuditKind.REMOVED, watch=watch, by=by)
            await self.store.record([], episodes.changes(), now, rules=[change])
            return watch

        return await self._done(remove)

    async def leave(self, channel: Channel, by: str) -> list[ChannelRule | UnreadableRule]:
        """Remove every rule of a channel that the app was taken out of, whoever did so, and end its alerts.

        What waits to be told there is told no more, and nothing is set that tells anything. Gives the rules.
        """
        now = self.clock.now()

        async def leave() -> list[ChannelRule | UnreadableRule]:
            gone: list[ChannelRule | UnreadableRule] = [*await self.store.rules(channel)]
            gone += await self.store.lost_rules(channel)
            episodes = OpenAlerts.of(await self.store.open_alerts(channel), now)
            for watch in gone:
                episodes.drop(watch.id, by, "MinerPulse was taken out of the channel")
            changes = [RuleChange(kind=RuleAuditKind.REMOVED, watch=watch, by=by) for watch in gone]
            await self.store.record([], episodes.changes(), now, rules=changes)
            await self.store.abandon(channel, SettingChange(by=by, at=now, what=LEFT_SETTINGS))
            return gone

        return await self._done(leave)

    async def come_back(self, channel: Channel) -> None:
        """Bring up to date what stands in a channel that the app is added to again."""
        await self.store.return_to(channel, self.clock.now())
        self.nudge()

    async def _read(self, text: str) -> Rule:
        rule = parse_rule(text, self.pair)
        if rule.pair != self.pair:
            await self._check_prices(rule.pair, self.clock.now())
        return rule

    async def _check_prices(self, pair: Pair, now: datetime) -> None:
        view = await self.market.view(pair, now)
        if view.current.etf is None and view.current.crypto is None:
            raise NoHistoryError(f"No prices for {pair}: {'; '.join(view.problems)}")

    async def _done(self, act: Callable[[], Awaitable[Done]]) -> Done:
        done = await retry_on_conflict(act)
        self.nudge()
        return done


async def retry_on_conflict(act: Callable[[], Awaitable[Done]]) -> Done:
    """Do what reads and then records; where a tick or another person was quicker in between, do it again."""
    for _ in range(TRIES - 1):
        try:
            return await act()
        except ConflictError:
            continue
    return await act()


def _edit(episodes: OpenAlerts, watch: ChannelRule | UnreadableRule, rule: Rule, by: str) -> RuleState:
    """Let a changed rule stay in its alert or leave it, and give the state that it begins with."""
    if isinstance(watch, ChannelRule) and watch.state.firing and _is_about(rule, watch.rule, watch.state.firing):
        episodes.edit(watch.id, watch.rule, rule, by)
        return RuleState(firing=watch.state.firing, fired_at=watch.state.fired_at)
    episodes.drop(watch.id, by, f"{watch.rule} is now {rule}", note=EntryKind.EDITED)
    return RuleState()


def _is_about(rule: Rule, before: Rule, side: Side) -> bool:
    """Tell whether a rule is about the same as it was before, on this side."""
    watched = rule.direction is Direction.EITHER or rule.direction.value == side.value
    return watched and rule.pair == before.pair and Subject.of(rule.metric) is Subject.of(before.metric)


def _readable(watch: ChannelRule | UnreadableRule) -> ChannelRule:
    if isinstance(watch, UnreadableRule):
        raise NotFoundError(f"Rule {watch.id} cannot be read, so it is not watched; edit or remove it.")
    return watch


LOOKED_AT = 200  # of a channel's alerts, the newest


async def noise_rates(store: CommandStore, channel: Channel, watches: Sequence[ChannelRule]) -> dict[int, Noise]:
    """Count for each rule, by its number; one of whose alerts nobody has judged any is left out."""
    alerts, votes = await store.history(channel, LOOKED_AT), await store.votes(channel)
    found = {watch.id: noise_of(watch.id, watch.rule, alerts, votes) for watch in watches}
    return {number: noise for number, noise in found.items() if noise.judged}
