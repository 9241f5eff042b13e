"""Compare a rules file with the channels of a workspace, apply it, and describe the channels as such a file."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from services.alerting.alert import EntryKind
from services.alerting.channel_settings import ChannelSettings
from services.alerting.open_alerts import OpenAlerts
from services.alerting.ports import (
    ChannelRule,
    ChannelRules,
    ManagedRule,
    NewRule,
    RuleAuditKind,
    RuleChange,
    RulesFileChange,
    SettingChange,
    UnreadableRule,
)
from services.alerting.setting_syntax import ACCEPT_ESCALATIONS, ESCALATE, Addressee
from services.channels.commands import ChannelCommands
from services.channels.ports import RulesFileStore
from services.channels.rule_commands import change_notice, update_alerts
from services.channels.rules_file import (
    Action,
    ChannelPlan,
    FileChannel,
    Manage,
    Plan,
    PlanOutdatedError,
    Resolve,
    RulePlan,
    RulesFile,
    RulesFileError,
    channel_of,
    describe_channels,
    of_other_files,
    plan_channel,
    with_file_settings,
)
from services.channels.settings import sinks_of
from services.core.concurrency import retry_on_conflict
from services.core.errors import ChannelSettingError, NoHistoryError
from services.core.identity import FILE_PREFIX, Channel
from services.core.reason import Code, Reason, each_of
from services.research.service import RulePreview, preview_rule
from services.rules.decide import RuleState
from services.rules.rule import Rule

REASONS_PER_LINE = 10
UNCHANGED = "Nothing was changed: "  # as errors of settings begin
ResolveIn = Callable[[str, str], Addressee | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a file is applied.

    Attributes:
        unpause: Resume rules that were paused in Slack.
        take_over: Change rules that another file manages.
        is_offline: Don't fetch prices to check symbols that no rule watches yet.
    """

    unpause: bool = False
    take_over: bool = False
    is_offline: bool = False


DEFAULTS = Options()


@dataclass(slots=True)
class RulesFiles:
    """Commands on rules files. They act for the operator, so that no channel's list of editors applies.

    Attributes:
        resolve: Parses a person, group or channel of a workspace, as a file names them.
    """

    store: RulesFileStore
    commands: ChannelCommands
    resolve: ResolveIn

    async def plan(self, file: RulesFile, options: Options = DEFAULTS) -> Plan:
        """Return what the file changes. Raises RulesFileError."""
        listed = {channel_of(file, one): one for one in file.channels}
        dropped = [one for one in await self.store.managed_channels(file.team, file.name) if one not in listed]
        wanted = {**listed, **{one: FileChannel(id=one.id, manage=Manage.LISTED) for one in dropped}}
        found = {one: await self.store.channel_rules(one) for one in wanted}
        settings = self._settings_of(wanted, found, self.commands.clock.now())
        plans = tuple(
            plan_channel(wanted[one], found[one], file.name, settings[one], unpause=options.unpause) for one in wanted
        )
        await self._check(file, plans, options)
        return Plan(file=file, channels=plans)

    async def previews(self, plan: Plan) -> dict[Rule, RulePreview]:
        """Return what each rule that is added, changed or removed would have fired in the last two years."""
        changes = [
            one
            for channel in plan.channels
            for one in channel.rules
            if one.action in {Action.ADD, Action.CHANGE, Action.REMOVE}
        ]
        rules = {rule for one in changes for rule in (one.before, one.after) if isinstance(rule, Rule)}
        return {rule: await self._preview(rule) for rule in rules}

    async def _preview(self, rule: Rule) -> RulePreview:
        commands = self.commands
        try:
            return await preview_rule(commands.market, rule, commands.pair, commands.clock.now())
        except NoHistoryError as error:
            return RulePreview(rule=rule, reason=error.reason)

    async def apply(self, file: RulesFile, revision: str, operator: str = "", options: Options = DEFAULTS) -> Plan:
        """Apply the file in one transaction if the channels are still as the plan of this revision saw them.

        Each channel gets a line on what changed, and so do its open alerts. Raises PlanOutdatedError, RulesFileError,
        NoHistoryError or RuleLimitError; then nothing is changed.
        """
        now, by = self.commands.clock.now(), f"{FILE_PREFIX}{file.name}{f' ({operator})' if operator else ''}"

        async def apply() -> Plan:
            plan = await self.plan(file, options)
            if plan.revision != revision:
                raise PlanOutdatedError(revision, plan.revision)
            changes = [await self._change(one, file.name, by, now) for one in plan.channels]
            await self.store.apply_rules_file(changes, by, now, caps=self.commands.caps)
            return plan

        plan = await retry_on_conflict(apply)
        for one in plan.channels:
            if one.setting_plans:
                await self._release(one.found.channel, now)
        self.commands.nudge()
        return plan

    async def describe(self, team: str, channel: str | None, write_name: Callable[[Addressee], str]) -> RulesFile:
        """Return the file that describes one channel of a workspace, or all."""
        stored = [one.channel for one in await self.store.channels() if one.channel.team == team]
        active = [Channel(team=team, id=one) for one in await self.store.active_channels(team)]
        channels = dict.fromkeys([*active, *stored])
        if channel is not None:
            channels = dict.fromkeys([Channel(team=team, id=channel)])
        states = [await self.store.channel_rules(one) for one in channels]
        return describe_channels("", team, states, write_name)

    async def _release(self, channel: Channel, now: datetime) -> None:
        await retry_on_conflict(lambda: self.commands.settings.release(channel, now))

    def _settings_of(
        self, wanted: Mapping[Channel, FileChannel], found: Mapping[Channel, ChannelRules], now: datetime
    ) -> dict[Channel, ChannelSettings]:
        """Return the settings that the file asks for. Raises RulesFileError."""
        settings, problems = dict[Channel, ChannelSettings](), list[str]()
        for channel, one in wanted.items():
            before = found[channel].stored.settings
            try:
                settings[channel] = with_file_settings(before, one.settings, self._resolver(channel.team), now)
            except ChannelSettingError as error:
                problems.append(f"{one.id}: {str(error).removeprefix(UNCHANGED)}")
        if problems:
            raise RulesFileError("\n".join(problems))
        return settings

    def _resolver(self, team: str) -> Resolve:
        return lambda text: self.resolve(text, team)

    async def _check(self, file: RulesFile, plans: Sequence[ChannelPlan], options: Options) -> None:
        """Raise RulesFileError if the plan can't be applied, or NoHistoryError if a new symbol has no prices."""
        problems = list[str]()
        after = {one.found.channel: one.settings for one in plans}
        known = await self.commands.settings.sink_names(file.team)
        for plan in plans:
            unknown = sorted(sinks_of(plan.settings) - sinks_of(plan.found.stored.settings) - set(known))
            problems += [f"{plan.wanted.id}: there is no sink “{sink}”. Define it first." for sink in unknown]
            problems += await self._escalation_problems(plan, after)
            if not options.take_over:
                problems += [
                    f"{plan.wanted.id}: {other.file}/{other.key} manages rule {other.rule_id} (`{other.rule}`). "
                    f"Remove it there, or use --take-over."
                    for other in of_other_files(plan, file.name)
                ]
        if problems:
            raise RulesFileError("\n".join(problems))
        if not options.is_offline:
            await self._check_prices(plans)

    async def _escalation_problems(self, plan: ChannelPlan, after: Mapping[Channel, ChannelSettings]) -> list[str]:
        """Return why a channel can't escalate where its file says, or refuse the escalations of others."""
        changed = {one.word for one in plan.setting_plans}
        here, target = plan.found.channel, plan.settings.escalate_to
        if ESCALATE in changed and target == here:
            return [f"{here.id}: alerts are already posted there. Escalate to another channel or a person."]
        if ESCALATE in changed and isinstance(target, Channel):
            settings = after.get(target) or (await self.store.channel(target)).settings
            if not settings.accept_escalations:
                return [f"{here.id}: {target.id} doesn't accept escalations. Set {ACCEPT_ESCALATIONS} to “on” there."]
        if ACCEPT_ESCALATIONS in changed and not plan.settings.accept_escalations:
            stored = {one.channel: one.settings for one in await self.store.channels()} | dict(after)
            return [
                f"{here.id}: {one.id} escalates to it. Turn that off first."
                for one, settings in stored.items()
                if settings.escalate_to == here
            ]
        return []

    async def _check_prices(self, plans: Collection[ChannelPlan]) -> None:
        """Raise NoHistoryError if no source has prices of a pair that no rule of the channel watches yet."""
        pairs = {
            one.after.pair
            for plan in plans
            for one in plan.rules
            if one.action in {Action.ADD, Action.CHANGE} and one.after is not None
        }
        watched = {one.rule.pair for plan in plans for one in plan.found.rules} | {self.commands.pair}
        for pair in sorted(pairs - watched, key=str):
            await self.commands.check_prices(pair, self.commands.clock.now())

    async def _change(self, plan: ChannelPlan, file: str, by: str, now: datetime) -> RulesFileChange:
        """Return what to save for one channel, with the lines that report it."""
        channel = plan.found.channel
        open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), now)
        changes, reasons = _rule_changes(plan, open_alerts, by)
        settings = [f"{one.word} {one.after}" for one in plan.setting_plans]
        reasons += [Reason.of(Code.SETTING_CHANGED, setting=one) for one in settings]
        if reasons:
            open_alerts.note_channel_change(_joined(reasons), by)
        lines = [reasons[at : at + REASONS_PER_LINE] for at in range(0, len(reasons), REASONS_PER_LINE)]
        return RulesFileChange(
            before=plan.found,
            rules=changes,
            taken=[one.rule_id for one in plan.rules if one.action is Action.TAKE and one.rule_id is not None],
            additions=_additions(plan, file),
            managed=_managed_after(plan, file),
            alerts=open_alerts.changes(),
            notices=[change_notice(channel, by, _joined(line), now) for line in lines],
            settings=self.commands.settings.with_settings(plan.found.stored, plan.settings, now) if settings else None,
            setting_changes=[SettingChange(by=by, at=now, summary=one) for one in settings],
            route_keys={
                one.sink: one.rule for one in plan.wanted.routes or () if one.rule and one.rule not in plan.bound
            },
        )


def _joined(reasons: Sequence[Reason]) -> Reason:
    joined = each_of(reasons)
    return joined if isinstance(joined, Reason) else Reason.of(Code.SETTING_CHANGED, setting=joined)


def _rule_changes(plan: ChannelPlan, open_alerts: OpenAlerts, by: str) -> tuple[list[RuleChange], list[Reason]]:
    """Return the changes of existing rules, removals first, and a reason for each change; update the open alerts."""
    current = dict[int, ChannelRule | UnreadableRule]({one.id: one for one in plan.found.rules})
    current.update({one.id: one for one in plan.found.unreadable})
    changes, reasons = list[RuleChange](), list[Reason]()
    for one in sorted(plan.rules, key=lambda one: one.action is not Action.REMOVE):
        reasons.append(_reason_of(one))
        if one.rule_id is None:
            continue
        before = current[one.rule_id]
        match one.action:
            case Action.REMOVE:
                open_alerts.remove_rule(before.id, by)
                changes.append(RuleChange(kind=RuleAuditKind.REMOVED, channel_rule=before, by=by))
            case Action.CHANGE if one.after is not None:
                state = update_alerts(open_alerts, before, one.after, by)
                edited = RuleChange(kind=RuleAuditKind.EDITED, channel_rule=before, by=by, rule=one.after, state=state)
                changes.append(edited)
                if isinstance(before, ChannelRule):
                    current[before.id] = replace(before, rule=one.after, state=state, edition=before.edition + 1)
            case Action.PAUSE | Action.RESUME:
                if one.action is Action.PAUSE:
                    open_alerts.remove_rule(before.id, by, _reason_of(one), kind=EntryKind.PAUSED)
                kind = RuleAuditKind.PAUSED if one.action is Action.PAUSE else RuleAuditKind.RESUMED
                changes.append(RuleChange(kind=kind, channel_rule=before, by=by, state=RuleState()))
    return changes, reasons


def _reason_of(one: RulePlan) -> Reason:
    rule = one.after or one.before
    match one.action:
        case Action.ADD:
            reason = Reason.of(Code.RULE_ADDED, rule=rule)
        case Action.CHANGE:
            reason = Reason.of(Code.RULE_EDITED, before=one.before, after=one.after)
        case Action.REMOVE:
            reason = Reason.of(Code.RULE_REMOVED, rule=rule)
        case Action.PAUSE:
            reason = Reason.of(Code.RULE_PAUSED, rule=rule)
        case Action.RESUME:
            reason = Reason.of(Code.RULE_RESUMED, rule=rule)
        case Action.TAKE:
            reason = Reason.of(Code.RULE_MANAGED, rule=rule)
        case Action.RELEASE:
            reason = Reason.of(Code.RULE_RELEASED, rule=rule)
        case _:
            assert_never(one.action)
    return reason


def _additions(plan: ChannelPlan, file: str) -> list[NewRule]:
    return [
        NewRule(key=one.key, file=file, rule=one.rule, paused=one.paused)
        for one in plan.wanted.rules
        if one.key not in plan.bound
    ]


def _managed_after(plan: ChannelPlan, file: str) -> list[ManagedRule]:
    """Return the rules that files manage afterwards: those of other files, and the existing ones of this file."""
    taken = {one.id for one in plan.bound.values()}
    keys = {one.key for one in plan.wanted.rules}
    others = [
        one for one in plan.found.managed if one.file != file and one.key not in keys and one.rule_id not in taken
    ]
    ours = [
        ManagedRule(key=one.key, file=file, rule_id=plan.bound[one.key].id, rule=str(one.rule), paused=one.paused)
        for one in plan.wanted.rules
        if one.key in plan.bound
    ]
    return [*others, *ours]
