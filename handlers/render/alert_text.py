"""What a rule sees, in words: the heading of its alert, and the line of its threshold."""

from __future__ import annotations

from typing import assert_never

from handlers.render import fmt
from handlers.render.markup import code, person, place, reason, said, simulated, typed
from handlers.render.message import Message, text_message
from services.alerting.alert import Alert, Entry, EntryKind
from services.alerting.alert_news import is_recovering
from services.alerting.rule_hit import RuleHit
from services.market.measure import METRICS, Measurement, Metric
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.rule import Direction, Rule, print_duration


def heading(fact: RuleHit) -> str:
    """Say what the fact's rule saw: `WGMI 8.4 pp above bitcoin over 1 day`, or `WGMI closed …` with the day."""
    measured, value = fact.measurement, fact.value
    pair, rule = measured.pair, parse_rule(fact.rule)
    match rule.metric:
        case Metric.SPREAD | Metric.Z:
            return f"{_subject(measured)} {fmt.stands(pair, measured.spread)} {_span(measured)}"
        case Metric.RESIDUAL:
            where = "above" if value >= 0 else "below"
            points = f"{fmt.size(100 * value)} pp {where} its beta to {fmt.name(pair.crypto)}"
            return f"{_subject(measured)} {points} {_span(measured)}"
        case Metric.GAP:
            return f"{fmt.title(pair.crypto)} implies {pair.etf} {fmt.percent(value)} at the open"
        case Metric.DRAWDOWN:
            return f"{fmt.title(pair.crypto)} {fmt.size(100 * value)}% below its highest session close"
        case Metric.HASHPRICE | Metric.DIFFICULTY:
            moved = f"{'up' if value >= 0 else 'down'} {fmt.size(100 * value)}%"
            return f"{rule.metric.value.capitalize()} {moved} {_span(measured)}"
        case _:
            assert_never(rule.metric)


def _subject(measured: Measurement) -> str:
    return str(measured.pair.etf) if measured.live else f"{measured.pair.etf} closed"


def _span(measured: Measurement) -> str:
    span = fmt.over(measured.window, measured.session)
    return span if measured.live else f"{span}, {fmt.day(measured.session)}"


def topic(alert: Alert) -> str:
    """Say what an alert is about, whatever the prices do now: `WGMI above bitcoin`."""
    etf, crypto = alert.pair.etf, fmt.name(alert.pair.crypto)
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


def peak(fact: RuleHit) -> str:
    """Write the largest value that the fact's rule saw."""
    return fmt.reading(fact.peak, METRICS[parse_rule(fact.rule).metric].unit)


def peak_over(fact: RuleHit) -> str:
    """Write that value with the window that it was seen over, where the rule has one."""
    windowed = METRICS[parse_rule(fact.rule).metric].windowed
    return f"{peak(fact)} {fmt.over(fact.measurement.window, fact.measurement.session)}" if windowed else peak(fact)


def against_threshold(fact: RuleHit, side: Side) -> str:
    """Put a rule's value beside its threshold, with its peak, and say what was corrected and how it stands."""
    rule = parse_rule(fact.rule)
    wrong = fact.corrected_from
    parts = [
        f"{code(fact.rule)} at {fmt.reading(fact.value, rule.unit)}",
        *([] if wrong is None else [f"corrected from {fmt.reading(wrong, rule.unit)}"]),
        f"threshold {fmt.threshold(rule.threshold, rule.unit)}",
        f"peak {peak(fact)}",
    ]
    return ", ".join([*parts, *_standing(fact, rule, side)])


def _standing(fact: RuleHit, rule: Rule, side: Side) -> list[str]:
    if fact.retracted:
        return ["retracted"]
    if not fact.active:
        return ["cleared"]
    if not is_recovering(fact, side):
        return []
    clear = fmt.threshold(rule.clear, rule.unit)
    return [f"recovering: clears once it has been inside {clear} for {print_duration(rule.keep)}"]


def meaning(rule: Rule) -> str:
    """Say when a rule fires and when it clears."""
    sides = {Direction.EITHER: "on either side", Direction.ABOVE: "above", Direction.BELOW: "below"}
    fires = f"fires at {fmt.threshold(rule.threshold, rule.unit)}"
    if rule.metric is not Metric.DRAWDOWN:
        fires = f"{fires} {sides[rule.direction]}"
    held = "decided at each close" if rule.at_close else f"held {print_duration(rule.hold)}"
    kept = f" for {print_duration(rule.keep)}" if rule.keep else ""
    again = f", told again every {print_duration(rule.repeat)} until acknowledged" if rule.repeat else ""
    return f"{fires}, {held}, clears below {fmt.threshold(rule.clear, rule.unit)}{kept}{again}"


OPENINGS = {
    EntryKind.FIRED: "Fired.",
    EntryKind.JOINED: "Another rule fired.",
    EntryKind.LEFT: "One rule less keeps this alert open.",
    EntryKind.CORRECTED: "A close was corrected.",
    EntryKind.EDITED: "A rule was changed.",
    EntryKind.PAUSED: "One rule less keeps this alert open.",
}


def thread_line(line: Entry, alert: Alert) -> Message:
    """Render a line of the timeline, with the reason that it was written."""
    return text_message(simulated(_line(line, alert), when=alert.simulated))


def _line(line: Entry, alert: Alert) -> str:
    who = f" by {person(line.by)}" if line.by else ""
    why = _sentence(f"{said(line.reason) if line.by else reason(line.reason)}{who}")
    match line.kind:
        case EntryKind.WORSENED | EntryKind.REPEATED:
            return _going_on(line, alert)
        case EntryKind.ACKNOWLEDGED | EntryKind.UNACKNOWLEDGED | EntryKind.SNOOZED:
            return _act(line, who, why)
        case EntryKind.REMINDED | EntryKind.ESCALATED:
            return _call(line, alert)
        case EntryKind.CHANGED:
            return f"Changed in this channel: {typed(line.reason)}{who}."
        case EntryKind.RESOLVED | EntryKind.RETRACTED:
            return f"{_end(line, alert)}. {why}"
        case (
            EntryKind.FIRED
            | EntryKind.JOINED
            | EntryKind.LEFT
            | EntryKind.CORRECTED
            | EntryKind.EDITED
            | EntryKind.PAUSED
        ):
            return f"{OPENINGS[line.kind]} {why}"
        case _:
            assert_never(line.kind)


def _act(line: Entry, who: str, why: str) -> str:
    if line.kind is EntryKind.ACKNOWLEDGED:
        return f"Acknowledged{who}, {fmt.moment(line.at)}."
    if line.kind is EntryKind.UNACKNOWLEDGED:
        return f"No longer acknowledged: {why[:1].lower()}{why[1:]}"
    until = f" until {fmt.moment_utc(line.until)}" if line.until else ""
    return f"Snoozed{who}{until}. Only the end of this alert is told here till then."


def _going_on(line: Entry, alert: Alert) -> str:
    if line.kind is EntryKind.WORSENED:
        return f"Worsened {reason(line.reason)}."
    lasted = fmt.duration(line.at - alert.opened_at)
    return f"Still open after {lasted}: {reason(line.reason)}. Nobody has acknowledged it yet."


def _end(line: Entry, alert: Alert) -> str:
    lasted = fmt.duration((alert.closed_at or line.at) - alert.opened_at)
    if line.kind is EntryKind.RETRACTED:
        return f"Retracted after {lasted}: {topic(alert)}, which the corrected close would not have fired"
    return f"Resolved after {lasted}: {topic(alert)}, peak {peak_over(alert.lead)}"


def _call(line: Entry, alert: Alert) -> str:
    """Call someone again, or others, about an alert that nobody sees to; the line can be read by itself.

    One that is told late, when the alert is over or someone sees to it, calls nobody any more.
    """
    needed = alert.closed_at is None and alert.acknowledged is None
    called = f"{line.calls.text}: " if line.calls and needed else ""
    what = "Reminder" if line.kind is EntryKind.REMINDED else "Escalated"
    where = f" It is told in {place(line.to)} too." if line.to else ""
    seen = f"{topic(alert)}, peak {peak_over(alert.lead)}, {reason(line.reason)}"
    return f"{called}{what}: {seen}. Acknowledge it to end these calls.{where}"


def _sentence(why: str) -> str:
    return f"{why[:1].upper()}{why[1:]}."
