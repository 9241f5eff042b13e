"""The latest alerts of a channel, and the audit log of one alert."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from handlers.render import fmt
from handlers.render.alert_text import (
    STATE_EMOJI,
    alert_peak,
    alert_state,
    alert_subject,
    attribution_lines,
    data_text,
    mark_alert,
    threshold_line,
)
from handlers.render.markup import code, escape, user_mention
from handlers.render.message import (
    LIST_TEXT,
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
from handlers.render.reasons import reason, user_reason
from handlers.render.responses import vote_counts
from services.alerting.alert import NO_VOTES, Alert, EntryKind, TimelineEntry, Votes
from services.alerting.ports import AlertAudit, Attempt, PageStatus, Posting
from services.core.prices import PriceStamp, Symbol
from services.core.reason import Code, Reason
from services.core.rows import complete
from services.core.text import counted

RULES_TEXT = 120  # characters per alert


def history_message(alerts: Sequence[Alert], votes: Mapping[int, Votes], now: datetime) -> Message:
    """Return the latest alerts of a channel, newest first, each with its state and votes."""
    if not alerts:
        return text_message("No alerts in this channel yet. `/minerpulse rules` lists its rules.")
    title = "Last alert in this channel" if len(alerts) == 1 else f"Last {len(alerts)} alerts in this channel"
    lines = [_alert_lines(alert, votes.get(alert.id), now) for alert in alerts]
    push = f"{title}. Newest: alert {alerts[0].id}, {alert_subject(alerts[0])}, peak {alert_peak(alerts[0])}."
    return compose([header(title), *sections(*fit_lines(lines, LIST_TEXT, " alerts"))], [push])


def _alert_lines(alert: Alert, votes: Votes | None, now: datetime) -> str:
    """Return an alert in two lines: what and how large, then when and by which rules."""
    state = alert_state(alert, now)
    lasted = "" if alert.closed_at is None else f" after {fmt.duration(alert.closed_at - alert.opened_at)}"
    what = mark_alert(f"{alert_subject(alert)}, peak {alert_peak(alert)}", alert)
    small = [
        f"{state.value}{lasted}",
        fmt.instant(alert.opened_at),
        " ".join(fit_lines([code(hit.rule) for hit in alert.hits], RULES_TEXT)),
        *([f"acknowledged by {user_mention(alert.acknowledged.by)}"] if alert.acknowledged else []),
        *([f"votes: {vote_counts(votes)}"] if votes else []),
    ]
    return f"{STATE_EMOJI[state]} {fmt.alert_link(alert.id, alert.permalink)} {what}\n{' · '.join(small)}"


ROWS_SHOWN = 12  # decisions, and messages: a length that a phone can scroll
OUTCOME_TEXTS = {
    "sent": "posted",
    "failed": "failed",
    "gone": "message deleted in Slack",
    "dead": "delivery failed",
}


def audit_message(audit: AlertAudit, now: datetime) -> Message:
    """Return an alert's audit log as of `now`: the newest decisions and deliveries, and how many came before."""
    alert = audit.alert
    title = mark_alert(f"Audit log of alert #{alert.id}", alert)
    what = mark_alert(alert_subject(alert), alert)
    inputs = [f"*Inputs*: {what}", *_input_lines(alert)]
    decisions = ["*Decisions*", *newest_decisions(audit)]
    pages = ["*Pages*", *map(_page_line, audit.pages)] if audit.pages else []
    votes = [] if audit.votes == NO_VOTES else [f"Votes: {vote_counts(audit.votes)}."]
    messages = ["*Messages*", *_newest([_posting_line(posting, now) for posting in audit.postings], "messages")]
    return compose(
        [
            header(title),
            section(*inputs),
            *sections(*decisions),
            *sections(*messages),
            *(sections(*pages) if pages else []),
            section(*votes),
            context(f"Full record: {code(f'minerpulse why {alert.id} --json')}"),
        ],
        [f"{title}: {what}. {receipt_line(audit, now)}"],
    )


def _page_line(page: PageStatus) -> str:
    """Return what a sink shows: ``desk`: shows it as open`."""
    state = f"shows it as {page.stage}" if page.stage else "nothing delivered"
    why = f" ({escape(page.problem)})" if page.problem else ""
    if page.given_up_at is not None:
        return f"{code(page.sink)}: {state}; delivery failed {fmt.instant(page.given_up_at)}{why}"
    return f"{code(page.sink)}: {state}{'' if page.is_current else '; an update is pending'}{why}"


def newest_decisions(audit: AlertAudit) -> list[str]:
    """Return the newest entries of an alert's timeline as lines, after how many came before."""
    return _newest([_decision_line(entry) for entry in audit.entries], "decisions")


def receipt_line(audit: AlertAudit, now: datetime) -> str:
    """Return how many of an alert's messages were delivered, wait, failed or were not sent."""
    delivered = sum(posting.delivered and bool(posting.attempts) for posting in audit.postings)
    unsent = sum(posting.delivered and not posting.attempts for posting in audit.postings)
    failed = sum(posting.given_up_at is not None for posting in audit.postings)
    waiting = len(audit.postings) - delivered - unsent - failed
    total = counted(len(audit.postings), "message")
    not_sent = f", {unsent} not sent" if unsent else ""
    return f"{delivered} of {total} delivered, {waiting} pending, {failed} failed{not_sent}, as of {fmt.instant(now)}."


def _input_lines(alert: Alert) -> list[str]:
    rules = fit_lines([threshold_line(hit, alert.side) for hit in alert.hits], SHORT_LIST_TEXT, " rules")
    legs = [_leg_line(alert.pair.etf, alert.etf), _leg_line(alert.pair.crypto, alert.crypto)]
    return [*legs, data_text(alert.trust), *rules, *attribution_lines(alert)]


def _leg_line(symbol: Symbol, stamp: PriceStamp) -> str:
    return f"{fmt.name(symbol)} {fmt.price(stamp.price)}, {escape(stamp.source)}, {fmt.instant(stamp.at)}"


DECISIONS = complete(
    "DECISIONS",
    EntryKind,
    {
        EntryKind.FIRED: "Fired",
        EntryKind.JOINED: "Another rule fired",
        EntryKind.LEFT: "A rule cleared",
        EntryKind.CORRECTED: "Close corrected",
        EntryKind.WORSENED: "Widened",
        EntryKind.REPEATED: "Repeated",
        EntryKind.EDITED: "Rule changed",
        EntryKind.PAUSED: "Rule paused",
        EntryKind.CHANGED: "Channel changed",
        EntryKind.ACKNOWLEDGED: "Acknowledged",
        EntryKind.UNACKNOWLEDGED: "Acknowledgement removed",
        EntryKind.SNOOZED: "Snoozed",
        EntryKind.UNSNOOZED: "Snooze ended",
        EntryKind.REMINDED: "Reminder",
        EntryKind.ESCALATED: "Escalated",
        EntryKind.RESOLVED: "Resolved",
        EntryKind.RETRACTED: "Retracted",
    },
)
# Their kind, with who did it, says everything that their reason says.
_BY_PERSON = frozenset({Code.SEEN, Code.UNSEEN, Code.SNOOZED, Code.UNSNOOZED})
# Their reason, after who did it, is a sentence: “@ann paused `1d 8pp`”.
_TOLD_BY_REASON = frozenset({EntryKind.EDITED, EntryKind.PAUSED, EntryKind.CHANGED})


def _decision_line(entry: TimelineEntry) -> str:
    if entry.by and entry.reason and entry.kind in _TOLD_BY_REASON:
        return f"{fmt.instant(entry.at)} – {user_mention(entry.by)} {user_reason(entry.reason)}"
    who = f" by {user_mention(entry.by)}" if entry.by else ""
    silent = " (not posted in the thread)" if entry.silent else ""
    until = f" until {fmt.instant(entry.until)}" if entry.until else ""
    says_all = isinstance(entry.reason, Reason) and entry.reason.code in _BY_PERSON
    why = "" if says_all or not entry.reason else f": {user_reason(entry.reason) if entry.by else reason(entry.reason)}"
    return f"{fmt.instant(entry.at)} – {DECISIONS[entry.kind]}{who}{until}{why}{silent}"


def _posting_line(posting: Posting, now: datetime) -> str:
    """Return one message: what it is, the outcome of its attempts, and its delivery status."""
    subject = f"Reply “{DECISIONS[posting.entry.kind]}”" if posting.entry else "Alert message"
    runs = [
        _attempts_text(list(run))
        for _, run in groupby(posting.attempts, key=lambda attempt: (attempt.outcome, attempt.problem))
    ]
    return f"{subject}: {'; '.join([*runs[-ROWS_SHOWN:], *_delivery_status(posting, now)])}."


def _attempts_text(attempts: list[Attempt]) -> str:
    """Return consecutive attempts with the same outcome as one text."""
    last = attempts[-1]
    outcome = OUTCOME_TEXTS.get(last.outcome or "", last.outcome) if last.outcome else "no response from Slack"
    times = f" {len(attempts)} times, last" if len(attempts) > 1 else ""
    problem = f" ({reason(last.problem)})" if last.problem else ""
    return f"{outcome}{times} {fmt.instant(last.at)}{problem}"


def _delivery_status(posting: Posting, now: datetime) -> list[str]:
    if posting.given_up_at is not None:
        last = fmt.instant(posting.given_up_at)
        return [f"delivery failed, last attempt {last}; retried if the alert changes"]
    if posting.digest_at is not None:
        return [f"included in the digest of {fmt.instant(posting.digest_at)}"]
    if posting.delivered:
        return [] if posting.attempts else ["not sent: MinerPulse was removed from the channel"]
    if posting.blocked_by is not None:
        return [f"channel paused: {reason(posting.blocked_by)}"]
    if posting.silent_from is not None and posting.silent_from <= now and posting.message_id is None:
        return ["held until quiet hours or the mute ends"]
    wait = posting.next_at - now
    return [f"next attempt in {fmt.duration(wait)}" if wait.total_seconds() > 0 else "next attempt now"]


def _newest(lines: list[str], noun: str) -> list[str]:
    omitted = len(lines) - ROWS_SHOWN
    earlier = [f"{omitted} earlier {noun}."] if omitted > 0 else []
    return [*earlier, *lines[-ROWS_SHOWN:]] or ["None."]
