"""What a rule sees, in words: the heading of its alert, and the line of its threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from handlers.render import words
from handlers.render.markup import code
from services.domain.decide import Side
from services.domain.grammar import parse_rule
from services.domain.measure import METRICS, Metric
from services.domain.rule import Direction, print_duration
from services.domain.telling import is_recovering

if TYPE_CHECKING:
    from services.domain.episode import Alert
    from services.domain.fact import Fact
    from services.domain.measure import Measurement
    from services.domain.rule import Rule


def heading(fact: Fact) -> str:
    """Say what the fact's rule saw: `WGMI 8.4 pp above bitcoin over 1 day`, or `WGMI closed …` with the day."""
    measured, value = fact.measurement, fact.value
    pair, rule = measured.pair, parse_rule(fact.rule)
    match rule.metric:
        case Metric.SPREAD | Metric.Z:
            return f"{_subject(measured)} {words.stands(pair, measured.spread)} {_span(measured)}"
        case Metric.RESIDUAL:
            where = "above" if value >= 0 else "below"
            points = f"{words.size(100 * value)} pp {where} its beta to {words.name(pair.crypto)}"
            return f"{_subject(measured)} {points} {_span(measured)}"
        case Metric.GAP:
            return f"{words.title(pair.crypto)} implies {pair.etf} {words.percent(value)} at the open"
        case Metric.DRAWDOWN:
            return f"{words.title(pair.crypto)} {words.size(100 * value)}% below its highest session close"
        case Metric.HASHPRICE | Metric.DIFFICULTY:
            moved = f"{'up' if value >= 0 else 'down'} {words.size(100 * value)}%"
            return f"{rule.metric.value.capitalize()} {moved} {_span(measured)}"
        case _:
            assert_never(rule.metric)


def _subject(measured: Measurement) -> str:
    return str(measured.pair.etf) if measured.live else f"{measured.pair.etf} closed"


def _span(measured: Measurement) -> str:
    span = words.over(measured.window, measured.session)
    return span if measured.live else f"{span}, {words.day(measured.session)}"


def topic(alert: Alert) -> str:
    """Say what an alert is about, whatever the prices do now: `WGMI above bitcoin`."""
    etf, crypto = alert.pair.etf, words.name(alert.pair.crypto)
    metric = parse_rule(alert.lead.rule).metric
    match metric:
        case Metric.SPREAD | Metric.Z:
            return f"{etf} {alert.side.value} {crypto}"
        case Metric.RESIDUAL:
            return f"{etf} {alert.side.value} its beta to {crypto}"
        case Metric.GAP:
            return f"{crypto} implies {etf} {'up' if alert.side is Side.ABOVE else 'down'} at the open"
        case Metric.DRAWDOWN:
            return f"{crypto} below its highest session close"
        case Metric.HASHPRICE | Metric.DIFFICULTY:
            return f"{metric.value} {'up' if alert.side is Side.ABOVE else 'down'}"
        case _:
            assert_never(metric)


def peak(fact: Fact) -> str:
    """Write the largest value that the fact's rule saw."""
    return words.reading(fact.peak, METRICS[parse_rule(fact.rule).metric].unit)


def peak_over(fact: Fact) -> str:
    """Write that value with the window that it was seen over, where the rule has one."""
    windowed = METRICS[parse_rule(fact.rule).metric].windowed
    return f"{peak(fact)} {words.over(fact.measurement.window, fact.measurement.session)}" if windowed else peak(fact)


def against_threshold(fact: Fact, side: Side) -> str:
    """Put a rule's value beside its threshold, with its peak, and say what was corrected and how it stands."""
    rule = parse_rule(fact.rule)
    wrong = fact.corrected_from
    parts = [
        f"{code(fact.rule)} at {words.reading(fact.value, rule.unit)}",
        *([] if wrong is None else [f"corrected from {words.reading(wrong, rule.unit)}"]),
        f"threshold {words.threshold(rule.threshold, rule.unit)}",
        f"peak {peak(fact)}",
    ]
    return ", ".join([*parts, *_standing(fact, rule, side)])


def _standing(fact: Fact, rule: Rule, side: Side) -> list[str]:
    if fact.retracted:
        return ["retracted"]
    if not fact.active:
        return ["cleared"]
    if not is_recovering(fact, side):
        return []
    clear = words.threshold(rule.clear, rule.unit)
    return [f"recovering: clears once it has been inside {clear} for {print_duration(rule.keep)}"]


def meaning(rule: Rule) -> str:
    """Say when a rule fires and when it clears."""
    sides = {Direction.EITHER: "on either side", Direction.ABOVE: "above", Direction.BELOW: "below"}
    fires = f"fires at {words.threshold(rule.threshold, rule.unit)}"
    if rule.metric is not Metric.DRAWDOWN:
        fires = f"{fires} {sides[rule.direction]}"
    held = "decided at each close" if rule.at_close else f"held {print_duration(rule.hold)}"
    kept = f" for {print_duration(rule.keep)}" if rule.keep else ""
    again = f", told again every {print_duration(rule.repeat)} until acknowledged" if rule.repeat else ""
    return f"{fires}, {held}, clears below {words.threshold(rule.clear, rule.unit)}{kept}{again}"
