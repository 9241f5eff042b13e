"""Channel messages that don't belong to one of the channel's alerts."""

from datetime import timedelta
from typing import assert_never

from handlers.render import fmt
from handlers.render.alert_text import alert_peak, alert_subject, ended_heading, heading
from handlers.render.brief import brief_message
from handlers.render.markup import (
    channel_link,
    code,
    escape,
    escape_typed,
    mark_simulated,
    reason,
    user_mention,
)
from handlers.render.message import (
    LIST_FALLBACK,
    LIST_TEXT,
    Message,
    compose,
    fit_lines,
    header,
    section,
    sections,
    text_message,
)
from handlers.render.reasons import sentence
from services.alerting.alert import Alert
from services.alerting.notice import (
    Brief,
    ChannelChange,
    CoverageReport,
    Digest,
    Escalation,
    EscalationSource,
    MessageCounts,
    NearestMiss,
    Notice,
    Outage,
    PairCoverage,
    RetiredRules,
    Untraded,
)
from services.core.prices import PriceStamp
from services.core.text import counted

RULES_WAIT = "The rules wait: none of them fires or resolves meanwhile, and open alerts stay as they are."
NETWORK_FIGURES = "figures of the bitcoin network"
NETWORK_RULES_WAIT = (
    "The rules on hashprice and difficulty wait, and open alerts of them stay as they are; all others go on."
)
CHECK_HINT = "Your MinerPulse administrator can check with `minerpulse doctor`. Until then, watch {what} elsewhere."


def notice_message(notice: Notice) -> Message:  # noqa: PLR0911 -- one per kind
    """Return the message of a notice."""
    content = notice.content
    match content:
        case Outage():
            return _outage_message(content)
        case Digest():
            return _digest_message(content)
        case CoverageReport():
            return coverage_message(content)
        case Escalation():
            return _escalation_message(content)
        case EscalationSource():
            return _escalation_source_message(content)
        case ChannelChange():
            return text_message(_change_line(content))
        case Brief():
            return brief_message(content)
        case Untraded():
            return _untraded_message(content)
        case RetiredRules():
            return _retired_rules_message(content)
        case _:
            assert_never(content)


def _untraded_message(untraded: Untraded) -> Message:
    symbol, last, rules = escape(untraded.symbol), untraded.last, untraded.rules
    title = f"{symbol} has not traded for {fmt.sessions(untraded.sessions)}"
    unknown = untraded.unknown_at
    gone = (
        [f"{escape(' and '.join(unknown))} no longer {'know' if len(unknown) > 1 else 'knows'} it."] if unknown else []
    )
    numbers = ", ".join(map(str, rules))
    wait = f"Rule {numbers} waits" if len(rules) == 1 else f"Rules {numbers} wait"
    move = code(f"/minerpulse rule move {untraded.symbol} NEW")
    lines = [
        f"The last trade was {fmt.price(last.price)}, {fmt.moment_utc(last.at)}, from {escape(last.source)}.",
        *gone,
        "It may have been renamed, halted or delisted.",
        f"{wait}; open alerts stay open.",
        f"To move them to another symbol, with open alerts and noise votes, type {move}.",
    ]
    return compose([header(title), section(*lines)], [title, *lines])


def _retired_rules_message(retired: RetiredRules) -> Message:
    title = "Rules with a robust z over long windows are no longer offered"
    why = (
        "A year holds too few separate windows of 60 sessions or more to say how unusual one is. Rules that exist keep "
        "running. To change one, type:"
    )
    lines = [
        why,
        *(
            f"{code(f'/minerpulse rule edit {rule.id} {rule.successor}')} instead of {code(rule.rule)}"
            for rule in retired.rules
        ),
    ]
    return compose([header(title), section(*lines)], [title, *lines])


def _outage_message(outage: Outage) -> Message:
    what = NETWORK_FIGURES if outage.network else f"{outage.pair} prices"
    if outage.recovered_at is not None:
        since, lasted = fmt.moment_utc(outage.since), fmt.duration(outage.recovered_at - outage.since)
        title = f"{what[:1].upper()}{what[1:]} are back after {lasted}"
        lines = [
            f"There were none that could be used from {since} to {fmt.time_utc(outage.recovered_at)}.",
            f"Why: {reason(outage.reason)}.",
            "The rules watch again. What happened in between was not seen: a breach that had not held begins anew.",
        ]
        return _list_message(mark_simulated(title, when=outage.simulated), lines)
    title = f"No usable {what} since {fmt.moment(outage.since)}"
    lines = [NETWORK_RULES_WAIT] if outage.network else [_last_known(outage), RULES_WAIT]
    check = CHECK_HINT.format(what="them" if outage.network else "these prices")
    return _list_message(
        mark_simulated(title, when=outage.simulated), [f"Why: {reason(outage.reason)}.", *lines, check]
    )


def _last_known(outage: Outage) -> str:
    if not outage.prices:
        return "No usable price of it is known at all."
    return f"Last usable prices: {'; '.join(_last_price(stamp, outage) for stamp in outage.prices)}."


def _last_price(stamp: PriceStamp, outage: Outage) -> str:
    age = fmt.duration(max(outage.since - stamp.at, timedelta(0)))
    named = f"{escape(stamp.symbol)} {fmt.price(stamp.price)} from {escape(stamp.source)}"
    return f"{named}, {fmt.moment_utc(stamp.at)}, {age} old when the prices failed"


def _digest_message(digest: Digest) -> Message:
    open_alerts = [alert for alert in digest.alerts if alert.closed_at is None]
    ended_alerts = [alert for alert in digest.alerts if alert.closed_at is not None]
    lasted = fmt.duration(digest.until - digest.since)
    ended = _count(len(ended_alerts), "alert")
    title = f"While this channel was silent for {lasted}: {ended} ended, {len(open_alerts)} still open"
    first_line = f"Silent from {fmt.moment_utc(digest.since)} to {fmt.time_utc(digest.until)}: {reason(digest.reason)}."
    lines = [
        first_line,
        *map(_open_alert_line, open_alerts),
        *map(_ended_alert_line, ended_alerts),
        *map(_ended_outage_line, digest.outages),
    ]
    simulated = any(alert.simulated for alert in digest.alerts)
    return _list_message(mark_simulated(title, when=simulated), lines)


def _open_alert_line(alert: Alert) -> str:
    acknowledgement = f", acknowledged by {user_mention(alert.acknowledged.by)}" if alert.acknowledged else ""
    peak, since = alert_peak(alert), fmt.moment(alert.opened_at)
    return f"*Still open*: {heading(alert.lead)}, peak {peak}, since {since}{acknowledgement} (alert {alert.id})."


def _ended_alert_line(alert: Alert) -> str:
    closed = alert.closed_at or alert.opened_at
    lasted = fmt.duration(closed - alert.opened_at)
    opened_at, peak = fmt.moment(alert.opened_at), alert_peak(alert)
    return f"Ended: {alert_subject(alert)}, peak {peak}, from {opened_at} for {lasted} (alert {alert.id})."


def _ended_outage_line(outage: Outage) -> str:
    back = outage.recovered_at or outage.since
    what = NETWORK_FIGURES if outage.network else f"{outage.pair} prices"
    return f"No usable {what} from {fmt.moment(outage.since)} for {fmt.duration(back - outage.since)}."


def _escalation_message(escalation: Escalation) -> Message:
    alert = escalation.alert
    waited, source = fmt.duration(escalation.after), channel_link(alert.channel.id)
    if alert.closed_at is not None:
        title = ended_heading(alert, alert.closed_at, retracted=False)
        lines = [f"Escalated from {source} after {waited} without an acknowledgement. No action is needed."]
    elif alert.acknowledged is not None:
        title = f"Acknowledged: {heading(alert.lead)}"
        by, at = user_mention(alert.acknowledged.by), fmt.moment(alert.acknowledged.at)
        lines = [f"Acknowledged by {by}, {at}. Escalated from {source} after {waited} without an acknowledgement."]
    else:
        title = f"Not acknowledged: {heading(alert.lead)}"
        since = fmt.moment_utc(alert.opened_at)
        lines = [
            f"This alert in {source} has been open since {since}, {waited} without an acknowledgement.",
            f"Why it fired: {reason(alert.reason)}.",
            f"Open {source} and press Acknowledge, or type `/minerpulse ack {alert.id}` there.",
        ]
    return _list_message(mark_simulated(title, when=alert.simulated), lines)


def _escalation_source_message(notice: EscalationSource) -> Message:
    source = channel_link(notice.source.id)
    return text_message(
        f"{source} escalates unacknowledged alerts to this channel. To stop that, type "
        "`/minerpulse channel accept-escalations off` here. To keep it, type the same with `on`."
    )


def _change_line(notice: ChannelChange) -> str:
    return f"Changed in this channel by {user_mention(notice.by)}: {escape_typed(sentence(notice.change))}."


def _list_message(title: str, lines: list[str]) -> Message:
    return compose([header(title), *sections(*fit_lines(lines, LIST_TEXT))], [title, *fit_lines(lines, LIST_FALLBACK)])


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


PERCENT = 100


def coverage_message(report: CoverageReport) -> Message:
    """Return the monitoring report of a session, at its close or so far."""
    title = mark_simulated(_title(report), when=report.simulated)
    lines = [
        *[line for pair in report.pairs for line in _pair_lines(pair)],
        _nearest_miss_line(report),
        _delivery_line(report.message_counts),
    ]
    return compose([header(title), section(*lines)], [title, *lines])


def _title(report: CoverageReport) -> str:
    alerts = "no alerts" if not report.alerts else f"{report.alerts} alert{'' if report.alerts == 1 else 's'}"
    rules = f"{report.rules} rule{'' if report.rules == 1 else 's'}"
    so_far = "" if report.final else f" so far, {fmt.time_utc(report.at)}"
    return f"Watched {fmt.day(report.session)}{so_far}: {alerts} from {rules}"


def _pair_lines(day: PairCoverage) -> list[str]:
    verdicts = ", ".join(f"{number:,} {escape(verdict)}" for verdict, number in day.verdicts)
    split = f" ({verdicts})" if verdicts else ""
    expected = counted(day.expected, "tick")
    ticks = f"{day.pair}: {day.done:,} of {expected} done, {day.usable:,} with usable prices{split}."
    if day.unusable_reason is not None:
        health = f"Its prices cannot be used now: {reason(day.unusable_reason)}."
    elif day.problems:
        health = f"Sources: {', '.join(map(escape, day.sources))}; {'; '.join(map(reason, day.problems))}."
    else:
        health = f"Sources: {', '.join(map(escape, day.sources)) or 'none'}, without trouble."
    return [ticks, health]


def _nearest_miss_line(report: CoverageReport) -> str:
    if report.nearest_miss is None:
        text = "none beside the alerts" if report.alerts else "none, as no rule had a value to look at"
        return f"Nearest miss: {text}." if report.rules else "No rule is set here."
    return f"Nearest miss: {_miss_text(report.nearest_miss)}."


def _miss_text(miss: NearestMiss) -> str:
    share = int(PERCENT * miss.share)
    suffix = ", but was not held" if miss.share >= 1 else ""
    return f"{code(miss.rule)} reached {share}% of its threshold at {fmt.time_utc(miss.at)}{suffix}"


def _delivery_line(posted: MessageCounts) -> str:
    waiting = f", {posted.waiting} waiting" if posted.waiting else ""
    given_up = (
        f", *{posted.dead_lettered} given up*: type `/minerpulse` to see why"
        if posted.dead_lettered
        else ", none given up"
    )
    delivered = f"{posted.delivered} message{'' if posted.delivered == 1 else 's'}"
    return f"{delivered} delivered here since the open{waiting}{given_up}."
