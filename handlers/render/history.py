"""The last alerts of a channel, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from handlers.render import fmt
from handlers.render.alert import parted
from handlers.render.alert_text import against_threshold, peak_over, topic
from handlers.render.limits import LIST_FALLBACK, SHARE_TEXT, fitting
from handlers.render.market import data
from handlers.render.markup import code, escape, person, reason, said, simulated
from handlers.render.message import Message, compose, header, note, paragraphs, section, text_message
from handlers.render.responses import counted
from services.alerting.alert import Alert, Entry
from services.alerting.feedback import NO_VOTES, Votes
from services.alerting.records import AlertAudit, Attempt, Posting
from services.core.prices import PriceStamp, Symbol

A_LINE = 120  # characters of rules


def history_message(alerts: Sequence[Alert], votes: Mapping[int, Votes]) -> Message:
    """List alerts, one line each, with what people said of them."""
    if not alerts:
        return text_message("No alerts in this channel so far.", "`/minerpulse rules` lists what is watched here.")
    title = "The last alert here" if len(alerts) == 1 else f"The last {len(alerts)} alerts here"
    lines = [_line(alert, votes.get(alert.id)) for alert in alerts]
    return compose([header(title), *paragraphs(*lines)], [f"{title}:", *fitting(lines, LIST_FALLBACK)])


def _line(alert: Alert, votes: Votes | None) -> str:
    parts = [
        f"*{fmt.moment(alert.opened_at)}*  #{alert.id} {topic(alert)}",
        f"peak {peak_over(alert.lead)}",
        _end(alert),
        " ".join(fitting([code(fact.rule) for fact in alert.facts], A_LINE)),
    ]
    if alert.acknowledged:
        parts.append(f"acknowledged by {person(alert.acknowledged.by)}")
    if votes:
        parts.append(f"votes: {counted(votes)}")
    return simulated(", ".join(parts), when=alert.simulated)


def _end(alert: Alert) -> str:
    if alert.closed_at is None:
        return "still open"
    lasted = fmt.duration(alert.closed_at - alert.opened_at)
    return f"retracted after {lasted}" if alert.retracted else f"lasted {lasted}"


SHOWN = 12  # of decisions and of messages: what a phone can be scrolled through
OUTCOMES = {
    "sent": "stands in Slack",
    "failed": "failed",
    "gone": "was gone",
    "dead": "given up",
}


def audit_message(told: AlertAudit, now: datetime) -> Message:
    """Render a receipt as of `now`: the newest decisions and messages, and how many came before them."""
    alert = told.alert
    title = simulated(f"Why alert {alert.id}: {topic(alert)}", when=alert.simulated)
    inputs = ["*Inputs*", *_inputs(alert)]
    decisions = ["*Decisions*", *_last([_decision(entry) for entry in told.entries], "decisions")]
    votes = [] if told.votes == NO_VOTES else [f"Votes: {counted(told.votes)}."]
    messages = ["*Messages*", *_last([_posting(one, now) for one in told.postings], "messages")]
    return compose(
        [
            header(title),
            section(*inputs),
            *paragraphs(*decisions),
            section(*messages),
            section(*votes),
            note(_whole(alert)),
        ],
        [title, *inputs, *decisions, *messages, *votes, _whole(alert)],
    )


def _inputs(alert: Alert) -> list[str]:
    rules = fitting([against_threshold(fact, alert.side) for fact in alert.facts], SHARE_TEXT, " rules")
    legs = [_leg(alert.pair.etf, alert.etf), _leg(alert.pair.crypto, alert.crypto)]
    return [*legs, data(alert.trust), *rules, *parted(alert)]


def _leg(symbol: Symbol, stamp: PriceStamp) -> str:
    source = escape(stamp.source)
    return f"{fmt.title(symbol)} {fmt.price(stamp.price)} from {source}, {fmt.full_moment(stamp.at)}"


def _decision(entry: Entry) -> str:
    who = f" by {person(entry.by)}" if entry.by else ""
    untold = " (not told in the thread)" if entry.silent else ""
    why = said(entry.reason) if entry.by else reason(entry.reason)
    return f"{fmt.moment_utc(entry.at)}: {entry.kind.value}{who}: {why}{untold}"


def _posting(posting: Posting, now: datetime) -> str:
    """Tell of one message: what it is, how its tries went, and how it stands."""
    what = f"Line “{posting.entry.kind.value}”" if posting.entry else "The alert's message"
    runs = [_run(list(run)) for _, run in groupby(posting.attempts, key=lambda one: (one.outcome, one.problem))]
    return f"{what}: {'; '.join([*runs[-SHOWN:], *_standing(posting, now)])}."


def _run(attempts: list[Attempt]) -> str:
    """Tell of tries in a row that ended alike."""
    last = attempts[-1]
    how = OUTCOMES.get(last.outcome or "", last.outcome) if last.outcome else "its answer was never learned"
    times = f" {len(attempts)} times, last" if len(attempts) > 1 else ""
    why = f" ({reason(last.problem.rstrip('.'))})" if last.problem else ""
    return f"{how}{times} {fmt.moment_utc(last.at)}{why}"


def _standing(posting: Posting, now: datetime) -> list[str]:
    if posting.given_up_at is not None:
        return [f"given up {fmt.moment_utc(posting.given_up_at)}; it is tried again once the alert changes"]
    if posting.digest_at is not None:
        return [f"told in the digest of {fmt.moment_utc(posting.digest_at)}"]
    if posting.delivered:
        return [] if posting.attempts else ["never told, as MinerPulse was taken out of the channel"]
    if posting.stuck is not None:
        return [f"nothing reaches its channel: {reason(posting.stuck)}"]
    if posting.silent_from is not None and posting.silent_from <= now and posting.message_id is None:
        return ["kept back until the silence of its channel ends"]
    wait = posting.next_at - now
    return [f"tried next in {fmt.duration(wait)}" if wait.total_seconds() > 0 else "about to be tried"]


def _last(lines: list[str], what: str) -> list[str]:
    before = len(lines) - SHOWN
    earlier = [f"{before} earlier {what}."] if before > 0 else []
    return [*earlier, *lines[-SHOWN:]] or ["None."]


def _whole(alert: Alert) -> str:
    return f"All of it: {code(f'minerpulse why {alert.id} --json')} where MinerPulse runs."
