"""Channel messages that don't belong to one of the channel's alerts."""

from datetime import datetime
from typing import assert_never

from handlers.render import fmt
from handlers.render.alert_text import (
    STATE_EMOJI,
    alert_peak,
    alert_state,
    alert_subject,
    heading,
    mark_alert,
    short_heading,
    time_open,
)
from handlers.render.alert_thread import change_line
from handlers.render.brief import brief_message
from handlers.render.help import RUN_COMMAND
from handlers.render.markup import channel_link, code, escape, mark_simulated, user_mention
from handlers.render.message import (
    LIST_TEXT,
    Message,
    actions,
    button,
    compose,
    context,
    fit_lines,
    header,
    notification,
    section,
    sections,
    text_message,
)
from handlers.render.reasons import reason, sentence
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
    PageFailed,
    PairCoverage,
    RetiredRules,
    Untraded,
)
from services.core.prices import PriceStamp
from services.core.text import counted
from services.core.trust import Verdict

NETWORK_DATA = "bitcoin network data"
# Verbs of outage causes. Past tense is for outages that are over.
PAST = {
    "is": "was",
    "isn't": "wasn't",
    "are": "were",
    "has": "had",
    "hasn't": "hadn't",
    "have": "had",
    "doesn't": "didn't",
    "confirms": "confirmed",
    "declares": "declared",
    "reports": "reported",
    "disagree": "disagreed",
    "retries": "retried",
}
SOURCES_BUTTON = button(RUN_COMMAND[0], "Show Sources", "sources")


def notice_message(notice: Notice) -> Message:  # noqa: C901, PLR0911 -- one per kind
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
            return _change_message(content)
        case Brief():
            return brief_message(content)
        case Untraded():
            return _untraded_message(content)
        case RetiredRules():
            return _retired_rules_message(content)
        case PageFailed():
            return _page_failed_message(content)
        case _:
            assert_never(content)


def _untraded_message(untraded: Untraded) -> Message:
    symbol, last = escape(untraded.symbol), untraded.last
    title = f"{symbol} hasn't traded for {fmt.sessions(untraded.sessions)}"
    list_it = "lists it" if len(untraded.unknown_at) == 1 else "list it"
    unknown = f" {escape(' and '.join(untraded.unknown_at))} no longer {list_it}." if untraded.unknown_at else ""
    rules = f"{'Rule' if len(untraded.rules) == 1 else 'Rules'} {', '.join(map(str, untraded.rules))}"
    are = "is" if len(untraded.rules) == 1 else "are"
    move = code(f"/minerpulse rule move {untraded.symbol} NEW")
    lines = [
        f"*Cause:* It may have been renamed, halted or delisted.{unknown}",
        f"*Effect:* {rules} {are} on hold. Open alerts stay open.",
        f"*What to do:* To move the rules to another symbol, type {move}. Open alerts and votes move with them.",
    ]
    small = f"Last trade: {fmt.price(last.price)} ({escape(last.source)}), {fmt.instant(last.at)}"
    return compose([header(title), section(*lines), context(small)], [f"{title}. {rules} {are} on hold."])


def _retired_rules_message(retired: RetiredRules) -> Message:
    title = "Robust z rules over long windows are retired"
    why = "A year holds too few separate windows of 60 sessions or more to say how unusual one is."
    lines = [
        f"{why} Existing rules keep running. To switch to the closest σ rule, type:",
        *(
            f"{code(f'/minerpulse rule edit {rule.id} {rule.successor}')} (now {code(rule.rule)})"
            for rule in retired.rules
        ),
    ]
    push = f"{title}. {counted(len(retired.rules), 'rule')} here can switch to the closest sigma rule."
    return compose([header(title), section(*lines)], [push])


def _page_failed_message(failed: PageFailed) -> Message:
    alert, sink = failed.alert, code(failed.sink)
    number = fmt.alert_link(alert.id, alert.permalink)
    title = mark_alert(f"Page not delivered: alert {alert.id}", alert)
    if failed.ended:
        effect = f"{sink} may still show alert {number} as open."
        todo = "Resolve it there manually."
    else:
        effect = f"{sink} didn't get alert {number} ({heading(alert.lead)})."
        check = f"`/minerpulse channel page test {escape(failed.sink)}`"
        todo = f"Notify the person on call, then check the sink with {check}."
    lines = [f"*Cause:* {escape(failed.problem)}", f"*Effect:* {effect}", f"*What to do:* {todo}"]
    push = f"{title}. {failed.sink} {'may still show it as open' if failed.ended else 'did not get it'}."
    return compose([header(title), section(*lines)], [push])


def _outage_message(outage: Outage) -> Message:
    what = NETWORK_DATA if outage.network else f"{_missing_leg(outage)} price"
    rules = "hashprice and difficulty rules" if outage.network else f"rules on {outage.pair}"
    if outage.recovered_at is not None:
        return _outage_over_message(outage, what, rules)
    title = mark_simulated(f"Data outage: no usable {what}", when=outage.simulated)
    back = "network data returns" if outage.network else "prices return"
    elsewhere = "" if outage.network else f"Check {_missing_leg(outage)} on your terminal. "
    lines = [
        f"*Cause:* {_sentence(reason(outage.reason))}",
        f"*Effect:* The {rules} are on hold: they neither fire nor resolve, and open alerts keep their state.",
        f"*What to do:* {elsewhere or 'Nothing for now. '}MinerPulse posts here when {back}.",
    ]
    doctor = "for operators: `minerpulse doctor`"
    small = [f"F{doctor[1:]}"] if outage.network else [_last_known(outage), doctor]
    since = f":warning: Since {fmt.instant(outage.since)}"
    push = [
        f"{title} since {fmt.plain_instant(outage.since)}.",
        f"The {rules} are on hold; open alerts keep their state.",
    ]
    return compose(
        [header(title), section(since), section(*lines), context(" · ".join(small)), actions(SOURCES_BUTTON)],
        notification(*push, elsewhere.strip()),
    )


def _missing_leg(outage: Outage) -> str:
    """Return the leg that the outage's cause names, or the pair."""
    named = [leg for leg in (outage.pair.etf, outage.pair.crypto) if leg in sentence(outage.reason).split()]
    return named[0] if len(named) == 1 else f"{outage.pair}"


def _outage_over_message(outage: Outage, what: str, rules: str) -> Message:
    back = outage.recovered_at or outage.since
    lasted = fmt.duration(back - outage.since)
    title = mark_simulated(f"Data outage ended after {lasted}", when=outage.simulated)
    lines = [
        f":white_check_mark: No usable {what} from {fmt.instant(outage.since)} to {fmt.instant(back)}.",
        f"*Cause:* {_in_the_past(_sentence(reason(outage.reason)))}",
        f"The {rules} are running again. Pending rules restart their hold.",
    ]
    return compose([header(title), section(*lines)], [f"{title}. The {rules} are running again."])


def _in_the_past(cause: str) -> str:
    """Return the cause of an outage that is over, with its verbs in the past tense."""
    words = [(word.rstrip(".,;"), word) for word in cause.split(" ")]
    return " ".join(PAST.get(bare, bare) + word[len(bare) :] for bare, word in words)


def _last_known(outage: Outage) -> str:
    if not outage.prices:
        return "No usable price yet"
    times = {stamp.at for stamp in outage.prices}
    shared = f", {fmt.instant(*times)}" if len(times) == 1 else ""
    prices = [_last_price(stamp, "" if shared else f", {fmt.instant(stamp.at)}") for stamp in outage.prices]
    return f"Last usable: {' and '.join(prices)}{shared}"


def _last_price(stamp: PriceStamp, when: str) -> str:
    return f"{escape(stamp.symbol)} {fmt.price(stamp.price)} ({escape(stamp.source)}){when}"


def _digest_message(digest: Digest) -> Message:
    open_alerts = [alert for alert in digest.alerts if alert.closed_at is None]
    ended_alerts = [alert for alert in digest.alerts if alert.closed_at is not None]
    counts = f"{_count(len(open_alerts), 'open alert')}, {len(ended_alerts)} resolved"
    simulated = any(alert.simulated for alert in digest.alerts)
    title = mark_simulated(f"Digest: {counts}", when=simulated)
    held = f"Held back from {fmt.instant(digest.since)} to {fmt.instant(digest.until)}: {reason(digest.reason)}"
    lines = [
        *(_digest_line(alert, digest.until) for alert in [*open_alerts, *ended_alerts]),
        *map(_ended_outage_line, digest.outages),
    ]
    first = [f"{short_heading(open_alerts[0].lead)} (alert {open_alerts[0].id})."] if open_alerts else []
    return compose(
        [header(title), *sections(*fit_lines(lines, LIST_TEXT)), context(held)], notification(f"{title}.", *first)
    )


def _digest_line(alert: Alert, now: datetime) -> str:
    """Return an alert in two lines: its state and size, then since when and how it was handled."""
    state = alert_state(alert, now)
    size = heading(alert.lead) if alert.closed_at is None else alert_subject(alert)
    closed = "" if alert.closed_at is None else f", {time_open(alert, now)}"
    acknowledged = f" · acknowledged by {user_mention(alert.acknowledged.by)}" if alert.acknowledged else ""
    first = (
        f"{STATE_EMOJI[state]} *#{alert.id}* {state.value}: {mark_alert(f'{size}, peak {alert_peak(alert)}', alert)}"
    )
    opened = "Since" if alert.closed_at is None else "Fired"
    return f"{first}{closed}\n{opened} {fmt.instant(alert.opened_at)}{acknowledged}"


def _ended_outage_line(outage: Outage) -> str:
    back = outage.recovered_at or outage.since
    what = NETWORK_DATA if outage.network else f"{outage.pair} prices"
    return f":warning: No usable {what} for {fmt.duration(back - outage.since)}, starting {fmt.instant(outage.since)}."


def _escalation_message(escalation: Escalation) -> Message:
    """Return an alert of another channel that no one acknowledged, or how that ended."""
    alert = escalation.alert
    waited, source = fmt.duration(escalation.after), channel_link(alert.channel.id)
    link = f"alert {fmt.alert_link(alert.id, alert.permalink)} in {source}"
    if alert.closed_at is not None:
        line = f"Resolved: {link}. It {time_open(alert, alert.closed_at)}. No action needed."
        return compose([section(mark_alert(line, alert))], [f"Resolved: alert {alert.id}. No action needed."])
    if alert.acknowledged is not None:
        line = f"Acknowledged: {link}, by {user_mention(alert.acknowledged.by)}."
        return compose([section(mark_alert(line, alert))], [f"Acknowledged: alert {alert.id}."])
    title = mark_alert(f"Escalated: {heading(alert.lead)}", alert)
    lines = [
        f":red_circle: {link[:1].upper()}{link[1:]} · since {fmt.instant(alert.opened_at)}",
        f"Not acknowledged for {waited}. {_sentence(reason(alert.reason))}",
        f"*What to do:* Press Acknowledge in {source}, or type {code(f'/minerpulse ack {alert.id}')} there.",
    ]
    return compose([header(title), section(*lines)], [f"{title} (alert {alert.id}). Not acknowledged for {waited}."])


def _escalation_source_message(notice: EscalationSource) -> Message:
    source = channel_link(notice.source.id)
    return text_message(
        f"{source} escalates unacknowledged alerts to this channel. Escalations continue until someone types in "
        "this channel: "
        "`/minerpulse channel accept-escalations off`. To confirm that you want them: "
        "`/minerpulse channel accept-escalations on`."
    )


def _change_message(notice: ChannelChange) -> Message:
    return text_message(change_line(notice.change, notice.by, notice.by_name))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


PERCENT = 100


def coverage_message(report: CoverageReport) -> Message:
    """Return the monitoring report of a session, at its close or so far."""
    title = mark_simulated(_title(report), when=report.simulated)
    checked = " ".join(line for pair in report.pairs for line in [_checks_text(pair)])
    checks = map(_checks_text, report.pairs)
    lines = [*checks, *_nearest_miss_lines(report), _delivery_line(report.message_counts)]
    small = [*map(_data_line, report.pairs), *([] if report.final else [f"As of {fmt.clock_time(report.at)}"])]
    return compose([header(title), section(*lines), context(*small)], notification(f"{title}.", checked))


def _title(report: CoverageReport) -> str:
    alerts = "no alerts" if not report.alerts else _count(report.alerts, "alert")
    so_far = "" if report.final else " so far"
    return f"{fmt.day(report.session)}{so_far}: {alerts} from {_count(report.rules, 'rule')}"


def _checks_text(day: PairCoverage) -> str:
    counts = dict(day.verdicts)
    known = [verdict for verdict in Verdict if verdict.value in counts]
    verdicts = ", ".join(f"{counts[verdict.value]:,} {fmt.verdict(verdict)}" for verdict in known)
    data = f" Data: {verdicts}." if verdicts else ""
    return f"{day.pair}: {day.done:,} of {counted(day.expected, 'check')} ran.{data}"


def _data_line(day: PairCoverage) -> str:
    if day.unusable_reason is not None:
        return f":warning: No usable {day.pair} prices: {reason(day.unusable_reason)}"
    sources = f"Sources: {', '.join(map(escape, day.sources)) or 'none'}"
    return f"{sources} · {'; '.join(map(reason, day.problems)) or 'no problems now'}"


def _nearest_miss_lines(report: CoverageReport) -> list[str]:
    """Return which rule came closest; nothing if every rule fired, or none had a value."""
    if not report.rules:
        return ["No rules here, so nothing is monitored."]
    return [] if report.nearest_miss is None else [f"Closest rule: {_miss_text(report.nearest_miss)}."]


def _miss_text(miss: NearestMiss) -> str:
    suffix = ", not held long enough" if miss.share >= 1 else ""
    return f"{code(miss.rule)} at {int(PERCENT * miss.share)}% of its threshold, {fmt.clock_time(miss.at)}{suffix}"


def _delivery_line(posted: MessageCounts) -> str:
    waiting = f", {posted.waiting} pending" if posted.waiting else ""
    failed = f", *{posted.dead_lettered} failed*: `/minerpulse` shows why" if posted.dead_lettered else ""
    return f"{_count(posted.delivered, 'message')} delivered{waiting}{failed}."
