"""The thread of an alert: its context, and one line per entry of the timeline, each readable on its own."""

from collections.abc import Callable, Mapping
from datetime import datetime

from handlers.render import fmt
from handlers.render.alert import at_time
from handlers.render.alert_text import (
    FACTOR,
    alert_peak,
    attribution_parts,
    attribution_title,
    clear_text,
    data_text,
    heading,
    mark_alert,
    outcome_lines,
    rank_text,
    record_text,
    short_heading,
    z_text,
)
from handlers.render.chart import native_chart, widest_spread
from handlers.render.markup import channel_link, code, escape, escape_typed, plain, user_mention
from handlers.render.message import (
    Block,
    Message,
    compose,
    context,
    header,
    notification,
    section,
    table,
    text_message,
)
from handlers.render.reasons import Text, reason, user_reason
from services.alerting.alert import Alert, EntryKind, RuleHit, TimelineEntry
from services.core.prices import PriceStamp, Symbol
from services.core.reason import Code, Reason
from services.core.rows import complete
from services.rules.chart_series import IndexedReturns
from services.rules.grammar import parse_rule

# Reasons whose sentence goes on after the name of who caused them: `@ann` paused `1d 8pp`.
ACTIONS = frozenset(
    {
        Code.RULE_GONE,
        Code.RULE_ADDED,
        Code.RULES_STARTED,
        Code.RULE_EDITED,
        Code.RULE_PAUSED,
        Code.RULES_MOVED,
        Code.RULE_RESUMED,
        Code.RULE_REMOVED,
        Code.RULE_MANAGED,
        Code.RULE_RELEASED,
        Code.SETTING_CHANGED,
        Code.ALERT_SNOOZED_LONG,
        Code.ALERT_RESOLVED_EARLY,
    }
)


def thread_reply(entry: TimelineEntry, alert: Alert) -> Message:
    """Return a timeline entry as a thread reply."""
    write = ENTRIES[entry.kind]
    result = write(entry, alert)
    return text_message(mark_alert(result, alert)) if isinstance(result, str) else result


def person(by: str, name: str = "") -> str:
    """Return the name of a person without notifying them; their mention if the name is unknown."""
    return f"@{escape(name)}" if name else user_mention(by)


def change_line(why: Text, by: str, name: str = "") -> str:
    """Return who changed what in a channel: ``@ann paused `1d 8pp`.``."""
    if _is_action(why):
        return f"{_capitalized(person(by, name))} {user_reason(why)}."
    return f"{_capitalized(user_reason(why))}. Changed by {person(by, name)}."


def _is_action(why: object) -> bool:
    """Return whether a reason, or each of several, says what someone did."""
    if not isinstance(why, Reason):
        return False
    parts = dict(why.params).get("reasons") if why.code is Code.EACH_OF else None
    return all(map(_is_action, parts)) if isinstance(parts, tuple) else why.code in ACTIONS


def _who(entry: TimelineEntry) -> str:
    return person(entry.by, entry.by_name) if entry.by else ""


def _capitalized(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _why(entry: TimelineEntry) -> str:
    return change_line(entry.reason, entry.by, entry.by_name) if entry.by else f"{_capitalized(reason(entry.reason))}."


def _still_open(alert: Alert) -> str:
    active = [code(hit.rule) for hit in alert.hits if hit.active]
    return f" Still open: {', '.join(active)}." if active and alert.closed_at is None else ""


def context_message(alert: Alert, why: Text) -> Message:
    """Return the first reply: why the alert fired, what drove the move, how unusual it is, and what followed before."""
    hit, title = alert.lead, mark_alert(f"Context for alert #{alert.id}", alert)
    rule = parse_rule(hit.rule)
    fired = f"*Why it fired*\n{_capitalized(reason(why))}. {_capitalized(clear_text(rule, alert.side))}."
    unusual = _unusual_lines(alert)
    outcomes = _outcome_lines(hit)
    drove = f"{attribution_title(alert)[1:-1]}: {_parts_text(alert)}." if hit.attribution else ""
    pushed = [f"{title}.", drove, *unusual[1:2]]
    return compose(
        [
            header(title),
            section(fired),
            *_attribution_blocks(alert),
            section(*unusual),
            section(*outcomes),
            section(chart_summary(alert)),
            chart_block(alert),
            context(_sources_line(alert)),
        ],
        notification(*(text for text in pushed if text)),
    )


def _fired(entry: TimelineEntry, alert: Alert) -> Message:
    return context_message(alert, entry.reason)


def _unusual_lines(alert: Alert) -> list[str]:
    hit = alert.lead
    rank = ", ".join(filter(None, [rank_text(alert), z_text(hit.measurement, parse_rule(hit.rule))]))
    record = [] if hit.track_record is None else [record_text(hit.track_record, hit.rule, alert.side)]
    lines = [*([f"{rank}."] if rank else []), *record]
    return ["*How unusual*", *lines] if lines else []


def _outcome_lines(hit: RuleHit) -> list[str]:
    record = hit.track_record
    lines = [] if record is None else outcome_lines(record)
    if not lines or record is None:
        return []
    return [f"*What followed {'the earlier alert' if record.episodes == 1 else 'earlier alerts'}*", *lines]


def _parts_text(alert: Alert) -> str:
    return ", ".join(f"{row.name} {fmt.pp(row.part.amount)}" for row in attribution_parts(alert))


def _attribution_blocks(alert: Alert) -> list[Block | None]:
    attribution = alert.lead.attribution
    if attribution is None:
        return []
    rows = [["Factor", "Contribution pp", "± 1 SE"]]
    for row in attribution_parts(alert):
        error = fmt.NO_VALUE if row.part.error is None else fmt.unsigned(100 * row.part.error)
        rows.append([_capitalized(row.name.replace(FACTOR, "")), fmt.signed(100 * row.part.amount), error])
    rows.append([alert.pair.etf, fmt.signed(100 * attribution.etf_return), fmt.NO_VALUE])
    return [section(attribution_title(alert)), table(rows)]


def chart_block(alert: Alert) -> Block | None:
    """Return a chart of both legs up to the alert's prices; None if the alert has no chart."""
    return None if alert.chart is None else native_chart(_curve(alert), simulated=alert.simulated)


def chart_summary(alert: Alert) -> str:
    """Return what the chart shows: each leg's return at its end, and the widest spread; empty without a chart."""
    if alert.chart is None:
        return ""
    end = alert.chart.points[-1]
    window = fmt.over_window(alert.chart.window, end.session).replace("over ", "Last ").replace("in ", "In ")
    legs = [(alert.pair.etf, end.etf), (alert.pair.crypto, end.crypto)]
    moves = ", ".join(f"{fmt.name(symbol)} {fmt.percent(change)}" for symbol, change in legs)
    return f"*{window}:* {moves}. Widest spread {widest_spread(_curve(alert))}."


def _curve(alert: Alert) -> IndexedReturns:
    assert alert.chart is not None  # noqa: S101 -- both callers have checked it
    return IndexedReturns(pair=alert.pair, window=alert.chart.window, points=alert.chart.points)


def _sources_line(alert: Alert) -> str:
    legs = [(alert.pair.etf, alert.etf), (alert.pair.crypto, alert.crypto)]
    parts = [_source(symbol, stamp, alert.opened_at) for symbol, stamp in legs]
    if alert.lead.attribution:
        parts.append(f"{escape(alert.lead.attribution.proxy)}, {escape(alert.lead.attribution.source)}")
    counted = ["track record based on session closes"] if alert.lead.track_record else []
    return " · ".join([*parts, data_text(alert.trust), *counted])


def _source(symbol: Symbol, stamp: PriceStamp, opened_at: datetime) -> str:
    return f"{fmt.name(symbol)} {fmt.price(stamp.price)}, {escape(stamp.source)}, {at_time(stamp.at, opened_at)}"


def _joined(entry: TimelineEntry, _alert: Alert) -> str:
    return f"Another rule fired. {_capitalized(reason(entry.reason))}."


def _left(entry: TimelineEntry, alert: Alert) -> str:
    return f"{_why(entry)}{_still_open(alert)}"


def _edited(entry: TimelineEntry, alert: Alert) -> str:
    stays = " The alert stays open." if alert.closed_at is None else ""
    return f"{_why(entry)}{stays}"


def _corrected(entry: TimelineEntry, alert: Alert) -> str:
    still = " Still firing." if alert.closed_at is None else ""
    return f"Close corrected: {reason(entry.reason)}.{still}"


def _acknowledged(entry: TimelineEntry, _alert: Alert) -> str:
    return f":eyes: Acknowledged by {_who(entry)}."


def _unacknowledged(entry: TimelineEntry, _alert: Alert) -> str:
    return f":red_circle: {_who(entry)} removed the acknowledgement."


def _snoozed(entry: TimelineEntry, _alert: Alert) -> str:
    until = f" until {at_time(entry.until, entry.at)}" if entry.until else ""
    return f":zzz: Snoozed by {_who(entry)}{until}. Until then, only the resolution is posted here."


def _unsnoozed(entry: TimelineEntry, _alert: Alert) -> str:
    return f":red_circle: Snooze ended by {_who(entry)}."


def _widened(entry: TimelineEntry, alert: Alert) -> Message:
    """Return the alert's new size with both legs, as the channel may see this line outside the thread."""
    hit, growth = _grown_hit(entry, alert)
    verb, unit = parse_rule(hit.rule).metric.widened, parse_rule(hit.rule).unit
    peak, by = growth
    was = "" if by is None else f", was {fmt.unsigned_value(peak - alert.side.sign * by, unit)}"
    full = heading(hit, peak)
    title = f":chart_with_upwards_trend: *{mark_alert(f'{verb}: {full}', alert)}*{was}"
    acknowledged = "not acknowledged" if alert.acknowledged is None else "acknowledged"
    lasted = f"open for {fmt.duration(entry.at - alert.opened_at)}"
    legs = [
        f"{fmt.name(symbol)} *{fmt.percent(change)}* to {fmt.price(stamp.price)}"
        for symbol, change, stamp in (
            (alert.pair.etf, hit.measurement.etf_return, alert.etf),
            (alert.pair.crypto, hit.measurement.crypto_return, alert.crypto),
        )
    ]
    small = f"Alert {fmt.alert_link(alert.id, alert.permalink)} · rule {code(hit.rule)} · {lasted} · {acknowledged}"
    pushed = f"{mark_alert(f'{verb}: {full}', alert)}{was} (alert {alert.id})."
    return compose(
        [section(title, *legs), context(small)],
        notification(pushed, f"{', '.join(map(plain, legs))}.", f"{_capitalized(lasted)}, {acknowledged}."),
    )


def _grown_hit(entry: TimelineEntry, alert: Alert) -> tuple[RuleHit, tuple[float, float | None]]:
    """Return the rule that grew, its reported peak, and by how much; of a release with texts, the leading rule's."""
    for why in _single_reasons(entry.reason):
        params = dict(why.params)
        for hit in alert.hits:
            if why.code is Code.RULE_WORSENED and hit.rule == params.get("rule"):
                return hit, (float(str(params["peak"])), float(str(params["growth"])))
    return alert.lead, (alert.lead.peak, None)


def _single_reasons(why: Text) -> list[Reason]:
    if not isinstance(why, Reason):
        return []
    if why.code is not Code.EACH_OF:
        return [why]
    several = dict(why.params).get("reasons")
    return [one for one in several if isinstance(one, Reason)] if isinstance(several, tuple) else []


def _repeated(entry: TimelineEntry, alert: Alert) -> str:
    lasted = fmt.duration(entry.at - alert.opened_at)
    return f"Still firing after {lasted}: {reason(entry.reason)}. Not acknowledged."


def _called(entry: TimelineEntry, alert: Alert) -> str:
    """Return a reminder or an escalation. It mentions no one once the alert is acknowledged or closed."""
    if entry.to:
        return f"Escalated to {channel_link(entry.to.id)}: {reason(entry.reason)}."
    kind = "reminder" if entry.kind is EntryKind.REMINDED else "escalation"
    is_waiting = alert.closed_at is None and alert.acknowledged is None
    start = f"{entry.mention.text}, {kind}" if entry.mention and is_waiting else kind.capitalize()
    number = fmt.alert_link(alert.id, alert.permalink)
    what = f"{heading(alert.lead)} (alert {number}), {reason(entry.reason)}"
    return f"{start}: {what}. Acknowledge it to stop reminders."


def _resolved(entry: TimelineEntry, alert: Alert) -> str:
    size = f"{short_heading(alert.lead)}, peak {alert_peak(alert)}"
    lasted = f"Was open for {fmt.duration((alert.closed_at or entry.at) - alert.opened_at)}"
    why = entry.reason
    if entry.by and isinstance(why, Reason) and why.code is Code.ENDED_BY_HAND:
        note = str(dict(why.params).get("note") or "").rstrip(".")
        shown = f": {escape_typed(note)}" if note else ""
        return f":white_check_mark: *Resolved by {_who(entry)}*{shown}. {size}. {lasted}."
    return f":white_check_mark: *Resolved: {size}*. {lasted}. {_why(entry)}"


def _retracted(entry: TimelineEntry, _alert: Alert) -> str:
    uncounted = "This alert doesn't count toward the rule's track record."
    return f":leftwards_arrow_with_hook: *Retracted:* {reason(entry.reason)}. {uncounted}"


def _changed(entry: TimelineEntry, _alert: Alert) -> str:
    return _why(entry)


ENTRIES: Mapping[EntryKind, Callable[[TimelineEntry, Alert], str | Message]] = complete(
    "ENTRIES",
    EntryKind,
    {
        EntryKind.FIRED: _fired,
        EntryKind.JOINED: _joined,
        EntryKind.LEFT: _left,
        EntryKind.CORRECTED: _corrected,
        EntryKind.WORSENED: _widened,
        EntryKind.REPEATED: _repeated,
        EntryKind.EDITED: _edited,
        EntryKind.PAUSED: _left,
        EntryKind.CHANGED: _changed,
        EntryKind.ACKNOWLEDGED: _acknowledged,
        EntryKind.UNACKNOWLEDGED: _unacknowledged,
        EntryKind.SNOOZED: _snoozed,
        EntryKind.UNSNOOZED: _unsnoozed,
        EntryKind.REMINDED: _called,
        EntryKind.ESCALATED: _called,
        EntryKind.RESOLVED: _resolved,
        EntryKind.RETRACTED: _retracted,
    },
)
