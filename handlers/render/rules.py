"""A channel's rules: the list, and the replies to changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_text import describe_rule
from handlers.render.alert_thread import person
from handlers.render.channel import addressee_name
from handlers.render.help import RUN_COMMAND
from handlers.render.home import RULE_STATUS
from handlers.render.markup import code, escape, mark_simulated, user_mention
from handlers.render.message import (
    Block,
    Message,
    actions,
    button,
    clip,
    compose,
    context,
    fit_lines,
    header,
    notification,
    overflow,
    section,
    sections,
    text_message,
)
from handlers.render.reasons import reason
from services.alerting.alert import Alert
from services.alerting.channel_settings import ChannelSettings
from services.alerting.feedback import NoiseRate
from services.alerting.ports import ChannelRule, RuleAudit, RuleAuditKind, UnreadableRule
from services.alerting.setting_syntax import SETTINGS
from services.channels.commands import RuleFigures
from services.channels.rule_commands import AddResult, EditResult, MoveResult, PauseResult, RuleList
from services.core.identity import Person
from services.core.prices import Pair
from services.research.service import RulePreview
from services.research.track_record import RECORD_SESSIONS
from services.research.tune import HalfRateRule, print_target
from services.rules.decide import RuleStatus
from services.rules.rule import Rule, levels_of, successor_of

PERCENT = 100
OVERLAPS_SHOWN = 3
AUDITS_SHOWN = 3
ROWS_WITH_MENU, ROWS_TEXT, LINES_TEXT = 40, 6_000, 2_500  # rules of one list; characters of its rows and lines
OFTEN = 100  # times a year; a rule that fires more often is probably too tight
RULE_MENU, REMOVE_RULE = "rule_menu", "remove_rule"
UNDO_ADD, UNDO_EDIT, UNDO_REMOVE = "undo_add", "undo_edit", "undo_remove"
WARNING = ":warning: "
LOADING = "older prices are still loading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A rule with a high noise rate, and a threshold at which it would have fired half as often."""

    rule: ChannelRule
    looser: HalfRateRule


def rules_message(
    listing: RuleList,
    now: datetime,
    proposal: Proposal | None = None,
    figures: Mapping[int, RuleFigures] | None = None,
) -> Message:
    """Return a channel's rules, one row each with its state, record and a menu of what to do with it.

    Rules that don't fit with a menu follow in one line each.
    """
    figures = figures or {}
    count = len(listing.rules) + len(listing.unreadable)
    buttons = actions(
        button("add_rule", "Add Rule", "new", primary=not count),
        button(RUN_COMMAND[0], "Show Channel Settings", "channel"),
    )
    audits = _audit_lines(listing)
    if not count:
        line = "No rules in this channel, so nothing is monitored."
        how = (
            "Add one, for example `/minerpulse rule add 1d 8pp`, or type `/minerpulse` to start with the default rules."
        )
        return compose([section(line, how), buttons, context(*audits)], notification(line, how))
    title = f"{count} rule{'' if count == 1 else 's'} in this channel"
    rows, lines = _rows_and_lines(listing, now, figures)
    simulated = any(one.preview.simulated for one in figures.values())
    proposals = [_proposal_line(proposal, listing.noise)] if proposal else []
    without_menu = [f"Edit or remove one of these: `/minerpulse rule edit {listing.rules[-1].id}`."] if lines else []
    return compose(
        [
            header(mark_simulated(title, when=simulated)),
            *rows,
            *sections(*fit_lines(lines, LINES_TEXT, " rules")),
            section(*proposals),
            buttons,
            context(*without_menu, _small_print(listing), *audits),
        ],
        notification(f"{title}.", *(_spoken(one, listing, now) for one in listing.rules)),
    )


def _rows_and_lines(
    listing: RuleList, now: datetime, figures: Mapping[int, RuleFigures]
) -> tuple[list[Block | None], list[str]]:
    """Return a section with a menu for as many rules as fit, and a line for each of the others."""
    rows, lines, used = list[Block | None](), list[str](), 0
    for one in listing.rules:
        texts = _rule_lines(one, listing, now, figures.get(one.id))
        used += sum(map(len, texts))
        if len(rows) < ROWS_WITH_MENU and used <= ROWS_TEXT:
            rows.append(section(*texts, accessory=_rule_menu(one, is_managed=one.id in listing.managed)))
        else:
            lines.append(texts[0])
    return rows, [*lines, *map(_unreadable_rule_line, listing.unreadable)]


def _rule_menu(one: ChannelRule, *, is_managed: bool) -> Block:
    """Return what can be done with a rule; a rules file alone edits and removes its own."""
    pause = {f"pause:{one.id}": "Pause"} if one.paused_at is None else {f"resume:{one.id}": "Resume"}
    if is_managed:
        return overflow(f"{RULE_MENU}:{one.id}", {f"backtest:{one.id}": "Backtest", **pause})
    options = {f"edit:{one.id}": "Edit…", f"backtest:{one.id}": "Backtest", **pause, f"remove:{one.id}": "Remove…"}
    return overflow(f"{RULE_MENU}:{one.id}", options)


def _rule_lines(one: ChannelRule, listing: RuleList, now: datetime, figures: RuleFigures | None) -> list[str]:
    noise, successor, managed = listing.noise.get(one.id), successor_of(one.rule), listing.managed.get(one.id)
    record = [
        *([f"Managed by {escape(f'{managed.file}/{managed.key}')}"] if managed else []),
        *([] if figures is None else _count(figures.preview)),
        *([_noise_rate(noise)] if noise else []),
    ]
    return [
        f"*{one.id}*  {code(str(one.rule))} – {_status(one, listing, now, figures)}",
        describe_rule(one.rule),
        " · ".join(record),
        f"No longer offered for new rules. The closest is {code(str(successor))}." if successor else "",
    ]


def _count(preview: RulePreview) -> list[str]:
    """Return how often a rule would have fired; nothing if that is unknown."""
    if preview.since is None:
        return []
    alerts = f"{preview.firings} alert{'' if preview.firings == 1 else 's'}"
    return [f"{alerts} in {_span(preview)} (backtest)"]


def _span(preview: RulePreview) -> str:
    return "2 years" if preview.sessions >= RECORD_SESSIONS else fmt.sessions(preview.sessions)


def _status(one: ChannelRule, listing: RuleList, now: datetime, figures: RuleFigures | None) -> str:
    """Return a rule's state, since when or in which alert, and its value."""
    if one.paused_at is not None:
        paused = (entry for entry in listing.audits if entry.rule_id == one.id and entry.kind is RuleAuditKind.PAUSED)
        entry = next(paused, None)
        by = f" by {user_mention(entry.by)}" if entry else ""
        return f"Paused{by}, {fmt.instant(one.paused_at)}"
    state, status = one.state, one.state.status(now)
    parts, alert = [RULE_STATUS[status]], listing.alerts.get(one.id)
    match status:
        case RuleStatus.PENDING if state.breach_at:
            parts.append(f"past its threshold since {fmt.instant(state.breach_at)}")
        case RuleStatus.FIRING | RuleStatus.RECOVERING if alert:
            parts.append(fmt.alert_link(alert.id, alert.permalink))
        case RuleStatus.FIRING if state.fired_at:
            parts.append(f"since {fmt.instant(state.fired_at)}, its alert was resolved")
        case RuleStatus.ERROR if state.error_since:
            return f"{parts[0]}: no source has recognized {one.rule.pair} since {fmt.instant(state.error_since)}"
        case RuleStatus.NODATA if state.nodata_since:
            return f"{parts[0]} since {fmt.instant(state.nodata_since)}"
    return ", ".join([*parts, *([] if figures is None else _value(one.rule, figures.value))])


def _value(rule: Rule, value: float | None) -> list[str]:
    """Return a rule's value, with its share of the threshold on a side that the rule watches."""
    if value is None:
        return []
    shown = fmt.metric_value(value, rule.unit)
    levels = levels_of(rule)
    bound = levels.fires_above if value > 0 else levels.fires_below
    if rule.unit.is_level or abs(float(bound)) != rule.threshold:
        return [shown]
    return [f"{shown} ({PERCENT * abs(value) / rule.threshold:.0f}%)"]


def _spoken(one: ChannelRule, listing: RuleList, now: datetime) -> str:
    """Return a rule and its state for the notification: `1: 1d 8pp, firing (alert 128).`."""
    status = "paused" if one.paused_at else RULE_STATUS[one.state.status(now)].rpartition(": ")[2]
    alert = listing.alerts.get(one.id)
    number = f" (alert {alert.id})" if alert else ""
    return f"{one.id}: {one.rule}, {status if status == 'OK' else status[:1].lower() + status[1:]}{number}."


def _unreadable_rule_line(channel_rule: UnreadableRule) -> str:
    remove = code(f"/minerpulse rule remove {channel_rule.id}")
    return (
        f"*{channel_rule.id}*  {code(channel_rule.rule)} – Error: this rule can't be read, so it isn't evaluated. "
        f"Edit it, or type {remove}."
    )


def _small_print(listing: RuleList) -> str:
    text = " · ".join([*_added_by(listing.rules), *_setting_parts(listing.settings)])
    return f"{text[:1].upper()}{text[1:]}"


def _added_by(rules: Sequence[ChannelRule]) -> list[str]:
    """Return who added the rules, and when the first one: `rules 1–3 added by @dana, Nov 2`."""
    by_person: dict[str, list[ChannelRule]] = {}
    for one in rules:
        by_person.setdefault(one.created_by, []).append(one)
    return [
        f"{_rule_numbers([one.id for one in added])} added by {user_mention(by)}, "
        f"{fmt.instant(min(one.created_at for one in added))}"
        for by, added in [*by_person.items()][:OVERLAPS_SHOWN]
    ]


def _rule_numbers(ids: Sequence[int]) -> str:
    """Return the numbers of rules: `rule 4`, `rules 1–3`, `rules 1, 3, 8`."""
    first, last = min(ids), max(ids)
    if first == last:
        return f"rule {first}"
    is_range = len(ids) == last - first + 1 and len(ids) > 2  # noqa: PLR2004 -- two numbers are as short
    return f"rules {first}–{last}" if is_range else f"rules {clip(', '.join(map(str, sorted(ids))), 60)}"


def _setting_parts(settings: ChannelSettings) -> list[str]:
    quiet, mention = (SETTINGS[word].format(settings, addressee_name) for word in ("quiet", "mention"))
    return [f"quiet hours {quiet}", f"mentions {mention}"]


def _audit_lines(listing: RuleList) -> list[str]:
    """Return the last changes that the rows don't show."""
    paused = {one.id for one in listing.rules if one.paused_at is not None}
    shown = [
        entry
        for entry in listing.audits
        if entry.kind is not RuleAuditKind.ADDED
        and not (entry.kind is RuleAuditKind.PAUSED and entry.rule_id in paused)
    ]
    return [_audit_line(entry) for entry in shown[:AUDITS_SHOWN]]


def _audit_line(entry: RuleAudit) -> str:
    rule = code(entry.after or entry.before or "")
    if entry.kind is RuleAuditKind.EDITED and entry.before:
        rule = f"{code(entry.before)} → {rule}"
    return f"Rule {entry.rule_id} {rule} {entry.kind.value} by {user_mention(entry.by)}, {fmt.instant(entry.at)}"


def _proposal_line(proposal: Proposal, noise: Mapping[int, NoiseRate]) -> str:
    """Return the proposal with the command that previews it; the proposal itself changes nothing."""
    channel_rule, tuned = proposal.rule, proposal.looser.tuned
    rates = f"{fmt.decimal(tuned.per_year)} times a year instead of {fmt.decimal(proposal.looser.per_year_before)}"
    rate = noise[channel_rule.id]
    return (
        f"Rule {channel_rule.id}: {_noise_rate(rate)}. "
        f"{code(str(tuned.rule))} would have fired half as often, {rates}. "
        f"To compare, type {code(f'/minerpulse tune {print_target(tuned.target)}')}."
    )


def _noise_rate(noise: NoiseRate) -> str:
    return f"false-alarm rate {noise.noise} of {noise.judged}"


def record_lines(preview: RulePreview) -> list[str]:
    """Return how often a rule would have fired in two years, and whether that is unusual; why not, if it is unknown."""
    if preview.since is None:
        return [f"No backtest: {reason(preview.reason)}."]
    times = {0: "never", 1: "once"}.get(preview.firings, f"{preview.firings} times")
    per_year = preview.per_year
    rate = f" ({_rate(per_year)} a year)" if per_year and preview.firings > 1 else ""
    median = f", median {fmt.sessions(preview.median_length)} to clear" if preview.median_length is not None else ""
    loading = f" ({LOADING})" if preview.loading else ""
    never = f"Would *{times}* have fired" if preview.firings == 0 else f"Would have fired *{times}*"
    lines = [mark_simulated(f"{never} in {_span(preview)}{rate}{median}{loading}.", when=preview.simulated)]
    last = preview.last_firing
    if last is not None:
        lines[0] += f" Last fired: {fmt.full_day(last.session)} at {fmt.metric_value(last.value, preview.rule.unit)}."
    return lines


def _rate(per_year: float) -> str:
    return fmt.decimal(per_year).removesuffix(".0")


def record_warning(preview: RulePreview) -> str:
    """Return what to do about a rule that never or very often fires; empty if its rate is usual or unknown."""
    per_year = preview.per_year
    if per_year is None or 0 < per_year <= OFTEN:
        return ""
    if per_year > OFTEN:
        return f"{WARNING}That is more than {OFTEN} alerts a year. A higher threshold fires less often."
    return f"{WARNING}This rule may never fire. A lower threshold fires more often."


def rule_added_message(added: AddResult, preview: RulePreview | None = None) -> Message:
    """Return that the rule was added, how often it would have fired, and a button that removes it again."""
    one = added.channel_rule
    if not added.created:
        return _already_exists("added", one.id, str(one.rule))
    first = f"Rule {one.id} added: {code(str(one.rule))}"
    record = [] if preview is None else [*record_lines(preview), record_warning(preview)]
    lines = [first, describe_rule(one.rule), *record, *_overlap_lines(added.overlaps)]
    spoken = [first, *(line.removeprefix(WARNING) for line in record)]
    return _changed(lines, spoken, undo=_undo(UNDO_ADD, one.id, str(one.rule)))


def _changed(lines: Sequence[str], spoken: Sequence[str], undo: Block | None = None) -> Message:
    """Return the reply to a change, with a button that undoes it if there is one."""
    return compose(
        [section(*lines), actions(undo) if undo else None],
        notification(*(text if text.endswith(".") else f"{text}." for text in spoken if text)),
    )


def _undo(action_id: str, rule_id: int, text: str) -> Block:
    return button(action_id, "Undo", f"{rule_id}:{text}", names=f"Undo the change to rule {rule_id}")


def _overlap_lines(overlaps: Sequence[ChannelRule], subject: str = "It") -> list[str]:
    """Return which rules overlap a changed one, and how to remove them; empty without any."""
    if not overlaps:
        return []
    remove = " and ".join(code(f"/minerpulse rule remove {one.id}") for one in overlaps[:OVERLAPS_SHOWN])
    return [f"{overlap_sentence(overlaps, subject)} To keep only this rule, type {remove}."]


def overlap_sentence(overlaps: Sequence[ChannelRule], subject: str = "It") -> str:
    """Return which rules a rule overlaps, and what that means."""
    names = " and ".join(f"rule {one.id} {code(str(one.rule))}" for one in overlaps[:OVERLAPS_SHOWN])
    more = f" and {len(overlaps) - OVERLAPS_SHOWN} more" if len(overlaps) > OVERLAPS_SHOWN else ""
    return f"{subject} overlaps {names}{more}: if they fire together, they share one alert."


def rule_edited_message(edited: EditResult) -> Message:
    """Return the rule's new text and meaning, and a button that restores its previous text."""
    rule = str(edited.rule)
    if not edited.changed:
        return _already_exists("changed", edited.rule_id, rule)
    first = f"Rule {edited.rule_id} changed: {code(rule)}, was {code(edited.before)}"
    later = "It is evaluated with the next prices."
    lines = [first, describe_rule(edited.rule), later, *_overlap_lines(edited.overlaps)]
    return _changed(lines, [first], undo=_undo(UNDO_EDIT, edited.rule_id, rule))


def rules_moved_message(result: MoveResult) -> Message:
    """Return which rules were moved, and which were removed because the other symbol has them."""
    lines = []
    if result.moved:
        numbers = _rule_numbers(result.moved)
        moved = f"{numbers[:1].upper()}{numbers[1:]} moved from {escape(result.before)} to {escape(result.after)}."
        lines += [moved, "Open alerts and votes are kept."]
    lines += [
        f"Rule {old} removed: rule {same} is the same on {escape(result.after)}."
        for old, same in result.duplicates.items()
    ]
    for rule_id, overlaps in result.overlaps.items():
        lines += _overlap_lines(overlaps, f"Rule {rule_id}")
    return text_message(*lines)


def rule_paused_message(result: PauseResult) -> Message:
    """Return that the rule is paused."""
    one = result.channel_rule
    if not result.changed:
        return text_message(f"Rule {one.id} {code(str(one.rule))} is already paused. Nothing was changed.")
    ends = "Its open alert, if any, resolves unless another rule keeps it open."
    line = f"Rule {one.id} {code(str(one.rule))} paused. {ends}"
    return _changed([line], [line], undo=_run_undo(f"rule resume {one.id}", one.id))


def rule_resumed_message(result: PauseResult) -> Message:
    """Return that the rule is evaluated again."""
    one = result.channel_rule
    if not result.changed:
        return text_message(f"Rule {one.id} {code(str(one.rule))} isn't paused. Nothing was changed.")
    line = f"Rule {one.id} {code(str(one.rule))} resumed"
    lines = [line, describe_rule(one.rule), *_overlap_lines(result.overlaps)]
    return _changed(lines, [line], undo=_run_undo(f"rule pause {one.id}", one.id))


def _run_undo(command: str, rule_id: int) -> Block:
    return button(RUN_COMMAND[0], "Undo", command, names=f"Undo the change to rule {rule_id}")


def confirm_remove_message(channel_rule: ChannelRule, alert: Alert | None) -> Message:
    """Return the question whether to remove a rule, with what happens to its open alert."""
    number, text = channel_rule.id, str(channel_rule.rule)
    line = f"Remove rule {number} {code(text)}?"
    open_alert = (
        f"Alert {fmt.alert_link(alert.id, alert.permalink)} resolves unless another rule keeps it open."
        if alert
        else ""
    )
    remove = button(REMOVE_RULE, "Remove Rule", f"{number}:{text}", names=f"Remove rule {number}")
    pause = button(RUN_COMMAND[0], "Pause Instead", f"rule pause {number}", names=f"Pause rule {number} instead")
    return compose(
        [
            section(line, open_alert, "Nothing has been changed yet."),
            actions(remove, pause if channel_rule.paused_at is None else None),
        ],
        [line],
    )


def rule_removed_message(channel_rule: ChannelRule | UnreadableRule) -> Message:
    """Return that the rule was removed, with a button that adds it again."""
    number, text = channel_rule.id, str(channel_rule.rule)
    line = f"Rule {number} {code(text)} removed. Its open alert, if any, resolves unless another rule keeps it open."
    undo = _undo(UNDO_REMOVE, number, text) if isinstance(channel_rule, ChannelRule) else None
    return _changed([line], [line], undo=undo)


def undone_message(channel_rule: ChannelRule | UnreadableRule) -> Message:
    """Return that the rule that was just added is removed again."""
    line = f"Undone: rule {channel_rule.id} {code(str(channel_rule.rule))} removed."
    return compose([section(line)], [line])


def alerts_started_message(pair: Pair, texts: Sequence[str], by: str, *, simulated: bool) -> Message:
    """Return the channel's announcement that alerts start here, and who started them."""
    opening = mark_simulated(f"Alerts on {pair.etf} and {fmt.name(pair.crypto)} are posted here.", when=simulated)
    rules = f"{'Rule' if len(texts) == 1 else 'Rules'}: {', '.join(map(code, texts))}."
    who = person(by, by.name if isinstance(by, Person) else "")
    return compose(
        [section(opening, rules), context(f"Started by {who} · help: `/minerpulse help`")],
        notification(opening, rules),
    )


def _already_exists(change: str, rule_id: int, rule: str) -> Message:
    return text_message(f"Not {change}: rule {rule_id} is already {code(rule)}.")
