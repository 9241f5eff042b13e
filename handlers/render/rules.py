"""A channel's rules: the list, and the replies to changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_text import describe_rule
from handlers.render.form_fields import add_button, edit_button
from handlers.render.markup import code, escape, mark_simulated, user_mention
from handlers.render.message import (
    LIST_FALLBACK,
    LIST_TEXT,
    Message,
    actions,
    compose,
    context,
    fit_lines,
    header,
    section,
    sections,
    text_message,
)
from services.alerting.feedback import NoiseRate
from services.alerting.ports import ChannelRule, RuleAudit, RuleAuditKind, UnreadableRule
from services.channels.rule_commands import AddResult, EditResult, MoveResult, PauseResult, RuleList
from services.core.prices import Pair
from services.research.tune import HalfRateRule, print_target
from services.rules.decide import RuleStatus
from services.rules.rule import successor_of

OVERLAPS_SHOWN = 3
ADD_HINT = "Add one with `/minerpulse rule add 1d 8pp`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A rule with a high noise rate, and a threshold at which it would have fired half as often."""

    rule: ChannelRule
    looser: HalfRateRule


def rules_message(listing: RuleList, now: datetime, proposal: Proposal | None = None) -> Message:
    """Return a channel's rules with their state, noise rate and latest changes."""
    ids = [*(channel_rule.id for channel_rule in listing.rules), *(unreadable.id for unreadable in listing.unreadable)]
    audit_lines = [_audit_line(entry) for entry in listing.audits]
    if not ids:
        empty = text_message(
            "No rules in this channel yet.", f"{ADD_HINT} `/minerpulse` alone offers the default ones.", *audit_lines
        )
        return compose([*empty.blocks, actions(add_button())], [empty.text])
    title = f"{len(ids)} rule{'' if len(ids) == 1 else 's'} in this channel"
    lines = [
        *(_rule_line(channel_rule, now, listing.noise.get(channel_rule.id)) for channel_rule in listing.rules),
        *map(_unreadable_rule_line, listing.unreadable),
    ]
    first, proposal_lines = ids[0], [_proposal_line(proposal, listing.noise)] if proposal else []
    hints = [
        ADD_HINT,
        f"Change, pause or remove one: `/minerpulse rule edit {first} 1d 9pp`, `pause {first}`, `remove {first}`.",
    ]
    parts = sections(*fit_lines(lines, LIST_TEXT))
    buttons = actions(
        add_button(), edit_button({channel_rule.id: str(channel_rule.rule) for channel_rule in listing.rules})
    )
    return compose(
        [header(title), *parts, section(*proposal_lines), buttons, context(*hints, *audit_lines)],
        [f"{title}:", *fit_lines(lines, LIST_FALLBACK), *proposal_lines, *hints, *audit_lines],
    )


def rule_added_message(added: AddResult) -> Message:
    """Return that the rule was added, or already exists."""
    channel_rule = added.channel_rule
    if not added.created:
        return _already_exists(channel_rule.id, str(channel_rule.rule))
    line = f"Rule {channel_rule.id} {code(str(channel_rule.rule))} is added: {describe_rule(channel_rule.rule)}."
    return text_message(line, *_overlap_lines(added.overlaps))


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
    """Return the rule's new text and meaning."""
    rule = str(edited.rule)
    if not edited.changed:
        return _already_exists(edited.rule_id, rule)
    changed = f"Rule {edited.rule_id} is {code(rule)} now, and was {code(edited.before)}: {describe_rule(edited.rule)}."
    return text_message(changed, "It is evaluated again at the next prices.", *_overlap_lines(edited.overlaps))


def rules_moved_message(result: MoveResult) -> Message:
    """Return which rules were moved, and which were removed because the other symbol has them."""
    lines = []
    if result.moved:
        word = "Rule" if len(result.moved) == 1 else "Rules"
        watch = "watches" if len(result.moved) == 1 else "watch"
        numbers = ", ".join(map(str, result.moved))
        lines.append(
            f"{word} {numbers} {watch} {escape(result.after)} now, and watched {escape(result.before)} before."
        )
        lines.append("Open alerts and noise votes are kept.")
    lines += [
        f"Rule {old} is removed: rule {same} is the same on {escape(result.after)}."
        for old, same in result.duplicates.items()
    ]
    for rule_id, overlaps in result.overlaps.items():
        lines += _overlap_lines(overlaps, f"Rule {rule_id}")
    return text_message(*lines)


def rule_paused_message(result: PauseResult) -> Message:
    """Return that the rule is paused."""
    rule = f"Rule {result.channel_rule.id} {code(str(result.channel_rule.rule))}"
    if not result.changed:
        return text_message(f"{rule} is paused already; nothing was changed.")
    resume = code(f"/minerpulse rule resume {result.channel_rule.id}")
    return text_message(f"{rule} is paused; an alert that it alone kept open ends. {resume} resumes it.")


def rule_resumed_message(result: PauseResult) -> Message:
    """Return that the rule is evaluated again."""
    rule = f"Rule {result.channel_rule.id} {code(str(result.channel_rule.rule))}"
    if not result.changed:
        return text_message(f"{rule} is not paused; nothing was changed.")
    line = f"{rule} is resumed: {describe_rule(result.channel_rule.rule)}."
    return text_message(line, *_overlap_lines(result.overlaps))


def rule_removed_message(channel_rule: ChannelRule | UnreadableRule) -> Message:
    """Return that the rule was removed."""
    return text_message(
        f"Rule {channel_rule.id} {code(str(channel_rule.rule))} is removed; an alert that it alone kept open ends."
    )


def alerts_started_message(pair: Pair, texts: Sequence[str], by: str, *, simulated: bool) -> Message:
    """Return the channel's announcement that alerts start here, and who started them."""
    opening = f"MinerPulse alerts on {pair.etf} against {fmt.name(pair.crypto)} come here from now on."
    return text_message(
        mark_simulated(opening, when=simulated),
        f"Rules: {', '.join(map(code, texts))}. Started by {user_mention(by)}. `/minerpulse help` lists all commands.",
    )


def _proposal_line(proposal: Proposal, noise: Mapping[int, NoiseRate]) -> str:
    """Return the proposal with the command that previews it; the proposal itself changes nothing."""
    channel_rule, tuned = proposal.rule, proposal.looser.tuned
    rates = f"{fmt.decimal(tuned.per_year)} times a year instead of {fmt.decimal(proposal.looser.per_year_before)}"
    summary = f"{code(str(tuned.rule))} would have fired half as often, {rates}"
    hint = f"{code(f'/minerpulse tune {print_target(tuned.target)}')} shows what it would change"
    return f"Rule {channel_rule.id} was {_noise_rate(noise[channel_rule.id])}. {summary}: {hint}."


def _noise_rate(noise: NoiseRate) -> str:
    return f"noise {noise.noise} of {noise.judged}"


def _rule_line(channel_rule: ChannelRule, now: datetime, noise: NoiseRate | None) -> str:
    status = (
        f"paused since {fmt.moment(channel_rule.paused_at)}"
        if channel_rule.paused_at
        else _status_text(channel_rule, now)
    )
    noise_text = f"; {_noise_rate(noise)}" if noise else ""
    successor = successor_of(channel_rule.rule)
    retired = f"; no longer offered, the closest is {code(str(successor))}" if successor else ""
    described = f"{describe_rule(channel_rule.rule)}{retired}{noise_text}"
    return f"*{channel_rule.id}*  {code(str(channel_rule.rule))}: {status}; {described}"


def _unreadable_rule_line(channel_rule: UnreadableRule) -> str:
    broken = "cannot be read, so it is not watched; edit or remove it, or restore its row from a backup"
    return f"*{channel_rule.id}*  {code(channel_rule.rule)}: {broken}"


def _already_exists(rule_id: int, rule: str) -> Message:
    return text_message(f"Rule {rule_id} {code(rule)} already exists in this channel; nothing was changed.")


def _audit_line(entry: RuleAudit) -> str:
    rule = entry.after or entry.before or ""
    if entry.kind is RuleAuditKind.EDITED and entry.before:
        rule = f"{entry.before} → {rule}"
    return f"Rule {entry.rule_id} {code(rule)} {entry.kind.value} by {user_mention(entry.by)}, {fmt.moment(entry.at)}."


def _status_text(channel_rule: ChannelRule, now: datetime) -> str:
    state = channel_rule.state
    match state.status(now):
        case RuleStatus.PENDING if state.breach_at:
            return f"past its threshold since {fmt.moment(state.breach_at)}, not yet held"
        case RuleStatus.FIRING if state.fired_at:
            return f"firing since {fmt.moment(state.fired_at)}"
        case RuleStatus.RECOVERING if state.clear_at:
            return f"firing, but inside its clear level since {fmt.moment(state.clear_at)}"
        case RuleStatus.ERROR if state.error_since:
            since = fmt.moment(state.error_since)
            return f"cannot be evaluated: nothing is known of {channel_rule.rule.pair} since {since}"
        case RuleStatus.NODATA if state.nodata_since:
            return f"no usable prices since {fmt.moment(state.nodata_since)}"
        case _:
            return "quiet"
