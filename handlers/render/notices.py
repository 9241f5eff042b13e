"""A notice: what a channel is told that belongs to no alert of it."""

from __future__ import annotations

from typing import assert_never

from handlers.render import fmt
from handlers.render.alert_text import heading, peak_over, topic
from handlers.render.brief import brief_message
from handlers.render.limits import LIST_FALLBACK, LIST_TEXT, fitting
from handlers.render.markup import code, escape, person, place, reason, simulated
from handlers.render.message import Message, compose, header, paragraphs, section
from services.alerting.alert import Alert
from services.alerting.brief import Brief
from services.alerting.notice import CoverageReport, Digest, Escalation, NearestMiss, Notice, Outage, PairDay, Posted
from services.core.prices import PriceStamp

WAITS = "The rules wait: none of them fires or resolves meanwhile, and open alerts stay as they are."
NETWORK = "figures of the bitcoin network"
NETWORK_WAITS = (
    "The rules on hashprice and difficulty wait, and open alerts of them stay as they are; all others go on."
)
CHECK = "Whoever runs MinerPulse can look with `minerpulse doctor`; until then, watch {what} elsewhere."


def notice_message(told: Notice) -> Message:
    """Render a notice as it stands."""
    content = told.content
    match content:
        case Outage():
            return _outage(content)
        case Digest():
            return _digest(content)
        case CoverageReport():
            return coverage_message(content)
        case Escalation():
            return _escalation(content)
        case Brief():
            return brief_message(content)
        case _:
            assert_never(content)


def _outage(told: Outage) -> Message:
    what = NETWORK if told.network else f"{told.pair} prices"
    if told.back_at is not None:
        lasted = fmt.duration(told.back_at - told.since)
        title = f"{what[:1].upper()}{what[1:]} are back after {lasted}"
        lines = [
            f"There were none that could be used from {fmt.moment_utc(told.since)} to {fmt.hour(told.back_at)}.",
            f"Why: {reason(told.reason)}.",
            "The rules watch again. What happened in between was not seen: a breach that had not held begins anew.",
        ]
        return _told(simulated(title, when=told.simulated), lines)
    title = f"No usable {what} since {fmt.moment(told.since)}"
    lines = [NETWORK_WAITS] if told.network else [_last_known(told), WAITS]
    check = CHECK.format(what="them" if told.network else "these prices")
    return _told(simulated(title, when=told.simulated), [f"Why: {reason(told.reason)}.", *lines, check])


def _last_known(told: Outage) -> str:
    if not told.prices:
        return "No usable price of it is known at all."
    return f"Last usable prices: {'; '.join(_known(stamp, told) for stamp in told.prices)}."


def _known(stamp: PriceStamp, told: Outage) -> str:
    age = fmt.duration(max(told.since - stamp.at, told.since - told.since))
    named = f"{escape(stamp.symbol)} {fmt.price(stamp.price)} from {escape(stamp.source)}"
    return f"{named}, {fmt.moment_utc(stamp.at)}, {age} old when the prices failed"


def _digest(told: Digest) -> Message:
    still = [alert for alert in told.alerts if alert.closed_at is None]
    ended = [alert for alert in told.alerts if alert.closed_at is not None]
    lasted = fmt.duration(told.until - told.since)
    title = f"While this channel was silent for {lasted}: {_count(len(ended), 'alert')} ended, {len(still)} still open"
    silent = f"Silent from {fmt.moment_utc(told.since)} to {fmt.hour(told.until)}: {reason(told.why)}."
    lines = [silent, *map(_still, still), *map(_ended, ended), *map(_over, told.outages)]
    whole = any(alert.simulated for alert in told.alerts)
    return _told(simulated(title, when=whole), lines)


def _still(alert: Alert) -> str:
    seen = f", acknowledged by {person(alert.acknowledged.by)}" if alert.acknowledged else ""
    since = fmt.moment(alert.opened_at)
    return f"*Still open*: {heading(alert.lead)}, peak {peak_over(alert.lead)}, since {since}{seen} (alert {alert.id})."


def _ended(alert: Alert) -> str:
    closed = alert.closed_at or alert.opened_at
    lasted = fmt.duration(closed - alert.opened_at)
    began, peak = fmt.moment(alert.opened_at), peak_over(alert.lead)
    return f"Ended: {topic(alert)}, peak {peak}, from {began} for {lasted} (alert {alert.id})."


def _over(outage: Outage) -> str:
    back = outage.back_at or outage.since
    what = NETWORK if outage.network else f"{outage.pair} prices"
    return f"No usable {what} from {fmt.moment(outage.since)} for {fmt.duration(back - outage.since)}."


def _escalation(told: Escalation) -> Message:
    alert = told.alert
    waited, where = fmt.duration(told.after), place(alert.channel)
    if alert.closed_at is not None:
        lasted = fmt.duration(alert.closed_at - alert.opened_at)
        title = f"Resolved after {lasted}: {topic(alert)}, peak {peak_over(alert.lead)}"
        lines = [f"It came from {where}, where nobody had acknowledged it for {waited}. Nothing is left to do."]
    elif alert.acknowledged is not None:
        title = f"Acknowledged: {heading(alert.lead)}"
        by, at = person(alert.acknowledged.by), fmt.moment(alert.acknowledged.at)
        lines = [f"{by} sees to it, {at}. It came from {where}, where nobody had acknowledged it for {waited}."]
    else:
        title = f"Nobody sees to it: {heading(alert.lead)}"
        since = fmt.moment_utc(alert.opened_at)
        lines = [
            f"This alert of {where} is open since {since}, and nobody has acknowledged it for {waited}.",
            f"Why it fired: {reason(alert.reason)}.",
            f"Open {where} and press Acknowledge, or type `/minerpulse ack {alert.id}` there.",
        ]
    return _told(simulated(title, when=alert.simulated), lines)


def _told(title: str, lines: list[str]) -> Message:
    return compose([header(title), *paragraphs(*fitting(lines, LIST_TEXT))], [title, *fitting(lines, LIST_FALLBACK)])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


ALL = 100


def coverage_message(told: CoverageReport) -> Message:
    """Render what a session's watch came to, at its close or so far."""
    title = simulated(_title(told), when=told.simulated)
    lines = [
        *[line for pair in told.pairs for line in _pair(pair)],
        _miss(told),
        _posted(told.posted),
    ]
    return compose([header(title), section(*lines)], [title, *lines])


def _title(told: CoverageReport) -> str:
    alerts = "no alerts" if not told.alerts else f"{told.alerts} alert{'' if told.alerts == 1 else 's'}"
    rules = f"{told.rules} rule{'' if told.rules == 1 else 's'}"
    so_far = "" if told.final else f" so far, {fmt.hour(told.at)}"
    return f"Watched {fmt.day(told.session)}{so_far}: {alerts} from {rules}"


def _pair(day: PairDay) -> list[str]:
    verdicts = ", ".join(f"{number:,} {escape(verdict)}" for verdict, number in day.verdicts)
    split = f" ({verdicts})" if verdicts else ""
    looked = f"{day.pair}: {day.done:,} of {day.expected:,} ticks done, {day.usable:,} with usable prices{split}."
    if day.trouble is not None:
        health = f"Its prices cannot be used now: {reason(day.trouble)}."
    elif day.problems:
        health = f"Sources: {', '.join(map(escape, day.sources))}; {'; '.join(map(reason, day.problems))}."
    else:
        health = f"Sources: {', '.join(map(escape, day.sources)) or 'none'}, without trouble."
    return [looked, health]


def _miss(told: CoverageReport) -> str:
    if told.miss is None:
        beside = "none beside the alerts" if told.alerts else "none, as no rule had a value to look at"
        return f"Nearest miss: {beside}." if told.rules else "No rule is set here."
    return f"Nearest miss: {_nearest(told.miss)}."


def _nearest(miss: NearestMiss) -> str:
    share = int(ALL * miss.share)
    held = ", but was not held" if miss.share >= 1 else ""
    return f"{code(miss.rule)} reached {share}% of its threshold at {fmt.hour(miss.at)}{held}"


def _posted(posted: Posted) -> str:
    waiting = f", {posted.waiting} waiting" if posted.waiting else ""
    given_up = (
        f", *{posted.given_up} given up*: type `/minerpulse` to see why" if posted.given_up else ", none given up"
    )
    number = f"{posted.delivered} message{'' if posted.delivered == 1 else 's'}"
    return f"{number} delivered here since the open{waiting}{given_up}."
