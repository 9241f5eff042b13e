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
from services.core.text import counted
from services.research.service import TuneResult
from services.research.tune import CONFIDENCE, OutOfSampleCheck, RuleDiff, TunedRule
from services.rules.rule import Rule, print_duration

USE_LABEL = "Use this rule"
DATES_SHOWN = 3  # the newest of the alerts gained or lost
METHOD = (
    "Counted at session closes, with the clear level at 60% of the threshold. The interval takes alerts to be "
    "independent; they come in clusters, so that it is rather too narrow."
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
        *_out_of_sample_lines(tuned),
        *(line for diff in result.diffs for line in _comparison_lines(diff)),
    ]
    next_step = _next_step(tuned.rule, offer)
    notes = [METHOD, *provenance_lines(result.provenance), *left_out_summary(result.left_out, tuned.rule.pair)]
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
        f"Rule {channel_rule.id} {code(str(channel_rule.rule))} stands here already; nothing was changed{paused}."
    )


def _next_step(rule: Rule, offer: TuneOffer | None) -> str:
    if offer is None:
        return f"Nothing is changed. To watch it: {code(f'/minerpulse rule add {rule}')}"
    placement = offer.placement
    if placement.existing is not None:
        return f"Rule {placement.existing.id} reads so already. Nothing is changed."
    if placement.target is None:
        return (
            f"Nothing is changed yet. *{USE_LABEL}* adds it, as does {code(f'/minerpulse rule add {placement.rule}')}"
        )
    number, before = placement.target.id, code(str(placement.target.rule))
    typed = code(f"/minerpulse rule edit {number} {placement.rule}")
    return f"Nothing is changed yet. *{USE_LABEL}* makes rule {number}, {before} now, read so, as does {typed}"


def _use_button(rule: Rule, offer: TuneOffer | None) -> Block | None:
    """Return the button that applies the preview; its value carries the version that the preview is based on."""
    if offer is None or offer.placement.existing is not None:
        return None
    return actions(button("use_rule", USE_LABEL, f"{offer.placement.version}|{rule}|{offer.target}", primary=True))


def _threshold_line(tuned: TunedRule) -> str:
    rule = tuned.rule
    threshold, clear = fmt.threshold(rule.threshold, rule.unit), fmt.threshold(rule.clear, rule.unit)
    return (
        f"Threshold *{threshold}*, clear *{clear}*: {counted(tuned.episodes, 'episode')} in "
        f"{fmt.decimal(tuned.years)} years of closes. Hold {print_duration(rule.hold)}, as ever: closes do not tell "
        "what happens within a day."
    )


def _out_of_sample_lines(tuned: TunedRule) -> list[str]:
    check = tuned.check
    if check is None:
        return ["*Out of sample*: half of the history is too short for a check."]
    before = f"tuned on the closes before {fmt.full_day(check.since)} it would be {code(str(check.rule))}"
    since = f"Since then that fired {counted(check.episodes, 'time')}, {fmt.decimal(check.per_year)} a year"
    interval = f"{CONFIDENCE:.0%} interval {fmt.decimal(check.low)} to {fmt.decimal(check.high)}"
    return [f"*Out of sample*: {before}. {since}; {interval}.", _verdict(check, tuned.target.per_year)]


def _verdict(check: OutOfSampleCheck, wanted: float) -> str:
    if check.low <= wanted <= check.high:
        return f"The {wanted:g} wanted lie within it: nothing here speaks against them."
    if wanted < check.low:
        return f"The {wanted:g} wanted lie below it: it fired more often since than the closes before promised."
    return f"The {wanted:g} wanted lie above it: it fired less often since than the closes before promised."


def _comparison_lines(diff: RuleDiff) -> list[str]:
    lines = [_dates("more", diff.added), _dates("fewer", diff.removed)]
    return [f"*Against {code(str(diff.against))}*: {', '.join(lines)}."]


def _dates(label: str, days: Sequence[date]) -> str:
    if not days:
        return f"none {label}"
    newest = ", ".join(f"{day}" for day in days[: -DATES_SHOWN - 1 : -1])
    return f"{len(days)} {label} ({'the last ' if len(days) > DATES_SHOWN else ''}{newest})"
