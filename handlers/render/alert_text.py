"""Texts on alerts that several messages share: titles, thresholds, track record, attribution, and thread replies."""

from collections.abc import Callable, Mapping
from datetime import date, datetime

from handlers.render import fmt
from handlers.render.markup import (
    channel_link,
    code,
    escape,
    escape_typed,
    mark_simulated,
    reason,
    user_mention,
    user_reason,
)
from handlers.render.message import Message, text_message
from handlers.render.reasons import Text, sentence
from services.alerting.alert import Alert, EntryKind, RuleHit, TimelineEntry
from services.alerting.alert_news import is_recovering
from services.core.prices import Pair
from services.core.reason import Code, Reason
from services.core.rows import complete
from services.market.measure import Measurement
from services.market.metrics import Direction
from services.research.attribution import Part
from services.research.follow_up import FOLLOW_UP_SESSIONS, FollowUp
from services.research.track_record import RECORD_SESSIONS, TrackRecord
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.rule import Rule, print_duration


def heading(hit: RuleHit) -> str:
    """Return what the rule measured: `WGMI 8.4 pp above bitcoin over 1 day`, or `WGMI closed …` with the date."""
    measurement, metric = hit.measurement, parse_rule(hit.rule).metric
    return metric.headline.format(
        **_pair_fields(measurement.pair),
        **_side_fields(Side.ABOVE if hit.value >= 0 else Side.BELOW),
        etf_state=_etf_phrase(measurement),
        spread=fmt.spread_phrase(measurement.pair, measurement.spread),
        value=fmt.unsigned_value(hit.value, metric.unit),
        signed=fmt.metric_value(hit.value, metric.unit),
        window=_window_phrase(measurement),
        since=f" since {fmt.full_day(measurement.crypto_since)}" if measurement.crypto_since else "",
    )


def _etf_phrase(measurement: Measurement) -> str:
    return str(measurement.pair.etf) if measurement.live else f"{measurement.pair.etf} closed"


def _window_phrase(measurement: Measurement) -> str:
    span = fmt.over_window(measurement.window, measurement.session)
    return span if measurement.live else f"{span}, {fmt.day(measurement.session)}"


def alert_subject(alert: Alert) -> str:
    """Return what an alert is about, independent of current prices: `WGMI above bitcoin`."""
    phrase = parse_rule(alert.lead.rule).metric.phrase
    return phrase.format(**_pair_fields(alert.pair), **_side_fields(alert.side))


def _pair_fields(pair: Pair) -> dict[str, str]:
    return {"etf": pair.etf, "crypto": fmt.name(pair.crypto), "Crypto": fmt.title(pair.crypto)}


def _side_fields(side: Side) -> dict[str, str]:
    return {"side": side.value, "move": "up" if side is Side.ABOVE else "down"}


def ended_heading(alert: Alert, ended_at: datetime, *, retracted: bool) -> str:
    """Return how long an alert lasted, and its peak or, if it was retracted, why."""
    lasted = fmt.duration(ended_at - alert.opened_at)
    if retracted:
        return f"Retracted after {lasted}: {alert_subject(alert)}, which the corrected close would not have fired"
    return f"Resolved after {lasted}: {alert_subject(alert)}, peak {alert_peak(alert)}"


def alert_peak(alert: Alert) -> str:
    """Return the alert's peak in the unit and window that fired, with its window if the rule has one."""
    peak, metric = alert.peak, parse_rule(alert.peak.rule).metric
    window = f" {fmt.over_window(peak.window, peak.session)}" if metric.windowed else ""
    return f"{fmt.metric_value(peak.value, metric.unit)}{window}"


def threshold_line(hit: RuleHit, side: Side) -> str:
    """Return a rule's value against its threshold, with its peak, any correction and its state."""
    rule = parse_rule(hit.rule)
    original = hit.corrected_from
    parts = [
        f"{code(hit.rule)} at {fmt.metric_value(hit.value, rule.unit)}",
        *([] if original is None else [f"corrected from {fmt.metric_value(original, rule.unit)}"]),
        f"threshold {fmt.threshold(rule.threshold, rule.unit)}",
        f"peak {fmt.metric_value(hit.peak, rule.unit)}",
    ]
    return ", ".join([*parts, *_hit_status(hit, rule, side)])


def _hit_status(hit: RuleHit, rule: Rule, side: Side) -> list[str]:
    if hit.retracted:
        return ["retracted"]
    if not hit.active:
        return [hit_end(hit)]
    if not is_recovering(hit, side):
        return []
    clear = fmt.threshold(rule.clear, rule.unit)
    return [f"recovering: clears once it has been inside {clear} for {print_duration(rule.keep)}"]


def hit_end(hit: RuleHit) -> str:
    """Return why a rule no longer keeps its alert open: `cleared`, or `paused by @ann`."""
    if hit.ended is None:
        return "ended"
    return f"{hit.ended.value}{f' by {user_mention(hit.ended_by)}' if hit.ended_by else ''}"


def why_ended(why: Text, by: str | None) -> str:
    """Return the reason of an end or a change with who caused it, without a final period."""
    if by is None:
        return reason(why)
    if isinstance(why, Reason) and why.code is Code.ENDED_BY_HAND:
        note = dict(why.params).get("note")
        note_text = f": {escape_typed(f'{note}').rstrip('.')}" if note else ""
        return f"resolved by {user_mention(by)}{note_text}. Its rules fire again after they have cleared"
    return f"{user_reason(why)} by {user_mention(by)}"


DIRECTION_SIDES = complete(
    "DIRECTION_SIDES",
    Direction,
    {
        Direction.EITHER: "on either side",
        Direction.ABOVE: "above",
        Direction.BELOW: "below",
    },
)


def describe_rule(rule: Rule) -> str:
    """Return when a rule fires and when it clears."""
    firing = f"fires at {fmt.threshold(rule.threshold, rule.unit)}"
    if rule.metric.signed or rule.unit.is_level:
        firing = f"{firing} {DIRECTION_SIDES[rule.direction]}"
    hold = "decided at each close" if rule.at_close else f"held {print_duration(rule.hold)}"
    keep = f" for {print_duration(rule.keep)}" if rule.keep else ""
    repeat = f", repeated every {print_duration(rule.repeat)} until acknowledged" if rule.repeat else ""
    clears = "above" if rule.unit.is_level and rule.direction is Direction.BELOW else "below"
    return f"{firing}, {hold}, clears {clears} {fmt.threshold(rule.clear, rule.unit)}{keep}{repeat}"


def track_record_lines(alert: Alert) -> list[str]:
    """Return the track record of the rule that leads the alert; nothing if there is none."""
    record = alert.lead.track_record
    if record is None:
        return []
    rule, span = code(alert.lead.rule), _history_length(record)
    opposite = record.open_side is not None and record.open_side is not alert.side
    number = record.episodes + opposite + 1
    was_open = ", besides one that was open when they began" if record.was_open else ""
    ordinal = "first" if number == 1 else fmt.ordinal(number)
    position = f"The {ordinal} episode of {rule} in {span}{was_open}, decided at closes."
    lines = [position]
    if record.median_length is not None:
        ended_note, single = " that had ended" if opposite else "", record.episodes == 1
        previous = (
            f"one before{ended_note} lasted"
            if single
            else f"{record.episodes} before{ended_note} had a median length of"
        )
        lines.append(f"The {previous} {fmt.sessions(record.median_length)}.")
    return [*lines, *([follow_up_line(record.follow_up, record.follow_up_since)] if record.follow_up else [])]


def follow_up_line(follow_up: FollowUp, since: date | None = None) -> str:
    """Return how often the gap closed within 5 sessions: its interval and chance, or with few cases the count alone.

    `since` is the first session that it counts, for messages that do not say it elsewhere.
    """
    counts = f"{follow_up.closed} of {follow_up.cases} earlier {'case' if follow_up.cases == 1 else 'cases'}"
    counts += f" since {fmt.full_day(since)}" if since else ""
    line = f"{fmt.sessions(FOLLOW_UP_SESSIONS)} later the gap had closed in {counts}"
    if follow_up.interval is None:
        return f"{line}."
    low, high = (f"{100 * end:.0f}" for end in follow_up.interval)
    line = f"{line} ({100 * follow_up.closed / follow_up.cases:.0f}%; {low}–{high}%)."
    if follow_up.chance is None:
        return line
    verdict = " No clear difference." if follow_up.is_like_chance else ""
    return f"{line} Chance alone: {100 * follow_up.chance:.0f}%.{verdict}"


def _history_length(record: TrackRecord) -> str:
    return "2 years" if record.sessions >= RECORD_SESSIONS else fmt.sessions(record.sessions)


def attribution_lines(alert: Alert) -> list[str]:
    """Return the attribution of the ETF's return at the time the leading rule fired; nothing if unknown."""
    attribution = alert.lead.attribution
    if attribution is None:
        return []
    period = fmt.over_window(attribution.window, attribution.session)
    move = f"{fmt.title(alert.pair.etf)}'s {fmt.percent(attribution.etf_return)} {period}"
    parts = [
        f"{fmt.name(alert.pair.crypto)} {_part(attribution.crypto)}",
        f"AI {_part(attribution.ai)} by {escape(attribution.proxy)} from {escape(attribution.source)}",
        f"the rest {_part(attribution.residual)}",
    ]
    return [f"Of {move} when it fired: {', '.join(parts)}."]


def _part(part: Part) -> str:
    return fmt.pp_with_error(part.amount, part.error)


def thread_reply(entry: TimelineEntry, alert: Alert) -> Message:
    """Return a timeline entry as a thread reply, with its reason."""
    return text_message(mark_simulated(_entry_text(entry, alert), when=alert.simulated))


def _entry_text(entry: TimelineEntry, alert: Alert) -> str:
    text = ENTRY_TEXTS[entry.kind]
    return text(entry, alert) if callable(text) else f"{text} {_why(entry)}"


def _why(entry: TimelineEntry) -> str:
    return _sentence(why_ended(entry.reason, entry.by))


def _who(entry: TimelineEntry) -> str:
    return f" by {user_mention(entry.by)}" if entry.by else ""


def _end_text(entry: TimelineEntry, alert: Alert) -> str:
    end = ended_heading(alert, alert.closed_at or entry.at, retracted=entry.kind is EntryKind.RETRACTED)
    return f"{end}. {_why(entry)}"


def _change_text(entry: TimelineEntry, _alert: Alert) -> str:
    return f"Changed in this channel: {escape_typed(sentence(entry.reason))}{_who(entry)}."


def _acknowledged_text(entry: TimelineEntry, _alert: Alert) -> str:
    return f"Acknowledged{_who(entry)}, {fmt.moment(entry.at)}."


def _unacknowledged_text(entry: TimelineEntry, _alert: Alert) -> str:
    return f"Acknowledgement removed{_who(entry)}."


def _snoozed_text(entry: TimelineEntry, _alert: Alert) -> str:
    until = f" until {fmt.moment_utc(entry.until)}" if entry.until else ""
    return f"Snoozed{_who(entry)}{until}. Until then only the resolution is posted in this thread."


def _worsened_text(entry: TimelineEntry, _alert: Alert) -> str:
    return f"Worsened {reason(entry.reason)}."


def _repeated_text(entry: TimelineEntry, alert: Alert) -> str:
    lasted = fmt.duration(entry.at - alert.opened_at)
    return f"Still open after {lasted}: {reason(entry.reason)}. Not acknowledged yet."


def _mention_text(entry: TimelineEntry, alert: Alert) -> str:
    """Return a reminder or an escalation, readable without the rest of the thread.

    It mentions no one if the alert has been closed or acknowledged.
    """
    is_open = alert.closed_at is None and alert.acknowledged is None
    mention = f"{entry.mention.text}: " if entry.mention and is_open else ""
    label = "Reminder" if entry.kind is EntryKind.REMINDED else "Escalated"
    channel_note = f" Also posted in {channel_link(entry.to.id)}." if entry.to else ""
    state = f"{alert_subject(alert)}, peak {alert_peak(alert)}, {reason(entry.reason)}"
    return f"{mention}{label}: {state}. Acknowledge it to stop these messages.{channel_note}"


# A sentence that the reason follows, or what writes the whole text.
ENTRY_TEXTS: Mapping[EntryKind, str | Callable[[TimelineEntry, Alert], str]] = complete(
    "ENTRY_TEXTS",
    EntryKind,
    {
        EntryKind.FIRED: "Fired.",
        EntryKind.JOINED: "Another rule fired.",
        EntryKind.LEFT: "One rule less keeps this alert open.",
        EntryKind.CORRECTED: "A close was corrected.",
        EntryKind.WORSENED: _worsened_text,
        EntryKind.REPEATED: _repeated_text,
        EntryKind.EDITED: "A rule was changed.",
        EntryKind.PAUSED: "One rule less keeps this alert open.",
        EntryKind.CHANGED: _change_text,
        EntryKind.ACKNOWLEDGED: _acknowledged_text,
        EntryKind.UNACKNOWLEDGED: _unacknowledged_text,
        EntryKind.SNOOZED: _snoozed_text,
        EntryKind.REMINDED: _mention_text,
        EntryKind.ESCALATED: _mention_text,
        EntryKind.RESOLVED: _end_text,
        EntryKind.RETRACTED: _end_text,
    },
)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
