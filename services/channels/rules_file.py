"""A rules file, how it differs from the channels of a workspace, and the file that describes them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from services.alerting.channel_settings import ChannelSettings
from services.alerting.paging import PageRoute, Severity
from services.alerting.ports import ChannelRule, ChannelRules, ManagedRule, UnreadableRule
from services.alerting.setting_syntax import (
    OFF,
    PAGE,
    SETTINGS,
    Addressee,
    SettingInput,
    format_settings,
    parse_setting,
)
from services.channels.rule_commands import has_same_subject
from services.core.errors import UserInputError
from services.core.identity import Channel, Mention
from services.rules.rule import Rule

FILE_SETTINGS = tuple(word for word in SETTINGS if word != PAGE)  # routes are lists of their own
MAX_KEY = 32
KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
REVISION_DIGITS = 12  # hex digits
Resolve = Callable[[str], Addressee | None]


class Manage(Enum):
    """Which rules of a channel a file manages: all, so that others are removed, or only those that it lists."""

    ALL = "all"
    LISTED = "listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRule:
    """A rule in a file; `key` names it there."""

    key: str
    rule: Rule
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRoute:
    """A sink that a channel pages; `rule` is the key of the only rule that pages it, None for all."""

    sink: str
    rule: str | None = None
    severity: Severity = Severity.ERROR
    always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChannel:
    """A channel in a file.

    Attributes:
        settings: The value of each listed setting by its word, as it is typed; others stay as they are.
        routes: None if they stay as they are.
    """

    id: str
    name: str = ""
    manage: Manage = Manage.ALL
    rules: tuple[FileRule, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[FileRoute, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """A rules file; `name` has no folder, and owns the rules."""

    name: str
    team: str
    channels: tuple[FileChannel, ...]


class Action(Enum):
    """What happens to a rule."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    PAUSE = "pause"
    RESUME = "resume"
    TAKE = "take"  # the file manages it from now on
    RELEASE = "release"  # the file manages it no longer, and it stays as it is


class Drift(Enum):
    """How a managed rule was changed outside its file."""

    EDITED = "edited"
    REMOVED = "removed"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePlan:
    """What happens to one rule of a channel.

    Attributes:
        rule_id: None for a new rule.
        before, after: The rule; None if there is none, and the stored text if it can't be read.
        keeps_alert: Whether its open alert stays open; None without one.
    """

    action: Action
    key: str
    rule_id: int | None = None
    before: Rule | str | None = None
    after: Rule | None = None
    keeps_alert: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDrift:
    """A managed rule that is not as its file made it last; `found` is empty if the rule is gone."""

    drift: Drift
    key: str
    rule_id: int
    made: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingPlan:
    """A setting that changes; `word` is `page` for routes."""

    word: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPlan:
    """What a file changes in one channel.

    Attributes:
        bound: By key, the existing rule that becomes or stays the rule of the file.
        settings: The new settings; a route to a new rule has the number 0.
    """

    wanted: FileChannel
    found: ChannelRules
    rules: tuple[RulePlan, ...] = ()
    drifts: tuple[RuleDrift, ...] = ()
    setting_plans: tuple[SettingPlan, ...] = ()
    settings: ChannelSettings = field(default_factory=ChannelSettings)
    bound: Mapping[str, ChannelRule | UnreadableRule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a file changes.

    Attributes:
        channels: Also those in which the file has made rules, but which it doesn't have any more.
    """

    file: RulesFile
    channels: tuple[ChannelPlan, ...]

    @property
    def revision(self) -> str:
        """The state of the channels, without values that change by themselves."""
        return revision_of(one.found for one in self.channels)

    @property
    def has_changes(self) -> bool:
        """Whether applying the file would change anything."""
        return any(one.rules or one.setting_plans for one in self.channels)

    @property
    def has_differences(self) -> bool:
        """Whether anything would change, or was changed outside the file."""
        return self.has_changes or any(one.drifts for one in self.channels)


def revision_of(states: Iterable[ChannelRules]) -> str:
    """Return a text that differs if rules, their owners or settings of the channels differ."""
    digest = hashlib.sha256()
    for one in states:
        rules = [(rule.id, str(rule.rule), rule.paused_at is not None) for rule in one.rules]
        others = [(rule.id, rule.rule) for rule in one.unreadable]
        settings = format_settings(one.stored.settings, typed_name)
        state = one.channel, rules, others, one.managed, sorted(one.editions.items()), settings
        digest.update(repr(state).encode())
    return digest.hexdigest()[:REVISION_DIGITS]


def plan_channel(
    wanted: FileChannel, found: ChannelRules, file: str, settings: ChannelSettings, *, unpause: bool = False
) -> ChannelPlan:
    """Compare a channel with a file; `settings` are those that the file asks for, without its routes.

    An existing rule that reads as the file wants is used, whoever made it. Else the rule that the file made under that
    key is changed, and else a rule is added. With `unpause`, rules that were paused in Slack are resumed.
    """
    bound = _bind(wanted, found)
    managed = {one.key: one for one in found.managed}
    plans, drifts = list[RulePlan](), list[RuleDrift]()
    for one in wanted.rules:
        current, made = bound.get(one.key), managed.get(one.key)
        drift = _text_drift(found, made) if made and made.file == file else None
        drifts += [drift] if drift else []
        if current is None:
            plans.append(RulePlan(action=Action.ADD, key=one.key, after=one.rule))
            continue
        plans += _rule_plans(one, current, made, file)
        pause = _pause_plan(one, current, made if made and made.rule_id == current.id else None, unpause=unpause)
        plans += [part for part in pause if isinstance(part, RulePlan)]
        drifts += [part for part in pause if isinstance(part, RuleDrift)]
    plans += _leftovers(wanted, found, bound, file)
    new_settings = replace(settings, pages=_routes(wanted, settings.pages, bound))
    return ChannelPlan(
        wanted=wanted,
        found=found,
        rules=tuple(plans),
        drifts=tuple(drifts),
        setting_plans=_setting_plans(wanted, found, new_settings),
        settings=new_settings,
        bound=bound,
    )


def _all_rules(found: ChannelRules) -> tuple[ChannelRule | UnreadableRule, ...]:
    return (*found.rules, *found.unreadable)


def _bind(wanted: FileChannel, found: ChannelRules) -> dict[str, ChannelRule | UnreadableRule]:
    """Return by key the existing rule that each rule of the file uses."""
    by_rule = {one.rule: one for one in found.rules}
    bound: dict[str, ChannelRule | UnreadableRule] = {
        one.key: by_rule[one.rule] for one in wanted.rules if one.rule in by_rule
    }
    taken = {one.id for one in bound.values()}
    by_id = {one.id: one for one in _all_rules(found)}
    rule_ids = {one.key: one.rule_id for one in found.managed}
    for one in wanted.rules:
        rule_id = rule_ids.get(one.key)
        if one.key not in bound and rule_id in by_id and rule_id not in taken:
            bound[one.key] = by_id[rule_id]
    return bound


def _text_drift(found: ChannelRules, made: ManagedRule) -> RuleDrift | None:
    texts = {one.id: str(one.rule) for one in _all_rules(found)}
    text = texts.get(made.rule_id, "")
    if text == made.rule:
        return None
    drift = Drift.EDITED if text else Drift.REMOVED
    return RuleDrift(drift=drift, key=made.key, rule_id=made.rule_id, made=made.rule, found=text)


def _rule_plans(
    one: FileRule, current: ChannelRule | UnreadableRule, made: ManagedRule | None, file: str
) -> list[RulePlan]:
    if current.rule != one.rule:
        keeps = None
        if isinstance(current, ChannelRule) and current.state.firing:
            keeps = has_same_subject(one.rule, current.rule, current.state.firing)
        return [
            RulePlan(
                action=Action.CHANGE,
                key=one.key,
                rule_id=current.id,
                before=current.rule,
                after=one.rule,
                keeps_alert=keeps,
            )
        ]
    if made is None or (made.rule_id, made.file) != (current.id, file):
        return [RulePlan(action=Action.TAKE, key=one.key, rule_id=current.id, before=one.rule, after=one.rule)]
    return []


def _pause_plan(
    one: FileRule, current: ChannelRule | UnreadableRule, made: ManagedRule | None, *, unpause: bool
) -> list[RulePlan | RuleDrift]:
    """Return how a rule is paused or resumed; one that was paused in Slack stays paused without `unpause`."""
    is_paused = isinstance(current, ChannelRule) and current.paused_at is not None
    by_hand = made is None or made.paused != is_paused
    drift = RuleDrift(
        drift=Drift.PAUSED if is_paused else Drift.RESUMED,
        key=one.key,
        rule_id=current.id,
        made=str(one.rule),
        found=str(one.rule),
    )
    drifts: list[RulePlan | RuleDrift] = [drift] if made and by_hand else []
    if is_paused == one.paused:
        return []
    if is_paused and by_hand and not unpause:
        return [drift]
    action = Action.PAUSE if one.paused else Action.RESUME
    keeps = False if one.paused and isinstance(current, ChannelRule) and current.state.firing else None
    plan = RulePlan(
        action=action, key=one.key, rule_id=current.id, before=current.rule, after=one.rule, keeps_alert=keeps
    )
    return [*drifts, plan]


def _leftovers(
    wanted: FileChannel, found: ChannelRules, bound: Mapping[str, ChannelRule | UnreadableRule], file: str
) -> list[RulePlan]:
    """Return what happens to the rules that the file doesn't have."""
    used = {one.id for one in bound.values()}
    keys = {one.rule_id: one.key for one in found.managed}
    ours = {one.rule_id for one in found.managed if one.file == file}
    replaced = ours & {one.rule_id for one in found.managed if one.key in {rule.key for rule in wanted.rules}}
    plans = []
    for one in _all_rules(found):
        if one.id in used or (wanted.manage is Manage.LISTED and one.id not in ours):
            continue
        is_firing = isinstance(one, ChannelRule) and one.state.firing is not None
        removed = wanted.manage is Manage.ALL or one.id in replaced
        plans.append(
            RulePlan(
                action=Action.REMOVE if removed else Action.RELEASE,
                key=keys.get(one.id, ""),
                rule_id=one.id,
                before=one.rule,
                keeps_alert=not removed if is_firing else None,
            )
        )
    return plans


def _routes(
    wanted: FileChannel, pages: tuple[PageRoute, ...], bound: Mapping[str, ChannelRule | UnreadableRule]
) -> tuple[PageRoute, ...]:
    """Return the routes that the file asks for; one to a new rule has the number 0 until the rule is saved."""
    if wanted.routes is None:
        return pages
    routes = tuple(
        PageRoute(
            sink=one.sink,
            severity=one.severity,
            rule_id=None if one.rule is None else bound[one.rule].id if one.rule in bound else 0,
            always=one.always,
        )
        for one in wanted.routes
    )
    return pages if set(pages) == set(routes) else routes


def _setting_plans(wanted: FileChannel, found: ChannelRules, after: ChannelSettings) -> tuple[SettingPlan, ...]:
    before = found.stored.settings
    texts = [
        (word, SETTINGS[word].format(before, typed_name), SETTINGS[word].format(after, typed_name))
        for word in wanted.settings
    ]
    if after.pages != before.pages:
        keys = {one.rule_id: one.key for one in found.managed}
        old = [
            FileRoute(
                sink=one.sink,
                rule=None if one.rule_id is None else keys.get(one.rule_id, str(one.rule_id)),
                severity=one.severity,
                always=one.always,
            )
            for one in before.pages
        ]
        texts.append((PAGE, _route_text(old), _route_text(wanted.routes or ())))
    return tuple(SettingPlan(word=word, before=old, after=new) for word, old, new in texts if old != new)


def _route_text(routes: Sequence[FileRoute]) -> str:
    texts = [
        " ".join(
            [
                one.sink,
                *([] if one.rule is None else ["for", one.rule]),
                *([] if one.severity is Severity.ERROR else ["severity", one.severity.value]),
                *(["always"] if one.always else []),
            ]
        )
        for one in routes
    ]
    return ", ".join(texts) or OFF


def typed_name(addressee: Addressee) -> str:
    """Return a person, group or channel as Slack escapes it."""
    return addressee.text if isinstance(addressee, Mention) else f"<#{addressee.id}>"


def of_other_files(plan: ChannelPlan, file: str) -> list[ManagedRule]:
    """Return the rules of other files that a plan changes, removes or takes."""
    found = plan.found
    touched = {one.rule_id for one in plan.rules}
    existing = set(found.editions)
    keys = {one.key for one in plan.wanted.rules}
    return [
        one
        for one in found.managed
        if one.file != file and one.rule_id in existing and (one.rule_id in touched or one.key in keys)
    ]


def with_file_settings(
    settings: ChannelSettings, values: Mapping[str, str], resolve: Resolve, now: datetime
) -> ChannelSettings:
    """Return the settings with the values of a file. Raises ChannelSettingError.

    What is turned off comes first, the last one first: reminders end before the mention that they use.
    """
    ordered = [word for word in FILE_SETTINGS if word in values]
    is_off = [word for word in reversed(ordered) if values[word].strip().lower() == OFF]
    for word in (*is_off, *(word for word in ordered if word not in is_off)):
        text = f"{word} {values[word]}"
        settings = parse_setting(SettingInput(text=text, resolve=resolve, now=now), settings)[1]
    return settings


def describe_channels(
    name: str, team: str, states: Sequence[ChannelRules], write_name: Callable[[Addressee], str]
) -> RulesFile:
    """Return the file that describes channels as they are; channels without rules and settings are left out."""
    channels = [_describe(one, write_name) for one in sorted(states, key=lambda one: one.channel.id)]
    return RulesFile(
        name=name, team=team, channels=tuple(one for one in channels if one.rules or one.settings or one.routes)
    )


def _describe(found: ChannelRules, write_name: Callable[[Addressee], str]) -> FileChannel:
    keys = _keys_of(found)
    rules = [FileRule(key=keys[one.id], rule=one.rule, paused=one.paused_at is not None) for one in found.rules]
    settings, default = found.stored.settings, ChannelSettings()
    values = {word: SETTINGS[word].format(settings, write_name) for word in FILE_SETTINGS}
    routes = [
        FileRoute(
            sink=route.sink,
            rule=None if route.rule_id is None else keys[route.rule_id],
            severity=route.severity,
            always=route.always,
        )
        for route in settings.pages
        if route.rule_id is None or route.rule_id in keys
    ]
    return FileChannel(
        id=found.channel.id,
        rules=tuple(sorted(rules, key=lambda one: one.key)),
        settings={word: value for word, value in values.items() if value != SETTINGS[word].format(default, write_name)},
        routes=tuple(sorted(routes, key=lambda one: one.sink)) or None,
    )


def _keys_of(found: ChannelRules) -> dict[int, str]:
    """Return the key of each readable rule by id: its own if a file manages it, else one from its text."""
    exists = {one.id for one in found.rules}
    keys = {one.rule_id: one.key for one in found.managed if one.rule_id in exists}
    for one in sorted(found.rules, key=lambda one: str(one.rule)):
        if one.id not in keys:
            keys[one.id] = _free_key(str(one.rule), set(keys.values()))
    return keys


def _free_key(text: str, used: set[str]) -> str:
    """Return a key that no other rule of the channel has, such as `5d-15pp`."""
    slug = "".join(one if one in KEY_CHARACTERS else "-" for one in text.lower())[:MAX_KEY].strip("-")
    number, key = 1, slug
    while key in used:
        number += 1
        key = f"{slug[: MAX_KEY - len(f'-{number}')]}-{number}"
    return key


class RulesFileError(UserInputError):
    """A rules file is wrong, or can't be applied as it is; one line per problem. Nothing was changed."""


class PlanOutdatedError(UserInputError):
    """A channel has changed since the plan was made; nothing was changed."""

    def __init__(self, expected: str, current: str) -> None:
        super().__init__(
            f"The channels have changed since the plan {expected} (now {current}), so nothing was applied. "
            "Run `minerpulse rules diff` again."
        )


def channel_of(file: RulesFile, channel: FileChannel) -> Channel:
    """Return the channel that a part of the file is about."""
    return Channel(team=file.team, id=channel.id)
