"""Commands that change a channel's rules; each change is audited and noted in the thread of open alerts."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from services.alerting.alert import Alert, EntryKind
from services.alerting.channel_settings import ChannelSettings
from services.alerting.feedback import NoiseRate, noise_rate
from services.alerting.notice import ChannelChange, Notice
from services.alerting.open_alerts import OpenAlerts
from services.alerting.ports import (
    ChannelRule,
    ManagedRule,
    RuleAudit,
    RuleAuditKind,
    RuleCaps,
    RuleChange,
    SettingChange,
    UnreadableRule,
)
from services.channels.permissions import EVERYONE, Act, Permissions
from services.channels.ports import ChannelStore
from services.core.clock import Clock
from services.core.concurrency import retry_on_conflict
from services.core.errors import ManagedRuleError, NoHistoryError, NotFoundError
from services.core.identity import Channel
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.reason import Code, Reason
from services.market.metrics import Direction
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_new_rule, parse_rule
from services.rules.market_service import MarketService
from services.rules.rule import DEFAULT_RULES, Rule

AUDITS_READ = 50  # newest changes of a channel's rules
DEFAULT_CAPS = RuleCaps()
LIST_HINT = "`/minerpulse rules` shows the rules."
NAME_DIGITS = 12  # hex digits that distinguish two changes of the same instant
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddResult:
    """A rule that exists in a channel now; `created` is False if it existed before.

    Attributes:
        overlaps: The other rules that it overlaps, as `overlaps_of` finds them; the same in the other results.
    """

    channel_rule: ChannelRule
    created: bool
    overlaps: tuple[ChannelRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EditResult:
    """An edited rule; `changed` is False if `rule_id` is an existing rule that already reads so."""

    rule_id: int
    before: str
    rule: Rule
    changed: bool
    overlaps: tuple[ChannelRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseResult:
    """A rule that was paused or resumed; `changed` is False if it already was."""

    channel_rule: ChannelRule
    changed: bool
    overlaps: tuple[ChannelRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """Rules that were moved from one symbol to another.

    Attributes:
        moved: Ids of the moved rules.
        duplicates: By id, the rules that were removed, with the id of the same rule on the other symbol.
        overlaps: By id of a moved rule that overlaps others, these others.
    """

    before: Symbol
    after: Symbol
    moved: tuple[int, ...]
    duplicates: Mapping[int, int]
    overlaps: Mapping[int, tuple[ChannelRule, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleList:
    """The rules of a channel.

    Attributes:
        unreadable: Stored rules that cannot be parsed.
        audits: Last changes to the rules, newest first.
        noise: Noise votes by rule id, for rules with a judged alert.
        alerts: By rule id, the open alert that the rule keeps open.
        settings: Settings of the channel.
        managed: By rule id, the rules that a rules file manages.
    """

    rules: tuple[ChannelRule, ...]
    unreadable: tuple[UnreadableRule, ...] = ()
    audits: tuple[RuleAudit, ...] = ()
    noise: Mapping[int, NoiseRate] = field(default_factory=dict)
    alerts: Mapping[int, Alert] = field(default_factory=dict)
    settings: ChannelSettings = field(default_factory=ChannelSettings)
    managed: Mapping[int, ManagedRule] = field(default_factory=dict)


@dataclass(slots=True)
class RuleCommands:
    """Commands that change rules; each change is stored before the answer, then delivered."""

    store: ChannelStore
    market: MarketService
    clock: Clock
    nudge: Callable[[], None]
    pair: Pair = WGMI_BTC
    permissions: Permissions = EVERYONE
    caps: RuleCaps = DEFAULT_CAPS

    async def rules(self, channel: Channel) -> list[ChannelRule]:
        """Return a channel's rules."""
        return await self.store.rules(channel)

    async def rule_list(self, channel: Channel) -> RuleList:
        """Return a channel's rules with unreadable ones, the last changes, and noise rates."""
        rules = await self.store.rules(channel)
        alerts = [stored.alert for stored in await self.store.open_alerts(channel)]
        return RuleList(
            rules=tuple(rules),
            alerts={hit.rule_id: alert for alert in alerts for hit in alert.hits if hit.active},
            settings=(await self.store.channel(channel)).settings,
            noise=await noise_rates(self.store, channel, rules),
            unreadable=tuple(await self.store.unreadable_rules(channel)),
            audits=tuple(await self.store.rule_audits(channel, AUDITS_READ)),
            managed={one.rule_id: one for one in await self.store.managed_rules(channel)},
        )

    async def authorize(self, channel: Channel, act: Act, by: str) -> None:
        """Raise NotAllowedError, with the people who may, if this person may not do this in the channel."""
        if self.permissions.needs_editors(act):
            self.permissions.check(act, (await self.store.channel(channel)).settings, by)

    async def add_default_rules(self, channel: Channel, by: str, *, announced: bool = False) -> list[ChannelRule]:
        """Add the default rules to a channel; existing rules do not change. Raises RuleLimitError.

        Without an announcement before, the line that says so in the channel is saved with them.
        """
        await self.authorize(channel, Act.CHANGE_RULES, by)
        rules, now = [parse_rule(text, self.pair) for text in DEFAULT_RULES], self.clock.now()
        started = Reason.of(Code.RULES_STARTED, rules=", ".join(map(str, rules)))
        notices = [] if announced else [change_notice(channel, by, started, now)]
        added = await self.store.add_rules(channel, rules, by, now, notices=notices, caps=self.caps)
        self.nudge()
        return added

    async def add_rule(self, channel: Channel, text: str, by: str) -> AddResult:
        """Add a rule from its text; without a pair it is on the board's pair.

        Raises RuleError, NoHistoryError or RuleLimitError.
        """
        await self.authorize(channel, Act.CHANGE_RULES, by)
        rule, now = await self._parse_rule(text), self.clock.now()

        async def add() -> AddResult:
            rules = await self.store.rules(channel)
            existing = {channel_rule.rule: channel_rule for channel_rule in rules}
            if rule in existing:
                return AddResult(channel_rule=existing[rule], created=False)
            open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), now)
            reason = Reason.of(Code.RULE_ADDED, rule=rule)
            open_alerts.note_channel_change(reason, by)
            alerts = open_alerts.changes()
            notices = [change_notice(channel, by, reason, now)] if rules else []  # the first is announced at length
            added = await self.store.add_rules(channel, [rule], by, now, alerts=alerts, notices=notices, caps=self.caps)
            self.nudge()
            return AddResult(channel_rule=added[0], created=True, overlaps=overlaps_of(rules, rule))

        return await retry_on_conflict(add)

    async def edit_rule(self, channel: Channel, rule_id: int, text: str, by: str) -> EditResult:
        """Replace a rule by the given text; the next tick evaluates it.

        Its open alert stays open if pair, subject and side don't change; otherwise the rule leaves it.
        Raises RuleError, NoHistoryError, NotFoundError or ManagedRuleError.
        """
        await self.authorize(channel, Act.CHANGE_RULES, by)
        rule, now = await self._parse_rule(text), self.clock.now()

        async def edit() -> EditResult:
            current, rules = await self.store.rule(channel, rule_id), await self.store.rules(channel)
            await self._require_unmanaged(channel, [rule_id])
            duplicates = [other.id for other in rules if other.rule == rule]
            if duplicates:
                return EditResult(rule_id=duplicates[0], before=str(current.rule), rule=rule, changed=False)
            open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), now)
            state = update_alerts(open_alerts, current, rule, by)
            change = RuleChange(kind=RuleAuditKind.EDITED, channel_rule=current, by=by, rule=rule, state=state)
            await self._save(
                channel, open_alerts, change, Reason.of(Code.RULE_EDITED, before=current.rule, after=rule), now
            )
            overlaps = overlaps_of(rules, rule, rule_id)
            return EditResult(rule_id=rule_id, before=str(current.rule), rule=rule, changed=True, overlaps=overlaps)

        return await self._run(edit)

    async def move_rules(self, channel: Channel, before: Symbol, after: Symbol, by: str) -> MoveResult:
        """Move every rule on a symbol to another symbol, as after a rename; open alerts and noise rates are kept.

        A rule that the channel already has on the other symbol is removed instead.
        Raises NotFoundError if no rule watches `before`, NoHistoryError if no source has prices of `after`, and
        ManagedRuleError if a rules file manages one of the rules.
        """
        await self.authorize(channel, Act.CHANGE_RULES, by)
        now = self.clock.now()
        for pair in {moved_pair(one.rule.pair, before, after) for one in await self.store.rules(channel)}:
            if after in (pair.etf, pair.crypto):
                await self.check_prices(pair, now)

        async def move() -> MoveResult:
            rules = await self.store.rules(channel)
            existing = {one.rule: one.id for one in rules}
            changes, kept = list[RuleChange](), dict[int, int]()
            open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), now)
            reason = Reason.of(Code.RULES_MOVED, before=before, after=after)
            moved_pairs = {}
            for one in rules:
                rule = replace(one.rule, pair=moved_pair(one.rule.pair, before, after))
                if rule == one.rule:
                    continue
                moved_pairs[one.rule.pair] = rule.pair
                if rule in existing:
                    kept[one.id] = existing[rule]
                    open_alerts.remove_rule(one.id, by, reason, kind=EntryKind.EDITED)
                    changes.append(RuleChange(kind=RuleAuditKind.REMOVED, channel_rule=one, by=by))
                else:
                    state = RuleState(firing=one.state.firing, fired_at=one.state.fired_at)
                    edited = RuleChange(kind=RuleAuditKind.EDITED, channel_rule=one, by=by, rule=rule, state=state)
                    changes.append(edited)
            await self._require_unmanaged(channel, [one.channel_rule.id for one in changes])
            if not changes:
                raise NotFoundError(f"No rule here is on {before}. `/minerpulse rules` lists the rules.")
            for old, new in moved_pairs.items():
                open_alerts.move(old, new, reason, by)
            notices = [change_notice(channel, by, reason, now)]
            await self.store.record([], open_alerts.changes(), now, rules=changes, notices=notices)
            moved = {one.channel_rule.id: one.rule for one in changes if one.rule is not None}
            there = [one for one in rules if one.id not in moved.keys() | kept.keys()]
            overlaps = {rule_id: found for rule_id, rule in moved.items() if (found := overlaps_of(there, rule))}
            return MoveResult(before=before, after=after, moved=tuple(moved), duplicates=kept, overlaps=overlaps)

        return await self._run(move)

    async def pause_rule(self, channel: Channel, rule_id: int, by: str) -> PauseResult:
        """Pause a rule until it is resumed; it leaves its open alert. Raises NotFoundError."""
        await self.authorize(channel, Act.CHANGE_RULES, by)
        now = self.clock.now()

        async def pause() -> PauseResult:
            channel_rule = _readable(await self.store.rule(channel, rule_id))
            if channel_rule.paused_at is not None:
                return PauseResult(channel_rule=channel_rule, changed=False)
            open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), now)
            paused = Reason.of(Code.RULE_PAUSED, rule=channel_rule.rule)
            open_alerts.remove_rule(rule_id, by, paused, kind=EntryKind.PAUSED)
            change = RuleChange(kind=RuleAuditKind.PAUSED, channel_rule=channel_rule, by=by)
            await self._save(channel, open_alerts, change, paused, now)
            return PauseResult(channel_rule=channel_rule, changed=True)

        return await self._run(pause)

    async def resume_rule(self, channel: Channel, rule_id: int, by: str) -> PauseResult:
        """Resume a paused rule, as if it were new. Raises NotFoundError."""
        await self.authorize(channel, Act.CHANGE_RULES, by)
        now = self.clock.now()

        async def resume() -> PauseResult:
            channel_rule = _readable(await self.store.rule(channel, rule_id))
            if channel_rule.paused_at is None:
                return PauseResult(channel_rule=channel_rule, changed=False)
            open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), now)
            change = RuleChange(kind=RuleAuditKind.RESUMED, channel_rule=channel_rule, by=by)
            await self._save(channel, open_alerts, change, Reason.of(Code.RULE_RESUMED, rule=channel_rule.rule), now)
            overlaps = overlaps_of(await self.store.rules(channel), channel_rule.rule, rule_id)
            return PauseResult(channel_rule=channel_rule, changed=True, overlaps=overlaps)

        return await self._run(resume)

    async def remove_rule(self, channel: Channel, rule_id: int, by: str) -> ChannelRule | UnreadableRule:
        """Remove a rule, and close the alert that it alone held open. Raises NotFoundError or ManagedRuleError."""
        await self.authorize(channel, Act.CHANGE_RULES, by)
        now = self.clock.now()

        async def remove() -> ChannelRule | UnreadableRule:
            channel_rule = await self.store.rule(channel, rule_id)
            await self._require_unmanaged(channel, [rule_id])
            open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), now)
            open_alerts.remove_rule(rule_id, by)
            change = RuleChange(kind=RuleAuditKind.REMOVED, channel_rule=channel_rule, by=by)
            await self._save(channel, open_alerts, change, Reason.of(Code.RULE_REMOVED, rule=channel_rule.rule), now)
            return channel_rule

        return await self._run(remove)

    async def undo_add(self, channel: Channel, rule_id: int, text: str, by: str) -> ChannelRule | UnreadableRule:
        """Remove a rule that was just added. Raises NotFoundError if it was changed since, or isn't there any more."""
        rules = {one.id: one for one in await self.store.rules(channel)}
        found = rules.get(rule_id)
        if found is None or found.edition or str(found.rule) != text:
            raise NotFoundError(f"Rule {rule_id} has since been changed or removed, so nothing was undone. {LIST_HINT}")
        return await self.remove_rule(channel, rule_id, by)

    async def undo_edit(self, channel: Channel, rule_id: int, text: str, by: str) -> EditResult:
        """Give an edited rule its previous text. Raises NotFoundError if its last change isn't the edit to `text`.

        Raises RuleError, NoHistoryError or ManagedRuleError like `edit_rule`.
        """
        newest = await self._newest_audit(channel, rule_id)
        if newest is None or newest.kind is not RuleAuditKind.EDITED or newest.after != text or newest.before is None:
            raise NotFoundError(f"Rule {rule_id} has since been changed or removed, so nothing was undone. {LIST_HINT}")
        return await self.edit_rule(channel, rule_id, newest.before, by)

    async def undo_remove(self, channel: Channel, rule_id: int, text: str, by: str) -> AddResult:
        """Add a removed rule again, with a new number. Raises NotFoundError if this channel's log has no such removal.

        Raises RuleError, NoHistoryError or RuleLimitError like `add_rule`.
        """
        newest = await self._newest_audit(channel, rule_id)
        if newest is None or newest.kind is not RuleAuditKind.REMOVED or newest.before != text:
            raise NotFoundError(
                f"The removal of rule {rule_id} can no longer be undone. To add the rule again, type "
                "`/minerpulse rule add` and the rule."
            )
        return await self.add_rule(channel, text, by)

    async def _newest_audit(self, channel: Channel, rule_id: int) -> RuleAudit | None:
        """Return the last of the channel's recent changes that concerns a rule."""
        audits = await self.store.rule_audits(channel, AUDITS_READ)
        return next((one for one in audits if one.rule_id == rule_id), None)

    async def leave(self, channel: Channel, by: str) -> list[ChannelRule | UnreadableRule]:
        """Remove all rules and end all alerts of a channel that the app was removed from; return the rules.

        This needs no permission. Waiting messages are dropped, and settings that would post anything are reset.
        """
        now = self.clock.now()

        async def leave() -> list[ChannelRule | UnreadableRule]:
            removed: list[ChannelRule | UnreadableRule] = [*await self.store.rules(channel)]
            removed += await self.store.unreadable_rules(channel)
            open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), now)
            for channel_rule in removed:
                open_alerts.remove_rule(channel_rule.id, by, Reason.of(Code.APP_REMOVED))
            changes = [
                RuleChange(kind=RuleAuditKind.REMOVED, channel_rule=channel_rule, by=by) for channel_rule in removed
            ]
            await self.store.record([], open_alerts.changes(), now, rules=changes)
            reset = SettingChange(by=by, at=now, summary=Reason.of(Code.SETTINGS_RESET))
            await self.store.disconnect_channel(channel, reset)
            return removed

        return await self._run(leave)

    async def rejoin(self, channel: Channel) -> None:
        """Update the messages in a channel that the app is added to again."""
        await self.store.reconnect_channel(channel, self.clock.now())
        self.nudge()

    async def _require_unmanaged(self, channel: Channel, rule_ids: Sequence[int]) -> None:
        """Raise ManagedRuleError if a rules file manages one of these rules."""
        for one in await self.store.managed_rules(channel):
            if one.rule_id in rule_ids:
                raise ManagedRuleError(one.rule_id, one.file, one.key)

    async def _parse_rule(self, text: str) -> Rule:
        rule = parse_new_rule(text, self.pair)
        if rule.pair != self.pair:
            await self.check_prices(rule.pair, self.clock.now())
        return rule

    async def check_prices(self, pair: Pair, now: datetime) -> None:
        """Raise NoHistoryError if no source has prices of a pair."""
        view = await self.market.view(pair, now)
        if view.current.etf is None and view.current.crypto is None:
            raise NoHistoryError(Reason.of(Code.NO_PAIR_PRICES, pair=pair, problems=view.problems))

    async def _save(
        self, channel: Channel, open_alerts: OpenAlerts, change: RuleChange, reason: Reason, now: datetime
    ) -> None:
        """Save a change of a rule with its line in the channel and in the threads of the open alerts, or nothing."""
        open_alerts.note_channel_change(reason, change.by)
        notices = [change_notice(channel, change.by, reason, now)]
        await self.store.record([], open_alerts.changes(), now, rules=[change], notices=notices)

    async def _run(self, action: Callable[[], Awaitable[Result]]) -> Result:
        result = await retry_on_conflict(action)
        self.nudge()
        return result


def moved_pair(pair: Pair, before: Symbol, after: Symbol) -> Pair:
    """Return a pair with one symbol replaced by another."""
    return Pair(etf=after if pair.etf == before else pair.etf, crypto=after if pair.crypto == before else pair.crypto)


def change_notice(channel: Channel, by: str, change: Reason, now: datetime) -> Notice:
    """Return the notice that says who changed what in a channel."""
    name = f"change:{now.isoformat()}:{by}:{hashlib.sha256(repr(change).encode()).hexdigest()[:NAME_DIGITS]}"
    content = ChannelChange(by=by, change=change)
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=now, closed_at=now)


def update_alerts(
    open_alerts: OpenAlerts, channel_rule: ChannelRule | UnreadableRule, rule: Rule, by: str
) -> RuleState:
    """Update or remove an edited rule in its alert, and return the rule's new state."""
    if (
        isinstance(channel_rule, ChannelRule)
        and channel_rule.state.firing
        and has_same_subject(rule, channel_rule.rule, channel_rule.state.firing)
    ):
        open_alerts.edit_rule(channel_rule.id, channel_rule.rule, rule, by)
        return RuleState(firing=channel_rule.state.firing, fired_at=channel_rule.state.fired_at)
    edited = Reason.of(Code.RULE_EDITED, before=channel_rule.rule, after=rule)
    open_alerts.remove_rule(channel_rule.id, by, edited, kind=EntryKind.EDITED)
    return RuleState()


def overlaps_of(rules: Sequence[ChannelRule], rule: Rule, rule_id: int | None = None) -> tuple[ChannelRule, ...]:
    """Return the active rules that overlap this one, except its own earlier version and equal rules."""
    others = [one for one in rules if one.id != rule_id and one.rule != rule]
    return tuple(one for one in others if one.paused_at is None and _overlap(one.rule, rule))


def _overlap(rule: Rule, other: Rule) -> bool:
    """Return whether two rules watch the same metric over the same window, on a common side."""
    same_values = (rule.pair, rule.metric, rule.window) == (other.pair, other.metric, other.window)
    return same_values and (rule.direction is other.direction or Direction.EITHER in (rule.direction, other.direction))


def has_same_subject(rule: Rule, before: Rule, side: Side) -> bool:
    """Return whether an edited rule still has the same pair and subject, and watches this side."""
    watched = rule.direction is Direction.EITHER or rule.direction.value == side.value
    return watched and rule.pair == before.pair and rule.metric.subject == before.metric.subject


def _readable(channel_rule: ChannelRule | UnreadableRule) -> ChannelRule:
    if isinstance(channel_rule, UnreadableRule):
        raise NotFoundError(f"Rule {channel_rule.id} can't be read, so it isn't evaluated. Edit or remove it.")
    return channel_rule


ALERTS_JUDGED = 200  # newest alerts of a channel


async def noise_rates(store: ChannelStore, channel: Channel, rules: Sequence[ChannelRule]) -> dict[int, NoiseRate]:
    """Return noise votes by rule id; rules without a judged alert are left out."""
    alerts, votes = await store.history(channel, ALERTS_JUDGED), await store.votes(channel)
    rates = {channel_rule.id: noise_rate(channel_rule.id, channel_rule.rule, alerts, votes) for channel_rule in rules}
    return {number: noise for number, noise in rates.items() if noise.judged}
