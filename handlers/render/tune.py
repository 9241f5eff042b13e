"""A rule for a wanted rate of alerts: what was found, how it did out of sample, and what it would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.basis import basis
from handlers.render.markup import code, simulated
from handlers.render.message import compose, header, note, section
from services.domain.counting import CERTAINTY
from services.domain.rule import print_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from handlers.render.message import Message
    from services.domain.tune import Check, Shift, Tuned
    from services.study import Calibrated

SHOWN = 3  # of the alerts gained or lost, the newest
METHOD = (
    "Counted at session closes, with the clear level at 60% of the threshold. The interval takes alerts to be "
    "independent; they come in clusters, so that it is rather too narrow."
)


def tuned(told: Calibrated) -> Message:
    """Render a calibration; nothing is changed by it."""
    found = told.tuned
    title = simulated(
        f"{found.rule}: {words.decimal(found.per_year)} alerts a year, {found.wish.per_year:g} wanted",
        when=told.basis.simulated,
    )
    lines = [_found(found), *_check(found), *(line for one in told.shifts for line in _shift(one))]
    todo = f"Nothing is changed. To watch it: {code(f'/minerpulse rule add {found.rule}')}"
    small = [METHOD, *basis(told.basis)]
    return compose([header(title), section(*lines), section(todo), note(*small)], [title, *lines, todo, *small])


def _found(found: Tuned) -> str:
    rule = found.rule
    threshold, clear = words.threshold(rule.threshold, rule.unit), words.threshold(rule.clear, rule.unit)
    return (
        f"Threshold *{threshold}*, clear *{clear}*: {found.episodes} episodes in {words.decimal(found.years)} years of "
        f"closes. Hold {print_duration(rule.hold)}, as ever: closes do not tell what happens within a day."
    )


def _check(found: Tuned) -> list[str]:
    check = found.check
    if check is None:
        return ["*Out of sample*: half of the history is too short for a check."]
    before = f"tuned on the closes before {words.full_day(check.since)} it would be {code(str(check.rule))}"
    since = f"Since then that fired {check.episodes} times, {words.decimal(check.per_year)} a year"
    rates = f"{CERTAINTY:.0%} interval {words.decimal(check.low)} to {words.decimal(check.high)}"
    return [f"*Out of sample*: {before}. {since}; {rates}.", _verdict(check, found.wish.per_year)]


def _verdict(check: Check, wanted: float) -> str:
    if check.low <= wanted <= check.high:
        return f"The {wanted:g} wanted lie within it: the rate carried over."
    if wanted < check.low:
        return f"The {wanted:g} wanted lie below it: the market grew wilder, and the past promises too little."
    return f"The {wanted:g} wanted lie above it: the market grew calmer, and the past promises too much."


def _shift(moved: Shift) -> list[str]:
    lines = [_days("more", moved.gained), _days("fewer", moved.lost)]
    return [f"*Against {code(str(moved.against))}*: {', '.join(lines)}."]


def _days(what: str, days: Sequence[date]) -> str:
    if not days:
        return f"none {what}"
    newest = ", ".join(f"{day}" for day in days[: -SHOWN - 1 : -1])
    return f"{len(days)} {what} ({'the last ' if len(days) > SHOWN else ''}{newest})"
