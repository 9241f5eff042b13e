"""Rules of a channel: the list, and what adding, removing and starting did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_text import meaning
from handlers.render.limits import LIST_FALLBACK, LIST_TEXT, fitting
from handlers.render.markup import code, person, simulated
from handlers.render.message import Message, actions, compose, header, note, paragraphs, section, text_message
from handlers.render.rule_form import add_button, edit_button
from services.alerting.feedback import Noise
from services.alerting.records import ChannelRule, RuleAudit, RuleAuditKind, UnreadableRule
from services.channels.rule_commands import Added, Edited, Listing, Switched
from services.core.prices import Pair
from services.research.rate_target import print_target
from services.research.tune import LooserRule
from services.rules.decide import Status

ADD = "Add one with `/minerpulse rule add 1d 8pp`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A threshold at which a noisy rule would have fired half as often."""

    watch: ChannelRule
    gentler: LooserRule


def rules_message(listing: Listing, now: datetime, proposal: Proposal | None = None) -> Message:
    """List a channel's rules with what each is doing, how much of it was noise, and what people did to them last."""
    numbers = [*(watch.id for watch in listing.watches), *(lost.id for lost in listing.lost)]
    acts = [_act(act) for act in listing.acts]
    if not numbers:
        nothing = text_message(
            "No rules in this channel yet.", f"{ADD} `/minerpulse` alone offers the usual ones.", *acts
        )
        return compose([*nothing.blocks, actions(add_button())], [nothing.text])
    title = f"{len(numbers)} rule{'' if len(numbers) == 1 else 's'} in this channel"
    lines = [*(_line(watch, now, listing.noise.get(watch.id)) for watch in listing.watches), *map(_lost, listing.lost)]
    first, proposed = numbers[0], [_proposed(proposal, listing.noise)] if proposal else []
    hints = [
        ADD,
        f"Change, pause or remove one: `/minerpulse rule edit {first} 1d 9pp`, `pause {first}`, `remove {first}`.",
    ]
    parts = paragraphs(*fitting(lines, LIST_TEXT))
    buttons = actions(add_button(), edit_button({watch.id: str(watch.rule) for watch in listing.watches}))
    return compose(
        [header(title), *parts, section(*proposed), buttons, note(*hints, *acts)],
        [f"{title}:", *fitting(lines, LIST_FALLBACK), *proposed, *hints, *acts],
    )


def rule_added_message(what: Added) -> Message:
    """Tell that a rule stands in the channel."""
    watch = what.watch
    if not what.new:
        return _stands(watch.id, str(watch.rule))
    return text_message(f"Rule {watch.id} {code(str(watch.rule))} is added: {meaning(watch.rule)}.")


def rule_edited_message(what: Edited) -> Message:
    """Tell how a rule reads now."""
    rule = str(what.rule)
    if not what.changed:
        return _stands(what.rule_id, rule)
    changed = f"Rule {what.rule_id} is {code(rule)} now, and was {code(what.before)}: {meaning(what.rule)}."
    return text_message(changed, "It is decided anew at the next prices.")


def rule_paused_message(what: Switched) -> Message:
    """Tell that a rule is not watched."""
    rule = f"Rule {what.watch.id} {code(str(what.watch.rule))}"
    if not what.changed:
        return text_message(f"{rule} is paused already; nothing was changed.")
    again = code(f"/minerpulse rule resume {what.watch.id}")
    return text_message(f"{rule} is paused; an alert that it alone kept open ends. {again} watches it again.")


def rule_resumed_message(what: Switched) -> Message:
    """Tell that a rule is watched again."""
    rule = f"Rule {what.watch.id} {code(str(what.watch.rule))}"
    if not what.changed:
        return text_message(f"{rule} is not paused; nothing was changed.")
    return text_message(f"{rule} is watched again: {meaning(what.watch.rule)}.")


def rule_removed_message(watch: ChannelRule | UnreadableRule) -> Message:
    """Tell that a rule is gone."""
    return text_message(f"Rule {watch.id} {code(str(watch.rule))} is removed; an alert that it alone kept open ends.")


def alerts_started_message(pair: Pair, texts: Sequence[str], by: str, *, is_simulated: bool) -> Message:
    """Tell a channel that alerts will come here, and from whom."""
    opening = f"MinerPulse alerts on {pair.etf} against {fmt.name(pair.crypto)} come here from now on."
    return text_message(
        simulated(opening, when=is_simulated),
        f"Rules: {', '.join(map(code, texts))}. Started by {person(by)}. `/minerpulse help` tells the rest.",
    )


def _proposed(proposal: Proposal, noise: Mapping[int, Noise]) -> str:
    """Propose less; nothing is changed by it."""
    watch, found = proposal.watch, proposal.gentler.tuned
    often = f"{fmt.decimal(found.per_year)} times a year instead of {fmt.decimal(proposal.gentler.before)}"
    less = f"{code(str(found.rule))} would have fired half as often, {often}"
    shows = f"{code(f'/minerpulse tune {print_target(found.wish)}')} shows what it would change"
    return f"Rule {watch.id} was {_noise(noise[watch.id])}. {less}: {shows}."


def _noise(found: Noise) -> str:
    return f"noise {found.noise} of {found.judged}"


def _line(watch: ChannelRule, now: datetime, noise: Noise | None) -> str:
    status = f"paused since {fmt.moment(watch.paused_at)}" if watch.paused_at else _status(watch, now)
    judged = f"; {_noise(noise)}" if noise else ""
    return f"*{watch.id}*  {code(str(watch.rule))}: {status}; {meaning(watch.rule)}{judged}"


def _lost(watch: UnreadableRule) -> str:
    broken = "cannot be read, so it is not watched; edit or remove it, or restore its row from a backup"
    return f"*{watch.id}*  {code(watch.rule)}: {broken}"


def _stands(rule_id: int, rule: str) -> Message:
    return text_message(f"Rule {rule_id} {code(rule)} stands here already; nothing was changed.")


def _act(act: RuleAudit) -> str:
    rule = act.after or act.before or ""
    if act.kind is RuleAuditKind.EDITED and act.before:
        rule = f"{act.before} → {rule}"
    return f"Rule {act.rule_id} {code(rule)} {act.kind.value} by {person(act.by)}, {fmt.moment(act.at)}."


def _status(watch: ChannelRule, now: datetime) -> str:
    state = watch.state
    match state.status(now):
        case Status.PENDING if state.breach_at:
            return f"past its threshold since {fmt.moment(state.breach_at)}, not yet held"
        case Status.FIRING if state.fired_at:
            return f"firing since {fmt.moment(state.fired_at)}"
        case Status.RECOVERING if state.clear_at:
            return f"firing, but inside its clear level since {fmt.moment(state.clear_at)}"
        case Status.ERROR if state.error_at:
            return f"cannot be evaluated: nothing is known of {watch.rule.pair} since {fmt.moment(state.error_at)}"
        case Status.NODATA if state.dark_at:
            return f"no usable prices since {fmt.moment(state.dark_at)}"
        case _:
            return "quiet"
