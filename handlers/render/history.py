"""The latest alerts of a channel, and the audit log of one alert."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from handlers.render import fmt
from handlers.render.alert_text import alert_peak, alert_subject, attribution_lines, threshold_line
from handlers.render.market import data_quality_line
from handlers.render.markup import code, escape, mark_simulated, reason, user_mention, user_reason
from handlers.render.message import (
    LIST_FALLBACK,
    SHORT_LIST_TEXT,
    Message,
    compose,
    context,
    fit_lines,
    header,
    section,
    sections,
    text_message,
)
from handlers.render.responses import vote_counts
from services.alerting.alert import NO_VOTES, Alert, TimelineEntry, Votes
from services.alerting.ports import AlertAudit, Attempt, Posting
from services.core.prices import PriceStamp, Symbol

RULES_TEXT = 120  # characters per alert


def history_message(alerts: Sequence[Alert], votes: Mapping[int, Votes]) -> Message:
    """Return one line per alert, with its votes."""
    if not alerts:
        return text_message("No alerts in this channel so far.", "`/minerpulse rules` lists what is watched here.")
    title = "The last alert here" if len(alerts) == 1 else f"The last {len(alerts)} alerts here"
    lines = [_alert_line(alert, votes.get(alert.id)) for alert in alerts]
    return compose([header(title), *sections(*lines)], [f"{title}:", *fit_lines(lines, LIST_FALLBACK)])


def _alert_line(alert: Alert, votes: Votes | None) -> str:
    parts = [
        f"*{fmt.moment(alert.opened_at)}*  #{alert.id} {alert_subject(alert)}",
        f"peak {alert_peak(alert)}",
        _duration_text(alert),
        " ".join(fit_lines([code(hit.rule) for hit in alert.hits], RULES_TEXT)),
    ]
    if alert.acknowledged:
        parts.append(f"acknowledged by {user_mention(alert.acknowledged.by)}")
    if votes:
        parts.append(f"votes: {vote_counts(votes)}")
    return mark_simulated(", ".join(parts), when=alert.simulated)


def _duration_text(alert: Alert) -> str:
    if alert.closed_at is None:
        return "still open"
    lasted = fmt.duration(alert.closed_at - alert.opened_at)
    return f"retracted after {lasted}" if alert.retracted else f"lasted {lasted}"


ROWS_SHOWN = 12  # decisions, and messages: a length that a phone can scroll
OUTCOME_TEXTS = {
    "sent": "stands in Slack",
    "failed": "failed",
    "gone": "was gone",
    "dead": "given up",
}


def audit_message(audit: AlertAudit, now: datetime) -> Message:
    """Return an alert's audit log as of `now`: the newest decisions and deliveries, and how many came before."""
    alert = audit.alert
    title = mark_simulated(f"Why alert {alert.id}: {alert_subject(alert)}", when=alert.simulated)
    inputs = ["*Inputs*", *_input_lines(alert)]
    decisions = ["*Decisions*", *_newest([_decision_line(entry) for entry in audit.entries], "decisions")]
    votes = [] if audit.votes == NO_VOTES else [f"Votes: {vote_counts(audit.votes)}."]
    messages = ["*Messages*", *_newest([_posting_line(posting, now) for posting in audit.postings], "messages")]
    return compose(
        [
            header(title),
            section(*inputs),
            *sections(*decisions),
            section(*messages),
            section(*votes),
            context(_full_log_hint(alert)),
        ],
        [title, *inputs, *decisions, *messages, *votes, _full_log_hint(alert)],
    )


def _input_lines(alert: Alert) -> list[str]:
    rules = fit_lines([threshold_line(hit, alert.side) for hit in alert.hits], SHORT_LIST_TEXT, " rules")
    legs = [_leg_line(alert.pair.etf, alert.etf), _leg_line(alert.pair.crypto, alert.crypto)]
    return [*legs, data_quality_line(alert.trust), *rules, *attribution_lines(alert)]


def _leg_line(symbol: Symbol, stamp: PriceStamp) -> str:
    source = escape(stamp.source)
    return f"{fmt.title(symbol)} {fmt.price(stamp.price)} from {source}, {fmt.full_moment(stamp.at)}"


def _decision_line(entry: TimelineEntry) -> str:
    who = f" by {user_mention(entry.by)}" if entry.by else ""
    silent = " (not posted in the thread)" if entry.silent else ""
    why = user_reason(entry.reason) if entry.by else reason(entry.reason)
    return f"{fmt.moment_utc(entry.at)}: {entry.kind.value}{who}: {why}{silent}"


def _posting_line(posting: Posting, now: datetime) -> str:
    """Return one message: what it is, the outcome of its attempts, and its delivery status."""
    subject = f"Line “{posting.entry.kind.value}”" if posting.entry else "The alert's message"
    runs = [
        _attempts_text(list(run))
        for _, run in groupby(posting.attempts, key=lambda attempt: (attempt.outcome, attempt.problem))
    ]
    return f"{subject}: {'; '.join([*runs[-ROWS_SHOWN:], *_delivery_status(posting, now)])}."


def _attempts_text(attempts: list[Attempt]) -> str:
    """Return consecutive attempts with the same outcome as one text."""
    last = attempts[-1]
    outcome = OUTCOME_TEXTS.get(last.outcome or "", last.outcome) if last.outcome else "no answer from Slack"
    times = f" {len(attempts)} times, last" if len(attempts) > 1 else ""
    problem = f" ({reason(last.problem)})" if last.problem else ""
    return f"{outcome}{times} {fmt.moment_utc(last.at)}{problem}"


def _delivery_status(posting: Posting, now: datetime) -> list[str]:
    if posting.given_up_at is not None:
        last = fmt.moment_utc(posting.given_up_at)
        return [f"not delivered after many attempts, the last {last}; retried when the alert changes"]
    if posting.digest_at is not None:
        return [f"included in the digest of {fmt.moment_utc(posting.digest_at)}"]
    if posting.delivered:
        return [] if posting.attempts else ["never sent, because MinerPulse was removed from the channel"]
    if posting.blocked_by is not None:
        return [f"its channel gets no messages: {reason(posting.blocked_by)}"]
    if posting.silent_from is not None and posting.silent_from <= now and posting.message_id is None:
        return ["held until the channel's quiet hours or mute end"]
    wait = posting.next_at - now
    return [f"next attempt in {fmt.duration(wait)}" if wait.total_seconds() > 0 else "next attempt now"]


def _newest(lines: list[str], noun: str) -> list[str]:
    omitted = len(lines) - ROWS_SHOWN
    earlier = [f"{omitted} earlier {noun}."] if omitted > 0 else []
    return [*earlier, *lines[-ROWS_SHOWN:]] or ["None."]


def _full_log_hint(alert: Alert) -> str:
    return f"All of it: {code(f'minerpulse why {alert.id} --json')} where MinerPulse runs."
