"""Titles, threshold lines and thread replies of alerts."""

from __future__ import annotations

from typing import assert_never

from handlers.render import fmt
from handlers.render.markup import channel_link, code, escape_typed, mark_simulated, reason, user_mention, user_reason
from handlers.render.message import Message, text_message
from services.alerting.alert import Alert, EntryKind, TimelineEntry
from services.alerting.alert_news import is_recovering
from services.alerting.rule_hit import RuleHit
from services.market.measure import METRICS, Measurement, Metric
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.rule import Direction, Rule, print_duration


def heading(hit: RuleHit) -> str:
    """Return what the rule measured: `WGMI 8.4 pp above bitcoin over 1 day`, or `WGMI closed …` with the date."""
    measurement, value = hit.measurement, hit.value
    pair, rule = measurement.pair, parse_rule(hit.rule)
    match rule.metric:
        case Metric.SPREAD | Metric.Z:
            spread = fmt.spread_phrase(pair, measurement.spread)
            return f"{_etf_phrase(measurement)} {spread} {_window_phrase(measurement)}"
        case Metric.RESIDUAL:
            side = "above" if value >= 0 else "below"
            text = f"{fmt.unsigned(100 * value)} pp {side} its beta to {fmt.name(pair.crypto)}"
            return f"{_etf_phrase(measurement)} {text} {_window_phrase(measurement)}"
        case Metric.GAP:
            return f"{fmt.title(pair.crypto)} implies {pair.etf} {fmt.percent(value)} at the open"
        case Metric.DRAWDOWN:
            return f"{fmt.title(pair.crypto)} {fmt.unsigned(100 * value)}% below its highest session close"
        case Metric.HASHPRICE | Metric.DIFFICULTY:
            move = f"{'up' if value >= 0 else 'down'} {fmt.unsigned(100 * value)}%"
            return f"{rule.metric.value.capitalize()} {move} {_window_phrase(measurement)}"
        case _:
            assert_never(rule.metric)


def _etf_phrase(measurement: Measurement) -> str:
    return str(measurement.pair.etf) if measurement.live else f"{measurement.pair.etf} closed"


def _window_phrase(measurement: Measurement) -> str:
    span = fmt.over_window(measurement.window, measurement.session)
    return span if measurement.live else f"{span}, {fmt.day(measurement.session)}"


def alert_subject(alert: Alert) -> str:
    """Return what an alert is about, independent of current prices: `WGMI above bitcoin`."""
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


def peak_value(hit: RuleHit) -> str:
    """Return the largest value that the rule has measured."""
    return fmt.metric_value(hit.peak, METRICS[parse_rule(hit.rule).metric].unit)


def peak_with_window(hit: RuleHit) -> str:
    """Return the peak, with its window if the rule has one."""
    windowed = METRICS[parse_rule(hit.rule).metric].windowed
    window = f" {fmt.over_window(hit.measurement.window, hit.measurement.session)}" if windowed else ""
    return f"{peak_value(hit)}{window}"


def threshold_line(hit: RuleHit, side: Side) -> str:
    """Return a rule's value against its threshold, with its peak, any correction and its state."""
    rule = parse_rule(hit.rule)
    original = hit.corrected_from
    parts = [
        f"{code(hit.rule)} at {fmt.metric_value(hit.value, rule.unit)}",
        *([] if original is None else [f"corrected from {fmt.metric_value(original, rule.unit)}"]),
        f"threshold {fmt.threshold(rule.threshold, rule.unit)}",
        f"peak {peak_value(hit)}",
    ]
    return ", ".join([*parts, *_hit_status(hit, rule, side)])


def _hit_status(hit: RuleHit, rule: Rule, side: Side) -> list[str]:
    if hit.retracted:
        return ["retracted"]
    if not hit.active:
        return ["cleared"]
    if not is_recovering(hit, side):
        return []
    clear = fmt.threshold(rule.clear, rule.unit)
    return [f"recovering: clears once it has been inside {clear} for {print_duration(rule.keep)}"]


def describe_rule(rule: Rule) -> str:
    """Return when a rule fires and when it clears."""
    sides = {Direction.EITHER: "on either side", Direction.ABOVE: "above", Direction.BELOW: "below"}
    firing = f"fires at {fmt.threshold(rule.threshold, rule.unit)}"
    if rule.metric is not Metric.DRAWDOWN:
        firing = f"{firing} {sides[rule.direction]}"
    hold = "decided at each close" if rule.at_close else f"held {print_duration(rule.hold)}"
    keep = f" for {print_duration(rule.keep)}" if rule.keep else ""
    repeat = f", told again every {print_duration(rule.repeat)} until acknowledged" if rule.repeat else ""
    return f"{firing}, {hold}, clears below {fmt.threshold(rule.clear, rule.unit)}{keep}{repeat}"


OPENING_SENTENCES = {
    EntryKind.FIRED: "Fired.",
    EntryKind.JOINED: "Another rule fired.",
    EntryKind.LEFT: "One rule less keeps this alert open.",
    EntryKind.CORRECTED: "A close was corrected.",
    EntryKind.EDITED: "A rule was changed.",
    EntryKind.PAUSED: "One rule less keeps this alert open.",
}


def thread_reply(entry: TimelineEntry, alert: Alert) -> Message:
    """Return a timeline entry as a thread reply, with its reason."""
    return text_message(mark_simulated(_entry_text(entry, alert), when=alert.simulated))


def _entry_text(entry: TimelineEntry, alert: Alert) -> str:
    who = f" by {user_mention(entry.by)}" if entry.by else ""
    why = _sentence(f"{user_reason(entry.reason) if entry.by else reason(entry.reason)}{who}")
    match entry.kind:
        case EntryKind.WORSENED | EntryKind.REPEATED:
            return _update_text(entry, alert)
        case EntryKind.ACKNOWLEDGED | EntryKind.UNACKNOWLEDGED | EntryKind.SNOOZED:
            return _action_text(entry, who, why)
        case EntryKind.REMINDED | EntryKind.ESCALATED:
            return _mention_text(entry, alert)
        case EntryKind.CHANGED:
            return f"Changed in this channel: {escape_typed(entry.reason)}{who}."
        case EntryKind.RESOLVED | EntryKind.RETRACTED:
            return f"{_end_text(entry, alert)}. {why}"
        case (
            EntryKind.FIRED
            | EntryKind.JOINED
            | EntryKind.LEFT
            | EntryKind.CORRECTED
            | EntryKind.EDITED
            | EntryKind.PAUSED
        ):
            return f"{OPENING_SENTENCES[entry.kind]} {why}"
        case _:
            assert_never(entry.kind)


def _action_text(entry: TimelineEntry, who: str, why: str) -> str:
    if entry.kind is EntryKind.ACKNOWLEDGED:
        return f"Acknowledged{who}, {fmt.moment(entry.at)}."
    if entry.kind is EntryKind.UNACKNOWLEDGED:
        return f"No longer acknowledged: {why[:1].lower()}{why[1:]}"
    until = f" until {fmt.moment_utc(entry.until)}" if entry.until else ""
    return f"Snoozed{who}{until}. Only the end of this alert is told here till then."


def _update_text(entry: TimelineEntry, alert: Alert) -> str:
    if entry.kind is EntryKind.WORSENED:
        return f"Worsened {reason(entry.reason)}."
    lasted = fmt.duration(entry.at - alert.opened_at)
    return f"Still open after {lasted}: {reason(entry.reason)}. Nobody has acknowledged it yet."


def _end_text(entry: TimelineEntry, alert: Alert) -> str:
    lasted = fmt.duration((alert.closed_at or entry.at) - alert.opened_at)
    if entry.kind is EntryKind.RETRACTED:
        return f"Retracted after {lasted}: {alert_subject(alert)}, which the corrected close would not have fired"
    return f"Resolved after {lasted}: {alert_subject(alert)}, peak {peak_with_window(alert.lead)}"


def _mention_text(entry: TimelineEntry, alert: Alert) -> str:
    """Return a reminder or an escalation, readable without the rest of the thread.

    It mentions nobody if the alert is closed or acknowledged by now.
    """
    is_open = alert.closed_at is None and alert.acknowledged is None
    mention = f"{entry.mention.text}: " if entry.mention and is_open else ""
    label = "Reminder" if entry.kind is EntryKind.REMINDED else "Escalated"
    channel_note = f" It is told in {channel_link(entry.to.id)} too." if entry.to else ""
    state = f"{alert_subject(alert)}, peak {peak_with_window(alert.lead)}, {reason(entry.reason)}"
    return f"{mention}{label}: {state}. Acknowledge it to end these calls.{channel_note}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
