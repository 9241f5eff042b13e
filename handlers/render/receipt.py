"""A receipt: what an alert rests on, what was decided and why, and what became of each message."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.limits import SHARE_TEXT, fitting
from handlers.render.market import data
from handlers.render.markup import code, escape, person, reason, said, simulated
from handlers.render.message import compose, header, note, paragraphs, section
from handlers.render.outcome import counted
from handlers.render.parted import parted
from handlers.render.topic import against_threshold, topic
from services.domain.noise import NO_VOTES

if TYPE_CHECKING:
    from datetime import datetime

    from handlers.render.message import Message
    from services.domain.episode import Alert, Entry, LegStamp
    from services.domain.prices import Symbol
    from services.ports import Attempt, Posting, Receipt

SHOWN = 12  # of decisions and of messages: what a phone can be scrolled through
OUTCOMES = {
    "sent": "stands in Slack",
    "failed": "failed",
    "gone": "was gone",
    "dead": "given up",
}


def receipt(told: Receipt, now: datetime) -> Message:
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


def _leg(symbol: Symbol, stamp: LegStamp) -> str:
    source = escape(stamp.source)
    return f"{words.title(symbol)} {words.price(stamp.price)} from {source}, {words.full_moment(stamp.at)}"


def _decision(entry: Entry) -> str:
    who = f" by {person(entry.by)}" if entry.by else ""
    untold = " (not told in the thread)" if entry.silent else ""
    why = said(entry.reason) if entry.by else reason(entry.reason)
    return f"{words.moment_utc(entry.at)}: {entry.kind.value}{who}: {why}{untold}"


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
    return f"{how}{times} {words.moment_utc(last.at)}{why}"


def _standing(posting: Posting, now: datetime) -> list[str]:
    if posting.given_up_at is not None:
        return [f"given up {words.moment_utc(posting.given_up_at)}; it is tried again once the alert changes"]
    if posting.digest_at is not None:
        return [f"told in the digest of {words.moment_utc(posting.digest_at)}"]
    if posting.delivered:
        return [] if posting.attempts else ["never told, as MinerPulse was taken out of the channel"]
    if posting.stuck is not None:
        return [f"nothing reaches its channel: {reason(posting.stuck)}"]
    if posting.silent_from is not None and posting.silent_from <= now and posting.message_id is None:
        return ["kept back until the silence of its channel ends"]
    wait = posting.next_at - now
    return [f"tried next in {words.duration(wait)}" if wait.total_seconds() > 0 else "about to be tried"]


def _last(lines: list[str], what: str) -> list[str]:
    before = len(lines) - SHOWN
    earlier = [f"{before} earlier {what}."] if before > 0 else []
    return [*earlier, *lines[-SHOWN:]] or ["None."]


def _whole(alert: Alert) -> str:
    return f"All of it: {code(f'minerpulse why {alert.id} --json')} where MinerPulse runs."
