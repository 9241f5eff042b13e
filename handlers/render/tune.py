"""A rule for a wanted rate of alerts: what was found, how it did out of sample, and what it would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from handlers.render import fmt
from handlers.render.footers import basis
from handlers.render.markup import code, simulated
from handlers.render.message import Block, Message, actions, button, compose, header, note, section, text_message
from services.alerting.records import ChannelRule
from services.channels.rule_placement import Placement
from services.research.results import TuneResult
from services.research.tune import CERTAINTY, Check, Shift, TunedRule
from services.rules.rule import Rule, print_duration

USE = "Use this rule"
SHOWN = 3  # of the alerts gained or lost, the newest
METHOD = (
    "Counted at session closes, with the clear level at 60% of the threshold. The interval takes alerts to be "
    "independent; they come in clusters, so that it is rather too narrow."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Using:
    """Where in a channel the found rule would go, and what was typed to find it."""

    slot: Placement
    wish: str


def tune_message(told: TuneResult, using: Using | None = None) -> Message:
    """Render a calibration; nothing is changed by it, but in a channel by its button."""
    found = told.tuned
    title = simulated(
        f"{found.rule}: {fmt.decimal(found.per_year)} alerts a year, {found.wish.per_year:g} wanted",
        when=told.basis.simulated,
    )
    lines = [_found(found), *_check(found), *(line for one in told.shifts for line in _shift(one))]
    todo = _todo(found.rule, using)
    small = [METHOD, *basis(told.basis)]
    return compose(
        [header(title), section(*lines), section(todo), _use(found.rule, using), note(*small)],
        [title, *lines, todo, *small],
    )


def stale_tune_message() -> Message:
    """Tell that a preview was out of date when its button was pressed."""
    return text_message("The rules here have changed since; nothing was done. This is what it would do now:")


def rule_exists_message(watch: ChannelRule) -> Message:
    """Tell that the found rule is there already."""
    paused = f"; it is paused, and {code(f'/minerpulse rule resume {watch.id}')} watches it" if watch.paused_at else ""
    return text_message(f"Rule {watch.id} {code(str(watch.rule))} stands here already; nothing was changed{paused}.")


def _todo(rule: Rule, using: Using | None) -> str:
    if using is None:
        return f"Nothing is changed. To watch it: {code(f'/minerpulse rule add {rule}')}"
    slot = using.slot
    if slot.standing is not None:
        return f"Rule {slot.standing.id} reads so already. Nothing is changed."
    if slot.target is None:
        return f"Nothing is changed yet. *{USE}* adds it, as does {code(f'/minerpulse rule add {slot.rule}')}"
    number, before = slot.target.id, code(str(slot.target.rule))
    typed = code(f"/minerpulse rule edit {number} {slot.rule}")
    return f"Nothing is changed yet. *{USE}* makes rule {number}, {before} now, read so, as does {typed}"


def _use(rule: Rule, using: Using | None) -> Block | None:
    """Offer to apply a preview; the button carries what it rests on."""
    if using is None or using.slot.standing is not None:
        return None
    return actions(button("use_rule", USE, f"{using.slot.mark}|{rule}|{using.wish}", primary=True))


def _found(found: TunedRule) -> str:
    rule = found.rule
    threshold, clear = fmt.threshold(rule.threshold, rule.unit), fmt.threshold(rule.clear, rule.unit)
    return (
        f"Threshold *{threshold}*, clear *{clear}*: {found.episodes} episodes in {fmt.decimal(found.years)} years of "
        f"closes. Hold {print_duration(rule.hold)}, as ever: closes do not tell what happens within a day."
    )


def _check(found: TunedRule) -> list[str]:
    check = found.check
    if check is None:
        return ["*Out of sample*: half of the history is too short for a check."]
    before = f"tuned on the closes before {fmt.full_day(check.since)} it would be {code(str(check.rule))}"
    since = f"Since then that fired {check.episodes} times, {fmt.decimal(check.per_year)} a year"
    rates = f"{CERTAINTY:.0%} interval {fmt.decimal(check.low)} to {fmt.decimal(check.high)}"
    return [f"*Out of sample*: {before}. {since}; {rates}.", _verdict(check, found.wish.per_year)]


def _verdict(check: Check, wanted: float) -> str:
    if check.low <= wanted <= check.high:
        return f"The {wanted:g} wanted lie within it: nothing here speaks against them."
    if wanted < check.low:
        return f"The {wanted:g} wanted lie below it: it fired more often since than the closes before promised."
    return f"The {wanted:g} wanted lie above it: it fired less often since than the closes before promised."


def _shift(moved: Shift) -> list[str]:
    lines = [_days("more", moved.gained), _days("fewer", moved.lost)]
    return [f"*Against {code(str(moved.against))}*: {', '.join(lines)}."]


def _days(what: str, days: Sequence[date]) -> str:
    if not days:
        return f"none {what}"
    newest = ", ".join(f"{day}" for day in days[: -SHOWN - 1 : -1])
    return f"{len(days)} {what} ({'the last ' if len(days) > SHOWN else ''}{newest})"
