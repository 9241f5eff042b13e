"""A rule tuned to a target rate of alerts: the result, its out-of-sample check, and what it would change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from handlers.render import fmt
from handlers.render.market import context_lines, data_quality, left_out_summary
from handlers.render.markup import code, mark_simulated, plain
from handlers.render.message import (
    Block,
    Message,
    actions,
    button,
    compose,
    context,
    header,
    notification,
    section,
    text_message,
)
from services.alerting.ports import ChannelRule
from services.channels.rule_placement import Placement
from services.core.intervals import MIN_BLOCKS
from services.core.text import counted
from services.market.metrics import Direction
from services.research.service import TuneResult
from services.research.tune import OutOfSampleCheck, RuleDiff, TunedRule, YearCount
from services.rules.rule import Rule

USE_LABEL = "Use This Rule"
DATES_SHOWN = 3  # the newest of the alerts gained or lost
METHOD = (
    "Alerts are counted on session closes. The threshold is the one whose rate is closest to the target; a rule clears "
    "at 60% of it, or 0.1 back from it for correlation and beta. "
    "The range allows for how unevenly alerts fired from half-year to half-year. The out-of-sample check "
    "tunes on the first half of the history and counts alerts in the second."
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
        f"{tuned.rule}: {fmt.decimal(tuned.per_year)} alerts a year, target {tuned.target.per_year:g}",
        when=result.provenance.simulated,
    )
    count = f"{counted(tuned.episodes, 'alert')} in {fmt.decimal(tuned.years)} years"
    spoken = f"Based on {count}; {_expected(tuned)}"
    lines = [
        _threshold_line(tuned),
        rate_line(tuned),
        *_out_of_sample_lines(tuned),
        *_scaled_lines(tuned),
        *(line for diff in result.diffs for line in _comparison_lines(diff)),
    ]
    left_out = left_out_summary(result.left_out, tuned.rule.pair)
    small = context_lines(result.provenance, "Based on session closes", _clear_text(tuned.rule))
    return compose(
        [
            header(title),
            section(*lines),
            section(_next_step(tuned.rule, offer)),
            _use_button(tuned.rule, offer),
            context(*small, *left_out, *([f"Method: {code('/minerpulse help tune')}"] if offer else [])),
        ],
        notification(f"{title}.", spoken, f"{plain(data_quality(result.provenance.trust))}."),
    )


def stale_tune_message() -> Message:
    """Return that the preview was outdated when its button was pressed."""
    return text_message("No change: this channel's rules have changed since. With the current rules:")


def rule_exists_message(channel_rule: ChannelRule) -> Message:
    """Return that the tuned rule already exists."""
    resume = code(f"/minerpulse rule resume {channel_rule.id}")
    paused = f" It is paused; {resume} resumes it." if channel_rule.paused_at else ""
    return text_message(f"No change: rule {channel_rule.id} is already {code(str(channel_rule.rule))}.{paused}")


def _next_step(rule: Rule, offer: TuneOffer | None) -> str:
    if offer is None:
        return f"No change yet. To add this rule: {code(f'/minerpulse rule add {rule}')}"
    placement = offer.placement
    if placement.existing is not None:
        return f"No change: rule {placement.existing.id} is already {code(str(placement.existing.rule))}."
    if placement.target is None:
        return f"No change yet. *{USE_LABEL}* adds {code(str(placement.rule))}."
    number, before = placement.target.id, code(str(placement.target.rule))
    return f"No change yet. *{USE_LABEL}* replaces rule {number} ({before}) with {code(str(placement.rule))}."


def _use_button(rule: Rule, offer: TuneOffer | None) -> Block | None:
    """Return the button that applies the preview; its value carries the version that the preview is based on."""
    if offer is None or offer.placement.existing is not None:
        return None
    value = f"{offer.placement.version}|{rule}|{offer.target}"
    return actions(button("use_rule", USE_LABEL, value, primary=True, names=f"{USE_LABEL}: {rule}"))


def _clear_text(rule: Rule) -> str:
    margin = rule.unit.margin
    if margin is None:
        return "clear level at 60% of the threshold"
    return f"clear level {margin:g} {'above' if rule.direction is Direction.BELOW else 'below'} the threshold"


def _threshold_line(tuned: TunedRule) -> str:
    rule = tuned.rule
    threshold, clear = fmt.threshold(rule.threshold, rule.unit), fmt.unsigned_value(rule.clear, rule.unit)
    levels = f"Threshold *{threshold}*, clear *{clear}*"
    if rule.at_close:
        return levels
    return f"{levels}, hold {fmt.duration(rule.hold)} (not tuned: closes don't show intraday moves)"


def rate_line(tuned: TunedRule) -> str:
    """Return the yearly rate, the range of the next 12 months, and the calendar years with the fewest and the most."""
    average = (
        f"*{fmt.decimal(tuned.per_year)} a year on average* ({tuned.episodes} in {fmt.decimal(tuned.years)} years)"
    )
    return f"{average}; {_expected(tuned)}"


def _expected(tuned: TunedRule) -> str:
    """Return the range of the next 12 months, and the calendar years with the fewest and the most."""
    expected = (
        "no range: it needs 4 half-years of history"
        if tuned.next_year is None
        else f"expect {tuned.next_year.low} to {tuned.next_year.high} in the next 12 months (90% interval)"
    )
    years = sorted(tuned.calendar_years, key=lambda one: one.episodes)
    extremes = f" By calendar year, {_year_count(years[0])} to {_year_count(years[-1])}." if len(years) > 1 else ""
    return f"{expected}.{extremes}"


def _year_count(count: YearCount) -> str:
    return f"{count.episodes} ({count.year})"


def _out_of_sample_lines(tuned: TunedRule) -> list[str]:
    check = tuned.check
    if check is None:
        return ["*Out-of-sample check:* not possible, half of the history is too short"]
    before = f"tuned on closes before {fmt.full_day(check.since)}, the rule is {code(str(check.rule))}"
    return [f"*Out-of-sample check:* {before}. {_promise(check)}"]


def _promise(check: OutOfSampleCheck) -> str:
    """Return what the first half promised for the second, and what came; no more than the range says."""
    span = f"in the {fmt.decimal(check.years)} years since"
    if check.promised is None:
        return f"The first half is too short for an interval; {counted(check.episodes, 'alert')} fired {span}."
    promised = f"Expected {check.promised.low} to {check.promised.high} alerts {span}; {check.episodes} fired"
    if check.episodes in check.promised:
        return f"{promised}."
    return f"{promised}, {'fewer' if check.episodes < check.promised.low else 'more'} than expected."


def _scaled_lines(tuned: TunedRule) -> list[str]:
    """Return the rule scaled by volatility, and how evenly it and the tuned rule would have fired."""
    scaled = tuned.scaled
    if scaled is None:
        return []
    fixed, move = code(str(tuned.rule)), code(str(scaled.rule))
    evenness = (
        f"Alerts per half-year, variance ÷ mean (1 if random): {_evenness(tuned)} for {fixed}, "
        f"{_evenness(scaled)} for {move}."
    )
    enough = min(tuned.dispersion.blocks, scaled.dispersion.blocks) >= MIN_BLOCKS
    return [f"*Scaled by volatility:* {move}. {rate_line(scaled)}", *([evenness] if enough else [])]


def _evenness(tuned: TunedRule) -> str:
    return fmt.decimal(tuned.dispersion.variance_to_mean)


def _comparison_lines(diff: RuleDiff) -> list[str]:
    lines = [_dates("added", diff.added), _dates("dropped", diff.removed)]
    return [f"Compared with {code(str(diff.against))}: {', '.join(lines)}."]


def _dates(label: str, days: Sequence[date]) -> str:
    if not days:
        return f"none {label}"
    newest = "; ".join(fmt.full_day(day) for day in days[: -DATES_SHOWN - 1 : -1])
    return f"{len(days)} {label} ({'latest ' if len(days) > DATES_SHOWN else ''}{newest})"
