"""A rule tuned to a target rate of alerts: the result, its out-of-sample check, and what it would change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from handlers.render import fmt
from handlers.render.market import left_out_summary, provenance_lines
from handlers.render.markup import code, mark_simulated
from handlers.render.message import Block, Message, actions, button, compose, context, header, section, text_message
from services.alerting.ports import ChannelRule
from services.channels.rule_placement import Placement
from services.core.intervals import MIN_BLOCKS
from services.core.text import counted
from services.research.service import TuneResult
from services.research.tune import OutOfSampleCheck, RuleDiff, TunedRule, YearCount
from services.rules.rule import Rule, print_duration

USE_LABEL = "Use this rule"
DATES_SHOWN = 3  # the newest of the alerts gained or lost
METHOD = (
    "Counted at session closes, with the clear level {clear}. The range allows for how unevenly alerts came from "
    "half-year to half-year."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOffer:
    """Where in the channel the tuned rule would go, and the typed target."""

    placement: Placement
    target: str


def tune_message(result: TuneResult, offer: TuneOffer | None = None) -> Message:
    """Return a tuned rule; with an `offer`, its button applies the rule. The message itself changes nothing."""
    tuned = result.tuned
    title = mark_simulated(
        f"{tuned.rule}: {fmt.decimal(tuned.per_year)} alerts a year, {tuned.target.per_year:g} wanted",
        when=result.provenance.simulated,
    )
    lines = [
        _threshold_line(tuned),
        rate_line(tuned),
        *_out_of_sample_lines(tuned),
        *_scaled_lines(tuned),
        *(line for diff in result.diffs for line in _comparison_lines(diff)),
    ]
    next_step = _next_step(tuned.rule, offer)
    left_out = left_out_summary(result.left_out, tuned.rule.pair)
    notes = [_method(tuned.rule), *provenance_lines(result.provenance), *left_out]
    return compose(
        [header(title), section(*lines), section(next_step), _use_button(tuned.rule, offer), context(*notes)],
        [title, *lines, next_step, *notes],
    )


def stale_tune_message() -> Message:
    """Return that the preview was outdated when its button was pressed."""
    return text_message("The rules here have changed since; nothing was done. This is what it would do now:")


def rule_exists_message(channel_rule: ChannelRule) -> Message:
    """Return that the tuned rule already exists."""
    paused = (
        f"; it is paused, and {code(f'/minerpulse rule resume {channel_rule.id}')} watches it"
        if channel_rule.paused_at
        else ""
    )
    return text_message(
        f"Rule {channel_rule.id} {code(str(channel_rule.rule))} already exists in this channel; nothing was "
        f"changed{paused}."
    )


def _next_step(rule: Rule, offer: TuneOffer | None) -> str:
    if offer is None:
        return f"No change. To add it: {code(f'/minerpulse rule add {rule}')}"
    placement = offer.placement
    if placement.existing is not None:
        return f"Rule {placement.existing.id} is the same already. No change."
    if placement.target is None:
        return f"No change yet. *{USE_LABEL}* adds it, as does {code(f'/minerpulse rule add {placement.rule}')}"
    number, before = placement.target.id, code(str(placement.target.rule))
    typed = code(f"/minerpulse rule edit {number} {placement.rule}")
    return f"No change yet. *{USE_LABEL}* replaces rule {number} ({before}), as does {typed}"


def _use_button(rule: Rule, offer: TuneOffer | None) -> Block | None:
    """Return the button that applies the preview; its value carries the version that the preview is based on."""
    if offer is None or offer.placement.existing is not None:
        return None
    return actions(button("use_rule", USE_LABEL, f"{offer.placement.version}|{rule}|{offer.target}", primary=True))


def _method(rule: Rule) -> str:
    margin = rule.unit.margin
    return METHOD.format(clear="at 60% of the threshold" if margin is None else f"{margin:g} behind the threshold")


def _threshold_line(tuned: TunedRule) -> str:
    rule = tuned.rule
    threshold, clear = fmt.threshold(rule.threshold, rule.unit), fmt.threshold(rule.clear, rule.unit)
    levels = f"Threshold *{threshold}*, clear *{clear}*."
    if rule.at_close:
        return levels
    hold = f"The hold time stays {print_duration(rule.hold)}, because closes do not show what happens within a day."
    return f"{levels} {hold}"


def rate_line(tuned: TunedRule) -> str:
    """Return the yearly rate, the range of the next 12 months, and the calendar years with the fewest and the most."""
    average = (
        f"*{fmt.decimal(tuned.per_year)} a year on average* ({tuned.episodes} in {fmt.decimal(tuned.years)} years)"
    )
    expected = (
        "fewer than 4 half-years of history are too few for a range"
        if tuned.next_year is None
        else f"expect {tuned.next_year.low} to {tuned.next_year.high} in the next 12 months (9 in 10)"
    )
    years = sorted(tuned.calendar_years, key=lambda one: one.episodes)
    extremes = f" By calendar year, {_year_count(years[0])} to {_year_count(years[-1])}." if len(years) > 1 else ""
    return f"{average}; {expected}.{extremes}"


def _year_count(count: YearCount) -> str:
    return f"{count.episodes} ({count.year})"


def _out_of_sample_lines(tuned: TunedRule) -> list[str]:
    check = tuned.check
    if check is None:
        return ["*Out of sample*: half of the history is too short for a check."]
    before = f"tuned on the closes before {fmt.full_day(check.since)} it would be {code(str(check.rule))}"
    return [f"*Out of sample*: {before}. {_promise(check)}"]


def _promise(check: OutOfSampleCheck) -> str:
    """Return what the first half promised for the second, and what came; no more than the range says."""
    span = f"in the {fmt.decimal(check.years)} years since"
    if check.promised is None:
        return f"That half is too short for a range; {counted(check.episodes, 'alert')} came {span}."
    promised = f"It promised {check.promised.low} to {check.promised.high} alerts {span}; {check.episodes} came"
    if check.episodes in check.promised:
        return f"{promised}."
    return f"{promised}, {'fewer' if check.episodes < check.promised.low else 'more'} than promised."


def _scaled_lines(tuned: TunedRule) -> list[str]:
    """Return the rule scaled by volatility, and how evenly it and the tuned rule would have fired."""
    scaled = tuned.scaled
    if scaled is None:
        return []
    fixed, move = code(str(tuned.rule)), code(str(scaled.rule))
    evenness = (
        f"Variance over mean of half-yearly alerts, 1 by chance: {_evenness(tuned)} for {fixed}, "
        f"{_evenness(scaled)} for {move}."
    )
    enough = min(tuned.dispersion.blocks, scaled.dispersion.blocks) >= MIN_BLOCKS
    return [f"*Scaled by volatility*: {move}. {rate_line(scaled)}", *([evenness] if enough else [])]


def _evenness(tuned: TunedRule) -> str:
    return fmt.decimal(tuned.dispersion.variance_to_mean)


def _comparison_lines(diff: RuleDiff) -> list[str]:
    lines = [_dates("more", diff.added), _dates("fewer", diff.removed)]
    return [f"*Against {code(str(diff.against))}*: {', '.join(lines)}."]


def _dates(label: str, days: Sequence[date]) -> str:
    if not days:
        return f"none {label}"
    newest = ", ".join(f"{day}" for day in days[: -DATES_SHOWN - 1 : -1])
    return f"{len(days)} {label} ({'the last ' if len(days) > DATES_SHOWN else ''}{newest})"
