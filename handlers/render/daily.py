"""Proof of silence: what was looked at in a session, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.markup import code, escape, reason, simulated
from handlers.render.message import compose, header, section

if TYPE_CHECKING:
    from handlers.render.message import Message
    from services.domain.notice import Daily, NearestMiss, PairDay, Posted

ALL = 100


def daily(told: Daily) -> Message:
    """Render what a session's watch came to, at its close or so far."""
    title = simulated(_title(told), when=told.simulated)
    lines = [
        *[line for pair in told.pairs for line in _pair(pair)],
        _miss(told),
        _posted(told.posted),
    ]
    return compose([header(title), section(*lines)], [title, *lines])


def _title(told: Daily) -> str:
    alerts = "no alerts" if not told.alerts else f"{told.alerts} alert{'' if told.alerts == 1 else 's'}"
    rules = f"{told.rules} rule{'' if told.rules == 1 else 's'}"
    so_far = "" if told.final else f" so far, {words.hour(told.at)}"
    return f"Watched {words.day(told.session)}{so_far}: {alerts} from {rules}"


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


def _miss(told: Daily) -> str:
    if told.miss is None:
        beside = "none beside the alerts" if told.alerts else "none, as no rule had a value to look at"
        return f"Nearest miss: {beside}." if told.rules else "No rule is set here."
    return f"Nearest miss: {_nearest(told.miss)}."


def _nearest(miss: NearestMiss) -> str:
    share = int(ALL * miss.share)
    held = ", but was not held" if miss.share >= 1 else ""
    return f"{code(miss.rule)} reached {share}% of its threshold at {words.hour(miss.at)}{held}"


def _posted(posted: Posted) -> str:
    waiting = f", {posted.waiting} waiting" if posted.waiting else ""
    given_up = (
        f", *{posted.given_up} given up*: type `/minerpulse` to see why" if posted.given_up else ", none given up"
    )
    number = f"{posted.delivered} message{'' if posted.delivered == 1 else 's'}"
    return f"{number} delivered here since the open{waiting}{given_up}."
